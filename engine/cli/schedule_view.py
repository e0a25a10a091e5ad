"""A schedule as a shell shows it."""

from __future__ import annotations

from engine.cli.service import Object


def times(schedule: Object) -> str:
    """When it is due."""
    if schedule["cron"] is None:
        return f"every {schedule['every_seconds']} s"
    return f"{schedule['cron']} ({schedule['timezone']})" if schedule["timezone"] else str(schedule["cron"])
