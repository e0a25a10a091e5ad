"""The documents and templates that are there: from a path as it was written to a canonical key and a text."""

from __future__ import annotations

from typing import Self

from engine.errors import FileMissing, StorageDown
from engine.files import FileStat, Root
from engine.reading import decode
from engine.settings import Settings

SUFFIXES = (".yml", ".yaml")


class Catalog:
    """The files under FLOWS_PATH and TEMPLATES_PATH. Nothing is kept: `stat` tells whether a caller's copy is fresh."""

    def __init__(self, flows: Root, templates: Root) -> None:
        self._flows = flows
        self._templates = templates

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The folders that the settings name."""
        limit = settings.max_document_bytes
        return cls(
            Root(settings.flows_path, max_bytes=limit, name="FLOWS_PATH"),
            Root(settings.templates_path, max_bytes=limit, name="TEMPLATES_PATH"),
        )

    def list(self) -> list[str]:
        """The keys of all documents, sorted."""
        return self._flows.keys(*SUFFIXES)

    def find(self, path: str) -> str:
        """The canonical key of a document, however it was spelled. Raises FileMissing, PathRefused."""
        return self._flows.canonical(path)

    def text(self, path: str) -> str:
        """A document's text. Raises FileMissing, PathRefused, TooLarge, ReadingError."""
        return self.load(path)[1]

    def template(self, path: str) -> tuple[str, str]:
        """A template's key and text; a leading `templates/` is accepted. Raises as `text` does."""
        status, text = self.load_template(path)
        return status.key, text

    def stat(self, path: str) -> FileStat:
        """A document's key, and what changes when its text does. Raises StorageDown when FLOWS_PATH is not there."""
        try:
            return self._flows.stat(path)
        except FileMissing as error:
            if not self._flows.folder.is_dir():  # A volume that is away, not a flow that was deleted.
                raise StorageDown(f"The folder {self._flows.folder} (FLOWS_PATH) is not there.") from error
            raise

    def load(self, path: str) -> tuple[FileStat, str]:
        """A document's text, and the status it was read at."""
        status, content = self._flows.load(path)
        return status, decode(content)

    def stat_template(self, path: str) -> FileStat:
        """A template's key, and what changes when its text does."""
        try:
            return self._templates.stat(path)
        except FileMissing:
            if not path.startswith("templates/"):
                raise
            return self._templates.stat(path.removeprefix("templates/"))

    def load_template(self, path: str) -> tuple[FileStat, str]:
        """A template's text, and the status it was read at."""
        status, content = self._templates.load(self.stat_template(path).key)
        return status, decode(content)
