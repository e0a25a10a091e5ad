"""What is changed on the data folder is in the audit too, under the name of who is logged in."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from engine.models.access import Role
from engine.models.audit import Change

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator


def record(engine: Orchestrator, action: str, target: str | None, result_id: str | None = None) -> None:
    """Write down a change that was made here; `action` is the name of the API's operation."""
    engine.record(change_here(action, target, result_id))


def change_here(action: str, target: str | None, result_id: str | None = None) -> Change:
    """A change by who is logged in."""
    return Change(f"cli:{_login_name()}", Role.ADMIN, action, target, result_id)


def _login_name() -> str:
    """By the system's own list: the environment says what one likes."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
