"""A long audit log, made of a recorded one: the same story in one namespace after another, with reads in between.

Every copy has names, uids, revisions and times of its own. `python -m benchmarks.audit_log FILE EVENTS [READS]` writes
one with EVENTS lines, READS of them (a fraction) reads and heartbeats, which are most of a real cluster's log.
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

SAMPLE: Final = Path(__file__).parents[1] / "tests/data/recordings/audit-10.jsonl.zst"
NAMESPACE: Final = "10-delete-release-adopt"
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION: Final = re.compile(r'"resourceVersion":"(\d+)"')
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_EVENT: Final = re.compile(r"\.(18[0-9a-f]{14})\b")
"""The end of an Event's name: its time in ns."""
SECOND: Final = 1_000_000_000


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
        self.first = min(stamps)

    def copy(self, number: int) -> Iterator[str]:
        """The story once more, in a namespace of its own."""
        shift, more = number * self.length, number * self.versions
        name = f"{NAMESPACE}-{number}"

        def later(found: re.Match[str]) -> str:
            text = found.group()
            moved = format_micro_time(parse_time(text) + shift)
            return moved if "." in text else moved.partition(".")[0] + "Z"

        for line in self.lines:
            renamed = _UID.sub(lambda found: found.group()[:-8] + f"{number:08x}", line.replace(NAMESPACE, name))
            revised = _VERSION.sub(lambda found: f'"resourceVersion":"{int(found.group(1)) + more}"', renamed)
            told = _EVENT.sub(lambda found: f".{int(found.group(1), 16) + shift:x}", revised)
            yield _TIME.sub(later, told)

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


def audit_log(events: int, reads: float) -> Iterator[str]:
    """The lines of a log with so many events, a fraction of them reads."""
    copies = Copies(sample())
    yield from copies.cluster
    written, number = len(copies.cluster), 0
    while written < events:
        lines = sorted((*copies.copy(number), *copies.reads(number, _beside(len(copies.lines), reads))), key=_stamp)
        yield from lines
        written += len(lines)
        number += 1


def _beside(writes: int, reads: float) -> int:
    return round(writes * reads / (1 - reads))


def _stamp(line: str) -> str:
    place = line.index('"stageTimestamp":"') + 18
    return line[place : place + 27]


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as target:
        for text in audit_log(int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0):
            target.write(text + "\n")
