"""The timeline: lines of a trace as rows for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8sfsm.engine.line import Line
from k8sfsm.objects.durations import SECOND


def timeline_rows(lines: Iterable[Line], start: int, events: bool = False) -> Iterator[tuple[str, str, str, str, str]]:
    """(seconds since `start`, actor, object, what happened, rule) for each line that says something."""
    for line in lines:
        if line.key[0] in ("Event", "Lease") and not (events and line.key[0] == "Event"):
            continue
        what = _what(line)
        if what:
            yield f"{(line.at - start) / SECOND:.3f}", _actor(line), _object(line), what, line.rule


def _actor(line: Line) -> str:
    if line.actor == "user":
        return line.account or line.actor
    return f"{line.actor}/{line.node}" if line.node and line.actor == "kubelet" else line.actor


def _object(line: Line) -> str:
    if line.key[0] == "Event" and line.after is not None:
        about = line.after.involved_object
        return f"{about.kind}/{about.name}"
    return f"{line.key[0]}/{line.key[2]}"


def _what(line: Line) -> str:
    if line.actor == "environment":
        return " ".join(
            [line.verb, *(str(line.detail[name]) for name in ("container", "image", "ip") if name in line.detail)]
        )
    if line.key[0] == "Event" and line.after is not None:
        return f"{line.after.reason}: {line.after.message}"
    if line.code >= 300:
        return f"{line.verb} refused: {line.code} {line.message}"
    changes = [f"{move.old} -> {move.new}" for move in line.moves if move.old != move.new]
    changes += _replicas(line)
    if line.change == "ADDED":
        return "created: " + ", ".join(move.new for move in line.moves) if line.moves else "created"
    if line.change == "DELETED":
        return "gone"
    return ", ".join(changes)


def _replicas(line: Line) -> Iterator[str]:
    if line.key[0] not in ("ReplicaSet", "Deployment") or line.before is None or line.after is None:
        return
    old, new = line.before.spec.replicas, line.after.spec.replicas
    if old != new:
        yield f"replicas {old} -> {new}"
    ready_old, ready_new = line.before.status.ready_replicas, line.after.status.ready_replicas
    if ready_old != ready_new:
        yield f"ready {ready_old} -> {ready_new}"
