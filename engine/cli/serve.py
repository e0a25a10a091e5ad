"""`octoflow serve`: this process becomes the service."""

from __future__ import annotations

import argparse
import gc
import runpy
import sys
from errno import EADDRNOTAVAIL
from typing import TYPE_CHECKING

from engine import service_log
from engine.errors import SettingInvalid
from engine.settings import Settings, set_in_environment

if TYPE_CHECKING:
    from engine.cli.terminal import Commands


def add(commands: Commands) -> None:
    """`serve`."""
    serve = commands.add_parser("serve", help="run the service: gunicorn, one process, many threads")
    serve.add_argument(
        "--tick", action="store_true", help="call the tick each minute from inside, where no clock outside does"
    )
    serve.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    service_log.begin(settings)
    settings.make_folders()
    _must_be_free(settings.api_host, settings.api_port)
    if options.tick:
        set_in_environment(TICK_INSIDE="true")
    gc.disable()  # As `functions.server` does for its worker, and it lets both go on.
    # As `python -P -m functions` would, without starting Python once more; gunicorn restarts itself by these words.
    sys.argv = ["-P", "-m", "functions"]
    runpy.run_module("functions", run_name="__main__", alter_sys=False)
    return 0


def _must_be_free(host: str, port: int) -> None:
    """SettingInvalid when the address cannot be listened on: gunicorn would say so ten times and name no setting."""
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise _no_address(host) from error
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == EADDRNOTAVAIL:
            raise _no_address(host) from error
        raise SettingInvalid(
            f"API_HOST={host!r} API_PORT={port}: cannot listen there ({error.strerror}); choose another port."
        ) from error


def _no_address(host: str) -> SettingInvalid:
    return SettingInvalid(
        f"API_HOST={host!r} is no address of this machine; 0.0.0.0 is all it has, 127.0.0.1 loopback."
    )
