"""The service log: one JSON object a line, to stderr and to a file that several processes write and rotate.

Why not `concurrent-log-handler`: it takes a lock for each record, which one stopped process keeps from all others, and
its import costs 30 ms. Here a record is one write to a file opened for appending, which no local file system tears;
only rotation takes a lock, without waiting for it: whoever does not get it writes on, and rotates next time.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.errors import Unavailable
from engine.models.times import format_time
from engine.settings import Settings

MOST_BYTES = 64 << 10
"""Of one line; the middle of longer texts is cut out."""

RETRY_SECONDS = 10.0
"""How long a file that could not be written is left alone."""

LOGGERS = ("octoflow", "functions", "gunicorn.error")
"""Those that obey LOG_LEVEL; of everybody else only warnings and worse are kept."""

Mask = Callable[[str], str]


def begin(settings: Settings, *, stderr: bool = True) -> ServiceLog:
    """Log to the file, and to stderr if so wished; the log that this process has already, if there is one."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, ServiceLog):
            return handler
    log = ServiceLog(settings, stderr=stderr)
    log.install(root)
    return log


def begin_from_environment() -> ServiceLog:
    """The service's log as the environment wants it. Raises SettingInvalid."""
    return begin(Settings.from_environment())


class ServiceLog(logging.Handler):
    """Writes records, secrets masked. What goes wrong with it is never the caller's concern."""

    def __init__(self, settings: Settings, *, stderr: bool) -> None:
        super().__init__()
        self._zone = settings.timezone
        self._level = getattr(logging, settings.log_level)
        self._own = _mask_of(settings)
        self.mask: Mask = self._own
        """What takes secrets out of texts; an engine knows more of them."""
        self._masking = threading.local()
        self._stderr = stderr
        self._file = LogFile(settings.log_path / settings.log_file_name, settings.log_max_bytes, settings.log_backups)
        self._silent_until: float | None = None
        self._undo = ExitStack()

    def install(self, root: logging.Logger) -> None:
        """Take all records of this process, and of a service also what would be a bare traceback on stderr."""
        root.addHandler(self)
        self._undo.callback(root.removeHandler, self)
        self._set_level(root, max(self._level, logging.WARNING))
        for name in LOGGERS:
            self._set_level(logging.getLogger(name), self._level)
        if self._stderr:
            logging.captureWarnings(True)
            self._undo.callback(logging.captureWarnings, False)
            hooks = sys.excepthook, threading.excepthook
            sys.excepthook, threading.excepthook = _uncaught, _uncaught_in_thread
            self._undo.callback(_set_hooks, *hooks)

    def close(self) -> None:
        """Take no more records, and leave logging as it was found."""
        self._undo.close()
        self._file.close()
        super().close()

    def handle(self, record: logging.LogRecord) -> bool:
        """Mask and format outside the lock: the mask has locks of its own, and may read a file."""
        line = self._line(record)
        with suppress(Exception):
            self.acquire()
            try:
                self._write(line, record.created)
            finally:
                self.release()
        return True

    def _write(self, line: bytes, now: float) -> None:
        if self._stderr:
            _write_stderr(line)
        if self._silent_until is not None and 0 <= self._silent_until - now <= RETRY_SECONDS:
            return
        try:
            self._file.write(line)
            self._silent_until = None
        except OSError as error:
            if self._silent_until is None:
                text = f"The service log {self._file.path} cannot be written: {error.strerror}."
                record = logging.LogRecord("octoflow.log", logging.WARNING, __file__, 0, text, None, None)
                _write_stderr(self._line(record, self._own))
            self._silent_until = now + RETRY_SECONDS

    def _set_level(self, logger: logging.Logger, level: int) -> None:
        self._undo.callback(logger.setLevel, logger.level)
        logger.setLevel(level)

    # A record as a line

    def _line(self, record: logging.LogRecord, mask: Mask | None = None) -> bytes:
        entry: dict[str, Any] = {
            "time": format_time(datetime.fromtimestamp(record.created, UTC), self._zone),
            "level": record.levelname,
            "logger": record.name[:100],
            "message": _cut(self._masked(_message(record), mask), MOST_BYTES // 4),
            "pid": record.process,
        }
        job = getattr(record, "job", None)
        if isinstance(job, str):
            entry["job"] = job[:100]
        if trace := _trace(record):
            entry["exception"] = _cut(self._masked(trace, mask), MOST_BYTES // 2)
        return json.dumps(entry).encode() + b"\n"

    def _masked(self, text: str, mask: Mask | None) -> str:
        """The text without secrets; a record that masking itself makes is masked with what is known without asking."""
        if mask is None:
            mask = self._own if getattr(self._masking, "now", False) else self.mask
        self._masking.now, before = True, getattr(self._masking, "now", False)
        try:
            return mask(text)
        except Exception:  # noqa: BLE001 - whatever it is: better no text than one with secrets
            return "(withheld, since its secrets could not be masked)"
        finally:
            self._masking.now = before


class LogFile:
    """A file that is appended to, a line in one write, and begun anew when it is full."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._fd: int | None = None
        self._torn = False

    def write(self, line: bytes) -> None:
        """Append the line; OSError when that is not possible."""
        fd, status = self._open_current()
        if stat.S_ISREG(status.st_mode) and status.st_size and status.st_size + len(line) > self._max_bytes:
            self._rotate()
            fd, _ = self._open_current()
        if self._torn:
            line = b"\n" + line  # the half line that a full disk left is ended, so that it spoils no other
        written = os.write(fd, line)
        self._torn = written < len(line)
        if self._torn:
            written += os.write(fd, line[written:])  # says what keeps the rest from being written
            self._torn = written < len(line)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open_current(self) -> tuple[int, os.stat_result]:
        """The file that has the name now: another process, or logrotate, may have put ours aside."""
        if self._fd is not None and (status := _status_of(self._fd, self.path)) is not None:
            return self._fd, status
        self.close()
        self._torn = False
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._fd = os.open(self.path, flags, 0o640)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, flags, 0o640)
        return self._fd, os.fstat(self._fd)

    def _rotate(self) -> None:
        lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (
                self._fd is not None and _status_of(self._fd, self.path) is not None
            ):  # else it was done while we came here
                self._put_aside()
        except BlockingIOError:
            return
        finally:
            os.close(lock)

    def _put_aside(self) -> None:
        if self._backups == 0:
            self.path.unlink()
            return
        aside = [self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self._backups + 1)]
        free = next((n for n, path in enumerate(aside) if not path.exists()), self._backups - 1)
        for n in range(free, 0, -1):
            with suppress(FileNotFoundError):
                aside[n - 1].rename(aside[n])
        self.path.rename(aside[0])


def _status_of(fd: int, path: Path) -> os.stat_result | None:
    """The status of the file that is open there, None when the path does not lead to it."""
    try:
        status = os.fstat(fd)
        return status if os.path.samestat(status, os.stat(path)) else None
    except OSError:
        return None


def _write_stderr(line: bytes) -> None:
    with suppress(OSError):
        while line:
            line = line[os.write(2, line) :]


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a value's own __str__ may raise anything
        return f"{record.msg!r:.1000} (its values do not fit)"


def _trace(record: logging.LogRecord) -> str | None:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, Unavailable):
        return f"{type(error).__name__}: {error}"  # A full disk is nobody's bug: its sentence says all there is to do.
    try:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
    except Exception:  # noqa: BLE001 - as above
        trace = f"{record.exc_info!r:.1000}"
    return trace or record.stack_info


def _cut(text: str, most: int) -> str:
    """The text with so much of its middle cut out that it takes no more bytes than that in JSON."""
    while (size := len(json.dumps(text))) > most:
        half = min(len(text) - 20, len(text) * most // size) // 2 - 5
        text = f"{text[:half]} [cut] {text[-half:]}"
    return text


def _mask_of(settings: Settings) -> Mask:
    """What the settings themselves keep secret."""
    from urllib.parse import unquote, urlsplit

    from engine.secrets.masking import Mask as SecretMask

    values = [settings.api_token]
    with suppress(ValueError):
        password = urlsplit(settings.database_uri).password or ""
        values += [password, unquote(password)]
    return SecretMask(values).text


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("octoflow").critical("This process ends by an error", exc_info=(kind, error, trace))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is not SystemExit and told.exc_value is not None:
        name = told.thread.name if told.thread else "?"
        trace = (told.exc_type, told.exc_value, told.exc_traceback)
        logging.getLogger("octoflow").error("Thread %s ends by an error", name, exc_info=trace)


def _set_hooks(main: Any, thread: Any) -> None:
    sys.excepthook, threading.excepthook = main, thread
