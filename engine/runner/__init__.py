"""Runs a job's flow in the job's process: step by step, its sub-flows and loops included, its `finally_step` last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.models.limits import RunLimits
from engine.runner.endings import FlowEnd, Host, Stopped
from engine.runner.flow import FlowRun
from engine.runner.job import JobRun

__all__ = ["FlowEnd", "Host", "Stopped", "run_job"]


def run_job(message: Mapping[str, Any], payload: bytes, host: Host, limits: RunLimits) -> FlowEnd:
    """Run the job that a supervisor's message describes.

    The payload is JSON: the launch's input, or with `finally_only` the `_data` that a lost or killed run left. A stop
    (`Stopped` in the main thread) ends the steps, not the `finally_step`; the end then says `stopped`, for who sent it
    knows why.
    """
    job = JobRun(host, limits, message)
    value = json.loads(payload)
    if message["finally_only"]:
        flow = FlowRun(job, job.path, job.revision, value.get("__input__"))
        flow.data.update(value)
        end = flow.run_finally(FlowEnd(errors=list(message["errors"])))
    else:
        flow = FlowRun(job, job.path, job.revision, value)
        end = flow.execute()
    job.close()
    return end.with_data(flow.data, unclean=job.unclean)
