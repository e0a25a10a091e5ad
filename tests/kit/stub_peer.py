"""A peer on loopback that plays ServiceNow, AWX, Jira and Vault as far as the examples need them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOSTS = tuple(f"https://{name}" for name in ("dev.service-now.com", "awx.example.com", "jira.example.com"))
"""The hosts that the examples call; the peer plays them all."""

USERS = {"snow_user": "snow-password-1", "xxx": "xxx", "vault_user": "vault-password-2"}
TOKENS = {"awx-token-3", "yyy"}
JIRA_KEY = "jira-key-4"
VAULT_TOKEN = "vault-token-5"

TICKETS: list[dict[str, Any]] = [
    {"number": "INC1", "short_description": 'The "big" printer burns', "priority": "high", "status": "open"},
    {"number": "INC2", "short_description": "The small one does not", "priority": "low", "status": "open"},
    {"number": "INC3", "short_description": "Nobody can log in", "priority": "high", "status": "closed"},
]
ISSUES: list[dict[str, Any]] = [
    {
        "id": "10001",
        "key": "OPS-1",
        "self": "https://jira/10001",
        "fields": {"summary": "Printer", "customfield_10016": 3, "customfield_10030": None, "labels": []},
    },
    {
        "id": "10002",
        "key": "OPS-2",
        "self": "https://jira/10002",
        "fields": {"summary": "Login", "customfield_10016": 5, "customfield_10030": "Ops-Team"},
    },
]
NAMES = {"summary": "Summary", "customfield_10016": "Story Points", "customfield_10030": "Owner.Team"}


@dataclass(frozen=True)
class Call:
    """A request as the peer got it; `body` is read when it is JSON."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


class StubPeer:
    """The peer's data, and every call that it got."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.held = threading.Event()
        """`/hold` answers once this is set."""
        self.calls: list[Call] = []
        self.reset()

    def reset(self) -> None:
        """As it was in the beginning."""
        self.calls.clear()
        self.held.set()
        self.is_down = False
        self.tables: dict[str, list[dict[str, Any]]] = {"x_xxxx": deepcopy(TICKETS), "ticket": deepcopy(TICKETS)}

    def plays(self, text: str) -> str:
        """The text with this peer in the place of the hosts it names."""
        for host in (*HOSTS, "https://vault.example.com"):
            text = text.replace(host, self.url)
        return text

    def to(self, method: str, path: str) -> list[Call]:
        """The calls of that method to that path, in their order."""
        return [call for call in self.calls if (call.method, call.path) == (method, path)]

    def answer(self, call: Call) -> tuple[int, Any]:
        """The status and the body of the answer: bytes as they are, all else as JSON."""
        self.calls.append(call)
        match call.path.strip("/").split("/"):
            case ["hold"]:
                return (200, {"held": True}) if self.held.wait(30) else (504, "nobody let go")
            case ["api", "now", "table", table]:
                return self._servicenow(call, table)
            case ["api", "v2", "job_templates", id, "launch"]:
                return self._awx(call, int(id))
            case ["rest", "api", "2", "search"]:
                return self._jira(call)
            case ["v1", "test", "data", "servicenow"] if call.headers.get("X-Vault-Token") == VAULT_TOKEN:
                fields = {"username": "vault_user", "password": USERS["vault_user"]}
                return 200, {"data": {"data": fields, "metadata": {"version": 1}}}
            case ["echo"]:
                return 200, {"method": call.method, "query": call.query, "body": call.body}
            case ["old"]:
                return 302, {}
            case ["text"]:
                return 200, b'{"a": 1}'
        return 404, {"error": "there is nothing here"}

    def _servicenow(self, call: Call, table: str) -> tuple[int, Any]:
        kind, _, encoded = call.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(encoded).decode().partition(":") if kind == "Basic" else ("", "", "")
        if not password or USERS.get(user) != password:
            return 401, {"error": {"message": "User Not Authenticated"}}
        if self.is_down:
            return 503, {"error": {"message": "down for maintenance"}}
        if call.method == "POST":
            self.tables.setdefault(table, []).append(call.body)
            return 201, {"result": {"sys_id": f"id-{len(self.tables[table])}", **call.body}}
        wanted = {key: values[-1] for key, values in call.query.items()}
        limit = int(wanted.pop("limit", "1000"))
        rows = [row for row in self.tables.get(table, []) if all(row.get(key) == wanted[key] for key in wanted)]
        return 200, {"result": rows[:limit]}

    def _awx(self, call: Call, id: int) -> tuple[int, Any]:
        kind, _, token = call.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or token not in TOKENS:
            return 401, {"detail": "Authentication credentials were not provided."}
        return 201, {"job": 1000 + id, "status": "pending", "extra_vars": call.body["extra_vars"]}

    def _jira(self, call: Call) -> tuple[int, Any]:
        if call.headers.get("X-Jira-Key") != JIRA_KEY:
            return 403, {"errorMessages": ["unknown key"]}
        named = {"names": NAMES} if "names" in call.query.get("expand", []) else {}
        return 200, {"total": len(ISSUES), "issues": ISSUES, **named}


@contextmanager
def stub_peer() -> Iterator[StubPeer]:
    """A peer that listens on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            status, body = peer.answer(self.call())
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 302:
                self.send_header("Location", "/echo?from=old")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def call(self) -> Call:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                body = json.loads(content)
            except ValueError:
                body = content.decode()
            return Call(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body)

        def log_message(self, *_: Any) -> None:
            """Nothing: the tests look at `calls`."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        peer = StubPeer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield peer
        peer.held.set()
        server.shutdown()
        thread.join()
