"""The front door: every verb, what it refuses, and how the house is opened and closed."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from clocks import TestClock
from engines import engines, folder_with
from flows import QUICK, SLOW, TIDY
from services import until

from engine.errors import (
    DatabaseBusy,
    DatabaseDown,
    DatabaseRefused,
    DocumentInvalid,
    FlowNotFound,
    FlowRunning,
    JobActive,
    JobEnded,
    JobNotFound,
    PathRefused,
    RequestInvalid,
    SettingInvalid,
    StorageDown,
    Unauthenticated,
)
from engine.executors.executor import Executor
from engine.executors.owner import OwnerFile, live_owners
from engine.files import probe_writable
from engine.models.access import Access, Role
from engine.models.job import JobFilter, NewJob, Outcome, Owner, Reason, Source, State, Status, StepStarted
from engine.models.metric import METRICS
from engine.orchestrator import MAX_PRIORITY, MAX_TIMEOUT_SECONDS, Orchestrator
from engine.settings import DEFAULT_TOKEN, Settings
from engine.store.jobs import JobStore

assert probe_writable  # Imported before a test gives up the right to read the project.
HOST = socket.gethostname()
DEAD = Owner(f"{HOST}:1:dead", HOST)


@pytest.fixture
def data(tmp_path):
    return folder_with({"quick.yml": QUICK, "slow.yml": SLOW, "tidy.yml": TIDY}, tmp_path / "data")


@pytest.fixture
def make(data):
    with engines(data, flow_max_workers=0, grace_seconds=5) as make:
        yield make


@pytest.fixture
def engine(make):
    return make()


@pytest.fixture
def clock():
    return TestClock()


def finished(engine, job_id):
    return until(lambda: (job := engine.job(job_id)[0]).state is State.FINISHED and job)


def in_step(engine, job_id, name="wait"):
    until(lambda: any(step.name == name for step in engine.job(job_id)[1]))


def born_running(engine, owner, path="quick.yml", **fields):
    """A job that this owner runs, in its first step."""
    now = engine.clock.now()
    job = NewJob(id=f"job-of-{owner.id[-8:]}-{path}", path=path, name=path, revision="r", **fields)
    claim = engine._jobs.insert(job, now, owner=owner, lease_until=now + timedelta(seconds=30))
    begun = [StepStarted(1, "wait", "sleep", now)]
    assert engine._jobs.record(claim.id, claim.owner, claim.epoch, begun, first_line=1)
    return job.id


# The opening


def test_a_new_data_folder_gets_its_folders_and_its_database(tmp_path):
    before = threading.active_count()
    engine = Orchestrator(Settings(data_path=tmp_path / "new"))
    engine.close()

    made = {path.name for path in (tmp_path / "new").iterdir()}
    assert {"flows", "templates", "logs", ".octoflow", "jobs.sqlite"} <= made
    assert threading.active_count() == before


def test_the_environment_describes_an_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    monkeypatch.setenv("GRACE_SECONDS", "3")

    engine = Orchestrator.from_environment()
    engine.close()

    assert engine.settings.grace_seconds == 3
    assert (tmp_path / "data" / "jobs.sqlite").exists()


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_and_kept(data, make, content):
    (data / "jobs.sqlite").write_bytes(content)

    with pytest.raises(DatabaseRefused, match=f"The database {data}/jobs.sqlite .*it is left as it is"):
        make()

    assert (data / "jobs.sqlite").read_bytes() == content


def test_a_data_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "data").touch()

    with pytest.raises(StorageDown, match=f"The folder {tmp_path}/data cannot be made"):
        Orchestrator(Settings(data_path=tmp_path / "data"))


def test_a_database_that_is_none_we_know_is_refused(data):
    with pytest.raises(SettingInvalid, match="SQLALCHEMY_DATABASE_URI"):
        Orchestrator(Settings(data_path=data, sqlalchemy_database_uri="oracle://host/name"))


# Life


def test_starting_and_closing_twice_is_once(make):
    before = threading.active_count()
    engine = make(flow_max_workers=2)

    engine.start()
    started = threading.active_count()
    engine.start()
    assert threading.active_count() == started > before
    engine.close()
    engine.close()

    assert threading.active_count() == before
    assert live_owners(engine.settings.run_path / "owners") == set()


@pytest.mark.parametrize("was_started", [True, False])
def test_starting_after_the_close_does_nothing(make, was_started):
    before = threading.active_count()
    engine = make(flow_max_workers=2)
    if was_started:
        engine.start()
    engine.close()

    engine.start()

    assert threading.active_count() == before
    assert list((engine.settings.run_path / "owners").iterdir()) == []


def test_closing_ends_what_runs_with_its_finally_step(make, data):
    engine = make(flow_max_workers=1)
    job_id = engine.launch("tidy.yml")
    in_step(engine, job_id)

    engine.close()

    job, steps = make().job(job_id)
    assert (job.status, job.reason) == (Status.FAILED, Reason.SHUTDOWN)
    assert [(step.name, str(step.status)) for step in steps] == [("wait", "stopped"), ("tidy", "success")]
    assert (data / "tidied.txt").exists()


def test_a_close_waits_as_long_as_the_grace_asks_for(make, monkeypatch):
    asked = []
    monkeypatch.setattr(Executor, "close", lambda executor: asked.append(executor._stop_seconds))
    engine = make(grace_seconds=20)
    engine.launch("quick.yml")

    engine.close()
    monkeypatch.undo()

    assert asked == [23]


def test_a_signals_handler_may_stop_what_runs_whatever_it_interrupted(engine):
    stopped = threading.Event()

    def handler():
        engine.stop_running("cancelled")
        stopped.set()

    with engine._lock:
        threading.Thread(target=handler, daemon=True).start()

        assert stopped.wait(5)


def test_what_was_stopped_before_it_began_does_not_begin(engine):
    engine.stop_running(Reason.CANCELLED)

    job_id, outcome = engine.run("quick.yml")

    assert (outcome.status, outcome.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert engine.job(job_id)[1] == []


def test_a_start_settles_what_dead_owners_left_without_a_tick(engine):
    owners = engine.settings.run_path / "owners"
    (owners / f"{DEAD.id}.lock").touch()
    lost = born_running(engine, DEAD, lock_slots=("quick.yml#0",))

    engine.start()

    job, _ = engine.job(lost)
    assert (job.state, job.status, job.reason) == (State.FINISHED, Status.FAILED, Reason.WORKER_LOST)
    assert not (owners / f"{DEAD.id}.lock").exists()


def test_a_damaged_database_is_refused_at_the_start_and_from_then_on(make, data):
    damage(make(), data / "jobs.sqlite")
    engine = make(flow_max_workers=1)
    before = threading.active_count()
    refusal = f"The database {data}/jobs.sqlite is damaged \\(.+\\)\\. Put a backup in its place; it is left as it is"

    for verb in (engine.start, engine.readiness, lambda: engine.launch("quick.yml")):
        with pytest.raises(DatabaseRefused, match=refusal):
            verb()

    assert threading.active_count() == before


def damage(engine, file):
    """Write garbage into the middle of the database, where the logs of a job are."""
    canary = "a line of the log "
    for number in range(20):
        engine.cancel(engine.launch("quick.yml", {"canary": f"{canary}{number} " * 40}))
    engine.close()
    content = bytearray(file.read_bytes())
    page = content.rindex(canary.encode()) // 4096 * 4096
    content[page : page + 4096] = b"\xff" * 4096
    file.write_bytes(content)


# Launches


def test_a_launch_queues_a_job_and_says_which(engine):
    job_id = engine.launch("quick.yml", {"a": 1}, priority=-5, timeout_seconds=1.5, source=Source.SCHEDULE)

    job, steps = engine.job(job_id)
    assert (job.path, job.name, job.state, job.data, job.priority, job.timeout_seconds, job.source) == (
        "quick.yml", "quick", State.PENDING, {"a": 1}, -5, 1.5, Source.SCHEDULE,
    )  # fmt: skip
    assert steps == []
    assert job.queued_time is not None


def test_a_launch_that_names_no_timeout_gets_the_settings(make):
    engine = make(flow_timeout_seconds=77)

    assert engine.job(engine.launch("quick.yml"))[0].timeout_seconds == 77


def test_a_launched_job_is_run(make):
    engine = make(flow_max_workers=1)

    job = finished(engine, engine.launch("quick.yml", {"a": 1}))

    assert (job.status, job.result["v"], job.source) == (Status.SUCCESS, 1, Source.API)


@pytest.mark.parametrize(("path", "kind"), [("nope.yml", FlowNotFound), ("../data/flows/quick.yml", PathRefused)])
def test_a_flow_that_is_not_there_is_not_launched(engine, path, kind):
    with pytest.raises(kind, match=r"nope\.yml|quick\.yml"):
        engine.launch(path)

    assert engine.count_jobs(JobFilter()) == 0


def test_a_document_with_problems_is_not_launched(engine, data):
    (data / "flows" / "bad.yml").write_text("name: bad\nsteps:\n  - {name: a, type: nonsense}\nextra: 1\n")

    with pytest.raises(DocumentInvalid, match=r"bad\.yml, line \d") as caught:
        engine.launch("bad.yml")

    assert len(caught.value.problems) >= 2
    assert engine.count_jobs(JobFilter()) == 0


@pytest.mark.parametrize("seconds", [0, 0.99, -1, MAX_TIMEOUT_SECONDS + 1, float("inf"), float("nan")])
def test_a_timeout_out_of_bounds_is_refused(engine, seconds):
    with pytest.raises(RequestInvalid, match=f"timeout_seconds must be from 1 to {MAX_TIMEOUT_SECONDS}"):
        engine.launch("quick.yml", timeout_seconds=seconds)


@pytest.mark.parametrize("priority", [MAX_PRIORITY + 1, -MAX_PRIORITY - 1])
def test_a_priority_out_of_bounds_is_refused(engine, priority):
    with pytest.raises(RequestInvalid, match="priority must be from -1000000 to 1000000"):
        engine.launch("quick.yml", priority=priority)


@pytest.mark.parametrize("fields", [{"timeout_seconds": 1}, {"timeout_seconds": MAX_TIMEOUT_SECONDS},
                                    {"priority": MAX_PRIORITY}, {"priority": -MAX_PRIORITY}])  # fmt: skip
def test_the_bounds_themselves_are_accepted(engine, fields):
    assert engine.launch("quick.yml", **fields)


@pytest.mark.parametrize("spelling", ["quick.yml", "./quick.yml", "x/../quick.yml"])
def test_a_flow_that_is_queued_is_locked_however_it_is_spelled(engine, data, spelling):
    (data / "flows" / "x").mkdir()
    first = engine.launch("quick.yml")

    with pytest.raises(FlowRunning) as caught:
        engine.launch(spelling)

    assert caught.value.fields == {"job_id": first}


def test_a_flow_is_locked_for_every_engine(engine, make):
    first = engine.launch("quick.yml")

    with pytest.raises(FlowRunning) as caught:
        make().launch("quick.yml")

    assert caught.value.fields == {"job_id": first}


@pytest.mark.parametrize(("limit", "queued"), [("2", 2), ("unlimited", 5)])
def test_a_flow_may_run_as_often_at_once_as_it_says(engine, data, limit, queued):
    (data / "flows" / "many.yml").write_text(f"max_concurrent: {limit}\n{QUICK}")

    def launches():
        try:
            return engine.launch("many.yml") is not None
        except FlowRunning:
            return False

    assert sum(launches() for _ in range(5)) == queued


# Runs


def test_a_run_is_a_job_in_this_very_thread(engine):
    heard = []

    job_id, outcome = engine.run("quick.yml", {"a": 1}, observer=lambda event: heard.append(threading.get_ident()))

    job = engine.job(job_id)[0]
    assert isinstance(outcome, Outcome)
    assert (outcome.status, job.status, job.source, job.data) == (Status.SUCCESS, Status.SUCCESS, Source.CLI, {"a": 1})
    assert set(heard) == {threading.get_ident()}


def test_a_run_respects_the_lock(engine):
    engine.launch("quick.yml")

    with pytest.raises(FlowRunning):
        engine.run("quick.yml")


def test_a_run_can_be_stopped_from_elsewhere(engine):
    def stop():
        job = until(lambda: engine.jobs(JobFilter(state=State.RUNNING)))[0]
        in_step(engine, job.id)
        engine.stop_running(Reason.CANCELLED)

    stopper = threading.Thread(target=stop)
    stopper.start()
    _, outcome = engine.run("slow.yml")
    stopper.join(10)

    assert outcome.status is Status.CANCELLED


# Looking


def test_lists_are_counted_and_filtered(engine, data):
    (data / "flows" / "many.yml").write_text(f"max_concurrent: unlimited\n{QUICK}")
    ids = [engine.launch("many.yml") for _ in range(3)]
    engine.cancel(ids[0])

    pending = JobFilter(state=State.PENDING, limit=1)

    assert [job.id for job in engine.jobs(pending)] == [ids[2]]
    assert engine.count_jobs(pending) == 2


@pytest.mark.parametrize("verb", ["job", "logs", "cancel", "delete_job"])
def test_a_job_that_is_not_there_is_named(engine, verb):
    with pytest.raises(JobNotFound, match="There is no job 'nope'"):
        getattr(engine, verb)("nope")


def test_logs_are_read_in_pages(engine, data):
    (data / "flows" / "talks.yml").write_text(
        "name: talks\nsteps:\n"
        + "".join(f"  - {{name: s{n}, type: debug, debug: {{data_key: __job_id__}}}}\n" for n in range(3))
    )
    job_id, _ = engine.run("talks.yml")

    lines, after = engine.logs(job_id, limit=2)
    rest, end = engine.logs(job_id, after=after, limit=2)

    assert ([line.step for line in lines], [line.step for line in rest], end) == (["s0", "s1"], ["s2"], None)


# Cancelling and deleting


def test_a_pending_job_is_cancelled_before_it_began(engine):
    job = engine.cancel(engine.launch("quick.yml"))

    assert (job.state, job.status) == (State.FINISHED, Status.CANCELLED)
    assert engine.launch("quick.yml")


def test_a_running_job_is_told_at_once(make):
    engine = make(flow_max_workers=1)
    job_id = engine.launch("slow.yml")
    in_step(engine, job_id)

    answer = engine.cancel(job_id)

    assert answer.state is State.STOPPING
    assert finished(engine, job_id).status is Status.CANCELLED


@pytest.mark.parametrize("ending", ["success", "cancelled"])
def test_a_job_that_has_ended_cannot_be_cancelled(engine, ending):
    if ending == "success":
        job_id, _ = engine.run("quick.yml")
    else:
        job_id = engine.cancel(engine.launch("quick.yml")).id

    with pytest.raises(JobEnded, match=rf"The job {job_id} has ended \({ending}\); there is nothing to cancel\."):
        engine.cancel(job_id)


def test_only_an_ended_job_is_deleted(engine):
    job_id = engine.launch("quick.yml")
    with pytest.raises(JobActive):
        engine.delete_job(job_id)
    engine.cancel(job_id)

    engine.delete_job(job_id)

    with pytest.raises(JobNotFound):
        engine.job(job_id)


def test_deleting_jobs_needs_to_know_which(engine):
    engine.cancel(engine.launch("quick.yml"))

    with pytest.raises(RequestInvalid, match="at least one of older_than_days, state and status"):
        engine.delete_jobs()

    assert engine.count_jobs(JobFilter()) == 1


def test_jobs_are_deleted_by_age_and_status(make, clock):
    engine = make(clock)
    old = engine.cancel(engine.launch("quick.yml")).id
    clock.pass_by(3 * 86_400)
    new = engine.cancel(engine.launch("quick.yml")).id

    assert engine.delete_jobs(older_than_days=2, status=Status.SUCCESS) == 0
    assert engine.delete_jobs(older_than_days=2) == 1
    assert [job.id for job in engine.jobs(JobFilter())] == [new] != [old]
    assert engine.delete_jobs(state=State.FINISHED) == 1


def test_active_jobs_are_never_deleted(engine):
    engine.launch("quick.yml")

    assert engine.delete_jobs(state=State.PENDING) == 0
    assert engine.delete_jobs(older_than_days=0) == 0
    assert engine.count_jobs(JobFilter()) == 1


@pytest.mark.parametrize("days", [float("nan"), float("inf"), 1e300, 5_000_000])
def test_an_age_that_no_calendar_has_is_refused(engine, days):
    with pytest.raises(RequestInvalid, match="older_than_days"):
        engine.delete_jobs(older_than_days=days)


# The tick


def test_a_tick_reports_what_it_did(make):
    engine = make()
    engine.launch("quick.yml")

    report = engine.tick()

    assert (report.dispatched, report.swept, report.errors) == (1, 0, [])
    assert report.duration_ms > 0


def test_a_tick_with_nothing_to_do_asks_the_database_once_and_writes_that_it_was_there(make):
    engine = make()
    engine.tick()  # The first one has the time zone to follow, and tidies.
    asked: list[str] = []

    with engine._database.read() as connection:
        driver = connection.connection.driver_connection
    driver.set_trace_callback(asked.append)
    engine.tick()
    driver.set_trace_callback(None)

    statements = [statement.split()[0] for statement in asked]
    assert [each for each in statements if each not in ("BEGIN", "COMMIT", "ROLLBACK")] == ["SELECT", "INSERT"]
    assert engine.last_tick() is not None


def test_a_tick_closes_the_jobs_of_dead_owners_at_once_and_forgets_them(engine):
    owners = engine.settings.run_path / "owners"
    (owners / f"{DEAD.id}.lock").touch()
    lost = born_running(engine, DEAD, lock_slots=("quick.yml#0",))

    report = engine.tick()

    job, _ = engine.job(lost)
    assert report.swept == 1
    assert (job.status, job.reason) == (Status.FAILED, Reason.WORKER_LOST)
    assert list(owners.iterdir()) == []
    assert engine.launch("quick.yml")


def test_a_tick_forgets_dead_owners_that_ran_nothing(engine):
    owners = engine.settings.run_path / "owners"
    (owners / f"{DEAD.id}.lock").touch()

    assert engine.tick().swept == 0

    assert list(owners.iterdir()) == []


def test_a_tick_leaves_the_jobs_of_the_living_alone(engine):
    living = Owner(f"{HOST}:2:living", HOST)
    file = OwnerFile(engine.settings.run_path / "owners", living)
    job_id = born_running(engine, living)

    report = engine.tick()
    file.close()

    assert report.swept == 0
    assert engine.job(job_id)[0].state is State.RUNNING


def test_a_tick_waits_for_the_lease_of_an_owner_it_knows_nothing_of(make, clock):
    engine = make(clock)
    job_id = born_running(engine, Owner("elsewhere:1:ab", "elsewhere"))

    clock.pass_by(30)
    early = engine.tick().swept
    clock.pass_by(1)

    assert (early, engine.tick().swept) == (0, 1)
    assert engine.job(job_id)[0].reason == Reason.WORKER_LOST


def test_a_stage_of_the_tick_that_fails_leaves_the_others(engine, monkeypatch):
    def busy(*_):
        raise DatabaseBusy("The database is busy.")

    engine.launch("quick.yml")
    monkeypatch.setattr(JobStore, "sweep", busy)

    report = engine.tick()

    assert report.errors == ["sweep: The database is busy."]
    assert report.dispatched == 1


def test_a_tick_without_a_database_is_an_error(engine, monkeypatch):
    def down(*_):
        raise DatabaseDown("The database cannot be reached.")

    monkeypatch.setattr(JobStore, "sweep", down)

    with pytest.raises(DatabaseDown):
        engine.tick()


def test_what_is_due_is_run_here_when_there_is_no_service(make):
    launcher, engine = make(), make(flow_max_workers=1)
    queued = launcher.launch("quick.yml")
    launcher.close()

    engine.run_due()

    assert engine.job(queued)[0].status is Status.SUCCESS


def test_what_is_due_is_left_to_a_service_that_lives(make):
    launcher, engine = make(), make(flow_max_workers=1)
    queued = launcher.launch("quick.yml")
    launcher.close()
    service = OwnerFile(engine.settings.run_path / "owners", Owner(f"{HOST}:2:living", HOST))

    engine.run_due()
    service.close()

    assert engine.job(queued)[0].state is State.PENDING


def test_what_is_due_is_run_beside_a_run_of_one_flow(make):
    alone, engine = make(), make(flow_max_workers=1)
    lasting = threading.Thread(target=alone.run, args=("slow.yml",))
    lasting.start()
    until(lambda: alone.count_jobs(JobFilter(state=State.RUNNING)))
    queued = alone.launch("quick.yml")

    engine.run_due()
    states = [engine.job(queued)[0].state, engine.jobs(JobFilter(path="slow.yml"))[0].state]
    alone.stop_running(Reason.CANCELLED)
    lasting.join(20)

    assert states == [State.FINISHED, State.RUNNING]


# Readiness


def test_a_service_that_can_work_is_ready(engine):
    assert engine.readiness() == {"status": "ok", "database": "ok", "data": "ok"}


def test_a_data_folder_that_is_gone_is_not_ready(make, data, tmp_path):
    engine = make(jobs_db_path=tmp_path / "jobs.sqlite")
    shutil.rmtree(data)

    with pytest.raises(StorageDown, match="data"):
        engine.readiness()


@pytest.fixture
def readable_folder():
    """A folder that every user of the machine can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_data_folder_that_is_read_only_is_not_ready(readable_folder, tmp_path):
    (readable_folder / "data").mkdir()
    engine = Orchestrator(Settings(data_path=readable_folder / "data", jobs_db_path=tmp_path / "jobs.sqlite"))
    assert engine.readiness()["data"] == "ok"
    (readable_folder / "data").chmod(0o555)
    root = os.geteuid() == 0

    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(StorageDown, match="'data' cannot be written"):
            engine._probe_data_folder()
    finally:
        if root:
            os.seteuid(0)
        engine.close()


@pytest.mark.parametrize("instead", [None, b"", b"garbage"])
def test_a_database_that_was_taken_away_is_not_ready(engine, data, instead):
    assert engine.readiness()["database"] == "ok"
    for path in data.glob("jobs.sqlite*"):
        path.unlink()
    if instead is not None:
        (data / "other").write_bytes(instead)
        (data / "other").rename(data / "jobs.sqlite")
    engine._ready_until = 0.0  # the second for which a good verdict counts is over

    with pytest.raises(DatabaseDown, match="was removed or replaced while it was in use"):
        engine.readiness()


def test_a_good_verdict_counts_for_a_second_and_writes_nothing(engine, data):
    engine.readiness()
    for path in data.glob("jobs.sqlite*"):
        path.unlink()

    assert engine.readiness()["database"] == "ok"


def test_a_database_that_somebody_else_holds_is_not_ready(engine, data, monkeypatch):
    import sqlite3

    monkeypatch.setattr("engine.store.connecting.BUSY_SECONDS", 0.05)
    held = sqlite3.connect(data / "jobs.sqlite", isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    with engine._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")

    with pytest.raises(DatabaseBusy):
        engine.readiness()

    held.close()
    assert engine.readiness()["status"] == "ok"


# Access


@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize("token", ["a token of its own", "ÄÖÜ-日本-\udcff"])
def test_a_token_of_its_own_is_accepted_from_anywhere(make, token, is_local):
    engine = make(api_token=token)

    assert engine.is_allowed(token, lambda: is_local) == Access("API_TOKEN", Role.ADMIN)


def test_the_default_token_is_accepted_from_this_machine(engine):
    assert engine.is_allowed(DEFAULT_TOKEN, lambda: True).role is Role.ADMIN


def test_the_default_token_is_refused_from_elsewhere_with_the_way_out(engine):
    with pytest.raises(Unauthenticated, match="set API_TOKEN to a token of your own"):
        engine.is_allowed(DEFAULT_TOKEN, lambda: False)


@pytest.mark.parametrize(
    "token", ["", " ", "default_token ", "Default_token", "default_tokem", "ä" * 10, "\ud800", "x" * 200_000]
)
def test_any_other_token_is_refused_alike_and_nothing_is_told(make, token):
    for own in (DEFAULT_TOKEN, "sesame"):
        engine = make(api_token=own)

        with pytest.raises(Unauthenticated) as caught:
            engine.is_allowed(token, lambda: True)

        assert str(caught.value) == (
            "This needs the header 'Authorization: Bearer <token>' with a token that is known."
        )


def test_an_empty_token_opens_nothing(make):
    with pytest.raises(Unauthenticated):
        make(api_token="").is_allowed("", lambda: True)


# Numbers for a monitor


def test_every_number_is_there_before_the_first_job(engine):
    """An alert on what has increased misses the first of a series that begins with it."""
    readings = engine.metrics()

    assert set(readings) == {metric.name for metric in METRICS}
    assert readings["octoflow_jobs"] == dict.fromkeys(set(State) - {State.FINISHED}, 0)
    assert readings["octoflow_jobs_ended"] == dict.fromkeys(Status, 0)
