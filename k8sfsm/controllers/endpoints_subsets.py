"""Subsets of Endpoints: how addresses and ports are put together, and what is left out above the capacity.

Source: pkg/api/v1/endpoints/util.go: RepackSubsets; pkg/controller/endpoint/endpoints_controller.go: truncateEndpoints.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
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
    """Addresses whose order is kept from one change to the next: of many addresses few change at a time.

    `keys_in_order` and `in_order` have the keys and the addresses in the order of the keys.
    """

    __slots__ = ("in_order", "keys_in_order")

    def __init__(self) -> None:
        super().__init__()
        self.keys_in_order: list[str] = []
        self.in_order: list[EndpointAddress] = []

    def change(self, gone: Addresses, come: Addresses) -> None:
        """Take addresses away and put others there; `come` may have what is gone, and what is there already."""
        lost = [key for key in gone if key not in come]
        for key in lost:
            del self[key]
        new = [key for key in come if key not in self]
        self.update(come)
        if len(lost) + len(come) < _FEW + len(self) // _SHARE:
            for key in lost:
                place = bisect_left(self.keys_in_order, key)
                del self.keys_in_order[place], self.in_order[place]
            for key in come:
                self._put(key)
            return
        kept = [key for key in self.keys_in_order if key in self] if lost else self.keys_in_order
        self.keys_in_order = sorted(kept + new)
        self.in_order = list(map(self.__getitem__, self.keys_in_order))

    def _put(self, key: str) -> None:
        keys = self.keys_in_order
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            self.in_order[place] = self[key]
            return
        keys.insert(place, key)
        self.in_order.insert(place, self[key])


_FEW: Final = 16
_SHARE: Final = 64
"""To sort them all takes less time than to find places for more than a 64th of them."""


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


def _subset(groups: list[Group], ports: list[EndpointPort]) -> EndpointSubset:
    numbered = in_port_order(port for port in ports if port.port > 0)
    return EndpointSubset(
        addresses=_sorted([group.ready for group in groups]),
        not_ready_addresses=_sorted([group.unready for group in groups]),
        ports=numbered,
    )


def _sorted(parts: list[Addresses]) -> tuple[EndpointAddress, ...]:
    if len(parts) == 1 and isinstance(parts[0], Ordered):
        return tuple(parts[0].in_order)
    joined = {key: address for part in parts for key, address in part.items()}
    return tuple([joined[key] for key in sorted(joined)])


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
        found = tuple(subsets)
        ready = sum(len(subset.addresses) for subset in found)
        return cls(ready, sum(len(subset.not_ready_addresses) for subset in found))


@law.fact
def over_capacity(load: Load) -> bool:
    """There are more addresses than one Endpoints object may have."""
    return load.ready + load.unready > int(law.constant("endpoints_capacity"))


@law.fact
def ready_over_capacity(load: Load) -> bool:
    """The ready addresses alone are too many."""
    return load.ready > int(law.constant("endpoints_capacity"))


def truncate(subsets: tuple[EndpointSubset, ...]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """The subsets within the capacity, and whether anything was left out."""
    load = Load.of(subsets)
    decided = law.decide("capacity", load).outputs
    room = int(law.constant("endpoints_capacity"))
    ready = _cut([subset.addresses for subset in subsets], decided["ready"], load.ready, room)
    left = room - load.ready
    unready = _cut([subset.not_ready_addresses for subset in subsets], decided["unready"], load.unready, left)
    if not decided["truncated"]:
        return subsets, False
    cut = tuple(
        evolve(subset, addresses=kept, not_ready_addresses=rest)
        for subset, kept, rest in zip(subsets, ready, unready, strict=True)
    )
    return cut, True


def _cut(
    lists: list[tuple[EndpointAddress, ...]], how: str, total: int, room: int
) -> list[tuple[EndpointAddress, ...]]:
    """The first of each list: all, none, or its share of the room, rounded up, as long as there is room."""
    if how == "all":
        return lists
    if how == "none":
        return [() for _ in lists]
    left, kept = room, []
    for addresses in lists:
        share = min(ceil((len(addresses) / total) * float(room)), left)
        kept.append(addresses[:share])
        left -= len(kept[-1])
    return kept
