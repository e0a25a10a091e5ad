"""A job as a shell shows it."""

from __future__ import annotations

from engine.cli.service import Object
from engine.cli.terminal import plain, print_table
from engine.cli.verbs import print_json, time


def print_job(job: Object, as_json: bool) -> None:
    """What is known of it, and a table of its steps; as JSON everything."""
    if as_json:
        print_json(job)
        return
    facts = {
        "job": job["id"],
        "flow": f"{job['path']} ({job['name']})",
        "status": ", ".join(filter(None, (standing(job), job["reason"]))),
        "message": job["message"],
        "queued": time(job["queued_time"]),
        "started": time(job["start_time"]),
        "ended": time(job["end_time"]),
        "seconds": job["duration_seconds"],
    }
    for name, value in facts.items():
        if value is not None:
            print(f"{name + ':':<9} {plain(value)}")
    for error in job["errors"]:
        if error["error"] != job["message"]:
            print(f"{'error:':<9} {plain(error['error'])}")
    print()
    head = ("STEP", "TYPE", "STATUS", "SECONDS", "ERROR")
    print_table(head, [(_name(s), s["type"], s["status"], s["duration_seconds"], s["error"]) for s in job["steps"]])


def standing(job: Object) -> str:
    """How it ended, or where it is."""
    return str(job["status"] or job["state"])


def _name(step: Object) -> str:
    name = f"{step['parent']} > {step['name']}" if step["parent"] else step["name"]
    return f"{name} (finally)" if step["is_finally"] else name
