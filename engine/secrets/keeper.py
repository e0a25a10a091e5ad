"""The keeper of secrets for a service: gives them by name, and the mask that hides all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from engine.secrets.file import SecretFile
from engine.secrets.masking import Mask


class SecretKeeper:
    """The secrets of one file; `also` are further values to hide, such as the service's own token."""

    def __init__(self, path: Path, also: Iterable[str] = ()) -> None:
        self._file = SecretFile(path)
        self._also = tuple(also)
        self._lock = Lock()
        self._hidden: tuple[list[str], list[tuple[str, str]]] | None = None
        self._mask = Mask(())

    def get(self, name: str) -> dict[str, str]:
        """A secret's fields, `type` among them. Raises SecretMissing, SecretUnavailable."""
        return self._file.get(name)

    def mask(self) -> Mask:
        """The mask of every value that was in the file since the start; made anew only when there are new ones."""
        hidden = (self._file.values(), self._file.pairs())
        with self._lock:
            if hidden != self._hidden:
                self._mask = Mask([*hidden[0], *self._also], hidden[1])
                self._hidden = hidden
            return self._mask
