"""Connections for `requests` that go to checked addresses only and end in time. Import it where it is used."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from engine.egress import Egress
from engine.egress.deadlines import Call, Deadlines


class GuardedSession(requests.Session):
    """A session that takes nothing from the environment and reaches what `egress` lets it reach.

    Certificates are verified with those in `ca_file`, or with the public ones.
    """

    def __init__(self, egress: Egress, ca_file: str = "") -> None:
        super().__init__()
        self.trust_env = False
        self.verify = ca_file or True
        self._deadlines = Deadlines()
        adapter = GuardedAdapter(egress, self._deadlines)
        for scheme in ("http://", "https://"):
            self.mount(scheme, adapter)

    def end_calls(self) -> None:
        """End every call that is open, and each that is begun from now on."""
        self._deadlines.end_all()

    def close(self) -> None:
        super().close()
        self._deadlines.close()


class _Guarded(HTTPConnection):
    """A connection to an address that was checked: resolved once, and connected to what was resolved."""

    egress: Egress
    deadlines: Deadlines
    call: Call | None = None
    read_from: socket.socket | None = None
    """The socket of the answer: the connection lets go of one that the peer is going to close."""

    def _new_conn(self) -> socket.socket:
        deadline = monotonic() + (self.timeout or float("inf"))
        last: OSError | None = None
        found = self._checked()
        for tried, (family, kind, protocol, _, address) in enumerate(found):
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(_share(deadline, len(found) - tried))  # A dead first address leaves time for the next.
                sock.connect(address)
                sock.settimeout(_share(deadline, 1))
            except OSError as error:
                sock.close()
                last = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        if isinstance(last, TimeoutError):
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from last
        raise NewConnectionError(self, f"Failed to establish a new connection: {last}") from last

    def _checked(self) -> list[tuple[Any, ...]]:
        """What the host resolves to; AddressRefused when one of the addresses may not be reached."""
        host = self._dns_host.strip("[]")
        try:
            host.encode("idna")
        except UnicodeError:
            raise LocationParseError(f"'{host}', label empty or too long") from None
        try:
            found: list[tuple[Any, ...]] = [
                *socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
            ]
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        for *_, address in found:
            self.egress.check(address[0])
        return found

    def connect(self) -> None:
        self._begin()
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._begin()
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:
        self.read_from = self.sock
        self._begin(anew=True)  # The timeout is what is left now; before, it was that of the whole call.
        return super().getresponse()

    def _begin(self, *, anew: bool = False) -> None:
        if (anew or self.call is None) and isinstance(self.timeout, int | float):
            self.call = Call(self, monotonic() + self.timeout)
            self.deadlines.watch(self.call)

    def idle(self) -> None:
        """The call is over; the connection may stay open for another one."""
        self.call = self.read_from = None


def _share(deadline: float, parts: int) -> float | None:
    """The seconds for one of so many attempts; never 0, which would mean not to wait at all."""
    seconds = (deadline - monotonic()) / parts
    return None if seconds == float("inf") else max(seconds, 0.001)


class GuardedAdapter(HTTPAdapter):
    """HTTPAdapter whose connections are checked; as many are kept as a loop has threads at most."""

    def __init__(self, egress: Egress, deadlines: Deadlines) -> None:
        self._egress = egress
        self._deadlines = deadlines
        super().__init__(pool_connections=16, pool_maxsize=64)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._egress, self._deadlines)


def _pools(guard: Egress, watch: Deadlines) -> dict[str, type[HTTPConnectionPool]]:
    """The pools of one session: urllib3 makes connections from classes, which therefore hold what they obey."""

    class Plain(_Guarded):
        egress, deadlines = guard, watch

    class Secure(_Guarded, HTTPSConnection):
        egress, deadlines = guard, watch

    class Releasing(HTTPConnectionPool):
        def _put_conn(self, conn: Any) -> None:
            if conn is not None:
                conn.idle()
            super()._put_conn(conn)

    class PlainPool(Releasing):
        ConnectionCls = Plain

    class SecurePool(Releasing, HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
