"""In which stored slice each wanted endpoint stands, kept from sync to sync.

A sync that looks every endpoint up in every slice costs what there is. Most slices are the very objects that they were
at the last sync, and none of their endpoints has changed: they are settled, and are what they were found to be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k8sfsm.controllers.endpointslice_members import PortGroup
from k8sfsm.objects import EndpointSlice


class Placement:
    """The endpoints of one group of ports and the stored slices of these ports.

    `homeless`: the identities of wanted endpoints that stand in no slice. Whoever found that a slice may stay as it is
    says so with `settle`; that holds until the slice or one of its endpoints is another.
    """

    __slots__ = ("_homes", "_identities", "_settled", "_slices", "group", "homeless")

    def __init__(self, group: PortGroup, identities: Callable[[EndpointSlice], tuple[str, ...]]) -> None:
        self.group = group
        self._identities = identities
        self._begin()

    def _begin(self) -> None:
        self._slices: dict[int, EndpointSlice] = {}
        self._homes: dict[str, EndpointSlice] = {}
        self._settled: set[int] = set()
        self.homeless: dict[str, None] = dict.fromkeys(self.group.endpoints)
        self.group.touched.clear()

    def follow(self, existing: Sequence[EndpointSlice]) -> bool:
        """See the slices as they are stored now, and the endpoints as they are wanted now.

        False where an endpoint stands in several slices, or twice in one: then nothing is known, and all has to be
        looked through.
        """
        now = {id(stored): stored for stored in existing}
        for number in [number for number in self._slices if number not in now]:
            self._leave(self._slices.pop(number))
        for number, stored in now.items():
            if number not in self._slices and not self._enter(stored):
                self._begin()
                return False
        for identity in self.group.touched:
            home = self._homes.get(identity)
            if home is not None:
                self._settled.discard(id(home))
            elif identity in self.group.endpoints:
                self.homeless[identity] = None
            else:
                self.homeless.pop(identity, None)
        self.group.touched.clear()
        return True

    def _leave(self, stored: EndpointSlice) -> None:
        self._settled.discard(id(stored))
        for identity in self._identities(stored):
            del self._homes[identity]
            if identity in self.group.endpoints:
                self.homeless[identity] = None

    def _enter(self, stored: EndpointSlice) -> bool:
        self._slices[id(stored)] = stored
        for identity in self._identities(stored):
            if identity in self._homes:
                return False
            self._homes[identity] = stored
            self.homeless.pop(identity, None)
        return True

    def is_settled(self, stored: EndpointSlice) -> bool:
        """Was the slice found to be right as it is, and has nothing changed since?"""
        return id(stored) in self._settled

    def settle(self, stored: EndpointSlice) -> None:
        """The slice is right as it is. It must be one of those that are followed."""
        self._settled.add(id(stored))
