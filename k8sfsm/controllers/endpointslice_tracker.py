"""What a controller of EndpointSlices remembers of its own writes, to know an old cache and foreign changes by it.

Memory: ("slices", namespace, service) lists the uids of the slices that it wrote for a Service; ("slice", uid) holds
the generation that it made, or `DELETED`. Source: staging/src/k8s.io/endpointslice/util/endpointslice_tracker.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from k8sfsm.controllers.endpointslice_hints import Hinted
from k8sfsm.controllers.endpointslice_members import ZONE, law
from k8sfsm.controllers.endpointslice_packing import MANAGER
from k8sfsm.controllers.endpointslice_zones import Ratios, node_ready, overloaded
from k8sfsm.controllers.following import Block, Blocks, Memo
from k8sfsm.kinds.endpointslice import MANAGED_BY, SERVICE_NAME
from k8sfsm.objects import EndpointSlice, Node
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Remember
from k8sfsm.value import value
from k8sfsm.view import Change, View

DELETED: Final = -1

_RATIOS: Final = Ratios()


@value
class CachedSlice:
    """The case of `slice-cache`: the generation of a slice that the controller made (or `DELETED`), and that which its
    cache shows; None: none.
    """

    made: int | None
    seen: int | None


@value
class SliceEvent:
    """The case of `slice-event` and `slice-expectation`: a change of a slice, and what the controller did to it.

    `manager`: the name by which slices say that they are the controller's.
    """

    change: Change
    made: int | None
    manager: str = MANAGER


@value
class NodeEvent:
    """The case of `node-event`."""

    old: Node | None
    new: Node
    gone: bool


def slices_key(key: Key) -> tuple[str, str, str]:
    """Where the memory lists the slices of a Service."""
    return ("slices", key[1], key[2])


def slice_key(uid: str) -> tuple[str, str]:
    """Where the memory holds what was done to a slice."""
    return ("slice", uid)


def hints_key(key: Key) -> tuple[str, str, str]:
    """Where the memory holds the hints by zone of a Service."""
    return ("hints", key[1], key[2])


def tracked_slices(memory: Mapping[Any, Any], key: Key) -> dict[str, int]:
    """The slices of a Service of which the memory knows something, and what: by uid the generation, or `DELETED`."""
    uids = memory.get(slices_key(key), ())
    made = zip(uids, map(memory.get, _KEYS.of(uids, _slice_keys)), strict=True)
    return {uid: generation for uid, generation in made if generation is not None}


def _slice_keys(uids: tuple[str, ...]) -> list[tuple[str, str]]:
    return [slice_key(uid) for uid in uids]


_KEYS: Final[Memo[list[tuple[str, str]]]] = Memo(1024)


def cache_is_stale(memory: Mapping[Any, Any], tracked: Mapping[str, int], shown: Mapping[str, int]) -> bool:
    """Does the cache show any of the Service's slices older than the controller made it? `shown`: the generations.

    What was made and what is shown of a slice are two numbers: of many slices with the same ones one is asked about.
    """
    cases: Iterable[tuple[int | None, int | None]]
    if tracked == shown:
        cases = [(generation, generation) for generation in dict.fromkeys(shown.values())]
    else:
        made = ((tracked[uid] if uid in tracked else memory.get(slice_key(uid)), shown[uid]) for uid in shown)
        unseen = ((generation, None) for uid, generation in tracked.items() if uid not in shown)
        cases = dict.fromkeys([*made, *unseen])
    return any(law.decide("slice-cache", CachedSlice(*case)).outputs["stale"] for case in cases)


# -- facts: the cache ------------------------------------------------------------------------------------------------


@law.fact
def tracked(case: CachedSlice | SliceEvent) -> bool:
    """The controller has written the slice."""
    return case.made is not None


@law.fact
def slice_seen(case: CachedSlice) -> bool:
    """The cache shows the slice."""
    return case.seen is not None


@law.fact
def deletion_expected(case: CachedSlice | SliceEvent) -> bool:
    """The controller has deleted the slice."""
    return case.made == DELETED


@law.fact
def generation_behind(case: CachedSlice) -> bool:
    """The slice that is shown is older than the controller's last write to it."""
    return case.seen is not None and case.made is not None and case.made > case.seen


# -- facts: events ---------------------------------------------------------------------------------------------------


def _service_of(stored: EndpointSlice) -> str:
    return stored.metadata.labels.get(SERVICE_NAME, "")


def is_managed(stored: EndpointSlice, manager: str = MANAGER) -> bool:
    """Does the slice say that the controller of that name manages it?"""
    return stored.metadata.labels.get(MANAGED_BY) == manager


@law.fact
def event(case: SliceEvent) -> Literal["ADDED", "MODIFIED", "DELETED"]:
    """What the watch says happened."""
    return case.change.type


@law.fact
def moved(case: SliceEvent) -> bool:
    """The slice was of another Service before."""
    old = case.change.old
    return old is not None and _service_of(old) != _service_of(case.change.new)


@law.fact
def manager_changed(case: SliceEvent) -> bool:
    """The slice came to be managed by this controller, or ceased to be."""
    old = case.change.old
    return old is not None and is_managed(old, case.manager) != is_managed(case.change.new, case.manager)


@law.fact
def managed(case: SliceEvent) -> bool:
    """The slice says that this controller manages it."""
    return is_managed(case.change.new, case.manager)


@law.fact
def expected(case: SliceEvent) -> bool:
    """The controller ordered the change (table `slice-expectation`)."""
    return bool(law.decide("slice-expectation", case).outputs["expected"])


@law.fact
def removed(case: SliceEvent) -> bool:
    """The slice is gone."""
    return case.change.type == "DELETED"


@law.fact
def generation_ahead(case: SliceEvent) -> bool:
    """The slice is newer than the controller's last write to it."""
    return case.made is not None and bool(case.change.new.metadata.generation > case.made)


@law.fact
def updated(case: NodeEvent) -> bool:
    """The node was there before and is still there."""
    return case.old is not None and not case.gone


@law.fact
def readiness_changed(case: NodeEvent) -> bool:
    """The node became ready, or ceased to be."""
    return case.old is not None and node_ready(case.old) != node_ready(case.new)


@law.fact
def zone_changed(case: NodeEvent) -> bool:
    """The node's zone changed."""
    return case.old is not None and case.old.metadata.labels.get(ZONE) != case.new.metadata.labels.get(ZONE)


class Managed:
    """The slices that one manager keeps, by Service: sorted again only in the blocks of a list that changed."""

    def __init__(self, manager: str) -> None:
        self._manager = manager
        self._blocks: Blocks[dict[str, list[EndpointSlice]]] = Blocks()

    def of(self, view: View, key: Key) -> tuple[EndpointSlice, ...]:
        """Those of the Service of that key, in the order of the view's list."""
        sorted_ones = self._blocks.of(view.series("in", "EndpointSlice", key[1]).blocks, self._by_service)
        return tuple([stored for services in sorted_ones for stored in services.get(key[2], ())])

    def _by_service(self, block: Block) -> dict[str, list[EndpointSlice]]:
        found: dict[str, list[EndpointSlice]] = {}
        for stored in block:
            if is_managed(stored, self._manager):
                found.setdefault(_service_of(stored), []).append(stored)
        return found


# -- keys ------------------------------------------------------------------------------------------------------------


@law.key
def services_of_slice(change: Change, view: View) -> tuple[tuple[Key, int], ...]:
    """The Service of a slice, or both where it was moved, a second later (table `slice-event`)."""
    delay = int(law.constant("endpoint_slice_change_delay")) * SECOND
    return tuple((("Service", namespace, name), delay) for namespace, name in changed_services(change, view, MANAGER))


def changed_services(change: Change, view: View, manager: str) -> tuple[tuple[str, str], ...]:
    """Namespaces and names of the Services whose slices somebody else than the controller changed."""
    case = SliceEvent(change, view.memory.get(slice_key(change.new.metadata.uid)), manager)
    services = law.decide("slice-event", case).outputs["services"]
    if services == "none":
        return ()
    states = (change.new, change.old) if services == "both" else (change.new,)
    named = ((stored.metadata.namespace, _service_of(stored)) for stored in states)
    return tuple((namespace, name) for namespace, name in named if name)


@law.key
def services_of_node(change: Change, view: View) -> tuple[Key, ...]:
    """The Services with hints by zone that now overload a zone (table `node-event`)."""
    case = NodeEvent(change.old, change.new, change.type == "DELETED")
    if not law.decide("node-event", case).outputs["rebalance"]:
        return ()
    hinted = sorted((key[1:], value) for key, value in view.memory.items() if isinstance(value, Hinted))
    if not hinted:
        return ()
    ratios = _RATIOS.of(view)
    return tuple(
        ("Service", namespace, name)
        for (namespace, name), hints in hinted
        if any(overloaded(zones, ratios) for _, zones in sorted(hints.families.items()))
    )


def observe(change: Change, view: View, manager: str = MANAGER) -> tuple[Remember, ...]:
    """A slice that is gone is not remembered any longer."""
    if change.key[0] != "EndpointSlice" or change.type != "DELETED":
        return ()
    key = slice_key(change.new.metadata.uid)
    if key not in view.memory or not is_managed(change.new, manager):
        return ()
    return (Remember(key=key, value=None),)
