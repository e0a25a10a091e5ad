"""The step `file`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field, model_validator

from engine.errors import StepFailed
from engine.models.expression import JinjaText
from engine.models.flow import Run
from engine.models.job import Json
from engine.steps import Step

Format = Literal["json", "yaml", "text"]
BY_EXTENSION: dict[str, Format] = {
    ".json": "json", ".yml": "yaml", ".yaml": "yaml",
    ".txt": "text", ".j2": "text", ".csv": "text", ".log": "text", ".md": "text", ".xml": "text", ".html": "text",
}  # fmt: skip


class File(Step, type="file"):
    """Reads or writes a file below DATA_PATH. Writing is all or nothing, and makes folders that are missing.

    The value is what was read; of `write` and `append` it is `path` and the number of `bytes` that were written.
    """

    path: JinjaText = Field(min_length=1, description="The file (Jinja), relative to DATA_PATH.")
    mode: Literal["read", "write", "append"] = Field(
        "read",
        description="`write` replaces the file. `append` adds to it: to JSON one line for the value, or for each item "
        "of a list; to YAML one document; to text the text, ended by a new line.",
    )
    type: Format | None = Field(
        None, description="What the file holds. By default its extension tells, and `yaml` is assumed when it does not."
    )
    data_key: str | None = Field(
        None, description="What to write or append: a key, a dotted path, or `.` for the whole of `_data`."
    )

    @model_validator(mode="after")
    def _something_to_write(self) -> File:
        if self.mode != "read" and self.data_key is None:
            raise ValueError(f"mode {self.mode} needs data_key, the data to {self.mode}")
        return self

    @property
    def acts(self) -> bool:
        return self.mode != "read"

    def run(self, run: Run) -> Json:
        path = run.render(self.path)
        format = self.type or BY_EXTENSION.get(PurePosixPath(path).suffix.lower(), "yaml")
        if self.mode == "read":
            return _read(path, run.read_file(path), format)
        value = run.lookup(self.data_key or ".")
        content = _encoded(path, _appended(value, format) if self.mode == "append" else _written(value, format))
        put = run.append_file if self.mode == "append" else run.write_file
        put(path, content)
        return {"path": path, "bytes": len(content)}


def _read(path: str, content: bytes, format: Format) -> Json:
    from engine.reading import ReadingError, decode, read_json, read_yaml

    try:
        text = decode(content)
        match format:
            case "json":
                return read_json(text)
            case "yaml":
                return read_yaml(text)
        return text
    except ReadingError as error:
        raise StepFailed(f"file {path!r} cannot be read as {format}: {error}") from error


def _written(value: Json, format: Format) -> str:
    match format:
        case "json":
            return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        case "yaml":
            return _yaml(value)
    return value if isinstance(value, str) else _line(value)


def _appended(value: Json, format: Format) -> str:
    match format:
        case "json":
            records = value if isinstance(value, list) else [value]
            return "".join(f"{_line(record)}\n" for record in records)
        case "yaml":
            return f"---\n{_yaml(value)}"
    text = _written(value, format)
    return text if text.endswith("\n") else f"{text}\n"


def _line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _encoded(path: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise StepFailed(
            f"file {path!r} cannot be written: the data holds a half character (U+{ord(text[error.start]):04X})"
        ) from error


def _yaml(value: Json) -> str:
    import yaml

    text: str = yaml.dump(value, Dumper=_dumper(), sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n")


@cache
def _dumper() -> type[Any]:
    """A dumper without anchors, whose texts stay texts under YAML 1.1 (`on`, dates) and 1.2 (`1e3`, `0o17`) alike."""
    import re

    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    number = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|0o[0-7]+$")
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return Dumper
