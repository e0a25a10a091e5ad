"""Schedules that come out of files: those that config.yml lists, and the times that a flow file carries itself."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from posixpath import normpath
from threading import Event
from typing import TYPE_CHECKING, Any

from engine.errors import OctoflowError, RequestInvalid, ScheduleExists, ScheduleNotFound, Unavailable
from engine.models.job import Source
from engine.models.schedule import Schedule, ScheduleSource
from engine.orchestrator.schedules import ScheduleVerbs

if TYPE_CHECKING:
    from engine.files import FileStat
    from engine.scheduler.autostart import Entry, Key, Wanted

log = logging.getLogger("octoflow")

Stamp = tuple[int, ...] | None

REST_SECONDS = 0.3
"""So long config.yml must stay as it is before anything is removed because of it."""


@dataclass
class _Watched:
    """The files that decided, as they were then: config.yml, and flows that carry their own times."""

    config: Stamp
    flows: dict[str, FileStat] = field(default_factory=dict)


class AutostartVerbs(ScheduleVerbs):
    """Add a flow, and keep to config.yml."""

    _settled: _Watched | None = None
    """By these files all is as it should be, for as long as they stay as they were."""

    def add_flow(self, path: str, **fields: Any) -> Schedule:
        """As `create_schedule`; without `cron` and `every_seconds`, at the times that the flow's own file gives."""
        if fields.get("cron") is None and fields.get("every_seconds") is None:
            fields |= self._own_timing(path)
        return self.create_schedule(path, **fields)

    def reconcile(self) -> list[str]:
        """Let the schedules of config.yml be those that it wants now; a sentence for each thing that cannot be done.

        It looks at times and sizes of files only, as long as nothing has changed since all was well. Any number of
        processes may do this at once.
        """
        self._must_be_sound()
        config = self._config_stamp()
        if self._settled is not None and self._settled.config == config and self._flows_are_as_in(self._settled):
            return []
        watched = _Watched(config)
        # Before the file: what another process makes of a newer file must not be taken away by an older one.
        present = [each for each in self._schedules.by_source(ScheduleSource.CONFIG) if isinstance(each, Schedule)]
        wanted = self._wanted(bool(present))
        fields = self._fields(wanted, watched)
        if self._gone(present, wanted, fields) and not self._config_rests(config):
            self._settled = None
            return wanted.problems
        is_settled = self._create_and_change(fields, present, wanted)
        self._remove(present, wanted, fields)
        self._settled = watched if is_settled and not wanted.problems else None
        return wanted.problems

    def _own_timing(self, path: str) -> dict[str, Any]:
        """The `cron` or `every_seconds` of the flow's file; RequestInvalid when there is none that can be used."""
        from engine.scheduler.autostart import own_timing, wish_of

        document = self._checker.document(path).document
        timing = own_timing(document.text)
        if not timing:
            raise RequestInvalid(f"{document.path} has no schedule: give cron or every_seconds.")
        try:
            wish_of({"path": document.path, **timing})
        except ValueError as error:
            raise RequestInvalid(f"{document.path}: {error}.") from error
        return timing

    # What is wanted

    def _wanted(self, was_there: bool) -> Wanted:
        """What config.yml says."""
        from engine.reading import ReadingError, decode
        from engine.reading.whole_files import FileTooLong, read_whole
        from engine.scheduler.autostart import Wanted, read_wanted

        file, most = self.settings.config_file, self.settings.max_document_bytes
        wanted = Wanted(file.name)
        try:
            return read_wanted(file.name, decode(read_whole(file, most)))
        except FileTooLong:
            wanted.give_up(None, f"the file has more than {most} bytes")
        except FileNotFoundError:
            if was_there:  # A file that is lost says nothing; an empty one does.
                wanted.give_up(None, "the file is not there; the schedules that it made stay until it is, and is empty")
        except (OSError, ReadingError) as error:
            wanted.give_up(None, f"the file cannot be read: {getattr(error, 'strerror', None) or error}")
        return wanted

    def _fields(self, wanted: Wanted, watched: _Watched) -> dict[Key, tuple[int, dict[str, Any]]]:
        """For each entry its line, and what `create_schedule` is to be given."""
        from engine.scheduler.autostart import key_of

        found: dict[Key, tuple[int, dict[str, Any]]] = {}
        for entry in wanted.entries:
            try:
                fields = self._fields_of(entry, watched)
                line, _ = found.setdefault(key_of(fields), (entry.line, fields))
                if line != entry.line:
                    wanted.problems.append(
                        f"{wanted.name}, line {entry.line}: line {line} has {entry.wish.path} at the same times already"
                    )
            except Unavailable:
                raise
            except OctoflowError as error:
                wanted.refuse(entry.line, entry.wish.path, str(error))
        return found

    def _fields_of(self, entry: Entry, watched: _Watched) -> dict[str, Any]:
        status = self._catalog.stat(entry.wish.path)
        fields = {**dict(entry.wish), "path": status.key}
        if entry.wish.cron is None and entry.wish.every_seconds is None:
            watched.flows[status.key] = status
            fields |= self._own_timing(status.key)
        return fields

    # What is done

    def _create_and_change(
        self, wanted_fields: dict[Key, tuple[int, dict[str, Any]]], present: list[Schedule], wanted: Wanted
    ) -> bool:
        """Make the schedules that are missing, change those that differ; False when one is left to somebody else."""
        from engine.scheduler.autostart import has_shape

        known = {(each.path, each.timing.identity): each for each in present}
        is_settled = True
        for key, (line, fields) in wanted_fields.items():
            schedule = known.get(key)
            try:
                if schedule is None:
                    made = self.create_schedule(**fields, source=ScheduleSource.CONFIG)
                    log.info("schedule %s of %s was made by %s", made.id, made.path, wanted.name)
                elif not has_shape(schedule, fields):
                    self._reshape(schedule, fields)
            except ScheduleExists as error:
                is_settled = False
                if (other := self._made_by_request(error.fields["schedule_id"], fields)) is not None:
                    wanted.problems.append(
                        f"{wanted.name}, line {line}: the schedule {other} has {fields['path']} at the same times, "
                        f"made by a request and otherwise: delete it, or this entry"
                    )
            except Unavailable:
                raise
            except OctoflowError as error:
                wanted.refuse(line, fields["path"], str(error))
        return is_settled

    def _made_by_request(self, id: str | None, fields: dict[str, Any]) -> str | None:
        """The schedule's id when a request made it, and not as these fields want it."""
        from engine.scheduler.autostart import has_shape

        try:
            schedule = self._schedules.get(id) if id is not None else None
        except ScheduleNotFound:
            return None
        is_other = schedule is not None and schedule.source is ScheduleSource.API and not has_shape(schedule, fields)
        return id if is_other else None

    def _reshape(self, schedule: Schedule, fields: dict[str, Any]) -> None:
        from engine.scheduler.autostart import SHAPE

        self._new_job(fields["path"], fields["data"], fields["timeout_seconds"], 0, Source.SCHEDULE)
        self._schedules.reshape(schedule.id, **{name: fields[name] for name in SHAPE})
        log.info("schedule %s of %s was changed by %s", schedule.id, schedule.path, self.settings.config_file.name)

    def _remove(self, present: list[Schedule], wanted: Wanted, keys: dict[Key, Any]) -> None:
        for schedule in self._gone(present, wanted, keys):
            with suppress(ScheduleNotFound):
                self.delete_schedule(schedule.id)
                log.info("schedule %s of %s was removed: %s lists it no more", schedule.id, schedule.path, wanted.name)

    def _gone(self, present: list[Schedule], wanted: Wanted, keys: dict[Key, Any]) -> list[Schedule]:
        """The schedules that config.yml wants no more."""
        from engine.scheduler.autostart import unwanted

        wanted.unclear_paths = {self._canonical(path) for path in wanted.unclear_paths}
        return unwanted(present, wanted, keys)

    def _canonical(self, path: str) -> str:
        try:
            return self._catalog.find(path)
        except OctoflowError:
            return normpath(path)

    # What has changed

    def _config_stamp(self) -> Stamp:
        try:
            status = os.stat(self.settings.config_file)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def _config_rests(self, stamp: Stamp) -> bool:
        """Whether config.yml is a moment later as it was then: one that is just being written lacks what it will have.

        What was removed by mistake would come back without its slots, and running where it was paused.
        """
        self.clock.wait(Event(), REST_SECONDS)
        return self._config_stamp() == stamp

    def _flows_are_as_in(self, watched: _Watched) -> bool:
        try:
            return all(self._catalog.stat(path) == status for path, status in watched.flows.items())
        except OctoflowError:
            return False
