"""A secret as a step uses it: one from Vault with a `jq_expression` is made of what Vault gave, here in the job."""

from __future__ import annotations

from engine import templating
from engine.errors import StepFailed
from engine.runner.endings import Host
from engine.secrets.fields import LACKING, fields_of, hidden_pairs, hidden_values


def secret_fields(host: Host, name: str, *, fresh: bool = False) -> dict[str, str]:
    """The fields of the secret, `type` among them; StepFailed names it, and never says what was in it."""
    answer = host.secret(name, fresh=fresh)
    expression = answer.get("jq_expression")
    if not isinstance(expression, str):
        return {key: str(value) for key, value in answer.items()}
    try:
        results = templating.jq_all(expression, answer["value"])
    except templating.ExpressionError:  # Its text may quote the value.
        raise StepFailed(f"secret {name!r} is not available: its jq_expression fails on what Vault gave") from None
    if len(results) != 1:
        raise StepFailed(f"secret {name!r} is not available: its jq_expression must give one object")
    fields = fields_of(results[0])
    if fields is None:
        raise StepFailed(f"secret {name!r} is not available: after its jq_expression {LACKING}")
    host.hide(hidden_values(fields), hidden_pairs(fields))
    return {**fields, "hosts": str(answer["hosts"])} if "hosts" in answer else fields
