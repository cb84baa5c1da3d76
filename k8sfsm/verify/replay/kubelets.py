"""What a recording tells of the chances of its kubelets, which the log of the environment does not.

When a kubelet noticed that a container had ended, when (stretched by its jitter) it tried again what had failed, and
which ConfigMaps and Secrets there were, where the recording has none: a container that was started proves it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8sfsm.kinds.pod_resources import pod_requests
from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.references import environment_references, volume_references
from k8sfsm.objects import Pod, evolve, from_json
from k8sfsm.objects.durations import MILLISECOND
from k8sfsm.request import DONE, Key, Plan, Record
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.view import View

_REPORT: Final = 10 * MILLISECOND
"""From what a kubelet sees to the arrival of what it writes about it."""
START: Final = 75 * MILLISECOND
"""From the decision to start a container to its start."""
_BEFORE: Final = {"container-start": 300 * MILLISECOND, "sandbox-run": 500 * MILLISECOND}
"""How long before a fact that needs an object the object is taken to have been there."""
_TRIED: Final = ("BackOff", "Failed", "Pulled", "Pulling", "ErrImageNeverPull", "InspectFailed")
"""Reasons of Events that say that a kubelet tried to start a container."""
STOPS: Final = ("kubelet-killed", "node-down")
"""Facts that say that a node falls silent."""
_LEFT_OUT: Final = ("ConfigMap", "Secret")


class HollowKubelet(Kubelet):
    """Says that a node is alive, and nothing else: what a scripted node does with pods comes from outside."""

    def reconcile(self, view: View, key: Key) -> Plan:
        """Renew the lease."""
        if key[0] != "Node":
            return DONE
        plan = super().reconcile(view, key)
        return evolve(plan, steps=tuple(step for step in plan.steps if not isinstance(step, Record)))


def hollow_nodes(recording: Recording) -> frozenset[str]:
    """Nodes without a real kubelet: those that the environment calls so, and those that are no machine.

    Source: pkg/kubelet/nodestatus/setters.go: MachineInfo, VersionInfo
    """
    found: set[str] = set()
    for fact in recording.environment:
        if fact.event == "hollow-add":
            found.update(fact.more.get("names", ()))
        elif fact.node and fact.more.get("hollow"):
            found.add(fact.node)
    if recording.format == "k8sfsm":
        return frozenset(found)
    nodes = [document for document in recording.initial if document.key[0] == "Node"]
    nodes += [w.new for w in recording.writes if w.key[0] == "Node" and w.type == "ADDED" and w.new is not None]
    return frozenset(found.union(node.key[2] for node in nodes if _is_no_machine(node)))


def _is_no_machine(node: Document) -> bool:
    """Whether a node tells its kubelet's version, and no boot of a machine: a kubelet tells both at once."""
    told = (node.json.get("status") or {}).get("nodeInfo") or {}
    return bool(told.get("kubeletVersion")) and not told.get("bootID")


def stops_of(recording: Recording) -> Mapping[str, tuple[int, ...]]:
    """When (ns) the kubelet of each node stopped."""
    found: dict[str, tuple[int, ...]] = {}
    for fact in recording.environment:
        if fact.event in STOPS:
            found[fact.node] = (*found.get(fact.node, ()), fact.time)
    return found


def cgroup_version(recording: Recording) -> int:
    """The version of the nodes' cgroups, as far as their kubelets told."""
    told = any(
        write.key[0] == "Event" and write.new is not None and write.new.json.get("reason") == "CgroupV1"
        for write in recording.changes()
    )
    return 1 if told else 2


def noticed_ends(recording: Recording) -> Mapping[str, int]:
    """Short id of a container -> when (ns) its kubelet knew at the latest that it had ended."""
    found: dict[str, int] = {}
    for write in recording.changes():
        if write.key[0] != "Pod" or write.new is None or write.actor != "kubelet":
            continue
        for identity in _ended(write.new.json.get("status", {})):
            found.setdefault(identity, (write.received or write.time) - _REPORT)
    runs = _runs(recording)
    for uid, container, attempt, at in _starts(recording):
        before = runs.get((uid, container, attempt - 1))
        if before in found:
            found[before] = min(found[before], at - START)
    return found


def _ended(status: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(kind) or ():
            for state in ("state", "lastState"):
                identity = (each.get(state) or {}).get("terminated", {}).get("containerID", "")
                if identity:
                    yield identity.rpartition("//")[2][:12]


def _starts(recording: Recording) -> Iterator[tuple[str, str, int, int]]:
    for fact in recording.environment:
        if fact.event in ("container-start", "container-start-error"):
            yield fact.uid, fact.container, fact.attempt or 0, fact.time


def _runs(recording: Recording) -> Mapping[tuple[str, str, int], str]:
    return {
        (fact.uid, fact.container, fact.attempt or 0): fact.container_id.rpartition("//")[2][:12]
        for fact in recording.environment
        if fact.event == "container-start"
    }


def tries(recording: Recording) -> Mapping[str, tuple[int, ...]]:
    """Pod uid -> when (ns) its kubelet tried to start containers of it, in order; every recorded pod is there."""
    found: dict[str, list[int]] = defaultdict(list)
    for uid, _, _, at in _starts(recording):
        found[uid].append(at - START)
    for fact in recording.environment:
        if fact.event == "pull-start":
            found[fact.uid].append(fact.time - _REPORT)
    for write in recording.changes():
        if write.key[0] == "Pod":
            found[write.uid]
        elif write.key[0] == "Event" and write.actor == "kubelet" and write.new is not None:
            event = write.new.json
            if event.get("reason") in _TRIED:
                about = event.get("involvedObject") or event.get("regarding") or {}
                found[about.get("uid", "")].append((write.received or write.time) - _REPORT)
    return {uid: tuple(sorted(times)) for uid, times in found.items()}


def objects_left_out(recording: Recording) -> Iterator[tuple[int, Any]]:
    """ConfigMaps and Secrets that pods used and that the recording does not show: (since when, object)."""
    seen = {document.key[0] for document in recording.initial} | {write.key[0] for write in recording.changes()}
    since: dict[Key, int] = {}
    for at, uid, pod in _pods(recording):
        for key, proof in _proofs(recording, uid, pod):
            if key[0] not in seen:
                since[key] = min(since.get(key, max(proof, at)), max(proof, at))
    for (kind, namespace, name), at in sorted(since.items()):
        meta = {"namespace": namespace, "name": name}
        yield at, from_json({"apiVersion": "v1", "kind": kind, "metadata": meta})


def _pods(recording: Recording) -> Iterator[tuple[int, str, Pod]]:
    for document in recording.initial:
        if document.key[0] == "Pod":
            yield recording.start or 0, document.uid, document.typed
    for write in recording.changes():
        if write.key[0] == "Pod" and write.type == "ADDED" and write.new is not None:
            yield write.time, write.uid, write.new.typed


def _proofs(recording: Recording, uid: str, pod: Pod) -> Iterator[tuple[Key, int]]:
    """Objects that a pod used, and when they were there at the latest."""
    namespace = pod.metadata.namespace
    containers = {each.name: each for each in (*pod.spec.init_containers, *pod.spec.containers)}
    for fact in recording.environment:
        if fact.uid != uid or fact.event not in _BEFORE:
            continue
        proof = fact.time - _BEFORE[fact.event]
        if fact.event == "sandbox-run":
            yield from (((kind, namespace, name), proof) for _, kind, name in volume_references(pod))
        elif fact.container in containers:
            used = environment_references(containers[fact.container])
            yield from (((kind, namespace, name), proof) for kind, name in used)


def reads_cgroups(recording: Recording) -> bool:
    """Whether the recorded kubelets know what a running pod's cgroup has: from their flags, or from what they report.

    Source: pkg/kubelet/kubelet_pods.go: the resources of a running pod in generateAPIPodStatus
    """
    flags = recording.about.get("flags_not_default", {})
    told = flags.get("kubelet", {}) if isinstance(flags, Mapping) else {}
    if isinstance(told, Mapping) and "cgroupsPerQOS" in told:
        return bool(told["cgroupsPerQOS"])
    return not any(_hides_cpu(write) for write in recording.changes() if write.key[0] == "Pod")


def _hides_cpu(write: RecordedWrite) -> bool:
    """Whether a pod that asks for CPU, and was running before, is reported without it."""
    if write.old is None or write.new is None or write.subresource != "status":
        return False
    if write.old.json.get("status", {}).get("phase") != "Running":
        return False
    status, asked = write.new.json.get("status", {}), pod_requests(write.new.typed, overhead=False)
    shown = status.get("resources", {}).get("requests", {})
    return status.get("phase") == "Running" and "cpu" in asked and "cpu" not in shown
