"""The bodies that the API takes. Only a request that has a body imports this: building models costs a cold start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, ValidationError, field_validator

from engine.errors import RequestInvalid
from engine.models.access import Role, problems_of_key
from engine.models.expectations import expectation
from engine.models.schedule import MAX_EVERY_SECONDS, Misfire, Overlap

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

SHOWN = 20
"""How many problems an answer lists; a body can have a million."""


NOTHING: JsonValue = {"type": "null"}
"""The schema of a member that is not given."""


def _whole(value: Any) -> Any:
    """To JSON, 60.0 is as whole as 60."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _path() -> Any:
    return Field(
        min_length=1,
        max_length=255,
        description="The document's path below FLOWS_PATH.",
        json_schema_extra={"format": "document-path"},
    )


class RequestBody(BaseModel):
    """A JSON object whose fields are all known, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """The body; RequestInvalid names every field that is wrong, and what is expected of it."""
        known = cls.model_fields
        problems = [
            {"field": name[:100], "message": f"is not known here (known: {', '.join(known)})"}
            for name in value
            if name not in known
        ]
        try:
            body = cls.model_validate({name: item for name, item in value.items() if name in known})
        except ValidationError as error:
            wrong = [{"field": _place(e["loc"]), "message": _sentence(e, known)} for e in error.errors()]
            raise _invalid(wrong + problems) from error
        problems += [{"field": field, "message": message} for field, message in body.conflicts()]
        if problems:
            raise _invalid(problems)
        return body

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """What is wrong with fields that are right each by itself: a field, and what is to be said of it."""
        yield from ()

    def chosen(self) -> dict[str, Any]:
        """What is asked for beyond the defaults."""
        return {name: value for name, value in self if value != type(self).model_fields[name].default}


class LaunchJob(RequestBody):
    """What to run, on what, and for how long at most."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"path": "hello.yml", "data": {"name": "Ada"}}]})

    path: str = _path()
    data: Any = Field(None, description="Any JSON; the flow finds it under `__input__`.")
    timeout_seconds: float | None = Field(
        None, ge=1, le=2_592_000, description="How long the job may run; FLOW_TIMEOUT_SECONDS when it does not say."
    )
    priority: int = Field(0, ge=-1_000_000, le=1_000_000, description="The lowest number runs first, as with nice(1).")

    _whole = field_validator("priority", mode="before")(_whole)


class ValidateDocument(RequestBody):
    """A text, and the path it would have; or the path of a document that is there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "name: hello\nsteps:\n  - {name: greet, type: debug}\n", "path": "hello.yml"}],
            "anyOf": [
                {"required": ["text"], "properties": {"text": {"type": "string"}}},
                {"required": ["path"], "properties": {"path": {"type": "string"}}},
            ],
        }
    )

    text: str | None = Field(None, description="The document's text, at most MAX_DOCUMENT_BYTES.")
    path: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="Its path below FLOWS_PATH; without `text`, what is there is meant.",
        json_schema_extra={"format": "document-path"},
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.text is None and self.path is None:
            yield "text", "is required where there is no `path`"


class GivenInputs(RequestBody):
    """The document's inputs by their names. One that declares none takes any object."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"name": "Ada"}]})

    _values: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        body = cls()
        body._values = dict(value)
        return body

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """All that was given, of which the document says what is wrong."""
        yield from self._values.items()

    def chosen(self) -> dict[str, Any]:
        return dict(self)


class AddFlow(RequestBody):
    """What to run, and when; without `cron` and `every_seconds` the document's own are meant."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"path": "hello.yml", "every_seconds": 3600}],
            "anyOf": [{"properties": {"cron": NOTHING}}, {"properties": {"every_seconds": NOTHING}}],
        }
    )

    path: str = _path()
    cron: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="Five fields, or such as `@hourly`.",
        json_schema_extra={"format": "cron"},
    )
    every_seconds: int | None = Field(
        None, ge=1, le=MAX_EVERY_SECONDS, description="So many seconds from one run to the next."
    )
    timezone: str | None = Field(
        None,
        max_length=64,
        description="The zone that cron is read in, such as `Europe/Berlin`; TIMEZONE by default.",
        json_schema_extra={"format": "time-zone"},
    )
    overlap: Overlap = Field(
        Overlap.SKIP, strict=False, description="While the flow still runs: `skip` the run, or `queue` one."
    )
    misfire: Misfire = Field(
        Misfire.LATEST, strict=False, description="Runs that no tick saw in time: the `latest` is made up for, or none."
    )
    misfire_grace_seconds: int | None = Field(
        None, ge=1, le=MAX_EVERY_SECONDS, description="How late a run may be; 3600 under `latest`, 90 under `skip`."
    )
    timeout_seconds: float | None = Field(
        None, ge=1, le=2_592_000, description="How long each job may run; FLOW_TIMEOUT_SECONDS when it does not say."
    )
    data: Any = Field(None, description="Any JSON; the flow finds it under `__input__`.")

    _whole = field_validator("every_seconds", "misfire_grace_seconds", mode="before")(_whole)

    @field_validator("timezone")
    @classmethod
    def _must_be_known(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError) as error:
                wanted = "must be a time zone of the tz database, such as UTC or Europe/Berlin"
                raise ValueError(f"{wanted}, not {name!r}") from error
        return name

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.cron is not None and self.every_seconds is not None:
            yield "every_seconds", "cannot be given together with `cron`"


class CreateSchedule(AddFlow):
    """What to run, and when: either `cron` or `every_seconds`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"path": "hello.yml", "cron": "0 6 * * mon-fri", "timezone": "Europe/Berlin"}],
            "anyOf": [
                {"required": ["cron"], "properties": {"cron": {"type": "string"}, "every_seconds": NOTHING}},
                {"required": ["every_seconds"], "properties": {"every_seconds": {"type": "integer"}, "cron": NOTHING}},
            ],
        }
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        yield from super().conflicts()
        if self.cron is None and self.every_seconds is None:
            yield "cron", "is required where there is no `every_seconds`"


class CreateKey(RequestBody):
    """Who is to have a key, and what for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "reports", "role": "operator", "flows": "reports/*", "expires": "90d"}],
            "anyOf": [
                {"properties": {"role": {"enum": ["viewer", "operator", "editor"]}}},
                {"properties": {"flows": NOTHING}},
            ],
        }
    )

    name: str = Field(
        min_length=1,
        max_length=64,
        description="Whose key it is; no two keys in use share a name.",
        json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._@-]*$"},
    )
    role: Role = Field(strict=False, description="What it may do.")
    flows: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="The only documents it reaches: `*` is any text, slashes too, `?` is one character.",
        json_schema_extra={"pattern": "^[^\\u0000-\\u001f\\u007f]+$"},
    )
    expires: str | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="How long it lives: `12h`, `90d`, `4w`, at most `36500d`; for ever by default.",
        json_schema_extra={"format": "lifetime"},
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        yield from problems_of_key(self.name, self.role, self.flows, self.expires)


def _invalid(problems: list[dict[str, str]]) -> RequestInvalid:
    sentences = [f"`{problem['field']}` {problem['message']}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        sentences.append(f"and {len(problems) - SHOWN} more")
    return RequestInvalid(f"The body cannot be used: {'; '.join(sentences)}.", details=problems[:SHOWN])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _sentence(error: ErrorDetails, known: Mapping[str, FieldInfo]) -> str:
    """What is expected, to be read after the field's name."""
    kind, message = error["type"], error["msg"]
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    field = known.get(str(error["loc"][0])) if len(error["loc"]) == 1 else None
    return expectation(kind, error.get("ctx", {}), error["input"], field) or f"is wrong: {message}"
