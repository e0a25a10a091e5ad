"""The application for a WSGI server, built when a worker imports this: `gunicorn functions.wsgi:app`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from functions_framework import create_app

if TYPE_CHECKING:
    import flask

MAIN = Path(__file__).with_name("main.py")

app: flask.Flask = create_app(target="api", source=str(MAIN))  # type: ignore[no-untyped-call]
