"""The service log: whole lines whoever writes, no secret in them, and nothing of it that stops the service."""

from __future__ import annotations

import json
import logging
import multiprocessing
import sys
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.errors import StorageFull
from engine.service_log import MOST_BYTES, LogFile, ServiceLog, begin
from engine.settings import Settings

TOKEN = "canary-token-1"
WRITERS, LINES = 4, 1000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "logs").mkdir()
    return Settings(data_path=tmp_path, api_token=TOKEN)


@pytest.fixture
def open_log(settings, monkeypatch):
    """Begins the service's log with settings of the test's choice, and ends it."""
    opened: list[ServiceLog] = []
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def open_(*, stderr: bool = True, **changes) -> ServiceLog:
        from dataclasses import replace

        opened.append(begin(replace(settings, **changes), stderr=stderr))
        return opened[-1]

    yield open_
    for log in opened:
        log.close()


@pytest.fixture
def records(settings):
    """What the file holds, each line read as JSON."""
    path = settings.log_path / settings.log_file_name
    return lambda: [json.loads(line) for line in path.read_bytes().splitlines()]


def on_stderr(capfd) -> list[dict]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_a_record_is_one_object_on_stderr_and_in_the_file(open_log, records, capfd):
    open_log(timezone=ZoneInfo("Asia/Tokyo"))

    logging.getLogger("octoflow.tick").info("hello %s", "you", extra={"job": "job-1"})

    [entry] = records()
    assert on_stderr(capfd) == [entry]
    assert list(entry) == ["time", "level", "logger", "message", "pid", "job"]
    assert entry["time"][-6:] == "+09:00"
    assert len(entry["time"]) == len("2026-03-01T14:00:00.123+09:00")
    assert (entry["level"], entry["logger"], entry["message"]) == ("INFO", "octoflow.tick", "hello you")
    assert (entry["job"], entry["pid"]) == ("job-1", multiprocessing.current_process().pid)


def test_a_command_leaves_the_terminal_alone(open_log, records, capfd):
    open_log(stderr=False)

    logging.getLogger("octoflow").warning("for the file")

    assert [entry["message"] for entry in records()] == ["for the file"]
    assert capfd.readouterr().err == ""


def test_a_process_has_one_log(open_log, records):
    assert open_log() is open_log()

    logging.getLogger("octoflow").info("once")

    assert len(records()) == 1


@pytest.mark.parametrize(
    ("level", "expected"),
    [("DEBUG", "dDiwW"), ("INFO", "iwW"), ("WARNING", "wW"), ("ERROR", "")],
)
def test_the_level_is_obeyed_by_us_and_of_others_only_warnings_are_kept(open_log, records, settings, level, expected):
    open_log(log_level=level)

    logging.getLogger("octoflow.x").debug("d")
    logging.getLogger("functions._http").debug("D")
    logging.getLogger("gunicorn.error").info("i")
    logging.getLogger("octoflow").warning("w")
    logging.getLogger("urllib3.connectionpool").warning("W")
    logging.getLogger("urllib3.connectionpool").info("never")

    path = settings.log_path / settings.log_file_name
    assert "".join(entry["message"] for entry in (records() if path.exists() else [])) == expected


def test_what_a_path_holds_cannot_forge_a_line_or_steer_a_terminal(open_log, settings, monkeypatch):
    # Without pytest's own handlers: what they collect is sent between processes, which a lone surrogate cannot be.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    open_log()
    evil = 'a\r\n{"level": "CRITICAL"}\x1b[2J\x9b31m\u2028\u202e\0\ud800'

    logging.getLogger("functions").warning("no flow %s", evil)

    content = (settings.log_path / settings.log_file_name).read_bytes()
    assert content.count(b"\n") == 1
    assert all(0x20 <= byte < 0x7F for byte in content[:-1])
    assert json.loads(content)["message"] == f"no flow {evil}"


def test_secrets_are_masked_in_messages_and_tracebacks(open_log, settings, capfd):
    log = open_log()
    log.mask = lambda text: text.replace("canary-secret-3", "***").replace(TOKEN, "***")

    try:
        raise ValueError("with canary-secret-3 inside")
    except ValueError:
        logging.getLogger("octoflow").exception("it was canary-secret-3 and %s", TOKEN)

    for text in ((settings.log_path / settings.log_file_name).read_text(), capfd.readouterr().err):
        entry = json.loads(text)
        assert "canary" not in text
        assert entry["message"] == "it was *** and ***"
        assert entry["exception"].endswith("ValueError: with *** inside")


def test_the_settings_own_secrets_are_masked_before_there_is_an_engine(open_log, records):
    open_log(sqlalchemy_database_uri="postgresql://user:canary-pass%2B2@host/name")

    logging.getLogger("octoflow").info("%s canary-pass%%2B2 canary-pass+2", TOKEN)

    assert records()[0]["message"] == "*** *** ***"


def test_a_mask_that_fails_lets_nothing_out_and_one_that_logs_does_not_run_in_circles(open_log, records):
    log = open_log()
    logger = logging.getLogger("octoflow")

    def fails(text: str) -> str:
        raise OSError(text)

    log.mask = fails
    logger.info("canary")
    log.mask = lambda text: (logger.info("the mask says %s", TOKEN), text)[1]
    logger.info("plain")

    messages = [entry["message"] for entry in records()]
    assert messages == ["(withheld, since its secrets could not be masked)", "the mask says ***", "plain"]


def test_values_that_do_not_fit_their_message_are_told_and_break_nothing(open_log, records):
    log = open_log()

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    for message, value in (("%d items", "many"), ("%s", Broken())):
        log.handle(logging.LogRecord("octoflow", logging.INFO, __file__, 1, message, (value,), None))

    assert [entry["message"] for entry in records()] == [
        "'%d items' (its values do not fit)",
        "'%s' (its values do not fit)",
    ]


@pytest.mark.parametrize("text", ["x" * 10_000_000, "\x1b" * 300_000, "é" * 300_000], ids=["plain", "escapes", "other"])
def test_a_long_record_loses_its_middle(open_log, settings, text):
    open_log()

    try:
        raise ValueError(f"{text} the end")
    except ValueError:
        logging.getLogger("octoflow").exception("the beginning %s", text)

    line = (settings.log_path / settings.log_file_name).read_bytes()
    entry = json.loads(line)
    assert len(line) <= MOST_BYTES
    assert entry["message"].startswith("the beginning ")
    assert entry["exception"].endswith(" the end")
    assert " [cut] " in entry["message"]


def test_errors_that_nobody_caught_are_records_too(open_log, records):
    open_log()

    thread = threading.Thread(target=lambda: 1 / 0, name="careless")
    thread.start()
    thread.join(5)
    try:
        raise KeyError("main")
    except KeyError:
        sys.excepthook(*sys.exc_info())

    in_thread, in_main = records()
    assert in_thread["message"] == "Thread careless ends by an error"
    assert in_thread["exception"].endswith("ZeroDivisionError: division by zero")
    assert in_main["exception"].endswith("KeyError: 'main'")


def test_what_is_full_busy_or_away_is_told_in_a_sentence_and_without_a_traceback(open_log, records):
    open_log()

    try:
        raise StorageFull("The database has no room left.") from OSError("the driver's own")
    except StorageFull:
        logging.getLogger("octoflow").exception("nothing was fired")

    (entry,) = records()
    assert entry["message"] == "nothing was fired"
    assert entry["exception"] == "StorageFull: The database has no room left."


def test_a_log_that_ends_leaves_logging_as_it_was(open_log):
    hooks = sys.excepthook, threading.excepthook
    level, handlers = logging.getLogger("octoflow").level, list(logging.getLogger().handlers)

    open_log(log_level="DEBUG").close()

    assert (sys.excepthook, threading.excepthook) == hooks
    assert logging.getLogger("octoflow").level == level
    assert logging.getLogger().handlers == handlers


def test_a_file_that_cannot_be_written_is_told_once_and_taken_up_again(open_log, settings, tmp_path, capfd):
    (tmp_path / "taken").write_text("a file, not a folder")
    log = open_log(log_path=tmp_path / "taken")

    for n in range(3):
        logging.getLogger("octoflow").info("line %d", n)
    told = [entry["message"] for entry in on_stderr(capfd)]
    (tmp_path / "taken").unlink()
    log._silent_until = 0.0  # as if the ten seconds were over
    logging.getLogger("octoflow").info("line 3")

    warning = f"The service log {tmp_path / 'taken' / settings.log_file_name} cannot be written: Not a directory."
    assert told == ["line 0", warning, "line 1", "line 2"]
    assert [entry["message"] for entry in on_stderr(capfd)] == ["line 3"]
    assert json.loads((tmp_path / "taken" / settings.log_file_name).read_text())["message"] == "line 3"


def test_a_pipe_that_nobody_reads_holds_nobody_up(open_log, settings, capfd):
    import os

    os.mkfifo(settings.log_path / settings.log_file_name)
    open_log()

    logging.getLogger("octoflow").info("goes on")

    assert [entry["level"] for entry in on_stderr(capfd)] == ["INFO", "WARNING"]


def test_a_full_disk_spoils_no_later_line(tmp_path):
    import os
    from unittest.mock import patch

    file = LogFile(tmp_path / "log", 10_000, 1)
    write, answers = os.write, [5, OSError(28, "No space left on device")]

    def full(fd: int, line: bytes) -> int:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return write(fd, line[:answer])

    with patch("os.write", full), pytest.raises(OSError, match="No space"):
        file.write(b"first line\n")
    file.write(b"second line\n")
    file.write(b"third line\n")
    file.close()

    assert (tmp_path / "log").read_bytes() == b"first\nsecond line\nthird line\n"


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_a_full_file_is_put_aside_and_so_many_are_kept(tmp_path, backups):
    file = LogFile(tmp_path / "log", 1000, backups)

    for n in range(60):
        file.write(b"%099d\n" % n)
    file.close()

    names = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert names == ["log", *(f"log.{n}" for n in range(1, backups + 1))]
    numbers = [int(line) for name in reversed(names) for line in (tmp_path / name).read_text().splitlines()]
    assert numbers == list(range(60 - 10 * (backups + 1), 60))


def test_a_file_that_somebody_moved_is_left_and_a_new_one_begun(tmp_path):
    file = LogFile(tmp_path / "log", 10_000, 3)
    file.write(b"before\n")

    (tmp_path / "log").rename(tmp_path / "moved")
    file.write(b"after\n")
    file.close()

    assert (tmp_path / "moved").read_bytes() == b"before\n"
    assert (tmp_path / "log").read_bytes() == b"after\n"


def test_who_does_not_get_the_lock_writes_on(tmp_path):
    import fcntl

    file = LogFile(tmp_path / "log", 1000, 3)
    with (tmp_path / ".log.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for n in range(20):
            file.write(b"%099d\n" % n)
    kept = (tmp_path / "log").stat().st_size
    file.write(b"last\n")
    file.close()

    assert kept == 2000
    assert (tmp_path / "log").read_bytes() == b"last\n"


def test_processes_that_write_and_rotate_at_once_lose_and_tear_no_line(tmp_path):
    """Enough files are kept for all lines to be counted."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WRITERS)
    processes = [context.Process(target=write_lines, args=(tmp_path, number, start)) for number in range(WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    files = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    entries = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    assert [process.exitcode for process in processes] == [0] * WRITERS
    assert len(files) > 10
    written = {(entry["writer"], entry["line"]) for entry in entries}
    assert len(entries) == WRITERS * LINES
    assert written == {(writer, line) for writer in range(WRITERS) for line in range(LINES)}


def write_lines(folder: Path, writer: int, start) -> None:
    file = LogFile(folder / "log", 20_000, 100)
    start.wait(30)
    for line in range(LINES):
        file.write(
            json.dumps({"writer": writer, "line": line, "text": "x" * (writer * 100 + line % 300)}).encode() + b"\n"
        )
