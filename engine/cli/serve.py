"""`octoflow serve`: the service, in the place of this process."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from engine.errors import SettingInvalid
from engine.settings import Settings, environment_with

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
    settings.make_folders()
    _must_be_free(settings.api_host, settings.api_port)
    environment = environment_with(TICK_INSIDE="true") if options.tick else environment_with()
    os.execve(sys.executable, [sys.executable, "-P", "-m", "functions"], environment)


def _must_be_free(host: str, port: int) -> None:
    """SettingInvalid when the address cannot be listened on: gunicorn would say so ten times and name no setting."""
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SettingInvalid(
            f"API_HOST={host!r} API_PORT={port}: cannot listen there ({error.strerror}); choose another port."
        ) from error
