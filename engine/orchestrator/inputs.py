"""What a user can ask of the inputs that documents declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.access import matches
from engine.models.flow import FlowInputs
from engine.orchestrator.autostart import AutostartVerbs
from engine.orchestrator.part import Part

if TYPE_CHECKING:
    from engine.checking.declared import DeclaredInputs


class InputVerbs(AutostartVerbs):
    """Look at them."""

    def declared_inputs(self, flows: str | None = None) -> list[FlowInputs]:
        """The documents that declare inputs, by path, of those that the glob `flows` means; none that is broken."""
        return self._declared.list(lambda path: flows is None or matches(flows, path))

    @Part
    def _declared(self) -> DeclaredInputs:
        from engine.checking.declared import DeclaredInputs

        return DeclaredInputs(self._catalog)
