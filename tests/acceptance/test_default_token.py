"""The default token on a real service: it opens the API to who sits at the machine, and to nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from services import Service, answers, flow, start_service, until

from engine.settings import DEFAULT_TOKEN

QUICK = "name: quick\nsteps: [{name: v, type: set_fact, set_fact: {value: 1}}]\n"
BEARER = {"Authorization": f"Bearer {DEFAULT_TOKEN}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service as it is when nobody has said anything, API_TOKEN included."""
    data = tmp_path_factory.mktemp("default") / "data"
    (data / "flows").mkdir(parents=True)
    flow(data, "quick.yml", QUICK)
    started = start_service(data, API_TOKEN="")
    try:
        until(lambda: answers(started, "/healthz"), 30, started.text)
        yield started
    finally:
        started.session.close()
        started.kill()


def ask(service: Service, method: str = "GET", **headers: str) -> requests.Response:
    return requests.request(method, service.url + "/api/jobs", headers={**BEARER, **headers}, timeout=20)


def raw(service: Service, request: str) -> str:
    """The first line of what is answered to exactly these bytes."""
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(request.encode("latin-1"))
        return connection.makefile("rb").readline().decode().strip()


def test_who_sits_at_the_machine_is_served(service: Service) -> None:
    assert ask(service).status_code == 200
    assert ask(service, Host="localhost").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["rebound.example", "127.0.0.1.rebound.example", "localhost.rebound.example:5000", "localhost@rebound.example",
     "rebound.example@localhost", "rebound.example#127.0.0.1", "10.0.0.1", "0.0.0.0", "2130706433"],
)  # fmt: skip
def test_a_web_page_whose_name_was_pointed_at_this_machine_is_refused(service: Service, host: str) -> None:
    assert ask(service, Host=host).status_code in (400, 401)


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "x-forwarded-proto",
     "X-Real-IP", "Via", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "CF-Connecting-IP"],
)  # fmt: skip
def test_whatever_a_proxy_adds_ends_it(service: Service, header: str) -> None:
    assert ask(service, **{header: "127.0.0.1"}).status_code == 401


def test_a_proxy_that_adds_nothing_is_known_by_the_version_it_speaks(service: Service) -> None:
    head = (
        f"/api/jobs HTTP/{{}}\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {DEFAULT_TOKEN}\r\nConnection: close\r\n\r\n"
    )

    assert raw(service, "GET " + head.format("1.1")).endswith("200 OK")
    assert raw(service, "GET " + head.format("1.0")).endswith("401 UNAUTHORIZED")


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
@pytest.mark.parametrize("path", ["/api/jobs", "/api/tick", "/api/keys", "/api/openapi.json", "/healthz", "/nowhere"])
def test_no_browser_is_told_that_a_page_from_elsewhere_may_ask(service: Service, method: str, path: str) -> None:
    asked = {
        "Origin": "http://page.example",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
        "Access-Control-Request-Private-Network": "true",
    }

    before = requests.options(service.url + path, headers=asked, timeout=20)
    after = requests.request(method, service.url + path, headers={"Origin": "http://page.example"}, timeout=20)

    for answer in (before, after):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_page_can_send_without_asking_carries_no_token_and_is_refused(service: Service, type: str) -> None:
    headers = {"Origin": "http://page.example", "Content-Type": type, "Cookie": f"Authorization=Bearer {DEFAULT_TOKEN}"}

    for body in (
        '{"path": "quick.yml"}',
        f'{{"path": "quick.yml", "token": "{DEFAULT_TOKEN}"}}',
        f"token={DEFAULT_TOKEN}",
    ):
        answer = requests.post(
            f"{service.url}/api/jobs?token={DEFAULT_TOKEN}&access_token={DEFAULT_TOKEN}",
            data=body, headers=headers, timeout=20,
        )  # fmt: skip

        assert answer.status_code == 401

    assert ask(service).json()["jobs"] == []


def test_the_audit_and_the_log_have_none_of_it(service: Service) -> None:
    assert requests.get(service.url + "/api/audit", headers=BEARER, timeout=20).json()["audit"] == []
    assert DEFAULT_TOKEN not in service.text()
    assert not any(DEFAULT_TOKEN in path.read_text() for path in Path(service.data / "logs").iterdir())
