"""The keeper of secrets for a service: gives them by name, and the mask that hides all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from engine.clock import Clock
from engine.errors import SecretUnavailable
from engine.models.job import Json
from engine.secrets.fields import LACKING, fields_of, hidden_pairs, hidden_values, texts
from engine.secrets.file import VAULT, SecretFile
from engine.secrets.masking import Mask
from engine.secrets.vault import Vault


class SecretKeeper:
    """The secrets of one file; `also` are further values to hide, such as the service's own token."""

    def __init__(self, path: Path, also: Iterable[str] = (), vault: Vault | None = None) -> None:
        self._file = SecretFile(path)
        self._vault = vault or Vault(None, 0, Clock())
        self._also = tuple(also)
        self._lock = Lock()
        self._seen: dict[str, None] = {}
        self._seen_pairs: dict[tuple[str, str], None] = {}
        self._hidden: tuple[list[str], list[tuple[str, str]]] | None = None
        self._mask = Mask(())

    def get(self, name: str, *, fresh: bool = False) -> dict[str, Json]:
        """A secret's fields, `type` among them. Raises SecretMissing, SecretUnavailable.

        `fresh` asks Vault even when a value is kept, as after a peer's 401; the file is looked at each time anyway.
        One from Vault with a `jq_expression` has that and `value`, and is no more than this: jq may only run in a
        job's process, which gives back what it made of it by `hide`.
        """
        secret = self._file.get(name)
        if secret["type"] != VAULT:
            return {**secret}
        value = self._vault.read(name, secret["uri"], fresh=fresh)
        hosts = {"hosts": secret["hosts"]} if "hosts" in secret else {}
        self.hide(texts(value))
        if "jq_expression" in secret:
            return {"type": VAULT, "jq_expression": secret["jq_expression"], "value": value, **hosts}
        fields = fields_of(value)
        if fields is None:
            raise SecretUnavailable(f"secret {name!r} is not available: {LACKING}")
        self.hide(hidden_values(fields), hidden_pairs(fields))
        return {**fields, **hosts}

    def hide(self, values: Iterable[str], pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Mask these too from now on: what Vault gave, and what was made of it."""
        with self._lock:
            self._seen.update((value, None) for value in values)
            self._seen_pairs.update((pair, None) for pair in pairs)

    def mask(self) -> Mask:
        """The mask of every value that was known since the start; made anew only when there are new ones."""
        values, pairs = self._file.hidden()
        with self._lock:
            hidden = ([*values, *self._seen], [*pairs, *self._seen_pairs])
            if hidden != self._hidden:
                self._mask = Mask([*hidden[0], *self._also], hidden[1])
                self._hidden = hidden
            return self._mask
