"""In which stored slice each wanted endpoint stands, kept from sync to sync.

A sync that looks every endpoint up in every slice costs what there is. Most slices are the very objects that they were
at the last sync, and none of their endpoints has changed: they are settled, and are what they were found to be.
"""

from __future__ import annotations

from k8sfsm.controllers.endpointslice_members import PortGroup
from k8sfsm.objects import EndpointSlice


class Placement:
    """The endpoints of one group of ports and the stored slices of these ports, all by the identity of a slice.

    `homeless`: the identities of wanted endpoints that stand in no slice. `unsettled`: slices that have to be looked
    at; whoever found that one may stay as it is says so with `settle`, which holds until one of its endpoints is
    another. `limit`: most endpoints in a slice.
    """

    __slots__ = ("_homes", "_identities", "_limit", "_new", "_roomy", "group", "homeless", "slices", "unsettled")

    def __init__(self, group: PortGroup, limit: int) -> None:
        self.group = group
        self._limit = limit
        self.slices: dict[int, EndpointSlice] = {}
        self._identities: dict[int, tuple[str, ...]] = {}
        self._roomy: dict[int, EndpointSlice] = {}
        self._begin()

    def _begin(self) -> None:
        self._homes: dict[str, EndpointSlice] = {}
        self._new = dict(self.slices)
        self.unsettled = dict(self.slices)
        self.homeless: dict[str, None] = dict.fromkeys(self.group.endpoints)
        self.group.touched.clear()

    def put(self, stored: EndpointSlice, identities: tuple[str, ...]) -> None:
        """The slice is there now."""
        number = id(stored)
        self.slices[number] = self._new[number] = self.unsettled[number] = stored
        self._identities[number] = identities
        if len(identities) < self._limit:
            self._roomy[number] = stored

    def take(self, stored: EndpointSlice) -> None:
        """The slice is another now, or gone."""
        number = id(stored)
        del self.slices[number]
        self.unsettled.pop(number, None)
        self._roomy.pop(number, None)
        identities = self._identities.pop(number)
        if self._new.pop(number, None) is not None:
            return
        for identity in identities:
            del self._homes[identity]
            if identity in self.group.endpoints:
                self.homeless[identity] = None

    def follow(self) -> bool:
        """See the slices that are new, and the endpoints as they are wanted now.

        False where an endpoint stands in several slices, or twice in one: then nothing is known, and all has to be
        looked through.
        """
        for number, stored in self._new.items():
            if not self._enter(stored, self._identities[number]):
                self._begin()
                return False
        self._new = {}
        for identity in self.group.touched:
            home = self._homes.get(identity)
            if home is not None:
                self.unsettled[id(home)] = home
            elif identity in self.group.endpoints:
                self.homeless[identity] = None
            else:
                self.homeless.pop(identity, None)
        self.group.touched.clear()
        return True

    def _enter(self, stored: EndpointSlice, identities: tuple[str, ...]) -> bool:
        homes, homeless = self._homes, self.homeless
        for identity in identities:
            if identity in homes:
                return False
            homes[identity] = stored
            homeless.pop(identity, None)
        return True

    def settle(self, stored: EndpointSlice) -> None:
        """The slice is right as it is. It must be one of those that are followed."""
        self.unsettled.pop(id(stored), None)

    def settled_with_room(self) -> list[EndpointSlice]:
        """The slices that were found to be right, with nothing changed since, and that have room for more endpoints."""
        return [stored for number, stored in self._roomy.items() if number not in self.unsettled]
