"""What happened outside the API: read from a recording's `env.jsonl`, or off the statuses that kubelets wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from k8sfsm.objects import evolve
from k8sfsm.trace.errors import Line, TraceError
from k8sfsm.trace.fields import optional, required, time_at
from k8sfsm.trace.history import EnvironmentFact, RecordedWrite
from k8sfsm.trace.lines import Json, Progress, json_lines
from k8sfsm.trace.statuses import container_statuses, facts_from_statuses

__all__ = ["EVENTS", "complete_images", "facts_from_statuses", "read_environment"]

EVENTS: Final = (
    "sandbox-run", "sandbox-stop", "pull-start", "pull-done", "pull-failed", "container-start", "container-start-error",
    "container-exit", "stop-signal", "probe", "probe-set", "exec", "kubelet-killed", "kubelet-started", "node-down",
    "node-up", "component-stop", "component-start", "actor-crash", "informer-lag",
    "informer-resync", "etcd-compact", "request-disturbed", "partition", "partition-healed", "clock-skew",
    "registry-unreachable", "probe-flapping", "pod-cidr", "hollow-add",
)  # fmt: skip
_OWN_FIELDS: Final = frozenset(
    {"ts", "event", "node", "namespace", "pod", "uid", "container", "attempt", "image", "id", "ip", "code", "reason",
     "probe", "ok"}
)  # fmt: skip


def read_environment(path: Path, progress: Progress | None = None) -> Iterator[EnvironmentFact]:
    """The facts of an `env.jsonl`, in the order of its lines. Raises TraceError, also for events we do not know."""
    for place, value in json_lines(path, progress):
        yield _fact(place, value)


def _fact(place: Line, value: Json) -> EnvironmentFact:
    event = required(place, value, "event", str)
    if event not in EVENTS:
        raise TraceError(place, f"expected one of {', '.join(EVENTS)}, found '{event}'", "remove the line", "event")
    time = time_at(place, value, "ts")
    if time is None:
        raise TraceError(place, "expected an RFC 3339 time, found nothing", "give the file as recorded", "ts")
    name = optional(place, value, "pod", str, "")
    return EnvironmentFact(
        line=place,
        time=time,
        event=event,
        node=optional(place, value, "node", str, ""),
        pod=("Pod", optional(place, value, "namespace", str, ""), name) if name else None,
        uid=optional(place, value, "uid", str, ""),
        container=optional(place, value, "container", str, ""),
        attempt=optional(place, value, "attempt", int),
        image=optional(place, value, "image", str, ""),
        container_id=optional(place, value, "id", str, ""),
        ip=optional(place, value, "ip", str, ""),
        code=optional(place, value, "code", int),
        reason=optional(place, value, "reason", str, ""),
        probe=optional(place, value, "probe", str, ""),
        ok=optional(place, value, "ok", bool),
        more={key: found for key, found in sorted(value.items()) if key not in _OWN_FIELDS},
    )


def complete_images(facts: Iterable[EnvironmentFact], writes: Iterable[RecordedWrite]) -> tuple[EnvironmentFact, ...]:
    """Facts with what only the statuses say: the image as reported, imageID, and the whole container id.

    A runtime's own record names containers by the first characters of their id.
    """
    shown: dict[str, dict[str, Json]] = {}
    for write in writes:
        if write.key[0] != "Pod" or write.type is None or write.new is None:
            continue
        for status in container_statuses(write.new.json):
            for identity in _identities(status):
                shown.setdefault(write.new.uid, {}).setdefault(identity, status)
    return tuple(_completed(fact, shown.get(fact.uid, {})) for fact in facts)


def _identities(status: Json) -> list[str]:
    parts: list[Any] = [status, *(status.get("state") or {}).values(), *(status.get("lastState") or {}).values()]
    return [part["containerID"] for part in parts if isinstance(part, dict) and part.get("containerID")]


def _completed(fact: EnvironmentFact, shown: dict[str, Json]) -> EnvironmentFact:
    if not fact.container_id or "://" in fact.container_id:
        return fact
    for identity, status in shown.items():
        if identity.partition("://")[2].startswith(fact.container_id):
            same = status.get("containerID") == identity
            image, image_id = (status.get("image") or "", status.get("imageID") or "") if same else ("", "")
            return evolve(fact, container_id=identity, image_reported=image, image_id=image_id)
    return fact
