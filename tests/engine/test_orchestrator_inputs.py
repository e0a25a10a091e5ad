"""Declared inputs at the front door: at a launch, for a schedule, when it fires, and for config.yml."""

from __future__ import annotations

import pytest
from clocks import TestClock
from engines import folder_with

from engine.errors import InputsInvalid
from engine.models.job import JobFilter, State
from engine.models.schedule import ScheduleFilter, Verdict
from engine.orchestrator import Orchestrator
from engine.settings import Settings

STEPS = "steps: [{name: a, type: jinja, jinja: {template: '{{ host }}'}}]\n"
FLOW = "inputs: [{name: host}, {name: size, type: integer, default: 3}]\n" + STEPS
SECRET = "inputs: [{name: word, secret: true, required: false}]\n" + STEPS
MUST = "inputs: [{name: word, secret: true}]\n" + STEPS


@pytest.fixture
def data(tmp_path):
    return folder_with({"flow.yml": FLOW, "secret.yml": SECRET, "must.yml": MUST, "any.yml": STEPS}, tmp_path)


@pytest.fixture
def engine(data):
    made = Orchestrator(Settings(data_path=data, flow_max_workers=0), TestClock())
    yield made
    made.close()


def tick(engine, seconds=60):
    engine.clock.pass_by(seconds)
    return engine.tick()


def test_a_launch_that_does_not_fit_makes_no_job(engine):
    with pytest.raises(InputsInvalid, match="`host` is required"):
        engine.launch("flow.yml")

    assert engine.jobs(JobFilter()) == []


def test_the_job_has_the_defaults(engine):
    job, _ = engine.job(engine.launch("./flow.yml", {"host": "web"}))

    assert job.data == {"host": "web", "size": 3}


@pytest.mark.parametrize("given", [None, 5, [1], {"any": "thing"}])
def test_a_flow_that_declares_nothing_takes_anything(engine, given):
    assert engine.job(engine.launch("any.yml", given))[0].data == given


def test_no_reader_gets_a_secret(engine):
    id = engine.launch("secret.yml", {"word": "hunter2"})

    assert engine.job(id)[0].data == {"word": "***"}
    assert engine.job(id)[0].state is State.PENDING


def test_a_run_on_the_terminal_is_checked_and_masked_too(data):
    engine = Orchestrator(Settings(data_path=data, flow_max_workers=1))
    (data / "flows" / "told.yml").write_text(MUST.replace("{{ host }}", "told {{ word }}"))
    try:
        with pytest.raises(InputsInvalid):
            engine.run("told.yml", {})
        id, outcome = engine.run("told.yml", {"word": "hunter2"})
        job, steps = engine.job(id)
    finally:
        engine.close()

    assert job.result["a"] == steps[0].output == "told ***"
    assert "hunter2" not in outcome.result


# Schedules


def test_a_schedule_that_does_not_fit_is_not_made(engine):
    with pytest.raises(InputsInvalid, match=r"did you mean 'host'"):
        engine.create_schedule("flow.yml", every_seconds=60, data={"hots": "web"})

    assert engine.schedules(ScheduleFilter()) == []


@pytest.mark.parametrize(("path", "given"), [("secret.yml", {"word": "hunter2"}), ("must.yml", None)])
def test_a_schedule_keeps_no_secret_and_says_where_it_may_lie(engine, path, given):
    with pytest.raises(InputsInvalid, match=r"`word` is a secret, and a schedule .*secrets\.yml or Vault") as caught:
        engine.create_schedule(path, every_seconds=60, data=given)

    assert "hunter2" not in str(caught.value)


def test_a_schedule_without_the_secret_runs(engine):
    engine.create_schedule("secret.yml", every_seconds=60)

    assert tick(engine).fired == 1


def test_a_schedule_gets_the_defaults_of_the_day_it_fires(engine, data):
    schedule = engine.create_schedule("flow.yml", every_seconds=60, data={"host": "web"})
    (data / "flows" / "flow.yml").write_text(FLOW.replace("default: 3", "default: 4"))

    tick(engine)

    [job] = engine.jobs(JobFilter(schedule_id=schedule.id))
    assert engine.job(job.id)[0].data == {"host": "web", "size": 4}
    assert engine.schedule(schedule.id).data == {"host": "web"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (FLOW.replace("host", "server"), "`server` is required"),
        (FLOW.replace("name: host", "name: host, secret: true"), "`host` is a secret"),
    ],
)
def test_a_schedule_whose_flow_has_changed_says_why_it_cannot_launch(engine, data, text, sentence):
    schedule = engine.create_schedule("flow.yml", every_seconds=60, data={"host": "web"})
    (data / "flows" / "flow.yml").write_text(text)

    tick(engine)

    [slot] = engine.slots(schedule.id, 10)
    assert slot.verdict is Verdict.LAUNCH_FAILED
    assert sentence in slot.reason


@pytest.mark.parametrize("had", ["{host: web}", None], ids=["changed", "new"])
def test_an_entry_of_config_yml_that_does_not_fit_is_told_with_its_line(engine, data, had):
    entry = "autostart:\n  - {{path: flow.yml, every_seconds: 60, data: {}}}\n"
    if had is not None:
        (data / "config.yml").write_text(entry.format(had))
        assert engine.reconcile() == []

    (data / "config.yml").write_text(entry.format("{host: 5, more: 1}"))
    [problem] = engine.reconcile()

    assert problem.startswith("config.yml, line 2: The inputs of flow.yml cannot be used: `more` is not an input")
    assert [each.data for each in engine.schedules(ScheduleFilter())] == ([{"host": "web"}] if had else [])


# What is declared


def test_what_is_declared_is_listed_also_for_a_limited_key(engine):
    assert [each.path for each in engine.declared_inputs()] == ["flow.yml", "must.yml", "secret.yml"]
    assert [each.path for each in engine.limited_to("m*").declared_inputs()] == ["must.yml"]


def test_no_reader_gets_a_secret_that_a_document_declares(engine, data):
    word = "TopSecretWordOfTheFile-4711-with-more-than-fifty-characters-in-it"
    entry = f"{{name: host, default: {word}, enum: [{word}, b], description: not {word}}}"
    (data / "flows/said.yml").write_text(f"name: Of {word}\ndescription: '{word}'\ninputs: [{entry}]\n{STEPS}")
    before = engine.declared_inputs()
    (data / "secrets.yml").write_text(f"- {{name: x, type: token, token: {word}}}\n")

    with pytest.raises(InputsInvalid) as caught:
        engine.launch("said.yml", {"host": "c"})

    assert "TopSecret" not in f"{caught.value} {caught.value.details} {engine.declared_inputs()}"
    assert caught.value.details == [{"field": "host", "message": 'must be one of "***..., "b"'}]
    assert [each.digest for each in before][:2] == [each.digest for each in engine.declared_inputs()][:2]
    assert {each.digest for each in before} != {each.digest for each in engine.declared_inputs()}
    assert engine.job(engine.launch("said.yml"))[0].data == {"host": "***"}
