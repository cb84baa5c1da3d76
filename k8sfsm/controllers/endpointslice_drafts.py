"""What is to become of a Service's slices in one sync: drafts that are written when hints have been given."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field

from k8sfsm.controllers.endpointslice_shelf import Shelf
from k8sfsm.objects import Endpoint, EndpointSlice
from k8sfsm.request import Why


@define
class Draft:
    """A slice to be written: `base` is the stored one, or a new one without a name; `why`: the rule that ordered it."""

    base: EndpointSlice
    endpoints: list[Endpoint]
    labels: Mapping[str, str]
    why: Why | None = None

    @property
    def name(self) -> str:
        """The stored slice's name, or ""."""
        return self.base.metadata.name


@define
class Drafts:
    """What is to become of a Service's slices of one family. Hints change the drafts further.

    `stored`: all slices that there are; `hinted`: those of them that have hints. `causes`: why slices are deleted, by
    name.
    """

    stored: Shelf
    hinted: Mapping[int, EndpointSlice]
    create: list[Draft] = field(factory=list)
    update: list[Draft] = field(factory=list)
    delete: list[EndpointSlice] = field(factory=list)
    causes: dict[str, Why] = field(factory=dict)

    @property
    def unchanged(self) -> list[EndpointSlice]:
        """The slices that stay as they are, in order."""
        return self._left(self.stored.slices)

    @property
    def unchanged_hinted(self) -> list[EndpointSlice]:
        """Those of them that have hints."""
        return self._left(self.hinted)

    def _left(self, slices: Mapping[int, EndpointSlice]) -> list[EndpointSlice]:
        changed = {id(draft.base) for draft in self.update} | {id(stored) for stored in self.delete}
        return self.stored.in_order([stored for number, stored in slices.items() if number not in changed])
