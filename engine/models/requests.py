"""The bodies that the API takes. Only a request that has a body imports this: building models costs a cold start."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import RequestInvalid

SHOWN = 20
"""How many problems an answer lists; a body can have a million."""


class RequestBody(BaseModel):
    """A JSON object whose fields are all known, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def read(cls, value: dict[str, Any]) -> Self:
        """The body; RequestInvalid names every field that is wrong, and what is expected of it."""
        known = cls.model_fields
        problems = [
            {"field": name[:100], "message": f"is not known here (known: {', '.join(known)})"}
            for name in value
            if name not in known
        ]
        try:
            body = cls.model_validate({name: item for name, item in value.items() if name in known})
        except ValidationError as error:
            wrong = [{"field": _place(e["loc"]), "message": _sentence(e["type"], e["msg"])} for e in error.errors()]
            raise _invalid(wrong + problems) from error
        if problems:
            raise _invalid(problems)
        return body


class LaunchJob(RequestBody):
    """What to run, on what, and for how long at most."""

    path: str = Field(min_length=1, max_length=1024, description="The document's path below FLOWS_PATH.")
    data: Any = Field(None, description="Any JSON; the flow finds it under `__input__`.")
    timeout_seconds: float | None = Field(
        None, ge=1, le=2_592_000, description="How long the job may run; FLOW_TIMEOUT_SECONDS when it does not say."
    )
    priority: int = Field(0, ge=-1_000_000, le=1_000_000, description="The lowest number runs first, as with nice(1).")


def _invalid(problems: list[dict[str, str]]) -> RequestInvalid:
    sentences = [f"`{problem['field']}` {problem['message']}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        sentences.append(f"and {len(problems) - SHOWN} more")
    return RequestInvalid(f"The body cannot be used: {'; '.join(sentences)}.", details=problems[:SHOWN])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _sentence(kind: str, message: str) -> str:
    """What is expected, to be read after the field's name."""
    if kind == "missing":
        return "is required"
    if kind == "string_unicode":
        return "must be text that UTF-8 can carry"
    for subject in ("Input", "String", "List", "Dictionary", "Value"):
        message = message.removeprefix(f"{subject} should ")
    return f"must {message}"
