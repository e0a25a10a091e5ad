"""Documents at a real service: validated, listed and shown, while what they hold cannot harm it."""

from __future__ import annotations

import pytest
from flows import QUICK
from services import flow

GREEDY = """\
name: greedy
steps:
  - {name: much, type: jq, jq: {expression: '"x" * 2000000000 | length'}}
  - {name: fine, type: debug}
"""


@pytest.fixture
def service(data, start):
    flow(data, "quick.yml", QUICK)
    return start()


def test_a_text_is_validated_put_there_run_and_looked_at(data, service):
    broken = service.post("/api/validate", {"text": QUICK.replace("set_fact:", "set_fac:"), "path": "new.yml"})
    verdict = service.post("/api/validate", {"text": QUICK, "path": "new.yml"})
    assert (broken.status_code, broken.json()["valid"]) == (200, False)
    assert (verdict.status_code, verdict.json()["valid"]) == (200, True)

    flow(data, "new.yml", QUICK)
    job = service.finished(service.post("/api/jobs", {"path": "new.yml"}).json()["job_id"])

    page = service.get("/api/documents?q=new").json()
    assert [(each["path"], each["last_job"]["status"]) for each in page["documents"]] == [("new.yml", "success")]
    document = service.get("/api/documents/new.yml").json()
    assert (document["text"], document["revision"]) == (QUICK, job["revision"])
    assert [each["id"] for each in document["jobs"]] == [job["id"]]


def test_an_expression_that_eats_memory_as_it_is_compiled_is_a_problem_and_no_more(service):
    verdict = service.post("/api/validate", {"text": GREEDY})

    assert verdict.status_code == 200
    (problem,) = verdict.json()["problems"]
    assert (problem["code"], problem["line"]) == ("expression", 3)
    assert [step["name"] for step in verdict.json()["outline"]["steps"]] == ["much", "fine"]
    assert service.get("/healthz").json()["status"] == "ok"
