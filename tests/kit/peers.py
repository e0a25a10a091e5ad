"""A peer on loopback whose answers a test chooses, well-behaved or not, and what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = BaseHTTPRequestHandler
"""What an answer is given: `rfile` has been read to the end of the request."""


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """`answer` gets each request's handler after it was noted in `asked`."""

    def __init__(self, url: str, answer: Callable[[Handler], None]) -> None:
        self.url = url
        self.answer = answer
        self.asked: list[Asked] = []
        self.over = threading.Event()
        """Set at the end: what answers for ever stops then."""

    def drip(self, handler: Handler, begin: bytes = b"", piece: bytes = b"x", seconds: float = 0.02) -> None:
        """Send `begin`, then the piece again and again, until the other side goes away."""
        handler.close_connection = True
        with suppress(OSError):
            handler.connection.sendall(begin)
            while not self.over.wait(seconds):
                handler.connection.sendall(piece)


def send(handler: Handler, status: int, body: Any = b"", type: str = "application/json", **headers: str) -> None:
    """Answer with bytes as they are, all else as JSON; `Content_Encoding="gzip"` adds a header."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in ({"Content-Type": type, "Content-Length": str(len(content))} | given).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def peer(
    answer: Callable[[Handler], None] = lambda handler: send(handler, 200, {}), tls: ssl.SSLContext | None = None
) -> Iterator[Peer]:
    """A peer that listens on a free port of the loopback interface, for as long as the block lasts."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            with suppress(OSError):
                made.answer(self)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, *_: Any) -> None:
            """Nothing: the tests look at `asked`."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """Nothing: what goes wrong here was meant to."""

    server = Server(("127.0.0.1", 0), Answering)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made = Peer(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
