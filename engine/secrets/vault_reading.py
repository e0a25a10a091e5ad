"""One read from HashiCorp Vault, bounded in time and size. No error holds the token or anything of the answer.

The read runs in a thread of its own, so that neither a resolver nor an answer that comes byte by byte can hold the
asker for longer than the limit. When it is over, the connection is cut, and with it the thread ends.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from engine.models.job import Json

if TYPE_CHECKING:
    from requests import Response
    from requests.adapters import HTTPAdapter

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
MAX_BYTES = 256 << 10
MAX_DEPTH = 32
MAX_VALUES = 1_000
"""Each text of the value is looked for in everything that is kept; more than this is data, not a secret."""


class VaultFailed(Exception):
    """Vault gave no value; `str()` is the cause in a word or two, such as its status."""


class Line:
    """The connections of one read, which another thread may cut."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def watch(self, sock: socket.socket) -> None:
        """Remember a connection. A copy of its descriptor: TLS takes over the one it was opened with."""
        with self._lock:
            self._sockets.append(sock.dup())
            if self._is_cut:
                self._shut()

    def cut(self) -> None:
        """End what is being waited for, now and later."""
        with self._lock:
            self._is_cut = True
            self._shut()

    def close(self) -> None:
        """Forget the connections."""
        with self._lock:
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()

    def _shut(self) -> None:
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def read_value(uri: str, token: str, *, ca_file: str | None = None, seconds: float = TOTAL_SECONDS) -> Json:
    """KV v2's `data.data`, or KV v1's `data`, at the uri; VaultFailed when there is none in time."""
    line = Line()
    future: Future[Json] = Future()
    Thread(target=_run, args=(future, line, uri, token, ca_file), name="vault", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        line.cut()
        raise VaultFailed("timeout") from None


def _run(future: Future[Json], line: Line, uri: str, token: str, ca_file: str | None) -> None:
    try:
        future.set_result(_value(_body(uri, token, ca_file, line.watch)))
    except VaultFailed as error:
        future.set_exception(error)
    finally:
        line.close()
        if not future.done():
            future.set_exception(VaultFailed("a fault of ours"))


def _body(uri: str, token: str, ca_file: str | None, watch: Callable[[socket.socket], None]) -> bytes:
    """The bytes of Vault's answer. The token goes to this host only: no redirect is followed, no proxy asked."""
    import hvac
    import requests
    from hvac.adapters import RawAdapter
    from urllib3.exceptions import HTTPError

    parts = urlsplit(uri)
    path = uri.partition(parts.netloc)[2]
    with requests.Session() as session:
        session.trust_env = False
        session.verify = ca_file or True
        session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            session.mount(scheme, _watched(watch))
        client = hvac.Client(
            url=f"{parts.scheme}://{parts.netloc}",
            token=token,
            session=session,
            adapter=RawAdapter,
            timeout=(CONNECT_SECONDS, TOTAL_SECONDS),
            allow_redirects=False,
        )
        try:
            with closing(client.adapter.get(path, stream=True, raise_exception=False)) as response:
                return _bounded(response)
        except (OSError, HTTPError, ValueError) as error:  # What requests raises is an OSError, or a ValueError.
            _explain(error)


def _watched(watch: Callable[[socket.socket], None]) -> HTTPAdapter:
    """An adapter that tells of each connection before anything is said over it, TLS included."""
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            watch(sock)
            return sock

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            watch(sock)
            return sock

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    adapter = HTTPAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return adapter


def _bounded(response: Response) -> bytes:
    if response.status_code != 200:
        raise VaultFailed(str(response.status_code))
    body = bytearray()
    for chunk in response.raw.stream(65_536, decode_content=False):
        body += chunk
        if len(body) > MAX_BYTES:
            raise VaultFailed(f"over {MAX_BYTES} bytes")
    return bytes(body)


def _value(body: bytes) -> Json:
    try:
        answer = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise VaultFailed("not JSON") from None
    match answer:
        case {"data": {"data": dict() | None as value, "metadata": dict()}}:
            pass
        case {"data": dict() as value}:
            pass
        case _:
            raise VaultFailed("no data")
    if not value:
        raise VaultFailed("no data")
    _check_size(value)
    return value


def _check_size(value: Json) -> None:
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        below = [
            list(item.values()) if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)
        ]
        level = [item for items in below for item in items]
    if level or count > MAX_VALUES:
        raise VaultFailed(f"more than {MAX_VALUES} values, or deeper than {MAX_DEPTH}")


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _explain(error: BaseException) -> NoReturn:
    """Raise VaultFailed with a cause in our words: what a library says may hold what was sent or received."""
    from requests.exceptions import SSLError, Timeout
    from urllib3.exceptions import TimeoutError as PoolTimeout

    deepest = error
    while (deeper := deepest.__cause__ or deepest.__context__) is not None:
        deepest = deeper
    match error, deepest:
        case (ValueError(), _):
            cause = "it cannot be asked with this uri and token"
        case (SSLError(), _) | (_, ssl.SSLError()):
            verdict = getattr(deepest, "verify_message", None)
            cause = f"TLS: {verdict}" if verdict else "TLS"
        case (Timeout() | PoolTimeout(), _) | (_, TimeoutError()):
            cause = "timeout"
        case (_, ConnectionRefusedError()):
            cause = "connection refused"
        case (_, socket.gaierror()):
            cause = "unknown host"
        case (_, OSError()):
            cause = "connection lost" if deepest.strerror is None else deepest.strerror.lower()
        case _:
            cause = "no answer in HTTP"
    raise VaultFailed(cause) from None
