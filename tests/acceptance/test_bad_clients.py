"""Clients that mean no good, or send what no flow should hold: a sentence and a 4xx, and everybody else is served."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
from services import flow, until


def test_clients_that_drip_their_bodies_do_not_keep_others_from_being_answered(start):
    service = start()
    address = urlsplit(service.url)
    head = b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n\r\n"
    over = threading.Event()
    clients = [socket.create_connection((address.hostname, address.port), timeout=5) for _ in range(64)]

    def drip():
        while not over.wait(0.2):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(b"x")

    for client in clients:
        client.sendall(head)
    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        time.sleep(1)
        answer = until(lambda: _asked(service.url + "/healthz"), 8, service.text)
    finally:
        over.set()
        dripping.join()
        for client in clients:
            client.close()

    assert answer == 200


def _asked(url):
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=1).status_code


@pytest.mark.parametrize(
    ("path", "text", "status"),
    [
        ("list.yml", "- a\n- b\n", 400),
        ("scalar.yml", "hello\n", 400),
        ("empty.yml", "", 400),
        ("none.yml", "name: none\nsteps: []\n", 400),
        ("bomb.yml", "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ), 400),
        ("binary.yml", "\x00\x01\x02", 400),
        ("tab.yml", "name: x\nsteps:\n\t- a\n", 400),
        ("twice.yml", "name: x\nname: y\nsteps: []\n", 400),
        ("self.yml", "name: s\nsteps:\n  - {name: a, type: flow, flow: {path: self.yml}}\n", 400),
        ("lost.yml", "name: s\nsteps:\n  - {name: a, type: flow, flow: {path: nowhere.yml}}\n", 400),
    ],
)  # fmt: skip
def test_a_document_that_cannot_run_is_refused_with_a_sentence_and_makes_no_job(data, start, path, text, status):
    flow(data, path, text)
    service = start()

    answer = service.post("/api/jobs", {"path": path})

    assert answer.status_code == status
    assert path in answer.json()["error"]
    assert service.get("/api/jobs").json()["jobs"] == []


def test_a_link_that_leads_to_itself_is_no_document_and_disturbs_no_other(data, start):
    (data / "flows" / "loop.yml").symlink_to("loop.yml")
    service = start()

    assert service.post("/api/jobs", {"path": "nope.yml"}).status_code == 404
    assert service.post("/api/jobs", {"path": "loop.yml"}).status_code in (400, 404)


def test_a_secret_given_as_data_is_masked_in_the_answers(data, start):
    (data / "secrets.yml").write_text("- {name: t, type: token, token: canary-token-1}\n")
    flow(data, "f.yml", "name: f\nsteps:\n  - {name: s, type: set_fact, set_fact: {value: 1}}\n")
    service = start()

    job = service.run("f.yml", {"note": "canary-token-1"})

    assert job["data"] == {"note": "***"}
    assert "canary" not in service.get(f"/api/jobs/{job['id']}").text
