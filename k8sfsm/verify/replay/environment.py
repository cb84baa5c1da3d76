"""The environment of a recording as a container runtime: what really happened answers the predicted kubelets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from k8sfsm.law import Law
from k8sfsm.node.recorded import RecordedRuntime
from k8sfsm.objects import format_micro_time
from k8sfsm.trace.history import EnvironmentFact, Recording
from k8sfsm.verify.replay.kubelets import START, noticed_ends

law = Law("replay")

_SIZE = 1_048_576


def recorded_runtime(recording: Recording) -> RecordedRuntime:
    """A runtime that answers with the recording's environment facts.

    The log of the environment does not tell when a kubelet had cleaned up after a pod; that is taken from its last
    delete, which is the one order for which the end of the clean-up is the only cause.
    """
    facts = (*recording.environment, *_sandboxes(recording.environment))
    return RecordedRuntime(
        (_as_event(fact) for fact in facts if fact.uid),
        image_facts=_image_facts(facts),
        container_ids=_container_ids(facts),
        cleaned_at=dict(_cleaned(recording)),
        noticed_at=noticed_ends(recording),
        deleted_at=dict(_deleted(recording)),
        terse=bool(recording.about.get("slim")),
    )


@frozen
class PodFacts:
    """What the log of the environment has of one pod: the case of the table `sandbox`."""

    sandboxed: bool
    started: EnvironmentFact | None


@law.fact
def sandbox_logged(facts: PodFacts) -> bool:
    """The log has the start of the pod's sandbox."""
    return facts.sandboxed


@law.fact
def container_started(facts: PodFacts) -> bool:
    """The log has the start of a container of the pod."""
    return facts.started is not None


def _sandboxes(facts: tuple[EnvironmentFact, ...]) -> Iterator[EnvironmentFact]:
    """Sandboxes that the log leaves out: no container starts without one."""
    logged = {fact.uid for fact in facts if fact.event == "sandbox-run"}
    first: dict[str, EnvironmentFact] = {}
    for fact in facts:
        if fact.event in ("container-start", "container-start-error") and fact.container:
            first.setdefault(fact.uid, fact)
    for uid, fact in first.items():
        if law.decide("sandbox", PodFacts(uid in logged, fact)).outputs["infer"]:
            yield evolve(fact, event="sandbox-run", time=fact.time - START, attempt=0, container="", image="")


def _as_event(fact: EnvironmentFact) -> dict[str, Any]:
    event: dict[str, Any] = {
        "ts": format_micro_time(fact.time),
        "event": fact.event,
        "node": fact.node,
        "uid": fact.uid,
        "container": fact.container,
        "image": fact.image,
        "id": _short(fact.container_id),
        "ip": fact.ip,
        "code": fact.code or 0,
        "reason": fact.reason,
        "probe": fact.probe,
        **fact.more,
    }
    event["attempt"] = fact.attempt or 0
    if fact.ok is not None:
        event |= {"ok": fact.ok, "conclusive": _conclusive(fact)}
    return {name: value for name, value in event.items() if value not in ("", None)}


def _conclusive(fact: EnvironmentFact) -> bool:
    """Whether the answer of a probe is read off the status that it led to, and not one of several that it took."""
    return fact.source == "status" or (fact.source == "event" and fact.probe == "ready")


def _short(identity: str) -> str:
    """The first twelve characters of a container id, without the runtime's name."""
    return identity.rpartition("//")[2][:12]


def _image_facts(facts: tuple[EnvironmentFact, ...]) -> Mapping[str, tuple[str, str, int]]:
    return {fact.image: (fact.image_reported, fact.image_id, _SIZE) for fact in facts if fact.image and fact.image_id}


def _container_ids(facts: tuple[EnvironmentFact, ...]) -> Mapping[str, str]:
    return {_short(fact.container_id): fact.container_id for fact in facts if "//" in fact.container_id}


def _cleaned(recording: Recording) -> Iterator[tuple[str, int]]:
    """When each pod that a kubelet removed was cleaned up: when its kubelet sent the last status, then the delete."""
    reported: dict[str, int] = {}
    for write in recording.writes:
        if write.actor != "kubelet" or write.key[0] != "Pod" or not write.ok or not write.uid:
            continue
        at = write.received or write.time
        if write.verb == "delete":
            yield write.uid, min(at, reported.get(write.uid, at))
        elif write.new is not None and "deletionTimestamp" in write.new.json["metadata"]:
            reported[write.uid] = at


def _deleted(recording: Recording) -> Iterator[tuple[str, int]]:
    """When each pod was marked as deleted."""
    for write in recording.changes():
        if write.key[0] != "Pod" or write.new is None or "deletionTimestamp" not in write.new.json["metadata"]:
            continue
        if write.old is None or "deletionTimestamp" not in write.old.json["metadata"]:
            yield write.uid, write.time
