"""A server that speaks Vault's HTTP protocol on loopback, well or badly, and counts what it is asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKEN = "hvs.canary-vault-token"
STATUS_BODY = "canary-body-of-an-error"


class VaultServer:
    """Holds KV secrets by path below /v1/; `statuses`, `raw` and `behaviours` make single paths misbehave."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.secrets: dict[str, Any] = {}
        """The `data` member of the answer for a path."""
        self.statuses: dict[str, int] = {}
        self.raw: dict[str, bytes] = {}
        self.behaviours: dict[str, str] = {}
        """`slow`, `drip` (the body), `drip header`, `reset` or `redirect`."""
        self.asked: Counter[str] = Counter()
        self.targets: list[str] = []
        """What stood in the request lines."""
        self.tokens: list[str | None] = []
        self.elsewhere = ""
        self.gate = threading.Event()
        """A slow path answers when this is set."""
        self.came = threading.Semaphore(0)
        """Released once for each request."""
        self.cut = threading.Semaphore(0)
        """Released once for each dripping answer that the client ended."""
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, **fields: Any) -> str:
        """Keep a KV v2 secret; its uri."""
        self.secrets[path] = {"data": fields, "metadata": {"version": 1, "destroyed": False}}
        return self.uri(path)

    def put_v1(self, path: str, **fields: Any) -> str:
        self.secrets[path] = fields
        return self.uri(path)

    def uri(self, path: str) -> str:
        return f"{self.url}/v1/{path}"

    def close(self) -> None:
        self._over.set()
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def note(self, target: str, token: str | None) -> str:
        path = urlsplit(target).path.removeprefix("/v1/")
        with self._lock:
            self.asked[path] += 1
            self.targets.append(target)
            self.tokens.append(token)
        self.came.release()
        return path

    def drip(self, connection: socket.socket, begin: bytes) -> None:
        """A byte at a time, for ever."""
        try:
            connection.sendall(begin)
            while not self._over.wait(0.02):
                connection.sendall(b"x")
        except OSError:
            self.cut.release()


def _handler(vault: VaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            token = self.headers.get("X-Vault-Token")
            path = vault.note(self.path, token)
            match vault.behaviours.get(path):
                case "slow":
                    vault.gate.wait(30)
                case "drip":
                    self.close_connection = True
                    return vault.drip(self.connection, b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
                case "drip header":
                    self.close_connection = True
                    return vault.drip(self.connection, b"HTTP/1.1 200 OK\r\nX-")
                case "reset":
                    self.close_connection = True
                    return None
                case "redirect":
                    return self.answer(307, b"", Location=vault.elsewhere)
            if path in vault.statuses:
                return self.answer(vault.statuses[path], json.dumps({"errors": [STATUS_BODY, token]}).encode())
            if token != TOKEN:
                return self.answer(403, json.dumps({"errors": ["permission denied", STATUS_BODY]}).encode())
            if path in vault.raw:
                return self.answer(200, vault.raw[path])
            if path not in vault.secrets:
                return self.answer(404, b'{"errors":[]}')
            body = {"request_id": "r", "lease_duration": 0, "data": vault.secrets[path], "warnings": None}
            return self.answer(200, json.dumps(body).encode())

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
