"""A request's body, taken out of everybody else's reach: read bounded, or thrown away in constant memory.

functions-framework reads whatever is left of a body into memory after the function has answered. So the stream is
replaced by an empty one before anything else, and only this file can reach the real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from werkzeug.wsgi import get_content_length, get_input_stream

from engine.errors import RequestInvalid, TooLarge
from functions._patience import PATIENCE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PIECE = 64 * 1024
DISCARD_AT_MOST = 64 * 1024 * 1024
"""A client that sends more than this after a refusal may find the connection closed before it reads the answer."""
READ_SECONDS = 60.0
"""How long a body that is wanted may take to arrive."""
DISCARD_SECONDS = 2.0
"""How long a body that was refused may go on arriving."""

_KEY = "octoflow.body"


class Body:
    """The real stream of one request."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._length = get_content_length(environ)
        self._stream = get_input_stream(environ)
        self._socket = environ.get("gunicorn.socket")
        self._is_over = self._length == 0 or (self._length is None and "HTTP_TRANSFER_ENCODING" not in environ)

    def read(self, limit: int) -> bytes:
        """All of it; TooLarge when it is longer than the limit, and then not much more than that was read."""
        if self._length is not None and self._length > limit:
            raise _too_large(limit)
        pieces = []
        size = 0
        for piece in self._pieces(READ_SECONDS):
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
        if self._length is not None and size < self._length:
            raise RequestInvalid(f"The body ended after {size} of {self._length} bytes.")
        return b"".join(pieces)

    def discard(self) -> bool:
        """Throw the rest away, so that the client gets to read our answer; False when there is too much."""
        size = 0
        try:
            for piece in self._pieces(DISCARD_SECONDS):
                size += len(piece)
                if size >= DISCARD_AT_MOST:
                    return False
        except RequestInvalid:
            return False
        return True

    def _pieces(self, seconds: float) -> Iterator[bytes]:
        if self._is_over:
            return
        with PATIENCE.at_most(self._socket, seconds):
            yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        while not self._is_over:
            try:
                piece = self._stream.read(PIECE)
            except Exception as error:
                # Each server has errors of its own for a bad chunk or a client that is gone; none is a fault of ours.
                self._is_over = True
                raise RequestInvalid("The body could not be read to its end.") from error
            if not piece:
                self._is_over = True
                return
            yield piece


def take_body(environ: WSGIEnvironment) -> Body:
    """The request's body; from the first call on, everybody else sees an empty one."""
    body: Body | None = environ.get(_KEY)
    if body is None:
        body = environ[_KEY] = Body(environ)
        environ["wsgi.input"] = BytesIO()
        environ["wsgi.input_terminated"] = True
    return body


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes (MAX_CONTENT_LENGTH).")
