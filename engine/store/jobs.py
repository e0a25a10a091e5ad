"""The jobs: one verb for each thing that can happen to one, each a short transaction of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from engine.models.audit import AuditRow
from engine.models.flow import Document
from engine.models.job import (
    Claim,
    Event,
    Finish,
    Job,
    JobFilter,
    Json,
    LogLine,
    NewJob,
    Outcome,
    Owner,
    State,
    Status,
    StepRow,
    Swept,
)
from engine.models.lock import Lock
from engine.models.once import Once
from engine.store import (
    claiming,
    deleting,
    document_pruning,
    holding,
    job_lists,
    job_rows,
    launching,
    prepared,
    pruning,
    recording,
    sweeping,
    unblocking,
)
from engine.store.database import Database
from engine.store.documents import DocumentStore


class JobStore:
    """The queue and the only truth about jobs. A change names the state it expects, and an owner its claim."""

    def __init__(self, database: Database, documents: DocumentStore | None = None) -> None:
        self._database = database
        self._documents = documents or DocumentStore(database)

    def insert(
        self,
        job: NewJob,
        now: datetime,
        *,
        owner: Owner | None = None,
        lease_until: datetime | None = None,
        documents: Sequence[Document] = (),
        audit: AuditRow | None = None,
        once: Once | None = None,
    ) -> Claim | None:
        """Queue the job together with the documents it needs; with an owner it is born running, and claimed.

        Takes the first of `job.lock_slots` that is free; FlowRunning names a holder when all are taken.
        AskedBefore when a job was made under the key of `once`.
        """
        missing = self._documents.missing(documents, now)
        claim = self._database.change(
            lambda c: launching.launch(
                c, job, now, owner=owner, lease_until=lease_until, documents=missing, audit=audit, once=once
            )
        )
        self._documents.remember(missing, now)
        if documents:
            self._documents.keep_bundle(documents)
        return claim

    def has_pending(self) -> bool:
        """Whether a claim would find anything."""
        return self._database.ask(lambda c: prepared.first_value(c, job_rows.PENDING, {}) is not None)

    def has_lost(self) -> bool:
        """Whether an adoption would find anything."""
        return self._database.ask(lambda c: prepared.first_value(c, claiming.ANY_HANDED_ON, {}) is not None)

    def claim(self, owner: Owner, now: datetime, lease_until: datetime, limit: int = 1) -> list[Claim]:
        """Start pending jobs: lowest priority number first, then oldest."""
        if not self.has_pending():
            return []
        return self._database.change(lambda c: claiming.claim_pending(c, owner, now, lease_until, limit))

    def adopt(self, owner: Owner, now: datetime, lease_until: datetime, limit: int = 1) -> list[Claim]:
        """Take over lost jobs whose `finally_step` is still to run; each claim carries why the job stops."""
        if not self.has_lost():
            return []
        return self._database.change(lambda c: claiming.adopt_lost(c, owner, lease_until, limit))

    def renew(self, id: str, owner_id: str, epoch: int, lease_until: datetime) -> State | None:
        """Lengthen the lease; the state says whether to go on or to stop, None that the job is no longer ours."""
        return self._database.change(lambda c: claiming.renew(c, id, owner_id, epoch, lease_until))

    def record(
        self,
        id: str,
        owner_id: str,
        epoch: int,
        events: Sequence[Event],
        *,
        first_line: int,
        again: bool = False,
    ) -> bool:
        """Write the events if this owner still holds the job; False when it does not.

        Log lines are numbered from `first_line`, so that the same batch may be written again after an error without
        being there twice; `again` says that a part of it may be there.
        """
        return self._database.change(lambda c: recording.record(c, id, owner_id, epoch, events, first_line, again))

    def finish(
        self,
        id: str,
        owner_id: str,
        epoch: int,
        outcome: Outcome,
        events: Sequence[Event],
        now: datetime,
        *,
        lock: str | None = None,
        first_line: int,
        again: bool = False,
        next_for: Owner | None = None,
        lease_until: datetime | None = None,
    ) -> Finish:
        """Close the job with its last events and free its lock; nothing when this owner no longer holds it.

        `lock` is the claim's: the next job that waits for it gets it. `next_for` claims the first pending job, as
        `claim` does, in the same transaction.
        """
        return self._database.change(
            lambda c: recording.finish(
                c, id, owner_id, epoch, outcome, events, now, first_line, again, lock, next_for, lease_until
            )
        )

    def stop(self, id: str, owner_id: str, epoch: int, reason: str) -> bool:
        """Mark an own running job as stopping, so that the reason outlives us; False when it is not running or ours."""
        values = {**claiming.mine(id, owner_id, epoch), "why": reason}
        return self._database.change(lambda c: c.execute(claiming.STOP, values).rowcount == 1)

    def stopping(self, owner_id: str) -> list[tuple[str, str | None]]:
        """The own jobs that are to stop, each with its reason."""
        return self._database.ask(
            lambda c: [(row.id, row.reason) for row in c.execute(claiming.MY_STOPPING, {"holder": owner_id})]
        )

    def cancel(self, id: str, now: datetime) -> Job:
        """End the job if it has not begun, tell it to stop if it runs, else change nothing; the job as it is then."""
        return self._database.change(lambda c: claiming.cancel(c, id, now))

    def sweep(self, now: datetime, dead: Collection[str]) -> Swept:
        """Settle the jobs whose lease has ended or whose owner is among the dead.

        Those of which no step has begun are pending again; those whose `finally_step` has not begun are handed on to
        `adopt`; both keep their lock. The others are closed.
        """
        closed = handed_on = requeued = 0
        if self._database.ask(lambda c: sweeping.any_lost(c, now, dead)):
            found = sweeping.BATCH
            while found == sweeping.BATCH:
                swept = self._database.change(lambda c: sweeping.sweep_batch(c, now, dead))
                closed, handed_on = closed + swept.closed, handed_on + swept.handed_on
                requeued += swept.requeued
                found = swept.total
        return Swept(closed=closed, handed_on=handed_on, requeued=requeued)

    def get(self, id: str) -> Job:
        """The job with its data, result and errors; JobNotFound."""
        return self._database.ask(lambda c: job_rows.get_job(c, id))

    def get_with_steps(self, id: str) -> tuple[Job, list[StepRow]]:
        """The job and its step runs as they were at one moment; JobNotFound."""
        return self._database.ask(lambda c: (job_rows.get_job(c, id), job_rows.get_steps(c, id)))

    def step_outputs(self, id: str) -> list[tuple[str, Json]]:
        """`result_key` and value of the flow's own finished steps, in order: what `_data` is rebuilt from."""
        return self._database.ask(lambda c: job_rows.get_outputs(c, id))

    def last_numbers(self, id: str) -> tuple[int, int]:
        """The numbers of the job's last step run and last log line, 0 where there is none: an adopter counts on."""
        return self._database.ask(lambda c: job_rows.get_last_numbers(c, id))

    def logs(self, id: str, after: int, limit: int) -> tuple[list[LogLine], int | None]:
        """The lines after that number, and the `after` to ask with next; None when the job is over and has no more."""
        return self._database.ask(lambda c: job_rows.get_logs(c, id, after, limit))

    def locks(self) -> list[Lock]:
        """The locks that are held, by path."""
        return self._database.ask(holding.list_locks)

    def state(self, id: str) -> State:
        """Where the job is; JobNotFound."""
        return self._database.ask(lambda c: job_rows.get_state(c, id))

    def path(self, id: str) -> str:
        """The document that the job runs; JobNotFound."""
        return self._database.ask(lambda c: job_rows.get_path(c, id))

    def count(self, filter: JobFilter, flows: str | None = None) -> int:
        """How many jobs the filter lets through, on all its pages."""
        return self._database.ask(lambda c: job_lists.count_jobs(c, filter, flows))

    def delete(self, id: str) -> None:
        """Delete a job that has ended, with its steps and logs; JobActive, JobNotFound."""
        self._database.change(lambda c: deleting.delete_job(c, id))

    def delete_older(self, before: datetime | None, state: State | None = None, status: Status | None = None) -> int:
        """Delete the ended jobs that match (all of them without `before`), in batches; how many."""
        deleted = 0
        while batch := self._database.change(lambda c: deleting.delete_batch(c, before, state, status)):
            deleted += batch
        return deleted

    def unblock(self) -> int:
        """Make jobs pending whose flow is free although nobody woke them, one of each flow; how many."""
        return sum(map(self._unblock, self._database.ask(unblocking.list_stranded)))

    def prune(self, ended_before: datetime | None, failed_before: datetime | None, limit: int) -> int:
        """Delete at most so many jobs that ended before that time, failed ones before the other; how many.

        None keeps them for ever.
        """
        cuts = dict.fromkeys(pruning.OTHERS, ended_before) | dict.fromkeys(pruning.FAILED, failed_before)
        before = {status: cut for status, cut in cuts.items() if cut is not None}
        return self._delete_all(self._database.ask(lambda c: pruning.list_old(c, before, limit)))

    def prune_flows(self, keep: int, after_path: str | None, max_flows: int) -> tuple[int, str | None]:
        """Delete all but the newest `keep` ended jobs, and as many failed ones, of the next so many flows.

        How many, and the path to go on after: None when every flow has been seen.
        """
        deleted, after = 0, after_path or ""
        paths = self._database.ask(lambda c: pruning.list_paths(c, after, max_flows))
        for path in paths:
            most = pruning.MOST - deleted
            surplus = self._surplus(path, keep, most)
            deleted += self._delete_all(surplus)
            if len(surplus) == most:  # There may be more: this flow is the first of the next round.
                return deleted, after or None
            after = path
        return deleted, after if len(paths) == max_flows else None

    def prune_documents(self, stored_before: datetime, limit: int) -> int:
        """Delete at most so many documents that no job needs and that were not used since that time; how many.

        The time must be hours ago: see `document_pruning`.
        """
        unused = self._database.ask(lambda c: document_pruning.list_unused(c, stored_before))[:limit]
        return sum(self._delete_documents(part, stored_before) for part in pruning.batches(unused))

    def _unblock(self, path: str) -> int:
        return self._database.change(lambda c: unblocking.unblock_one(c, path))

    def _surplus(self, path: str, keep: int, most: int) -> Sequence[str]:
        return self._database.ask(lambda c: pruning.list_surplus(c, path, keep, most))

    def _delete_all(self, ids: Sequence[str]) -> int:
        return sum(map(self._delete_jobs, pruning.batches(ids)))

    def _delete_jobs(self, ids: Sequence[str]) -> int:
        return self._database.change(lambda c: pruning.delete_batch(c, ids))

    def _delete_documents(self, revisions: Sequence[str], stored_before: datetime) -> int:
        return self._database.change(lambda c: document_pruning.delete_batch(c, revisions, stored_before))

    def newest(self, paths: Iterable[str]) -> dict[str, Job]:
        """The newest job of each of these documents that has one, without data and result."""
        return self._database.ask(lambda c: job_lists.newest_of_each(c, paths))

    def list(self, filter: JobFilter, flows: str | None = None) -> list[Job]:
        """At most `filter.limit` jobs, newest first, without data and result; of the documents that the glob means."""
        return self._database.ask(lambda c: job_lists.list_jobs(c, filter, flows))
