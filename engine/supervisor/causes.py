"""Why a job did not end by itself, in words."""

from __future__ import annotations

import signal

from engine.models.job import Reason


def stop_sentence(reason: str, timeout_seconds: float | None) -> str:
    """What is said of a job that was stopped for this reason."""
    match reason:
        case Reason.TIMEOUT:
            return f"The job timed out after {timeout_seconds or 0:g} seconds."
        case Reason.CANCELLED:
            return "The job was cancelled."
        case Reason.SHUTDOWN:
            return "The job was stopped because its service was shut down."
        case Reason.WORKER_LOST:
            return "The process that ran the job was lost; its steps are not run again."
    return f"The job was stopped: {reason}."


def cause_of_death(exit_status: int | None, memory_bytes: int) -> tuple[str, Reason]:
    """How a job's process with so much memory died, and the job's reason; a negative status is a signal's number."""
    if exit_status is None:
        return "was lost", Reason.PROCESS_DIED
    if exit_status >= 0:
        return f"ended with code {exit_status}; the service's log has its last words", Reason.PROCESS_DIED
    name = signal_name(-exit_status)
    match -exit_status:
        case signal.SIGABRT:
            limit = f"a job may take {memory_bytes >> 20} MiB (JOB_MEMORY_MB)"
            return f"was killed by {name}, as jq does when memory runs out; {limit}", Reason.LIMIT
        case signal.SIGXCPU:
            return f"was killed by {name}: it used more processor time than its timeout allows", Reason.LIMIT
    return f"was killed by {name}", Reason.PROCESS_DIED


def signal_name(number: int) -> str:
    """What the system calls it; those between its real-time signals have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
