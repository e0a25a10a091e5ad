"""How keys and the audit are shown: JSON, the same in an answer and on a terminal."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from engine.models.times import format_time

if TYPE_CHECKING:
    from engine.models import answers
    from engine.models.access import ApiKey
    from engine.models.audit import AuditRow


def key_json(key: ApiKey, zone: tzinfo, now: datetime) -> answers.Key:
    """A key as it stands now, without what opens anything."""
    return {
        "key_id": key.id,
        "name": key.name,
        "role": key.role,
        "prefix": key.prefix,
        "flows": key.flows,
        "state": key.state(now),
        "created_time": format_time(key.created_time, zone),
        "expires_time": format_time(key.expires_time, zone),
        "last_used_time": format_time(key.last_used_time, zone),
        "revoked_time": format_time(key.revoked_time, zone),
    }


def audit_json(row: AuditRow, zone: tzinfo) -> answers.AuditRow:
    """A change that was made."""
    change = row.change
    return {
        "id": row.id,
        "time": format_time(row.time, zone),
        "actor": change.actor,
        "role": change.role,
        "action": change.action,
        "target": change.target,
        "result_id": change.result_id,
        "address": change.address,
    }
