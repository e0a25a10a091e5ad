"""Sends a request and reads the answer, bounded in time, size and hops, with the connection given back or closed.

The adapter is asked directly: Session.send reads a redirect's whole body, whatever its size, even when it is told not
to follow, and its cookie jar would carry one step's login into the next.
"""

from __future__ import annotations

import zlib
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from engine.egress import AddressRefused
from engine.errors import StepFailed
from engine.steps.rest.request import Request

if TYPE_CHECKING:
    import requests

MAX_HOPS = 5
CHUNK = 65_536
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer said. `host` is that of the last hop, `location` where a redirect that was not followed leads."""

    status: int
    reason: str
    content_type: str
    body: bytes
    host: str
    location: str | None = None
    hops: int = 0
    """How many redirects were followed to get it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the whole exchange may take, in seconds and as a moment, and how large the decoded body may be."""

    seconds: float
    deadline: float
    max_bytes: int

    @classmethod
    def of(cls, seconds: float, max_bytes: int) -> Bounds:
        """Bounds that begin now."""
        return cls(seconds, monotonic() + seconds, max_bytes)

    @property
    def is_over(self) -> bool:
        """Whether there is no time left."""
        return monotonic() >= self.deadline


def exchange(session: requests.Session, request: Request, bounds: Bounds, *, verify: bool, follow: bool) -> Answer:
    """The peer's answer, of any status; StepFailed when there is none in time, or it is too large."""
    for hops in range(MAX_HOPS + 1):
        with closing(_send(session, request, bounds, verify)) as response:
            _left(request, bounds)  # Headers that were cut at the deadline look like complete ones.
            location = response.headers.get("Location") if response.status_code in REDIRECTS else None
            if location is None or not follow:
                return replace(_answer(response, request, location, bounds), hops=hops)
            request = request.redirected(response.status_code, location)
    raise StepFailed(f"{request.method} {request.host}: more than {MAX_HOPS} redirects")


def _send(session: requests.Session, request: Request, bounds: Bounds, verify: bool) -> requests.Response:
    from requests import PreparedRequest
    from requests import Request as Draft
    from requests.exceptions import InvalidURL
    from urllib3.exceptions import HTTPError, InsecureRequestWarning
    from urllib3.util import Timeout

    if not verify:
        import urllib3

        urllib3.disable_warnings(InsecureRequestWarning)
    try:
        prepared: PreparedRequest = Draft(request.method, request.uri, request.headers, data=request.body).prepare()
        timeout: Any = Timeout(total=_left(request, bounds))
        request.check_host(str(prepared.url))
        adapter = session.get_adapter(str(prepared.url))
        return adapter.send(
            prepared, stream=True, timeout=timeout, verify=(session.verify or True) if verify else False
        )
    except (InvalidURL, UnicodeError) as error:
        raise StepFailed(f"{request.method} {request.host}: the uri is not an address that can be called") from error
    except AddressRefused as error:
        raise StepFailed(f"{request.method} {request.host}: {error}") from error
    except (OSError, HTTPError) as error:  # What requests raises is an OSError.
        _explain(error, request, bounds)


def _answer(response: requests.Response, request: Request, location: str | None, bounds: Bounds) -> Answer:
    return Answer(
        status=response.status_code,
        reason=response.reason or "",
        content_type=response.headers.get("Content-Type", ""),
        body=_body(response, request, bounds) if location is None else b"",
        host=request.host,
        location=location,
    )


def _body(response: requests.Response, request: Request, bounds: Bounds) -> bytes:
    """The decoded body. Time is looked at between reads, each of which returns what has come so far (`read1`)."""
    from urllib3.exceptions import HTTPError

    raw = response.raw
    decoder = _decoder(response.headers.get("Content-Encoding", ""), request)
    body = bytearray()
    try:
        while True:
            _wait_at_most(raw, _left(request, bounds))
            data = raw.read1(CHUNK, decode_content=False)
            body += decoder.feed(data, bounds.max_bytes + 1 - len(body)) if decoder else data
            if len(body) > bounds.max_bytes:
                raise StepFailed(f"{request.method} {request.host}: the answer is over {bounds.max_bytes} bytes")
            if not data:
                _left(request, bounds)  # So does a body that ends with its connection.
                break
        if decoder:
            decoder.end()
    except (HTTPError, OSError, zlib.error) as error:
        _explain(error, request, bounds)
    return bytes(body)


class Gunzip:
    """Decodes gzip piece by piece, never to more than is asked for."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(31)
        self._begun = False

    def feed(self, data: bytes, room: int) -> bytes:
        """What the data decodes to, cut at `room` bytes."""
        out = bytearray()
        while data and len(out) < room:
            if self._stream.eof:
                self._stream = zlib.decompressobj(31)
            self._begun = True
            out += self._stream.decompress(data, room - len(out))
            data = self._stream.unused_data or self._stream.unconsumed_tail
        return bytes(out)

    def end(self) -> None:
        """Raises zlib.error when the stream was cut short."""
        if self._begun and not self._stream.eof:
            raise zlib.error("the compressed answer ends in the middle")


def _decoder(encoding: str, request: Request) -> Gunzip | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return Gunzip()
    raise StepFailed(f"{request.method} {request.host}: the answer is encoded as {encoding!r}, and gzip was asked for")


def _wait_at_most(raw: Any, seconds: float) -> None:
    """Bound the next read by what is left. An answer that ends with its connection has no socket here any more,
    and keeps the bound that it began with."""
    sock = getattr(raw.connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)


def _left(request: Request, bounds: Bounds) -> float:
    left = bounds.deadline - monotonic()
    if left <= 0:
        raise StepFailed(_late(request, bounds.seconds))
    return left


def _late(request: Request, seconds: float) -> str:
    unknown = "" if request.method in SAFE_METHODS else "; whether it took effect is unknown"
    return f"{request.method} {request.host}: no complete answer within {max(seconds, 0):g} s{unknown}"


def _explain(error: Exception, request: Request, bounds: Bounds) -> NoReturn:
    """Raise a sentence with the deepest cause: the outer ones quote the whole uri."""
    from requests import Timeout
    from urllib3.exceptions import TimeoutError as PoolTimeout

    if isinstance(error, Timeout | PoolTimeout) or bounds.is_over:
        raise StepFailed(_late(request, bounds.seconds)) from error
    deepest: BaseException = error
    while (deeper := deepest.__cause__ or deepest.__context__) is not None:
        deepest = deeper
    if verdict := getattr(deepest, "verify_message", None):
        raise StepFailed(f"{request.method} {request.host}: the TLS certificate is refused: {verdict}") from error
    reason = getattr(deepest, "strerror", None) or str(deepest) or type(deepest).__name__
    raise StepFailed(f"{request.method} {request.host}: {reason}") from error
