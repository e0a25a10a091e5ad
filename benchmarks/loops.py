"""The figures of `flow_loop`: its time and its memory, beside the same work without a flow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jq
import quiet_host
from timing import Row, beside, median_cpu_ms, median_ms

HERE = Path(__file__).resolve().parent
LOOP = """
name: main
steps:
  - name: each
    type: flow_loop
    flow_loop: {path: sub.yml, data_key: __input__.items, max_workers: %s}
"""
PROGRAM = "{id: .id, double: (.value * 2)}"
ONE_QUERY = f"""
name: sub
steps:
  - name: pick
    type: jq
    jq: {{expression: '{PROGRAM}', data_key: __input__}}
"""
ONE_CALL = """
name: sub
steps:
  - name: call
    type: rest
    rest: {method: GET, uri: "%s/{{ id }}"}
"""
CALLS, WORKERS, CALL_MS = 200, 50, 50


def figures(folder: Path, quick: bool) -> Iterator[Row]:
    """A thousand queries, two hundred calls, ten thousand items."""
    yield _queries(folder / "queries", 5 if quick else 11)
    if not quick:
        yield _calls(folder / "calls", 5)
        yield _memory()


def _queries(data: Path, rounds: int) -> Row:
    message = quiet_host.prepared(data, {"main.yml": LOOP % 8, "sub.yml": ONE_QUERY})
    items = [{"id": number, "value": number * 3, "text": "x" * 20} for number in range(1000)]
    program = jq.compile(PROGRAM)
    floor = median_cpu_ms(lambda: [program.input_value(item).all() for item in items], rounds)
    ours = median_cpu_ms(lambda: quiet_host.run(message, {"items": items}, data), rounds)
    return beside("flow_loop, 1000 items x one jq step", ours, floor, "<= 6.0")


def _calls(data: Path, rounds: int) -> Row:
    with _peer() as url:
        message = quiet_host.prepared(data, {"main.yml": LOOP % WORKERS, "sub.yml": ONE_CALL % url})
        items = [{"id": number} for number in range(CALLS)]
        ours = median_ms(lambda: quiet_host.run(message, {"items": items}, data), rounds, warm_up=1)
    floor = CALLS / WORKERS * CALL_MS
    return beside(f"flow_loop, {CALLS} calls of {CALL_MS} ms, max_workers {WORKERS}", ours, floor, "<= 1.4")


def _memory() -> Row:
    """In a process of its own, for a peak never sinks."""
    done = subprocess.run([sys.executable, HERE / "peak.py"], check=True, capture_output=True, text=True)
    peak, text = json.loads(done.stdout)
    ratio = peak / text
    return "flow_loop, 10000 items x 3 steps, peak", f"{peak / 1e6:.1f} MB", f"{text / 1e6:.1f} MB", ratio, "<= 12"


@contextmanager
def _peer() -> Iterator[str]:
    """A peer in another process that takes its time over every answer."""
    command = [sys.executable, HERE / "slow_peer.py", str(CALL_MS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()
