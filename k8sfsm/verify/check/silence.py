"""When nodes fell silent, in histories that have neither the flags of the components nor a log of the environment.

How long a controller manager waits for a node is a flag. Where leases are recorded it shows; where they are not, a node
that was found lost must have been silent for as long as the controller waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from k8sfsm.law import constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.history import EnvironmentFact, RecordedWrite, Recording
from k8sfsm.verify.replay.heartbeats import lifecycle_settings
from k8sfsm.verify.replay.kubelets import STOPS
from k8sfsm.verify.replay.predict import shows_leases

_ROUND: Final = (10, 5, 1)
"""Flags are round numbers of seconds: tens rather than fives, fives rather than others."""
_FLAG: Final = "node-monitor-grace-period"


def with_silence(recording: Recording) -> Recording:
    """The recording with the flag and the silences that it proves, where it does not tell them."""
    lost, told = tuple(_lost(recording)), bool(recording.about.get("flags_not_default"))
    watched = tells_stops(recording)
    if told and watched:
        return recording
    if shows_leases(recording) and not watched:
        return recording if told else _with_flag(recording, lost)
    grace = round(lifecycle_settings(recording).monitor_grace * SECOND)
    heard = min(_waits(recording, lost), default=grace)
    if heard < grace and not told:
        recording = _flagged(recording, heard // SECOND, int(constant("node_lease_renew_interval")))
        grace = round(lifecycle_settings(recording).monitor_grace * SECOND)
    if watched:
        return recording
    facts = tuple(_silent(fact, lost, grace) for fact in recording.environment)
    return evolve(recording, environment=tuple(sorted(facts, key=lambda fact: fact.time)))


def tells_stops(recording: Recording) -> bool:
    """Whether the environment has a record of its own, which tells when kubelets and machines stopped."""
    return any(fact.source == "runtime" for fact in recording.environment)


def _lost(recording: Recording) -> Iterator[RecordedWrite]:
    for write in recording.changes():
        if write.actor == "node-controller" and write.key[0] == "Node" and write.subresource == "status":
            yield write


def _silent(fact: EnvironmentFact, lost: tuple[RecordedWrite, ...], grace: int) -> EnvironmentFact:
    """A stop that is known from a lost node only: it came before the controller began to wait."""
    if fact.event not in STOPS or fact.source == "runtime":
        return fact
    found = next((write for write in lost if write.key[2] == fact.node and write.time >= fact.time), None)
    if found is None:
        return fact
    renewal: int = constant("node_lease_renew_interval") * SECOND
    return evolve(fact, time=min(fact.time, found.time - grace + renewal // 2))


def _with_flag(recording: Recording, lost: tuple[RecordedWrite, ...]) -> Recording:
    """How long the controller waited, from the last renewal of a lease to the round that found the node lost."""
    for write in lost:
        renewed = [
            each.time
            for each in recording.changes()
            if each.key[0] == "Lease" and each.key[2] == write.key[2] and each.time < write.time
        ]
        if renewed:
            return _flagged(recording, (write.time - renewed[-1]) // SECOND, 0)
    return recording


def _waits(recording: Recording, lost: tuple[RecordedWrite, ...]) -> Iterator[int]:
    """For how long (ns) at most nodes can have been silent when they were found lost: they were heard of before."""
    for fact in recording.environment:
        found = next((w for w in lost if w.key[2] == fact.node and w.time >= fact.time), None)
        if fact.event in STOPS and found is not None:
            yield found.time - fact.time


def _flagged(recording: Recording, waited: int, unseen: int) -> Recording:
    """The recording with the flag that the controller must have had; `unseen`: seconds before a node was last heard of
    in which its last heartbeat may have been.
    """
    flags: Mapping[str, Any] = {"kube-controller-manager": {_FLAG: f"{_flag(waited, unseen)}s"}}
    return evolve(recording, about={**recording.about, "flags_not_default": flags})


def _flag(waited: int, unseen: int) -> int:
    """The likeliest value (s) of the flag for a node that was found lost after so many seconds."""
    default = int(constant("node_monitor_grace_period"))
    shortest, longest = waited - int(constant("node_monitor_period")) - 1, waited + unseen
    if shortest <= default <= longest:
        return default
    for unit in _ROUND:
        found = longest // unit * unit
        if found >= max(shortest, 1):
            return found
    return waited
