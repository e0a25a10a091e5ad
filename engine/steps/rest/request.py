"""A request as plain data, checked before anything is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import SplitResult, urljoin, urlsplit

from engine.egress.hosts import admits
from engine.errors import StepFailed

NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
"""Headers that may go to another host; any other may hold a credential."""
DEFAULTS = {"Accept": "application/json, */*;q=0.8", "Accept-Encoding": "gzip", "User-Agent": "octoflow"}


@dataclass(frozen=True, slots=True)
class Credential:
    """The header that holds a secret, and the hosts that it may travel to (`engine.egress.hosts`), any when None."""

    secret: str
    header: str
    hosts: str | None


@dataclass(frozen=True)
class Request:
    """One HTTP request. Raises StepFailed, without values of headers or query, when it cannot be sent."""

    method: str
    uri: str
    headers: dict[str, str]
    body: bytes | None = None
    credential: Credential | None = None

    def __post_init__(self) -> None:
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            shown = self.uri.partition("?")[0].rpartition("@")[2]
            raise StepFailed(f"uri {shown!r} is not an address of the form https://host/path")
        for name, value in self.headers.items():
            if not NAME.fullmatch(name):
                raise StepFailed(f"{name!r} cannot be the name of a header")
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]", value):
                raise StepFailed(f"the value of header {name!r} has characters that a header cannot hold")
        given = {name.lower() for name in self.headers}
        added = {name: value for name, value in DEFAULTS.items() if name.lower() not in given}
        stripped = {name: value.strip() for name, value in self.headers.items()}
        object.__setattr__(self, "headers", {**stripped, **added})

    @cached_property
    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.uri)
            _ = parts.port
        except ValueError as error:
            raise StepFailed(f"the uri is not an address: {error}") from error
        return parts

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        port = f":{self._parts.port}" if self._parts.port else ""
        return f"{self._parts.hostname}{port}"

    def check_host(self, url: str) -> None:
        """StepFailed when a secret may not travel to the host of this url, the one that is really called."""
        if self.credential is None or self.credential.hosts is None:
            return
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
        if not admits(self.credential.hosts, host, port):
            known = self.credential.hosts.replace(",", ", ")
            raise StepFailed(f"secret {self.credential.secret!r} may not travel to {host}:{port} (its hosts: {known})")

    @property
    def _origin(self) -> tuple[str, str | None, int]:
        return self._parts.scheme, self._parts.hostname, self._parts.port or {"http": 80}.get(self._parts.scheme, 443)

    def redirected(self, status: int, location: str) -> Request:
        """The request that a redirect asks for; to another origin it carries no header that may hold a credential."""
        uri = urljoin(self.uri, location)
        method, body, headers = self.method, self.body, dict(self.headers)
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body = "GET", None
            headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        target = Request(method, uri, headers, body, self.credential)
        if target._origin == self._origin:
            return target
        harmless = HARMLESS - {self.credential.header.lower() if self.credential else ""}
        kept = {name: value for name, value in headers.items() if name.lower() in harmless}
        return Request(method, uri, kept, body)
