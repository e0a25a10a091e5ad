"""`python -m functions`: gunicorn with the settings of `functions.server`, which is what `octoflow serve` becomes.

gunicorn's own command would put the current folder first among the places that modules are imported from: where that is
the data folder, a file that a flow wrote could become part of the service.
"""

from __future__ import annotations

from typing import Any

from gunicorn.app.base import BaseApplication

from functions import server


class Service(BaseApplication):  # type: ignore[misc]
    """The application that gunicorn runs."""

    def load_config(self) -> None:
        for name, value in vars(server).items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Called in the worker: nothing is built before the fork."""
        from functions.wsgi import app

        return app


if __name__ == "__main__":
    Service(prog="octoflow serve").run()
