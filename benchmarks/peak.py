"""Runs a loop over many items and prints what its process took at its peak, and how long its data is as JSON text."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import quiet_host

from engine import child

LOOP = """
name: main
steps:
  - name: each
    type: flow_loop
    flow_loop: {path: sub.yml, data_key: __input__.items}
"""
THREE_STEPS = """
name: sub
steps:
  - name: pick
    type: jq
    jq: {expression: '{id: .id, double: (.value * 2)}', data_key: __input__}
  - name: page
    type: jinja
    jinja: {template: 'Ticket {{ id }}: {{ text }}'}
  - name: fact
    type: set_fact
    set_fact: {value: {id: '{{ id }}', text: '{{ page }}'}}
"""
ITEMS = 10_000


def megabytes(name: str) -> int:
    """A size from /proc/self/status, in bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


with tempfile.TemporaryDirectory() as folder:
    data = Path(folder)
    message = quiet_host.prepared(data, {"main.yml": LOOP, "sub.yml": THREE_STEPS})
    items = json.dumps([{"id": n, "value": n * 3, "text": f"The printer {n} burns"} for n in range(ITEMS)])
    child.preload()
    quiet_host.run(message, {"items": []}, data)
    before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
    end = quiet_host.run(message, {"items": json.loads(items)}, data, max_step_runs=100_000)
    print(json.dumps([megabytes("VmHWM") - before, len(end.data_json)]))
