"""The slices that are stored for a Service, followed from view to view.

A Service of the largest size has 1,500 slices, of which a sync finds a few changed. Whatever is asked of all of them is
kept here, and a sync costs what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from k8sfsm.controllers.endpointslice_members import identity_of, port_group, same_beyond_identity
from k8sfsm.controllers.following import difference
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.kinds.endpointslice import MANAGED_BY, SERVICE_NAME
from k8sfsm.objects import Endpoint, EndpointSlice


class Known:
    """What is computed once for each stored slice."""

    __slots__ = ("group", "hinted", "identities", "matched", "ready", "wrong_hints")

    def __init__(self, stored: EndpointSlice) -> None:
        self.group = port_group(stored.ports)
        self.identities = tuple(map(identity_of, stored.endpoints))
        self.hinted = bool([endpoint for endpoint in stored.endpoints if endpoint.hints is not None])
        self.ready = len([endpoint for endpoint in stored.endpoints if endpoint.conditions.ready])
        self.matched: list[Endpoint] = list(stored.endpoints)
        self.wrong_hints: dict[str, bool] = {}

    def matches(self, place: int, stored: EndpointSlice, wanted: Endpoint) -> bool:
        """Is the stored endpoint at `place` the wanted one? A match is remembered, so that it costs nothing again."""
        if self.matched[place] is wanted:
            return True
        if not same_beyond_identity(stored.endpoints[place], wanted):
            return False
        self.matched[place] = wanted
        return True


class Shelf:
    """The stored slices of one Service and address type.

    All of it is by the identity of a slice. `slices`: the slices; `places`: numbers that grow with their order;
    `known`: what was found of each.
    """

    __slots__ = ("_come", "_gone", "known", "places", "slices")

    def __init__(self) -> None:
        self.slices: dict[int, EndpointSlice] = {}
        self.places: dict[int, int] = {}
        self.known: dict[int, Known] = {}
        self._gone: dict[int, EndpointSlice] = {}
        self._come: dict[int, EndpointSlice] = {}

    def __len__(self) -> int:
        return len(self.slices)

    def put(self, stored: EndpointSlice, place: int) -> None:
        """The slice stands here now."""
        number = id(stored)
        self.slices[number] = self._come[number] = stored
        self.places[number] = place
        self.known[number] = Known(stored)

    def take(self, stored: EndpointSlice) -> None:
        """The slice is another now, or gone."""
        number = id(stored)
        del self.slices[number], self.places[number], self.known[number]
        if self._come.pop(number, None) is None:
            self._gone[number] = stored

    def news(self) -> tuple[list[EndpointSlice], list[EndpointSlice]]:
        """The slices that went, and those that came, since somebody asked."""
        gone, come = list(self._gone.values()), list(self._come.values())
        self._gone, self._come = {}, {}
        return gone, come

    def in_order(self, slices: Iterable[EndpointSlice]) -> list[EndpointSlice]:
        """Some of the slices in their order."""
        return sorted(slices, key=lambda stored: self.places[id(stored)])

    def of(self, stored: EndpointSlice) -> Known:
        """What is known of one of the slices."""
        return self.known[id(stored)]


class Shelves:
    """The slices of one Service that are its manager's and are not being deleted, by address type.

    `generations`: what the cache shows of each, by uid.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._listed = NO_SERIES
        self.by_type: dict[str, Shelf] = {}
        self.generations: dict[str, int] = {}

    def shelf(self, address_type: str) -> Shelf:
        """The slices of one type."""
        found = self.by_type.get(address_type)
        if found is None:
            found = self.by_type[address_type] = Shelf()
        return found

    def follow(self, listed: Series, manager: str, service: str) -> None:
        """See the slices in order of creation. `listed`: all of the namespace; `service`: the name."""
        before, self._listed = self._listed, NO_SERIES  # nothing is known where this ends in an error
        if before is NO_SERIES:
            self._begin()
        slices = difference(before, listed)
        for stored in slices.gone:
            if _belongs(stored, manager, service):
                self._take(stored)
        for stored, place in zip(slices.come, slices.places, strict=True):
            if _belongs(stored, manager, service):
                self._put(stored, place)
        self._listed = listed

    def see(self, slices: Sequence[EndpointSlice]) -> None:
        """See the slices, and no others, in any order."""
        self._listed = NO_SERIES
        now = {id(stored): stored for stored in slices}
        for shelf in self.by_type.values():
            for number, stored in list(shelf.slices.items()):
                if number not in now:
                    self._take(stored)
        for place, stored in enumerate(slices):
            shelf = self.shelf(stored.address_type)
            if id(stored) in shelf.slices:
                shelf.places[id(stored)] = place
            else:
                self._put(stored, place)

    def _put(self, stored: EndpointSlice, place: int) -> None:
        self.shelf(stored.address_type).put(stored, place)
        self.generations[stored.metadata.uid] = stored.metadata.generation

    def _take(self, stored: EndpointSlice) -> None:
        self.by_type[stored.address_type].take(stored)
        del self.generations[stored.metadata.uid]

    def of(self, types: Iterable[str]) -> list[EndpointSlice]:
        """All slices of some types in their order."""
        shelves = [self.shelf(each) for each in types]
        placed = [(shelf.places[number], stored) for shelf in shelves for number, stored in shelf.slices.items()]
        return [stored for _, stored in sorted(placed, key=itemgetter(0))]


def _belongs(stored: EndpointSlice, manager: str, service: str) -> bool:
    meta = stored.metadata
    labels = meta.labels
    ours = labels.get(MANAGED_BY) == manager and labels.get(SERVICE_NAME, "") == service
    return ours and meta.deletion_timestamp is None
