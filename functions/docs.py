"""The API described by itself: as OpenAPI for programs, as Swagger UI for people."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import FileMissing, SettingInvalid
from engine.models.access import Role
from functions._answers import Page, Redirect
from functions._http import operation
from functions._json import to_bytes

if TYPE_CHECKING:
    from engine.models.flow import FlowInputs
    from engine.orchestrator import Orchestrator

OURS = Path(__file__).with_name("swagger")
THEIRS = "flask_swagger_ui"
"""The package that brings Swagger UI's files."""

FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript",
}
"""What the page loads, and nothing else is there."""

ASK_AGAIN = {"Cache-Control": "no-cache", "Vary": "Authorization"}
KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}
"""For files whose address changes with their content."""

POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
"""Nothing from elsewhere, and no code or style in the page itself. Swagger UI has its icons as `data:`."""


@operation("GET", "/api/openapi.json", role=None, errors=[SettingInvalid], may_know=Role.VIEWER)
def openapi_json(here: str, engine: Orchestrator | None) -> Page:
    """This description. It is OpenAPI 3.1, and without a token changes with the version of the service only.

    With a token of a viewer or more it also has an operation for each document that declares `inputs` and that the
    token reaches; 401 for one that is not known.
    """
    up = "/".join([".."] * (here.count("/") - 1))
    flows = engine.declared_inputs() if engine is not None else []
    content = _description(up) if not flows else _DESCRIPTIONS.get(up, flows)
    return Page(content, "application/json", ASK_AGAIN)


@operation("GET", "/api/docs/", role=None, media=["text/html"])
def docs_page(here: str) -> Page | Redirect:
    """This description as a page. It can try each operation with a token that is typed in there."""
    if not here.endswith("/"):
        return Redirect(f"{here.rpartition('/')[2]}/")
    html = (OURS / "index.html").read_text(encoding="utf-8").replace("VERSION", metadata.version("flask-swagger-ui"))
    return Page(html.encode(), "text/html; charset=utf-8", {**ASK_AGAIN, **POLICY})


@operation("GET", "/api/docs/<file>", role=None, errors=[FileMissing], media=sorted(set(FILES.values())))
def docs_file(file: str) -> Page:
    """A file of that page."""
    if file not in FILES:
        raise FileMissing(f"The page has no file {file[:100]!r}.")
    if (OURS / file).exists():
        return Page((OURS / file).read_bytes(), FILES[file], ASK_AGAIN)
    return Page((resources.files(THEIRS) / "dist" / file).read_bytes(), FILES[file], KEEP)


@operation("GET", "/apidocs", role=None)
def apidocs(here: str) -> Redirect:
    """Another name of the page."""
    return Redirect("../api/docs/" if here.endswith("/") else "api/docs/")


class _Descriptions:
    """Those that were last asked for with a token, each until a document has changed."""

    MOST = 8

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def get(self, up: str, flows: Sequence[FlowInputs]) -> bytes:
        """The description with these documents."""
        from functions._openapi.launches import fingerprint, with_launches

        key = up, fingerprint(flows)
        content = self._kept.get(key)
        if content is None:
            content = to_bytes(with_launches(_described(up), flows))
            if len(self._kept) >= self.MOST:
                self._kept.clear()
            self._kept[key] = content
        return content


_DESCRIPTIONS = _Descriptions()


@cache
def _description(up: str) -> bytes:
    return to_bytes(_described(up))


@cache
def _described(up: str) -> dict[str, Any]:
    from engine.settings import Settings
    from functions._openapi import describe

    return describe(Settings.from_environment(), up)
