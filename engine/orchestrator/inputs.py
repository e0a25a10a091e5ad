"""What a user can ask of the inputs that documents declare."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from engine.models.access import matches
from engine.models.flow import FlowInputs
from engine.models.inputs import Input
from engine.orchestrator.autostart import AutostartVerbs
from engine.orchestrator.part import Part

if TYPE_CHECKING:
    from engine.checking.declared import DeclaredInputs
    from engine.secrets.masking import Mask


class InputVerbs(AutostartVerbs):
    """Look at them."""

    def declared_inputs(self, flows: str | None = None) -> list[FlowInputs]:
        """The documents that declare inputs, by path, of those that the glob `flows` means; none that is broken.

        They are for readers: secrets that an author wrote there are masked.
        """
        mask = self._secrets.mask()
        return [_masked(each, mask) for each in self._declared.list(lambda path: flows is None or matches(flows, path))]

    @Part
    def _declared(self) -> DeclaredInputs:
        from engine.checking.declared import DeclaredInputs

        return DeclaredInputs(self._catalog)


def _masked(flow: FlowInputs, mask: Mask) -> FlowInputs:
    masked = replace(
        flow,
        name=mask.text(flow.name),
        description=flow.description and mask.text(flow.description),
        inputs=tuple(_masked_input(each, mask) for each in flow.inputs),
    )
    # What is made of it is kept by digest, and which secrets are known changes without the document.
    return (
        flow if masked == flow else replace(masked, digest=sha256(repr(masked).encode("utf-8", "replace")).hexdigest())
    )


def _masked_input(input: Input, mask: Mask) -> Input:
    return replace(
        input,
        default=mask.json(input.default) if input.has_default else input.default,
        enum=tuple(mask.json(each) for each in input.enum),
        pattern=input.pattern and mask.text(input.pattern),
        description=input.description and mask.text(input.description),
    )
