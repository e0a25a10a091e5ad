"""The settings of what a flow may reach arrive at its steps."""

from __future__ import annotations

from engine.models.job import Status
from engine.models.limits import RunLimits
from engine.settings import Settings


def test_a_job_reaches_what_its_limits_let_it_reach(run, peer):
    call = [{"name": "call", "type": "rest", "rest": {"uri": peer(200, "{}")}}]

    ends = {
        "open": run(call).end,
        "denied": run(call, egress_deny="127.0.0.0/8").end,
        "others": run(call, egress_allow="10.0.0.0/8").end,
        "allowed": run(call, egress_allow="127.0.0.1").end,
    }

    assert {name: end.status for name, end in ends.items()} == {
        "open": Status.SUCCESS,
        "denied": Status.FAILED,
        "others": Status.FAILED,
        "allowed": Status.SUCCESS,
    }
    assert "the address 127.0.0.1 is not allowed (in 127.0.0.0/8, EGRESS_DENY)" in ends["denied"].errors[0]["error"]
    assert "the address 127.0.0.1 is not allowed (not in EGRESS_ALLOW)" in ends["others"].errors[0]["error"]


def test_the_limits_take_both_lists_from_the_settings():
    limits = RunLimits.of(Settings(egress_deny="10.0.0.0/8", egress_allow="::1"))

    assert (limits.egress_deny, limits.egress_allow) == ("10.0.0.0/8", "::1")
    assert RunLimits.of(Settings()).egress_deny == ""
