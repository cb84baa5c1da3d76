"""Subsets of Endpoints: how addresses and ports are put together, and what is left out above the capacity.

Source: pkg/api/v1/endpoints/util.go: RepackSubsets; pkg/controller/endpoint/endpoints_controller.go: truncateEndpoints.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from math import ceil
from typing import Final

from attrs import field

from k8sfsm.controllers.endpoints_order import address_key, in_port_order, in_subset_order, port_dump
from k8sfsm.law import Law
from k8sfsm.objects import EndpointAddress, EndpointPort, EndpointSubset, evolve
from k8sfsm.value import value

law = Law("endpoints")

Addresses = dict[str, EndpointAddress]


class Ordered(Addresses):
    """Addresses of which the first ones, in the order of their keys, are kept in order from one change to the next.

    An Endpoints object has room for few of many addresses, so the others need no order until their turn comes.
    """

    __slots__ = ("_front", "_keys")

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[str] = []  # the smallest ones: those that are not in here are all greater
        self._front: list[EndpointAddress] = []

    def change(self, gone: Addresses, come: Addresses) -> None:
        """Take addresses away and put others there; `come` may have what is gone, and what is there already."""
        for key in gone:
            if key not in come:
                self._take(key)
        for key, address in come.items():
            self._put(key, address)

    def first(self, most: int) -> tuple[EndpointAddress, ...]:
        """The first addresses in the order of their keys: `most`, or all where there are no more."""
        if len(self._keys) < min(most, len(self)):
            self._keys = nsmallest(most + _SPARE, self)
            self._front = list(map(self.__getitem__, self._keys))
        return tuple(self._front[:most])

    def _take(self, key: str) -> None:
        del self[key]
        place = bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            del self._keys[place], self._front[place]

    def _put(self, key: str, address: EndpointAddress) -> None:
        keys, front = self._keys, self._front
        whole = len(keys) == len(self) < _FRONT
        self[key] = address
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            front[place] = address
        elif place < len(keys) or whole:
            keys.insert(place, key)
            front.insert(place, address)
            if len(keys) > _FRONT:
                keys.pop()
                front.pop()


_SPARE: Final = 1024
"""How many more than asked for are put in order, for those that go."""
_FRONT: Final = 2048
"""How many are kept in order, unless more are asked for."""


@value
class Group:
    """The addresses of all pods that resolve the same ports (`ports`: by their dump), by `address_key`."""

    ports: Mapping[str, EndpointPort]
    ready: Addresses = field(factory=dict)
    unready: Addresses = field(factory=dict)


@value
class OrderedGroup(Group):
    """A group that is kept, and changed with its pods."""

    ready: Ordered = field(factory=Ordered)
    unready: Ordered = field(factory=Ordered)


@value
class Offer:
    """A subset, and how many addresses it has: some of the last may be left out of `subset`."""

    subset: EndpointSubset
    ready: int
    unready: int

    @classmethod
    def of(cls, subset: EndpointSubset) -> Offer:
        """A subset with all its addresses."""
        return cls(subset, len(subset.addresses), len(subset.not_ready_addresses))


def offers_of(groups: Iterable[Group], most: int | None = None) -> tuple[Offer, ...]:
    """The subsets of `subsets_of`; where there is but one, only the first addresses of it, `most` of each sort.

    Of several subsets all is asked for: their order depends on every address.
    """
    found = tuple(groups)
    if most is not None and len(found) == 1 and isinstance(found[0], OrderedGroup):
        [group] = found
        return (Offer(_subset(found, group.ports.values(), most), len(group.ready), len(group.unready)),)
    return tuple(map(Offer.of, subsets_of(found)))


def subsets_of(groups: Iterable[Group]) -> tuple[EndpointSubset, ...]:
    """One subset for each set of ports that the same pods have, in Kubernetes' order.

    Ports belong together when they stand in the same groups. A port without a number only keeps its addresses listed.
    """
    found = tuple(groups)
    ports: dict[str, EndpointPort] = {}
    members: dict[str, list[int]] = {}
    for number, group in enumerate(found):
        for dump, port in group.ports.items():
            ports[dump] = port
            members.setdefault(dump, []).append(number)
    classes: dict[tuple[int, ...], list[EndpointPort]] = {}
    for dump, numbers in members.items():
        classes.setdefault(tuple(numbers), []).append(ports[dump])
    return in_subset_order(_subset([found[n] for n in numbers], same) for numbers, same in classes.items())


def _subset(groups: Sequence[Group], ports: Iterable[EndpointPort], most: int | None = None) -> EndpointSubset:
    numbered = in_port_order(port for port in ports if port.port > 0)
    return EndpointSubset(
        addresses=_sorted([group.ready for group in groups], most),
        not_ready_addresses=_sorted([group.unready for group in groups], most),
        ports=numbered,
    )


def _sorted(parts: list[Addresses], most: int | None) -> tuple[EndpointAddress, ...]:
    if len(parts) == 1 and isinstance(parts[0], Ordered):
        return parts[0].first(len(parts[0]) if most is None else most)
    joined = {key: address for part in parts for key, address in part.items()}
    return tuple([joined[key] for key in sorted(joined)][:most])


NO_PORT = EndpointPort(port=-1)
"""Stands for the ports of a subset that lists none."""


def repack(subsets: Iterable[EndpointSubset]) -> tuple[EndpointSubset, ...]:
    """The canonical form of any subsets: each address once per port, unready where it is both.

    Of equal addresses the first is kept. Ports with an application protocol are different wherever they stand,
    because Go compares the pointers to it.
    """
    addresses: Addresses = {}
    by_port: dict[str, tuple[EndpointPort, dict[str, bool]]] = {}
    for number, subset in enumerate(subsets):
        listed = [(address, True) for address in subset.addresses]
        listed += [(address, False) for address in subset.not_ready_addresses]
        keyed = [(address_key(address), address, ready) for address, ready in listed]
        for place, port in enumerate(subset.ports or (NO_PORT,)):
            name = port_dump(port) + (f"{number}.{place}" if port.app_protocol is not None else "")
            states = by_port.setdefault(name, (port, {}))[1]
            for key, address, ready in keyed:
                addresses.setdefault(key, address)
                states[key] = states.get(key, True) and ready
    groups: dict[tuple[tuple[str, bool], ...], Group] = {}
    for name, (port, states) in by_port.items():
        if not states:
            continue
        group = groups.setdefault(tuple(sorted(states.items())), Group({}))
        groups[tuple(sorted(states.items()))] = evolve(group, ports={**group.ports, name: port})
    return in_subset_order(
        _subset([_filled(group, states, addresses)], list(group.ports.values())) for states, group in groups.items()
    )


def _filled(group: Group, states: tuple[tuple[str, bool], ...], addresses: Addresses) -> Group:
    ready = {key: addresses[key] for key, is_ready in states if is_ready}
    unready = {key: addresses[key] for key, is_ready in states if not is_ready}
    return evolve(group, ready=ready, unready=unready)


# -- capacity --------------------------------------------------------------------------------------------------------


@value
class Load:
    """How many addresses subsets have in total; an address in two subsets counts twice."""

    ready: int
    unready: int

    @classmethod
    def of(cls, subsets: Iterable[EndpointSubset]) -> Load:
        """The totals of some subsets."""
        return cls.offered([Offer.of(subset) for subset in subsets])

    @classmethod
    def offered(cls, offers: Iterable[Offer]) -> Load:
        """The totals of subsets of which some addresses may be left out."""
        found = tuple(offers)
        return cls(sum(offer.ready for offer in found), sum(offer.unready for offer in found))


def capacity() -> int:
    """How many addresses one Endpoints object may have."""
    return int(law.constant("endpoints_capacity"))


def within_capacity(load: Load) -> bool:
    """Has one Endpoints object room for so many addresses?"""
    return load.ready + load.unready <= capacity()


@law.fact
def over_capacity(load: Load) -> bool:
    """There are more addresses than one Endpoints object may have."""
    return not within_capacity(load)


@law.fact
def ready_over_capacity(load: Load) -> bool:
    """The ready addresses alone are too many."""
    return load.ready > capacity()


def truncate(offers: Sequence[Offer]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """The subsets within the capacity, and whether anything was left out."""
    subsets, load = tuple([offer.subset for offer in offers]), Load.offered(offers)
    decided = law.decide("capacity", load).outputs
    if not decided["truncated"]:
        return subsets, False
    room = capacity()
    ready = _shares([offer.ready for offer in offers], decided["ready"], load.ready, room)
    unready = _shares([offer.unready for offer in offers], decided["unready"], load.unready, room - load.ready)
    cut = tuple(
        evolve(subset, addresses=subset.addresses[:kept], not_ready_addresses=subset.not_ready_addresses[:rest])
        for subset, kept, rest in zip(subsets, ready, unready, strict=True)
    )
    return cut, True


def _shares(numbers: list[int], how: str, total: int, room: int) -> list[int]:
    """How many of each list: all, none, or its share of the room, rounded up, as long as there is room."""
    if how != "share":
        return numbers if how == "all" else [0] * len(numbers)
    left, kept = room, []
    for number in numbers:
        kept.append(min(ceil((number / total) * float(room)), left))
        left -= kept[-1]
    return kept
