"""Documents over HTTP, by a real engine: validated before they are there, listed, and shown with all that is known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from clocks import TestClock
from flows import QUICK
from stores import upgraded_sqlite

from engine.models.access import Role
from engine.orchestrator import Orchestrator, documents
from engine.settings import Settings

OWN = "a-token-of-its-own-that-is-long"
SECRET = "canary-9f2c-of-an-author"
BRANCHES = """\
name: branches
description: Goes here and there.
max_concurrent: 3
finally_step: tidy
steps:
  - {name: look, type: debug, when: "{{ false }}", on_error_goto: tidy}
  - name: choose
    type: switch
    switch:
      data_key: look
      cases:
        - {when: a, step: {type: goto, goto: {step_name: __end__}}}
        - {when: b, step: {type: flow, flow: {path: team/quick.yml}}}
  - {name: show, type: jinja, jinja: {path: page.j2}}
  - {name: tidy, type: debug}
"""


@pytest.fixture
def world(tmp_path, process, app_of):
    flows = tmp_path / "flows"
    for path, text in (("branches.yml", BRANCHES), ("team/quick.yml", QUICK), ("team/other.yaml", "steps: 1\n")):
        (flows / path).parent.mkdir(parents=True, exist_ok=True)
        (flows / path).write_text(text)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.j2").write_text("page")
    (tmp_path / "secrets.yml").write_text(f"- {{name: mine, type: token, token: {SECRET}}}\n")
    (tmp_path / "jobs.sqlite").write_bytes(upgraded_sqlite())
    engine = Orchestrator(Settings(data_path=tmp_path, flow_max_workers=0, api_token=OWN), TestClock())
    process.use(engine)
    client = app_of("api").test_client()

    def ask(place, body=None, token=OWN, **headers):
        headers = {"Authorization": f"Bearer {token}", **headers}
        return (
            client.post(place, json=body, headers=headers) if body is not None else client.get(place, headers=headers)
        )

    return SimpleNamespace(engine=engine, flows=flows, ask=ask, data=tmp_path)


def validated(world, text, **more):
    answer = world.ask("/api/validate", {"text": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json


# Validation


def test_a_good_text_is_valid_and_has_an_outline(world):
    verdict = validated(world, BRANCHES)

    assert (verdict["valid"], verdict["problems"]) == (True, [])
    outline = verdict["outline"]
    assert {**outline, "steps": None} == {
        "name": "branches",
        "description": "Goes here and there.",
        "inputs": [],
        "steps": None,
        "finally_step": "tidy",
        "max_concurrent": 3,
        "is_cut": False,
    }
    assert [(step["name"], step["type"], step["line"]) for step in outline["steps"]] == [
        ("look", "debug", 6),
        ("choose", "switch", 7),
        ("show", "jinja", 14),
        ("tidy", "debug", 15),
    ]
    look, choose, show, _ = outline["steps"]
    assert (look["when"], look["leads_to"]) == (["{{ false }}"], ["tidy"])
    assert (choose["leads_to"], choose["sub_flows"]) == (["__end__"], ["team/quick.yml"])
    assert show["templates"] == ["page.j2"]


def test_a_text_with_problems_is_an_answer_with_each_of_them(world):
    verdict = validated(
        world,
        "name: x\nsteps:\n  - {name: a, type: sleep, sleep: {second: 1}}\n"
        "  - {name: b, type: jq, jq: {expression: '.a['}}\n",
    )

    assert verdict["valid"] is False
    missing, unknown, compiled = verdict["problems"]
    assert (unknown["code"], unknown["path"], unknown["line"], unknown["column"]) == (
        "unknown_key",
        "steps.0.sleep.second",
        3,
        36,
    )
    assert unknown["hint"] == "did you mean 'seconds'?"
    assert (missing["code"], missing["severity"]) == ("missing_key", "error")
    assert (compiled["code"], compiled["line"]) == ("expression", 4)
    assert [step["name"] for step in verdict["outline"]["steps"]] == ["a", "b"]


@pytest.mark.parametrize("text", ["", "42", "a: [", "tasks: []", "steps: 1", "\u0007"])
def test_a_text_that_is_no_flow_has_no_outline(world, text):
    verdict = validated(world, text)

    assert (verdict["valid"], verdict["outline"]) == (False, None)
    assert verdict["problems"]


def test_a_text_is_checked_as_if_it_were_at_its_path(world):
    text = "steps: [{name: again, type: flow, flow: {path: team/quick.yml}}]"

    assert validated(world, text)["valid"]
    there = validated(world, text, path="./team/../team/quick.yml")
    assert [problem["code"] for problem in there["problems"]] == ["calls_itself"]
    assert there["outline"]["name"] == "quick"


def test_what_is_there_is_validated_by_its_path(world):
    assert world.ask("/api/validate", {"path": "branches.yml"}).json["valid"] is True
    assert world.ask("/api/validate", {"path": "team/other.yaml"}).json["valid"] is False


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "request_invalid"),
        ({"text": 1}, 400, "request_invalid"),
        ({"text": QUICK, "more": 1}, 400, "request_invalid"),
        ({"text": QUICK, "path": "../x.yml"}, 400, "path_refused"),
        ({"path": "nothing.yml"}, 404, "flow_not_found"),
        ({"text": "#" * 1_000_001}, 413, "too_large"),
    ],
)
def test_what_cannot_be_validated_is_refused(world, body, status, code):
    answer = world.ask("/api/validate", body)

    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_nothing_of_a_text_is_kept(world):
    def everything():
        return world.engine._database.ask(lambda c: c.exec_driver_sql("SELECT count(*) FROM documents").scalar())

    for expression in (".fine", ".broken["):
        validated(world, f"steps: [{{name: a, type: jq, jq: {{expression: '{expression}'}}}}]")

    assert everything() == 0
    assert not world.engine._verdicts._kept
    assert not world.engine._verdicts._sound


def bomb(levels=9, width=9):
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join([*lines, "steps: *a8", ""])


LONG = "x" * 900_000
HOSTILE = {
    "a bomb of aliases": bomb(),
    "brackets": "[" * 1_000_000,
    "braces": "{a: " * 250_000,
    "noise": "".join(chr(33 + number * 7919 % 94) for number in range(1_000_000)),
    "one word": "x" * 1_000_000,
    "lines": "- x\n" * 250_000,
    "keys": "".join(f"k{number}: 1\n" for number in range(60_000)) + "steps: [{name: a, type: debug}]\n",
    "steps": "steps:\n" + "- {name: a, type: debug}\n" * 38_000,
    "a long name a thousand times": f"name: &a {LONG}\ndescription: *a\nsteps:\n" + "- {name: *a, type: *a}\n" * 900,
    "anchors": "".join(f"- &a{number} x\n" for number in range(80_000)),
    "tags": "- !!python/object/apply:os.system [x]\n" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_gets_an_answer_of_a_reasonable_size(world, name):
    answer = world.ask("/api/validate", {"text": HOSTILE[name]})

    assert answer.status_code == 200
    assert answer.json["valid"] is False
    assert len(answer.data) < 1_500_000


def test_only_so_many_documents_are_checked_at_once(world, monkeypatch):
    monkeypatch.setattr(documents, "WAIT_SECONDS", 0.0)

    with world.engine._turn(), world.engine._turn():
        answer = world.ask("/api/validate", {"text": QUICK})

    assert (answer.status_code, answer.json["code"]) == (503, "busy")
    assert validated(world, QUICK)["valid"]


def test_only_so_many_wait_for_a_check(world, monkeypatch):
    monkeypatch.setattr(documents, "MOST_WAITING", 0)

    with world.engine._turn(), world.engine._turn():
        answer = world.ask("/api/validate", {"text": QUICK})

    assert (answer.status_code, answer.json["code"]) == (503, "busy")
    assert "wait for that already" in answer.json["error"]
    assert validated(world, QUICK)["valid"]  # Whoever has had a turn has left the room.


def test_a_limited_key_is_told_nothing_of_the_flows_of_others(world):
    token = world.engine.create_key("limited", Role.VIEWER, flows="team/*")[1]
    text = "steps:\n" + "".join(
        f"- {{name: {path}, type: flow, flow: {{path: {path}}}}}\n"
        for path in ("branches.yml", "nothing.yml", "team/quick.yml", "team/nothing.yml")
    )

    problems = world.ask("/api/validate", {"text": text, "path": "team/new.yml"}, token).json["problems"]

    assert [(each["line"], each["code"], each["severity"]) for each in problems] == [
        (2, "not_looked_into", "warning"),
        (3, "not_looked_into", "warning"),
        (5, "file_not_found", "error"),
    ]
    elsewhere = world.ask("/api/validate", {"text": text, "path": "branches.yml"}, token)
    assert (elsewhere.status_code, elsewhere.json["code"]) == (404, "flow_not_found")


# Lists


def test_the_documents_are_listed_by_path_with_what_is_cheap_to_know(world):
    world.engine.create_schedule("team/quick.yml", every_seconds=3600)
    world.engine.launch("team/quick.yml")

    page = world.ask("/api/documents?count=true").json

    assert (page["next"], page["total"]) == (None, 3)
    branches, other, quick = page["documents"]
    assert (branches["path"], branches["name"], branches["description"]) == (
        "branches.yml",
        "branches",
        "Goes here and there.",
    )
    assert (branches["is_readable"], branches["is_scheduled"], branches["last_job"]) == (True, False, None)
    assert (other["name"], other["is_readable"]) == (None, False)
    assert (quick["is_scheduled"], quick["next_run_time"]) == (True, "2026-03-15T13:00:00.000+00:00")
    assert (quick["last_job"]["state"], quick["last_job"]["status"]) == ("pending", None)


def test_a_list_is_filtered_and_read_in_pages(world):
    def paths(query):
        page = world.ask(f"/api/documents?{query}").json
        return [each["path"] for each in page["documents"]], page["next"]

    assert paths("limit=2") == (["branches.yml", "team/other.yaml"], 2)
    assert paths("limit=2&offset=2") == (["team/quick.yml"], None)
    assert paths("q=QUICK") == (["team/quick.yml"], None)
    assert paths("glob=team/*.y%3Fml") == (["team/other.yaml"], None)
    assert paths("glob=*.yml&q=team") == (["team/quick.yml"], None)


def test_a_list_reads_only_so_much_text_at_once(world):
    for number in range(3):
        (world.flows / f"large{number}.yml").write_text(f"name: n{number}\nsteps: []\n# " + "x" * 600_000)

    def names():
        return [each["name"] for each in world.ask("/api/documents?q=large").json["documents"]]

    assert names() == ["n0", "n1", None]
    assert names() == ["n0", "n1", "n2"]


def test_a_title_is_read_again_when_its_file_has_changed(world):
    assert world.ask("/api/documents?q=quick").json["documents"][0]["name"] == "quick"

    (world.flows / "team" / "quick.yml").write_text(QUICK.replace("name: quick", "name: quicker"))

    assert world.ask("/api/documents?q=quick").json["documents"][0]["name"] == "quicker"


def test_a_limited_key_sees_only_its_own(world):
    token = world.engine.create_key("limited", Role.VIEWER, flows="team/*")[1]
    (world.flows / "team" / "link.yml").symlink_to(world.flows / "branches.yml")

    page = world.ask("/api/documents?count=true", token=token).json

    assert [each["path"] for each in page["documents"]] == ["team/other.yaml", "team/quick.yml"]
    assert page["total"] == 2
    for path in ("branches.yml", "team/link.yml", "team/nothing.yml", "team/../branches.yml"):
        assert world.ask(f"/api/documents/{path}", token=token).status_code == 404


# One document


def test_a_document_is_shown_with_all_that_is_known_of_it(world):
    schedule = world.engine.create_schedule("team/quick.yml", every_seconds=3600)
    job = world.engine.launch("team/quick.yml")

    document = world.ask("/api/documents/team/quick.yml").json

    assert (document["path"], document["text"], document["valid"], document["problems"]) == (
        "team/quick.yml",
        QUICK,
        True,
        [],
    )
    assert document["revision"] == world.engine.job(job)[0].revision
    assert [each["schedule_id"] for each in document["schedules"]] == [schedule.id]
    assert document["next_run_time"] == "2026-03-15T13:00:00.000+00:00"
    assert [each["id"] for each in document["jobs"]] == [job]


@pytest.mark.parametrize(
    ("content", "text", "code"),
    [
        (b"steps: [\n", "steps: [\n", "yaml_syntax"),
        (b"name: caf\xe9\n", None, "not_utf8"),
        (b"#" * 1_000_001, None, "too_large"),
    ],
)
def test_a_broken_document_shows_what_can_be_shown(world, content, text, code):
    (world.flows / "broken.yml").write_bytes(content)

    document = world.ask("/api/documents/broken.yml").json

    assert (document["text"], document["valid"], document["outline"]) == (text, False, None)
    assert [problem["code"] for problem in document["problems"]] == [code]


def test_a_secret_that_an_author_wrote_down_is_masked(world):
    (world.flows / "leaky.yml").write_text(
        f"name: a {SECRET}\ndescription: {SECRET}\nsteps:\n"
        f"  - {{name: {SECRET}, type: debug, {SECRET}: 1, when: '{SECRET}'}}\n"
        f"  - {{name: two, type: debug, when: '{SECRET}'}}\n"
        f"inputs: [{{name: x, default: {SECRET}}}]\n"
    )

    shown = world.ask("/api/documents/leaky.yml")

    assert "***" in shown.json["text"]
    assert shown.json["outline"]["steps"][1]["when"] == ["***"]
    for answer in (shown, world.ask("/api/documents"), world.ask("/api/validate", {"path": "leaky.yml"})):
        assert SECRET not in answer.text
        assert "***" in answer.text


def test_who_has_a_document_already_is_told_so(world):
    first = world.ask("/api/documents/team/quick.yml")
    tag = first.headers["ETag"]

    again = world.ask("/api/documents/team/quick.yml", **{"If-None-Match": tag})
    world.engine.launch("team/quick.yml")
    changed = world.ask("/api/documents/team/quick.yml", **{"If-None-Match": tag})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert changed.status_code == 200


@pytest.mark.parametrize("path", ["nothing.yml", "team", "../flows/branches.yml", "team/quick.yml/x"])
def test_a_path_that_leads_to_no_document_is_refused(world, path):
    answer = world.ask(f"/api/documents/{path}")

    assert answer.status_code in (400, 404)
    assert answer.json["code"] in ("flow_not_found", "path_refused")
