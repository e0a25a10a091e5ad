"""Keys at real services: a token is nowhere but in the answer that made it, and ends everywhere within seconds."""

from __future__ import annotations

import base64

import pytest
import requests
from flows import QUICK
from services import flow, until


@pytest.fixture
def service(data, start):
    flow(data, "quick.yml", QUICK)
    return start(LOG_LEVEL="DEBUG")


def asked(service, token, method, path, **options):
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, service.url + path, headers=headers, timeout=20, **options)


def test_a_token_is_in_no_byte_that_stays(data, service):
    made = service.post("/api/keys", {"name": "canary", "role": "operator", "flows": "*.yml", "expires": "12h"})
    token = made.json()["token"]
    half = token[:-1] + ("a" if token[-1] != "a" else "b")

    launched = asked(service, token, "POST", "/api/jobs", json={"path": "quick.yml"})
    service.finished(launched.json()["job_id"])
    answers = [
        launched.text,
        *(asked(service, token, "GET", f"/api/{place}").text for place in ("jobs", "schedules", "keys", "audit", "x")),
        asked(service, half, "GET", "/api/jobs").text,
        asked(service, token, "DELETE", "/api/jobs/x").text,
        *(service.get(f"/api/{place}").text for place in ("keys", "audit", "jobs")),
        service.post("/api/keys", {"name": "canary", "role": "viewer"}).text,
        requests.delete(f"{service.url}/api/keys/canary", headers=service.session.headers, timeout=20).text,
    ]
    assert asked(service, token, "GET", "/api/jobs").status_code == 401
    assert service.stop() == 0

    kept = {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    kept |= {"the service's output": service.log.read_bytes(), "answers": "".join(answers).encode()}
    secret = token[14:].encode()
    assert any(token[:13].encode() in content for content in kept.values())
    for needle in (secret, secret[:20], half[14:34].encode(), base64.b64encode(token.encode())[20:60]):
        assert [name for name, content in kept.items() if needle in content] == []


def test_a_key_that_is_revoked_in_one_service_ends_in_the_others(data, start, service):
    other = start()
    token = service.post("/api/keys", {"name": "ci", "role": "viewer"}).json()["token"]
    assert asked(other, token, "GET", "/api/jobs").status_code == 200

    service.session.delete(service.url + "/api/keys/ci", timeout=20)

    assert asked(service, token, "GET", "/api/jobs").status_code == 401
    until(lambda: asked(other, token, "GET", "/api/jobs").status_code == 401, 15)


def test_a_clock_gets_a_key_that_can_do_nothing_else(service):
    token = service.post("/api/keys", {"name": "clock", "role": "tick"}).json()["token"]

    assert asked(service, token, "POST", "/api/tick").status_code == 200
    assert asked(service, token, "GET", "/api/jobs").status_code == 403
    assert asked(service, token, "POST", "/api/jobs", json={"path": "quick.yml"}).status_code == 403
    assert service.get("/api/audit?actor=clock").json()["audit"] == []
