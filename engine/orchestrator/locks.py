"""What a user can ask of locks: to see them, and to have them released."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from engine.errors import JobEnded, JobNotFound, LockAmbiguous, LockNotFound
from engine.models.access import matches
from engine.models.lock import Lock, locks_of
from engine.orchestrator.jobs import JobVerbs


class LockVerbs(JobVerbs):
    """A lock is a part of its job's row, and goes with the job's end: to release one is to cancel the job."""

    def locks(self, flows: str | None = None) -> list[Lock]:
        """The locks that are held, by path; of the documents that the glob `flows` means."""
        return [lock for lock in self._jobs.locks() if flows is None or matches(flows, lock.path)]

    def release_lock(self, flow: str, flows: str | None = None) -> list[str]:
        """Cancel the jobs that hold a lock of this flow, and give their ids; LockNotFound, LockAmbiguous.

        `flow` is its path, its file's name with or without the suffix, or the name that the document has.
        """
        found = locks_of(flow, self.locks(flows))
        paths = sorted({lock.path for lock in found})
        if not paths:
            raise LockNotFound(flow)
        if len(paths) > 1:
            raise LockAmbiguous(flow, paths)
        return self._release(found)

    def release_locks(self, flows: str | None = None) -> list[str]:
        """Cancel every job that holds a lock, and give their ids."""
        return self._release(self.locks(flows))

    def _release(self, locks: Iterable[Lock]) -> list[str]:
        released = []
        for lock in locks:
            with suppress(JobEnded, JobNotFound):  # It has ended meanwhile, and its lock is free.
                released.append(self.cancel(lock.job_id).id)
        return released
