"""Values to the bytes of a request's body."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from engine.errors import StepFailed
from engine.models.job import Json

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
TEXT_TYPE = "text/plain; charset=utf-8"


def media_type(content_type: str) -> str:
    """`application/json` of `Application/JSON; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON."""
    name = media_type(content_type)
    return name.endswith(("/json", "+json"))


def text_of(value: Json) -> str:
    """A value as it stands in a header, a query or a form: texts as they are, all else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rendered_body(value: Json, content_type: str, *, as_data: bool) -> tuple[bytes, str]:
    """The bytes, and the Content-Type they have unless one is given. `as_data` writes JSON, or a form if it says so."""
    if as_data and media_type(content_type) == FORM_TYPE and isinstance(value, dict):
        return urlencode(_form(value)).encode(), FORM_TYPE
    if as_data:
        return _bytes(json.dumps(value, ensure_ascii=False)), JSON_TYPE
    text = text_of(value)
    return _bytes(text), _text_type(text, content_type)


def _form(fields: dict[str, Json]) -> list[tuple[str, str]]:
    pairs = [(name, item) for name, value in fields.items() for item in (value if isinstance(value, list) else [value])]
    return [(name, text_of(item)) for name, item in pairs if item is not None]


def _text_type(text: str, content_type: str) -> str:
    from engine.reading import ReadingError, read_json

    try:
        value = read_json(text)
    except ReadingError as error:
        if is_json(content_type):
            raise StepFailed(
                f"the body is to be {media_type(content_type)}, and is rendered to what is not JSON: {error}"
            ) from error
        return TEXT_TYPE
    return JSON_TYPE if isinstance(value, dict | list) else TEXT_TYPE


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise StepFailed(f"the body holds a half character (U+{ord(text[error.start]):04X})") from error
