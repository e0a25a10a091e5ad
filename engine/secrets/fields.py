"""What a value from Vault holds: the fields that make it a secret of one type, and every text that must be masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.models.job import Json

NEEDED = {"credential": ("username", "password"), "token": ("token",), "api-key": ("key", "value")}
"""The types that a value is tried as, in this order, with the fields each needs."""

HIDDEN = ("password", "token", "value")
"""The fields whose values are secret; a user's name and a header's are not."""

LACKING = "it has no username and password, no token, and no key and value; a jq_expression can give them these names"


def fields_of(value: Json) -> dict[str, str] | None:
    """The fields by which authentication knows them, and the `type` they make; None when they make none.

    Fields that belong to another type are kept, so that a secret may serve two; a whole number counts as its digits.
    """
    if not isinstance(value, dict):
        return None
    given = {name: _text(value.get(name)) for names in NEEDED.values() for name in names}
    fields = {name: text for name, text in given.items() if text}
    kind = next((kind for kind, names in NEEDED.items() if all(name in fields for name in names)), None)
    return None if kind is None else {"type": kind, **fields}


def hidden_values(fields: Mapping[str, str]) -> list[str]:
    """The values of a secret that must be masked."""
    return [fields[name] for name in HIDDEN if name in fields]


def hidden_pairs(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """The user's name with the password, as Basic authentication joins them."""
    return [(fields["username"], fields["password"])] if {"username", "password"} <= fields.keys() else []


def texts(value: Json) -> Iterator[str]:
    """Every text in the value, however deep, keys aside."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as items:
                waiting += items.values()
            case list() as items:
                waiting += items


def _text(value: Json) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None
