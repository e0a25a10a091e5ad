"""Which documents declare inputs, and what they declare: read anew only when a file has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import PurePosixPath

from engine.catalog import Catalog
from engine.checking.inputs import declared_inputs
from engine.checking.kept import Kept
from engine.checking.notes import Notes
from engine.errors import OctoflowError, TooLarge
from engine.models.flow import FlowInputs
from engine.reading import ReadingError, read_document

MAX_DOCUMENTS = 1_000
"""So many documents are looked at, the first by their paths: whoever asks must not wait for a folder of a million."""
MAX_CHARACTERS = 5_000_000
"""The most characters of documents whose inputs are told."""


class DeclaredInputs:
    """What the catalog's documents declare. One that cannot be read, or whose inputs have errors, is passed over."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: Kept[FlowInputs | None] = Kept()

    def list(self, is_wanted: Callable[[str], bool]) -> list[FlowInputs]:
        """Of the documents whose paths are wanted, those that declare inputs; by path."""
        try:
            keys = [key for key in self._catalog.list() if is_wanted(key)][:MAX_DOCUMENTS]
        except OctoflowError:
            return []
        found, characters = [], 0
        for key in keys:
            flow = self._one(key)
            if flow is not None:
                characters += flow.characters
                if characters > MAX_CHARACTERS:
                    break
                found.append(flow)
        return found

    def _one(self, key: str) -> FlowInputs | None:
        try:
            status = self._catalog.stat(key)
            kept = self._kept.of(key, status)
            if kept is not None:
                return kept[1]
            try:
                status, text = self._catalog.load(key)
                flow = _read(key, text)
            except (ReadingError, TooLarge):
                flow = None
            return self._kept.keep(key, status, flow)
        except OctoflowError:
            return None


def _read(path: str, text: str) -> FlowInputs | None:
    if "inputs" not in text:
        return None
    notes = Notes(read_document(text))
    value = notes.marked.value if notes.marked else None
    if not isinstance(value, dict):
        return None
    inputs = declared_inputs(notes, value.get("inputs"))
    if notes.has_errors or not inputs:
        return None
    name, about = value.get("name"), value.get("description")
    return FlowInputs(
        path=path,
        name=name if isinstance(name, str) and name else PurePosixPath(path).stem,
        description=about if isinstance(about, str) else None,
        inputs=inputs,
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        characters=len(text),
    )
