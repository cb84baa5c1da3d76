"""The part of a history that concerns one namespace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from k8sfsm.objects import evolve
from k8sfsm.request import Key
from k8sfsm.trace.attribution import World
from k8sfsm.trace.history import Document, RecordedWrite, Recording

CLUSTER_KINDS = ("Node", "PriorityClass")
"""Cluster-scoped kinds whose objects a namespace's replay needs, beside the namespace itself."""


def concerns(key: Key, namespace: str) -> bool:
    """Whether an object matters to the replay of a namespace."""
    kind, space, _ = key
    return space == namespace or key == ("Namespace", "", namespace) or kind in CLUSTER_KINDS


def cut(
    initial: Iterable[Document], writes: Sequence[RecordedWrite], namespace: str
) -> tuple[tuple[Document, ...], tuple[RecordedWrite, ...]]:
    """(objects at the start, writes) of a namespace's part: from the first write in it to the last."""
    own = [i for i, w in enumerate(writes) if w.key[1] == namespace or w.key == ("Namespace", "", namespace)]
    world = World()
    for document in initial:
        if concerns(document.key, namespace):
            world.put(document)
    first, last = (own[0], own[-1] + 1) if own else (len(writes), len(writes))
    for write in writes[:first]:
        if not concerns(write.key, namespace) or write.type is None:
            continue
        if write.type == "DELETED":
            world.remove(write.key)
        elif write.new is not None:
            world.put(write.new)
    return tuple(world.objects.values()), tuple(w for w in writes[first:last] if concerns(w.key, namespace))


def numbered(writes: Iterable[RecordedWrite]) -> tuple[RecordedWrite, ...]:
    """The writes with their requests numbered from 1 in order of appearance."""
    known: dict[int, int] = {}
    return tuple(evolve(write, request=known.setdefault(write.request, len(known) + 1)) for write in writes)


def namespace_part(recording: Recording, namespace: str) -> Recording:
    """The part of a recording that concerns a namespace. Facts about other namespaces' pods are left out."""
    initial, writes = cut(recording.initial, recording.writes, namespace)
    start, end = (writes[0].time, writes[-1].time) if writes else (recording.start, recording.end)
    facts = tuple(f for f in recording.environment if f.pod is None or f.pod[1] == namespace)
    final = recording.final
    if final is not None:
        final = {key: document for key, document in final.items() if concerns(key, namespace)}
    return evolve(
        recording,
        initial=initial,
        writes=numbered(writes),
        environment=facts,
        final=final,
        start=start,
        end=end,
        namespaces=(namespace,),
    )
