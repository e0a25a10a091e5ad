"""secrets.yml: a list of named secrets, read again when the file changes. No message ever holds a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from engine.egress.hosts import checked
from engine.errors import SecretMissing, SecretUnavailable
from engine.models.job import Json
from engine.reading import Marked, ReadingError, decode, read_document
from engine.reading.whole_files import read_whole
from engine.secrets.fields import NEEDED, hidden_pairs, hidden_values

VAULT = "hashicorp-vault"
TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **{kind: (needed, ()) for kind, needed in NEEDED.items()},
    VAULT: (("uri",), ("jq_expression",)),
}
"""Each type's fields: those it needs, and those it may have."""

MOST_BYTES = 10_000_000

Stamp = tuple[int, int, int, int]
UNREADABLE: Stamp = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Content:
    """What the file says: secrets by name, what is wrong with single ones, what is wrong with all of it."""

    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    wrong: Mapping[str, str] = field(default_factory=dict)
    broken: str | None = None


class SecretFile:
    """The secrets of one file; a file that is not there holds none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._stamp: Stamp | None = None
        self._content = _Content()
        self._hidden: dict[str, None] = {}
        self._pairs: dict[tuple[str, str], None] = {}

    def get(self, name: str) -> dict[str, str]:
        """A secret's fields as the file has them, `type` among them. Raises SecretMissing, SecretUnavailable."""
        content = self._read()
        if content.broken is not None:
            raise SecretUnavailable(f"secret {name!r} is not available: {content.broken}")
        if name in content.wrong:
            raise SecretUnavailable(f"secret {name!r} is not available: {content.wrong[name]}")
        if name not in content.secrets:
            if self._stamp is None:
                raise SecretMissing(f"secret {name!r} is not there: there is no {self._path.name} (SECRETS_PATH)")
            known = ", ".join(content.secrets) or "nothing"
            raise SecretMissing(f"secret {name!r} is not in {self._path.name} (it has: {known})")
        return dict(content.secrets[name])

    def names(self) -> list[str]:
        """The names of the secrets that can be read, in the file's order."""
        return list(self._read().secrets)

    def problems(self) -> list[str]:
        """Every sentence about what is wrong with the file; empty when all is well."""
        content = self._read()
        return [content.broken] if content.broken is not None else list(content.wrong.values())

    def hidden(self) -> tuple[list[str], list[tuple[str, str]]]:
        """What must be masked: every secret value that was ever read, since a job may still hold an old one.

        The second are user names with their passwords, which Basic authentication sends together.
        """
        self._read()
        return list(self._hidden), list(self._pairs)

    def _read(self) -> _Content:
        with self._lock:
            stamp = self._stat()
            if stamp != self._stamp or stamp == UNREADABLE:
                self._stamp, self._content = stamp, self._load()
                self._remember(self._content)
            return self._content

    def _stat(self) -> Stamp | None:
        """What changes when the file does; None when it is not there."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        except OSError:
            return UNREADABLE
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def _load(self) -> _Content:
        name = self._path.name
        try:
            marked = read_document(decode(read_whole(self._path, MOST_BYTES)), failsafe=True)
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            return _Content(broken=f"{name} cannot be read: {error.strerror}")
        except ReadingError as error:
            return _Content(broken=_unreadable(name, error))
        match marked.value:
            case None | "":
                return _Content()
            case [*entries]:
                return _content(name, marked, entries)
        return _Content(broken=f"{name} must be a list of secrets, each with name and type")

    def _remember(self, content: _Content) -> None:
        for secret in content.secrets.values():
            self._hidden.update((value, None) for value in hidden_values(secret))
            self._pairs.update((pair, None) for pair in hidden_pairs(secret))


def _unreadable(name: str, error: ReadingError) -> str:
    """What YAML's own message would say may hold a value: `password: *hunter2` is an alias to it."""
    problem = error.problems[0]
    place = f", line {problem.line}" if problem.line else ""
    return f"{name}{place} cannot be read ({problem.code}); write values that hold special characters in quotes"


def _content(name: str, marked: Marked, entries: list[Json]) -> _Content:
    secrets: dict[str, Mapping[str, str]] = {}
    wrong: dict[str, str] = {}
    for number, entry in enumerate(entries):
        place = f"{name}, line {marked.place((number,))[0]}"
        secret, reason = _secret(entry)
        own = entry.get("name") if isinstance(entry, dict) else None
        called = own if isinstance(own, str) and own else f"entry {number + 1}"
        if called in secrets:
            reason = f"{called!r} is there already"
            del secrets[called]
        if secret is None or reason is not None:
            wrong[called] = f"{place}: {reason}"
        elif called not in wrong:
            secrets[called] = secret
    return _Content(secrets, wrong)


def _secret(entry: Json) -> tuple[dict[str, str] | None, str | None]:
    """The secret's fields, or the reason why it is none."""
    if not isinstance(entry, dict) or not entry.get("name"):
        return None, "a secret is an object with name and type"
    fields = {key: value for key, value in entry.items() if key not in ("name", "description")}
    kind = "api-key" if fields.get("type") == "api_key" else fields.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        return None, f"type must be one of {', '.join(TYPES)}"
    needed, allowed = TYPES[kind]
    del fields["type"]
    try:
        hosts = {"hosts": _hosts(fields.pop("hosts"))} if "hosts" in fields else {}
    except ValueError as error:
        return None, str(error)
    if unknown := [key for key in fields if key not in (*needed, *allowed)]:
        return None, f"a secret of type {kind} has {', '.join(needed + allowed)}, not {', '.join(unknown)}"
    for key in (*needed, *fields):
        if not isinstance(fields.get(key), str) or not fields[key]:
            return None, f"{key} must be given, and must be text"
    if kind == VAULT and not _is_vault_uri(fields["uri"]):
        return None, "uri must be scheme and host, then /v1/ and a path: https://vault.example.com/v1/secret/data/name"
    return {"type": kind, **fields, **hosts}, None


def _hosts(value: Json) -> str:
    """The hosts that the secret may travel to, comma-joined; ValueError when it is no list of them."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError("hosts must be a list of host names, such as [host.example.com, '*.example.com']")
    return ",".join(checked(item) for item in value)


def _is_vault_uri(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  It is read when it is asked for, and may be none.
    except ValueError:
        return False
    is_plain = uri.isprintable() and not set(uri) & set(" @#\\")
    return (
        is_plain
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and parts.path[:4] == "/v1/" < parts.path
    )
