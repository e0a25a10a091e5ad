"""What can go wrong, as a tree: five kinds, and below them one leaf for each thing a caller can meet.

OctoflowError
├── NotFound      FlowNotFound JobNotFound ScheduleNotFound LockNotFound KeyNotFound FileMissing SecretMissing
├── Conflict      FlowRunning JobActive JobEnded ScheduleExists LockAmbiguous KeyExists IdempotencyKeyReused
├── Invalid       DocumentInvalid InputsInvalid RequestInvalid PathRefused TooLarge SettingInvalid DatabaseRefused
├── Denied        Unauthenticated Forbidden
└── Unavailable   DatabaseBusy DatabaseDown StorageDown StorageFull Busy Draining SecretUnavailable ClockSilent

`StepFailed` stands apart: it ends a step inside a job and never reaches an HTTP answer as an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from engine.models.problem import Problem


class OctoflowError(Exception):
    """The root: `str(error)` is a sentence for the user, `code` a word for programs, `details` JSON or empty."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, details: Sequence[dict[str, Any]] = (), **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = list(details)
        self.fields = fields
        """Further top-level members of the answer, such as `job_id`."""


class NotFound(OctoflowError):
    """The thing that was named is not there."""

    code = "not_found"


class Conflict(OctoflowError):
    """What was asked is refused by the present state of things."""

    code = "conflict"


class Invalid(OctoflowError):
    """What was given cannot be used, now or later."""

    code = "invalid"


class Denied(OctoflowError):
    """The caller may not do this."""

    code = "denied"


class Unavailable(OctoflowError):
    """The same request may succeed later."""

    code = "unavailable"


class FlowNotFound(NotFound):
    """No document has this path."""

    code = "flow_not_found"


class JobNotFound(NotFound):
    """No job has this id."""

    code = "job_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no job {id!r}.")


class ScheduleNotFound(NotFound):
    """No schedule has this id."""

    code = "schedule_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no schedule {id!r}.")


class LockNotFound(NotFound):
    """No job holds a lock of this flow."""

    code = "lock_not_found"

    def __init__(self, flow: str) -> None:
        super().__init__(f"No job holds a lock of a flow {flow!r}.")


class KeyNotFound(NotFound):
    """No key has this id, and none that is not revoked has this name."""

    code = "key_not_found"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no key {key!r}.")


class FileMissing(NotFound):
    """A file that a flow or a caller named is not there."""

    code = "file_not_found"


class SecretMissing(NotFound):
    """secrets.yml has no secret of this name."""

    code = "secret_not_found"


class FlowRunning(Conflict):
    """A job of this flow holds its lock; `job_id` says which."""

    code = "flow_running"

    def __init__(self, job_id: str | None) -> None:
        super().__init__("A job for this flow is already running.", job_id=job_id)


class JobActive(Conflict):
    """The job has not ended, so it cannot be deleted."""

    code = "job_active"


class JobEnded(Conflict):
    """The job has ended, so there is nothing to cancel."""

    code = "job_ended"


class ScheduleExists(Conflict):
    """The document has a schedule with the same timing; `schedule_id` says which."""

    code = "schedule_exists"

    def __init__(self, schedule_id: str | None) -> None:
        which = f" ({schedule_id})" if schedule_id else ""
        message = f"The same document is scheduled with the same timing already{which}."
        super().__init__(message, schedule_id=schedule_id)


class IdempotencyKeyReused(Conflict):
    """The Idempotency-Key was used for another request within 24 hours."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another request within the last 24 hours: take a new key for each "
            "thing that is asked for, and the same one only to ask for it again."
        )


class LockAmbiguous(Conflict):
    """More than one locked flow is called so; `paths` says which."""

    code = "lock_ambiguous"

    def __init__(self, flow: str, paths: Sequence[str]) -> None:
        super().__init__(f"{flow!r} can be each of {', '.join(paths)}: give the path.", paths=list(paths))


class KeyExists(Conflict):
    """A key that is not revoked has this name."""

    code = "key_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a key {name!r} already: revoke it first, or choose another name.")


class DocumentInvalid(Invalid):
    """The document `path` has problems; `problems`, in an answer `details`, lists every one that was found."""

    code = "document_invalid"

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        place = f", line {first.line}" if first.line else ""
        details = [problem.to_json() for problem in problems]
        super().__init__(f"{path}{place}: {first.message}{more}", details=details, path=path)
        self.path = path
        self.problems = list(problems)


class InputsInvalid(Invalid):
    """The data does not fit the inputs that the flow declares; `details` lists everything that does not."""

    code = "inputs_invalid"

    def __init__(self, flow: str, problems: Sequence[tuple[str, str]]) -> None:
        shown = problems[:20]
        more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
        sentences = "; ".join(f"`{name}` {message}" for name, message in shown)
        details = [{"field": name, "message": message} for name, message in shown]
        super().__init__(f"The inputs of {flow} cannot be used: {sentences}{more}.", details=details)
        self.flow = flow
        self.problems = list(problems)

    def masked(self, mask: Callable[[str], str]) -> InputsInvalid:
        """The same without secrets, which a document may declare among what is allowed."""
        return InputsInvalid(self.flow, [(mask(name), mask(message)) for name, message in self.problems])


class RequestInvalid(Invalid):
    """A request's body, query or path cannot be used."""

    code = "request_invalid"


class PathRefused(Invalid):
    """A path leads outside its folder, or to a place that flows may not touch."""

    code = "path_refused"


class TooLarge(Invalid):
    """More bytes, items or rows than the limit allows."""

    code = "too_large"


class SettingInvalid(Invalid):
    """A setting of the environment has a value that cannot be used."""

    code = "setting_invalid"


class DatabaseRefused(Invalid):
    """The database file is damaged, too new, or on a volume that cannot hold it."""

    code = "database_refused"


class Unauthenticated(Denied):
    """No token, or not one that is known."""

    code = "unauthenticated"


class Forbidden(Denied):
    """The token is known, and its role does not reach."""

    code = "forbidden"


class DatabaseBusy(Unavailable):
    """Another process held the database for longer than we wait."""

    code = "database_busy"


class DatabaseDown(Unavailable):
    """The database cannot be reached or written."""

    code = "database_down"


class StorageDown(Unavailable):
    """The data folder is not there, or cannot be read or written."""

    code = "storage_down"


class StorageFull(Unavailable):
    """The volume has no room left."""

    code = "storage_full"


class Busy(Unavailable):
    """As many jobs run in this process, or as many documents are checked, as may at once."""

    code = "busy"


class Draining(Unavailable):
    """This process is on its way out and takes no new jobs."""

    code = "draining"


class SecretUnavailable(Unavailable):
    """A secret is named, and its keeper does not give it."""

    code = "secret_unavailable"


class ClockSilent(Unavailable):
    """No tick has come for minutes, although schedules wait for one."""

    code = "clock_silent"


class StepFailed(Exception):
    """A step's error: `str()` is the sentence, `text` what `ignore_errors` is searched in (message, status, body)."""

    def __init__(self, message: str, *, text: str | None = None, value: Any = None) -> None:
        super().__init__(message)
        self.text = message if text is None else text
        self.value = value
        """What the step has to show for itself all the same, such as a loop's results item by item."""
