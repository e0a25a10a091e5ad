"""Canary secrets are found in no byte of the database, the logs or the answers, encoded or not."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from peers import peer, send
from services import TOKEN, flow

PASSWORD = "canary/pass word+1&"
API_KEY = 'canary"key\\2'
BEARER = "canary-bearer-3"
USER = "canary-user"


@pytest.fixture
def echo():
    """Answers with everything it was told, secrets included."""

    def answer(handler):
        headers = dict(handler.headers)
        basic = headers.get("Authorization", "").removeprefix("Basic ")
        body = {"headers": headers, "again": quote(basic), "decoded": PASSWORD, "key": API_KEY, "list": [BEARER]}
        send(handler, 500 if handler.path.startswith("/broken") else 200, body)

    with peer(answer) as made:
        yield made


def test_no_canary_is_in_any_byte_that_stays(data, start, echo):
    (data / "secrets.yml").write_text(
        json.dumps(
            [
                {"name": "basic", "type": "credential", "username": USER, "password": PASSWORD},
                {"name": "key", "type": "api-key", "key": "X-Api-Key", "value": API_KEY},
                {"name": "bearer", "type": "token", "token": BEARER},
            ]
        )
    )
    steps = "".join(
        f"  - name: call {name}{path}\n    type: rest\n    ignore_errors: ['.*']\n"
        f"    rest: {{uri: '{echo.url}/{path}', authentication: {{type: {kind}, secret: {name}}}}}\n"
        for name, kind in (("basic", "basic"), ("key", "api-key"), ("bearer", "token"))
        for path in ("fine", "broken")
    )
    steps += "  - {name: show, type: debug, debug: {type: json}}\n"
    steps += "  - {name: fail, type: jq, jq: {expression: 'error(tostring)'}}\n"
    flow(data, "leaky.yml", f"name: leaky\nsteps:\n{steps}")
    service = start(LOG_LEVEL="DEBUG")

    job_id = service.launch("leaky.yml")
    job = service.finished(job_id)
    answers = [
        service.get(f"/api/jobs/{job_id}").text,
        service.get(f"/api/jobs/{job_id}/logs").text,
        service.get("/api/jobs").text,
    ]
    kept = {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file() and path.name != "secrets.yml"}
    kept[str(service.log)] = service.log.read_bytes()
    kept |= {f"answer {n}": text.encode() for n, text in enumerate(answers)}

    assert job["status"] == "failed", job
    assert len(echo.asked) == 6
    sent = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert echo.asked[0].headers["Authorization"] == f"Basic {sent}"
    forms = [TOKEN, sent, BEARER]
    for secret in (PASSWORD, API_KEY, BEARER):
        forms += [
            secret,
            quote(secret, safe=""),
            json.dumps(secret)[1:-1],
            base64.b64encode(secret.encode()).decode()[:-4],
        ]
    found = [(name, form) for name, content in kept.items() for form in forms if form.encode() in content]
    assert found == []
    assert "***" in answers[0]


def test_no_value_of_a_secret_input_is_in_any_byte_that_stays(data, start):
    sub = "inputs: [{name: word, secret: true}]\nsteps:\n  - {name: show, type: debug, debug: {type: json}}\n"
    flow(data, "sub.yml", f"name: sub\n{sub}")
    steps = (
        "  - {name: show, type: debug, debug: {type: json}}\n"
        "  - {name: call, type: flow, flow: {path: sub.yml}}\n"
        "  - {name: fail, type: jq, jq: {expression: 'error(tostring)', data_key: __input__}}\n"
        "  - {name: last, type: jinja, jinja: {template: 'bye {{ word | urlencode }}'}}\n"
    )
    flow(data, "top.yml", f"name: top\nfinally_step: last\ninputs: [{{name: word, secret: true}}]\nsteps:\n{steps}")
    service = start(LOG_LEVEL="DEBUG")

    job = service.run("top.yml", {"word": PASSWORD})
    refused = service.post("/api/jobs", {"path": "top.yml", "data": {"word": PASSWORD, "more": 1}})
    answers = [json.dumps(job), service.get(f"/api/jobs/{job['id']}/logs").text, service.get("/api/audit").text]
    service.stop()

    assert (job["status"], job["data"], job["result"]["last"]) == ("failed", {"word": "***"}, "bye ***")
    assert refused.status_code == 400
    kept = {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    kept[str(service.log)] = service.log.read_bytes()
    kept |= {f"answer {n}": text.encode() for n, text in enumerate([*answers, refused.text])}
    forms = [
        PASSWORD,
        quote(PASSWORD, safe=""),
        json.dumps(PASSWORD)[1:-1],
        base64.b64encode(PASSWORD.encode()).decode(),
    ]
    assert [(name, form) for name, content in kept.items() for form in forms if form.encode() in content] == []


def test_the_finally_step_of_a_killed_service_still_has_the_value(data, start):
    steps = (
        "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
        "  - {name: last, type: file, file: {path: said.txt, mode: write, type: text, data_key: word}}\n"
    )
    flow(data, "top.yml", f"name: top\nfinally_step: last\ninputs: [{{name: word, secret: true}}]\nsteps:\n{steps}")
    service = start()
    id = service.launch("top.yml", {"word": PASSWORD})
    service.running_step(id, "wait")
    service.kill()

    again = start()
    job = again.finished(id)

    assert (job["reason"], job["data"]) == ("worker_lost", {"word": "***"})
    assert (data / "said.txt").read_text() == PASSWORD
    assert PASSWORD not in json.dumps(job)
