"""What is masked in all that one job says: the service's secrets, and the values of its secret inputs."""

from __future__ import annotations

from collections.abc import Iterable

from engine.supervisor.tools import Masker, Secrets


class JobMask:
    """The mask of one job. Its own values are forgotten with it: what another job logs is not theirs to hide."""

    def __init__(self, secrets: Secrets, values: Iterable[str] = ()) -> None:
        self._secrets = secrets
        self._values = dict.fromkeys(values)
        self._made: tuple[Masker, Masker] | None = None

    def hide(self, values: Iterable[str]) -> None:
        """Mask these too from now on."""
        before = len(self._values)
        self._values.update(dict.fromkeys(values))
        if len(self._values) > before:
            self._made = None

    def now(self) -> Masker:
        """The mask as of now; made anew only when there is something new to hide."""
        common = self._secrets.mask()
        if not self._values:
            return common
        if self._made is None or self._made[0] is not common:
            self._made = (common, common.hiding(self._values))
        return self._made[1]
