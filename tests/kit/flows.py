"""Flows that tests run: one that ends at once, one that does not, one that tidies up when it is stopped."""

from __future__ import annotations

QUICK = "name: quick\nsteps:\n  - {name: v, type: set_fact, set_fact: {value: 1}}\n"
SLOW = "name: slow\nsteps:\n  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
TIDY = (
    "name: tidy\nfinally_step: tidy\nsteps:\n"
    "  - {name: wait, type: sleep, sleep: {seconds: 60}}\n"
    "  - {name: tidy, type: file, file: {path: tidied.txt, mode: append, type: text, data_key: __flow_path__}}\n"
)
