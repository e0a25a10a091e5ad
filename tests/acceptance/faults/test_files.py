"""Faults of files, by their numbers: what a flow may name, what it may not, and a process that dies while it writes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest
from services import flow, until


@pytest.fixture(autouse=True)
def outside(data: Any) -> Iterator[Any]:
    """A file and a folder beside the data folder, and links to them inside."""
    beside = data.parent / "outside"
    beside.mkdir(exist_ok=True)
    (beside / "there.yml").write_text("found: it")
    links = {"input/link.yml": beside / "there.yml", "input/folder": beside, "input/self.yml": "self.yml"}
    for name, target in links.items():
        (data / name).symlink_to(target)
    yield beside
    for name in links:
        (data / name).unlink()


def file(mode: str, path: str, **options: Any) -> dict[str, Any]:
    keys = {} if mode == "read" else {"data_key": "value"}
    return {"name": mode, "type": "file", "file": {"path": path, "mode": mode, **keys, **options}}


VALUE = {"name": "value", "type": "set_fact", "set_fact": {"value": "written by a flow"}}

ESCAPES = [
    "../outside/there.yml",
    "input/../../outside/there.yml",
    "/etc/passwd",
    "//etc/passwd",
    "{{ '..' }}/outside/there.yml",
    "input/link.yml",
    "input/folder/there.yml",
    "input/self.yml",
    "..",
    ".",
    "input",
    "input/there.yml/",
    "a\0b.yml",
    "~/x.yml",
    "x" * 300 + ".yml",
    "file:///etc/passwd",
    "/proc/self/environ",
    "/dev/zero",
    "input/./../../outside/there.yml",
]
RESERVED = [
    "flows/own.yml",
    "templates/own.j2",
    "secrets.yml",
    "config.yml",
    "jobs.sqlite",
    "jobs.sqlite-wal",
    "logs/spooler_service.log",
    "logs/own.log",
    "flows/../flows/own.yml",
    "./flows/own.yml",
    "input/../secrets.yml",
    "FLOWS/../secrets.yml",
    ".tmp-0123456789abcdef",
]


@pytest.mark.parametrize("mode", ["read", "write"])
@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: path[:40].replace("\0", "NUL"))
def test_row_77_no_path_leads_out_of_the_data_folder(run, outside, path, mode):
    job = run(VALUE, file(mode, path), data={})

    if path == "~/x.yml" and mode != "read":  # A folder named `~` is a folder like any other.
        assert job["status"] == "success"
        return
    if path.startswith("file:") and mode != "read":  # So is one named `file:`.
        assert job["status"] in ("success", "failed")
    else:
        assert (job["status"], job["reason"]) == ("failed", "step_error"), job
        assert "root:" not in json.dumps(job)
        assert "found" not in json.dumps(job["result"])
    assert [each.name for each in outside.iterdir()] == ["there.yml"]
    assert (outside / "there.yml").read_text() == "found: it"


@pytest.mark.parametrize(
    "path", ["../flows/x.yml", "/etc/passwd", "../../etc/passwd", "a\0b", "", "x" * 2000, "input/x.yml"]
)
def test_row_77_nor_does_the_path_of_a_launch(service, path):
    answer = service.post("/api/jobs", {"path": path})

    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text


@pytest.mark.parametrize("kind", ["flow", "jinja"])
@pytest.mark.parametrize("path", ["../secrets.yml", "/etc/passwd", "../../etc/passwd", "..", "flows/../../secrets.yml"])
def test_row_77_nor_that_of_a_sub_flow_or_template(refuse, kind, path):
    options = {"path": path}

    refused = refuse(json.dumps({"name": "x", "steps": [{"name": "x", "type": kind, kind: options}]}))

    assert "canary" not in json.dumps(refused)


def test_row_77_a_link_that_is_swapped_while_it_is_read_never_leads_out(data, outside, run):
    path, inside = data / "input" / "swapped.yml", data / "input" / "inside.yml"
    inside.write_text("inside: yes")
    path.symlink_to(inside)
    over = Event()

    def swap() -> None:
        targets = [outside / "there.yml", inside]
        while not over.wait(0.0005):
            spare = data / "input" / "spare"
            spare.symlink_to(targets[0])
            spare.rename(path)
            targets.reverse()

    swapping = Thread(target=swap)
    swapping.start()
    reads = [file("read", "input/swapped.yml") | {"name": f"r{n}", "ignore_errors": [".*"]} for n in range(200)]
    try:
        job = run(*reads)
    finally:
        over.set()
        swapping.join()
        path.unlink()

    values = [job["result"][name] for name in job["result"] if name.startswith("r")]
    assert job["status"] == "success"
    assert values.count({"inside": "yes"}) == len(values)


@pytest.mark.parametrize("path", RESERVED)
def test_row_78_what_the_service_lives_on_is_out_of_a_flows_reach(data, run, path):
    before = (data / "secrets.yml").read_bytes()
    steps = [file(mode, path, type="text") | {"ignore_errors": [".*"]} for mode in ("read", "write", "append")]

    job = run(VALUE, *steps)

    assert [step["status"] for step in job["steps"]] == ["success", "ignored", "ignored", "ignored"]
    assert (data / "secrets.yml").read_bytes() == before
    assert not (data / "flows" / "own.yml").exists()
    assert not (data / "config.yml").exists()


def test_row_79_a_process_that_is_killed_while_it_writes_leaves_a_whole_file(service, data):
    size = 400_000
    steps = [
        {"name": "value", "type": "set_fact", "set_fact": {"value": f"{{{{ __input__.letter * {size} }}}}"}},
        *(file("write", "output/large.txt") | {"name": f"write {number}"} for number in range(300)),
    ]
    path = flow(data, "large.yml", json.dumps({"name": "large", "steps": steps}))
    written = data / "output" / "large.txt"
    killed = 0
    for number, letter in enumerate("ab" * 6):
        job_id = service.launch(path, {"letter": letter})
        until(lambda last=letter: written.exists() and written.read_text()[-1:] == last)
        Event().wait(0.003 * number)
        for pid in service.job_processes():
            os.kill(pid, signal.SIGKILL)
        killed += service.finished(job_id)["status"] == "failed"
        assert written.read_text() in ("a" * size, "b" * size)
    for left in data.rglob(".tmp-*"):  # What a kill leaves is swept when it is an hour old.
        left.unlink()
    assert killed > 6


def fifo(path: Any) -> None:
    os.mkfifo(path)


def device(path: Any) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Any) -> None:
    with path.open("wb") as file:
        file.truncate(10_000_000_000)


def half(path: Any) -> None:
    path.write_text('{"a": [1, 2,')


def binary(path: Any) -> None:
    path.write_bytes(b"\xff\xfe\x00\x01")


def locked(path: Any) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [fifo, device, huge, half, binary, locked])
@pytest.mark.parametrize("type", ["json", "yaml", "text"])
def test_row_80_an_input_that_is_no_whole_file_of_its_kind_is_an_error(
    data: Any, run: Any, make: Callable[[Any], None], type: str
) -> None:
    path = data / "input" / f"odd-{make.__name__}"
    make(path)
    try:
        job = run(file("read", f"input/odd-{make.__name__}", type=type))
    finally:
        path.rmdir() if path.is_dir() else path.unlink()

    if make is half and type == "text":
        assert job["result"]["read"] == '{"a": [1, 2,'
    else:
        assert (job["status"], job["reason"]) == ("failed", "step_error"), job
        assert f"odd-{make.__name__}" in job["errors"][0]["error"]
    assert job["duration_seconds"] < 5
