"""The page that describes the API, in a real browser: open it, give a token, launch a flow, see the job."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from browsers import browser_page, find_chromium
from flows import QUICK
from prefixes import behind
from services import TOKEN, flow, until

from functions._openapi.launches import operation_id


@pytest.fixture
def page(tmp_path):
    find_chromium()
    with browser_page(tmp_path) as page:
        yield page


class Operation:
    """One operation on the page."""

    def __init__(self, page, tag, name):
        self._place = page.locator(f"#operations-{tag}-{name}")
        self._place.locator(".opblock-summary-control").click()

    def fill(self, **parameters):
        for name, value in parameters.items():
            self._place.locator(f"tr[data-param-name={name}] input").fill(value)

    def execute(self, body=None):
        """The status, and the JSON of the answer."""
        if body is not None:
            self._place.locator("textarea.body-param__text").fill(json.dumps(body))
        self._place.get_by_role("button", name="Execute").click()
        live = self._place.locator(".live-responses-table")
        status = int(live.locator("tbody .response-col_status").first.inner_text().split()[0])
        return status, json.loads(live.locator("pre.microlight").first.inner_text())


def authorize(page, token):
    page.locator("button.authorize.unlocked").first.click()
    page.locator(".modal-ux input").fill(token)
    page.locator(".modal-ux button.authorize").click()
    page.locator(".modal-ux button.btn-done").click()


@pytest.mark.parametrize("prefix", ["", "/tools/octoflow"], ids=["at the root", "behind a prefix"])
def test_a_flow_is_launched_from_the_page_and_its_job_is_seen_there(data, start, page, prefix):
    flow(data, "quick.yml", QUICK)
    service = start()
    complaints, asked = [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    with behind(service.url, prefix) if prefix else nullcontext(service.url) as address:
        page.goto(f"{address}/apidocs")
        page.locator("#operations-Jobs-launch_job").wait_for()
        landed = page.url
        authorize(page, TOKEN)
        launched, made = Operation(page, "Jobs", "launch_job").execute({"path": "quick.yml", "data": {"n": 1}})
        service.finished(made["job_id"])
        shown = Operation(page, "Jobs", "get_job")
        shown.fill(id=made["job_id"])
        seen, job = shown.execute()

    assert landed == f"{address}/api/docs/"
    assert (launched, seen) == (202, 200)
    assert (job["id"], job["status"], job["data"]) == (made["job_id"], "success", {"n": 1})
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert complaints == []


def test_a_document_that_declares_inputs_is_launched_once_the_token_is_given(data, start, page):
    flow(data, "greet.yml", f"inputs: [{{name: who, enum: [Ada, Grace]}}]\n{QUICK}")
    service = start()
    page.goto(f"{service.url}/api/docs/")
    page.locator("#operations-Documents-launch_document").wait_for()
    typed = page.locator(f"#operations-Documents-{operation_id('greet.yml')}")
    assert typed.count() == 0

    authorize(page, TOKEN)
    typed.wait_for()
    status, made = Operation(page, "Documents", operation_id("greet.yml")).execute({"who": "Grace"})

    assert status == 202
    assert service.finished(made["job_id"])["data"] == {"who": "Grace"}


def test_the_page_forgets_the_token_when_it_is_loaded_again(start, page):
    service = start()
    page.goto(f"{service.url}/api/docs/")
    authorize(page, TOKEN)
    page.locator("button.authorize.locked").first.wait_for()

    page.reload()

    page.locator("button.authorize.unlocked").first.wait_for()
    assert until(lambda: page.locator("button.authorize.locked").count() == 0)


def test_an_operation_without_the_token_says_that_one_is_needed(start, page):
    service = start()
    page.goto(f"{service.url}/api/docs/")

    status, answer = Operation(page, "Jobs", "list_jobs").execute()

    assert (status, answer["code"]) == (401, "unauthenticated")
