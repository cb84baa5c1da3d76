"""A long audit log, made of a recorded one: the same story in one namespace after another, with reads in between.

Every copy has names, uids, revisions and times of its own. `python -m benchmarks.audit_log FILE EVENTS [READS
[HEARTBEATS]]` writes one with EVENTS lines, READS of them (a fraction) reads and bare heartbeats as the level Metadata
logs them, HEARTBEATS of them renewals of leases with their objects, as our policy (docs/audit-policy.yaml) logs them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import zstandard

from k8sfsm.objects import format_micro_time, parse_time
from k8sfsm.objects.durations import SECOND

SAMPLE: Final = Path(__file__).parents[1] / "tests/data/recordings/audit-10.jsonl.zst"
NAMESPACE: Final = "10-delete-release-adopt"
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION: Final = re.compile(r'"resourceVersion":"(\d+)"')
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_EVENT: Final = re.compile(r"\.(18[0-9a-f]{14})\b")
"""The end of an Event's name: its time in ns."""
_GAP: Final = 10_000
"""Revisions from one of the story to the next: room for heartbeats."""
_NODES: Final = 100
"""Nodes that send heartbeats."""


def sample() -> list[str]:
    """The lines of the recorded log."""
    with SAMPLE.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    return text.splitlines()


def story(lines: list[str]) -> tuple[list[str], list[str]]:
    """(lines about the cluster, lines about the namespace)."""
    mine = [line for line in lines if NAMESPACE in line]
    return [line for line in lines if NAMESPACE not in line], mine


class Copies:
    """Copies of a story, each later than the one before."""

    def __init__(self, lines: list[str]) -> None:
        self.cluster, self.lines = story(lines)
        stamps = [parse_time(found) for line in lines for found in re.findall(r'"stageTimestamp":"([^"]+)"', line)]
        versions = [int(found) for line in lines for found in _VERSION.findall(line)]
        self.length = ((max(stamps) - min(stamps)) // SECOND + 2) * SECOND
        self.versions = max(versions) + 1
        self.begins = min(map(_stamp, self.lines))
        self.first = min(stamps)

    def copy(self, number: int) -> Iterator[str]:
        """The story once more, in a namespace of its own."""
        shift, more = number * self.length, number * self.versions * _GAP
        name = f"{NAMESPACE}-{number}"

        def later(found: re.Match[str]) -> str:
            text = found.group()
            moved = format_micro_time(parse_time(text) + shift)
            return moved if "." in text else moved.partition(".")[0] + "Z"

        for line in self.lines:
            renamed = _UID.sub(lambda found: found.group()[:-8] + f"{number:08x}", line.replace(NAMESPACE, name))
            revised = _VERSION.sub(lambda found: f'"resourceVersion":"{int(found.group(1)) * _GAP + more}"', renamed)
            told = _EVENT.sub(lambda found: f".{int(found.group(1), 16) + shift:x}", revised)
            yield _TIME.sub(later, told)

    def beginning(self) -> Iterator[str]:
        """What happened before the first story."""
        for line in self.cluster:
            yield _VERSION.sub(lambda found: f'"resourceVersion":"{int(found.group(1)) * _GAP}"', line)

    def with_heartbeats(self, number: int, lines: list[str], count: int) -> Iterator[str]:
        """The lines of a copy, with so many renewals of leases in between."""
        revision = number * self.versions * _GAP
        begins = parse_time(self.begins) + number * self.length
        stamps = [begins + place * self.length // max(count, 1) for place in range(count)]
        beats = [(format_micro_time(at), place) for place, at in enumerate(stamps)]
        for line in lines:
            while beats and beats[0][0] <= _stamp(line):
                at, place = beats.pop(0)
                revision += 1
                yield _renewal(place, number, at, revision)
            yield line
            revision = max([revision, *(int(found) for found in _VERSION.findall(line))])
        for at, place in beats:
            revision += 1
            yield _renewal(place, number, at, revision)

    def reads(self, number: int, count: int) -> Iterator[str]:
        """What else a cluster's log has meanwhile: reads, and heartbeats that were logged without objects."""
        for place in range(count):
            at = format_micro_time(self.first + number * self.length + place * self.length // max(count, 1))
            yield json.dumps(_read(place, number, at), separators=(",", ":"))


def _read(place: int, number: int, at: str) -> dict[str, Any]:
    node = f"node-{place % 4 + 1}"
    verb, resource, name = [
        ("update", "leases", node), ("get", "leases", "kube-scheduler"), ("get", "nodes", node), ("list", "pods", ""),
        ("watch", "services", ""),
    ][place % 5]  # fmt: skip
    space = {"leases": "kube-node-lease" if verb == "update" else "kube-system"}.get(resource, "")
    return {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": f"{number}-{place}",
        "stage": "ResponseComplete", "requestURI": f"/api/v1/{resource}/{name}", "verb": verb,
        "user": {"username": f"system:node:{node}", "groups": ["system:nodes", "system:authenticated"]},
        "sourceIPs": ["10.10.0.11"], "userAgent": "kubelet/v1.36.2 (linux/amd64) kubernetes/abcdef0",
        "objectRef": {"resource": resource, "namespace": space, "name": name, "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200}, "requestReceivedTimestamp": at, "stageTimestamp": at,
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }  # fmt: skip


def _renewal(place: int, number: int, at: str, revision: int) -> str:
    """A kubelet renews the lease of its node."""
    node = f"node-{place % _NODES + 1}"
    uid = f"5f2c8d3e-0000-4000-8000-{place % _NODES:012x}"
    spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": at}
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid[:-1] + "f"}
    meta = {
        "name": node, "namespace": "kube-node-lease", "uid": uid, "resourceVersion": str(revision),
        "creationTimestamp": "2026-11-01T00:00:00Z", "ownerReferences": [owner],
    }  # fmt: skip
    lease = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": meta, "spec": spec}
    line = {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": f"{number}-l{place}",
        "stage": "ResponseComplete", "verb": "update",
        "requestURI": f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}?timeout=10s",
        "user": {"username": f"system:node:{node}", "groups": ["system:nodes", "system:authenticated"]},
        "sourceIPs": ["10.10.0.11"], "userAgent": "kubelet/v1.36.2 (linux/amd64) kubernetes/abcdef0",
        "objectRef": {
            "resource": "leases", "namespace": "kube-node-lease", "name": node, "uid": uid,
            "apiGroup": "coordination.k8s.io", "apiVersion": "v1",
        },
        "responseStatus": {"metadata": {}, "code": 200},
        "requestObject": {**lease, "metadata": {name: meta[name] for name in meta if name != "resourceVersion"}},
        "responseObject": lease, "requestReceivedTimestamp": at, "stageTimestamp": at,
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }  # fmt: skip
    return json.dumps(line, separators=(",", ":"))


def audit_log(events: int, reads: float, heartbeats: float = 0.0) -> Iterator[str]:
    """The lines of a log with so many events, a fraction of them reads, and one heartbeats."""
    copies = Copies(sample())
    before = tuple(copies.beginning())
    written, number = 0, 0
    story = len(copies.lines) / (1 - reads - heartbeats)
    while written < events:
        lines = sorted((*before, *copies.copy(number), *copies.reads(number, round(story * reads))), key=_stamp)
        before = ()
        lines = list(copies.with_heartbeats(number, lines, round(story * heartbeats)))
        yield from lines
        written += len(lines)
        number += 1


def _stamp(line: str) -> str:
    place = line.index('"stageTimestamp":"') + 18
    return line[place : place + 27]


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as target:
        for text in audit_log(int(sys.argv[2]), *map(float, sys.argv[3:5] or ["0"])):
            target.write(text + "\n")
