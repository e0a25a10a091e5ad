"""Roles: what the holder of a token may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Each of the four people's roles may do what those before it may; `tick` is for a clock."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"
    TICK = "tick"

    def reaches(self, needed: Role) -> bool:
        """Whether this role may do what needs that one. A clock may call the tick, and so may operators and above."""
        if self is Role.TICK or needed is Role.TICK:
            return needed is Role.TICK and self is not Role.VIEWER
        return _LADDER.index(self) >= _LADDER.index(needed)


_LADDER = (Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN)
