"""Which role may do what."""

from __future__ import annotations

import pytest

from engine.models.access import Role

LADDER = [Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN]


@pytest.mark.parametrize("held", LADDER)
@pytest.mark.parametrize("needed", LADDER)
def test_a_role_reaches_itself_and_those_below(held, needed):
    assert held.reaches(needed) is (LADDER.index(held) >= LADDER.index(needed))


def test_a_clock_may_tick_and_nothing_else():
    assert [needed for needed in Role if Role.TICK.reaches(needed)] == [Role.TICK]


def test_who_may_launch_may_tick():
    assert [held for held in Role if held.reaches(Role.TICK)] == [Role.OPERATOR, Role.EDITOR, Role.ADMIN, Role.TICK]
