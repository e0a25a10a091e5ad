"""The API described by itself: as OpenAPI for programs, as Swagger UI for people."""

from __future__ import annotations

from functools import cache
from importlib import metadata, resources
from pathlib import Path

from engine.errors import FileMissing, SettingInvalid
from functions._answers import Page, Redirect
from functions._http import operation
from functions._json import to_bytes

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

ASK_AGAIN = {"Cache-Control": "no-cache"}
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


@operation("GET", "/api/openapi.json", role=None, errors=[SettingInvalid])
def openapi_json(here: str) -> Page:
    """This description. It is OpenAPI 3.1, and changes with the version of the service only."""
    return Page(_description("/".join([".."] * (here.count("/") - 1))), "application/json", ASK_AGAIN)


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


@cache
def _description(up: str) -> bytes:
    from engine.settings import Settings
    from functions._openapi import describe

    return to_bytes(describe(Settings.from_environment(), up))
