"""Kubelets that are fed with what real ones said of their containers: do the rules make the same status of it?

What a container runtime does comes from outside. What a kubelet derives from that (phase, conditions, readiness,
counts, resources, the end of a pod) follows from its tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from attrs import define, field, frozen
from immutables import Map

from k8sfsm.node.conditions import OWNED
from k8sfsm.node.container_status import StartError
from k8sfsm.node.memory import PodMemory
from k8sfsm.node.runtime_state import Instance, PodRuntime, Probed, Sandbox
from k8sfsm.node.session import Session, Settings
from k8sfsm.node.session import law as kubelet
from k8sfsm.node.status import ReportCase, StatusCase, ended_status, generate, merged, settle
from k8sfsm.objects import Pod, PodStatus, evolve, format_micro_time, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import ContainerState, ContainerStatus, HostIP
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.trace.likeness import Likeness
from k8sfsm.verify.check.judging import law
from k8sfsm.verify.check.past import Past
from k8sfsm.verify.check.runs import Runs
from k8sfsm.verify.check.verdicts import Explanation, Nearest, apart
from k8sfsm.verify.replay.compare import differences

Learnt: TypeAlias = tuple[str, dict[str, Any], bool]
"""A rule, its facts, and whether the kubelet reads its pods' cgroups."""
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
_UNKNOWN: Final = object()
_NOT_YET: Final = ("", "ContainerCreating", "PodInitializing")
"""Reasons of containers that wait although nothing has gone wrong."""


@frozen
class Situation:
    """What a kubelet was at when it made a status; the case of the table `check/report`."""

    pod: Pod
    stored: Pod


@law.fact
def pod_marked_deleted(case: Situation) -> bool:
    """The pod has a deletionTimestamp."""
    return case.pod.metadata.deletion_timestamp is not None or case.stored.metadata.deletion_timestamp is not None


@law.fact
def pod_was_over(case: Situation) -> bool:
    """The pod's phase was Succeeded or Failed before."""
    return case.stored.status.phase in ("Succeeded", "Failed")


@define
class Kubelets:
    """Judges what kubelets wrote about pods."""

    past: Past
    runs: Runs
    cgroups: dict[str, bool] = field(factory=dict)
    """Node -> whether its kubelet reads its pods' cgroups, as seen last."""
    uneventful: RecordedWrite | None = None
    """The last status that is known to tell of no run that has begun anew."""

    def explain(self, write: RecordedWrite, likeness: Likeness | None = None) -> Explanation | Nearest:
        """The rule that gives the written status, or orders the deletion. `likeness`: what the write has in common
        with those that are alike; of the others it is not asked again then.
        """
        stored = self.past.store.snapshot.get(write.key)
        if stored is None or (write.uid and stored.metadata.uid != write.uid):
            return Nearest("", {}, "there is no such pod")
        if write.verb == "delete":
            return self._hand_back(stored, write)
        if write.new is None or write.type is None:
            return Explanation("kubelet/pod_sync/sync", {}, write.key, self.past.store.revision, self._cause(write))
        written: Pod = write.new.typed
        if likeness is None or not self._follows_from_likeness(write, stored, written):
            return self._asked(stored, written, write)
        reads = self.cgroups.get(stored.spec.node_name, True)
        known = likeness.found.get(reads, _UNKNOWN)
        if known is _UNKNOWN:
            found = self._asked(stored, written, write)
            likeness.found[reads] = self._learnt(found, stored, written)
            return found
        if known is None:
            return self._asked(stored, written, write)
        if wrong := _misdated(written, write.time):
            return Nearest("kubelet/pod_sync/sync", {}, wrong)
        rule, facts, did_read = known
        cast = Explanation(rule, dict(facts), write.key, self.past.store.revision, self._cause(write))
        if _CHECKED and self._asked(stored, written, write) != cast:
            raise AssertionError(f"{write.line}: a status that is like one of {rule} does not follow from it")
        self.cgroups[stored.spec.node_name] = did_read
        self.uneventful = write
        return cast

    def _asked(self, stored: Pod, written: Pod, write: RecordedWrite) -> Explanation | Nearest:
        """What the tables say of a status."""
        rule, facts, wrong = self.runs.judge(written, stored, write.time)
        if wrong:
            return Nearest(rule, facts, wrong)
        return self._status(stored, written, write)

    def _follows_from_likeness(self, write: RecordedWrite, stored: Pod, written: Pod) -> bool:
        """Whether nothing but the pod before and after, and what the kubelet reads, says which rule gives a status:
        the runtime's log tells nothing of it, no deadline runs, and its node and the time of its start are told as
        they are.
        """
        before, said = stored.status, written.status
        if stored.metadata.uid in self.runs.recorded or stored.spec.active_deadline_seconds is not None:
            return False
        shown = write.old.typed if write.old is not None else None
        if shown is None or shown.status is not before or shown.spec is not stored.spec:
            return False
        if before.start_time is None and said.start_time != write.time - write.time % SECOND:
            return False
        addresses = self._host_ips(written)
        return addresses == said.host_ips and said.host_ip == (addresses[0].ip if addresses else "")

    def _learnt(
        self, found: Explanation | Nearest, stored: Pod, written: Pod
    ) -> tuple[str, dict[str, Any], bool] | None:
        """What is kept of an explanation for statuses that are alike: the rule, its facts, and what the kubelet reads.
        None where the status tells of a run that has begun anew: then times matter.
        """
        if not isinstance(found, Explanation) or self.runs.begun_anew(written, stored):
            return None
        return found.rule, found.facts, self.cgroups[stored.spec.node_name]

    def follow(self, write: RecordedWrite) -> None:
        """A status was written: what follows from it counts from now on."""
        if write is self.uneventful:
            return
        stored = self.past.store.snapshot.get(write.key)
        if stored is not None and write.new is not None and write.type == "MODIFIED":
            self.runs.follow(write.new.typed, stored, write.time)

    def _cause(self, write: RecordedWrite) -> int:
        """The revision of the pod's last change by somebody else."""
        return self.past.last_heard.get(write.key, 0)

    def _status(self, stored: Pod, written: Pod, write: RecordedWrite) -> Explanation | Nearest:
        if wrong := _misdated(written, write.time):
            return Nearest("kubelet/pod_sync/sync", {}, wrong)
        nearest = Nearest()
        recorded: dict[str, Any] = {}
        for pod in self._seen(stored):
            for row, reads in self._attempts(pod, stored):
                status = _report(row.outputs, pod, stored, written, reads, write.time, self._host_ips(written))
                if _same(written.status, status):
                    differs = ""
                else:
                    recorded = recorded or _comparable(written.status)
                    differs = _apart(recorded, _comparable(status))
                if not differs:
                    self.cgroups[stored.spec.node_name] = reads
                    facts = {"phase": status.phase, "over": row.outputs["over"]}
                    return Explanation(
                        str(row.outputs["rule"]), facts, write.key, self.past.store.revision, self._cause(write)
                    )
                if not nearest.rule:
                    nearest = Nearest(str(row.outputs["rule"]), {"phase": status.phase}, differs)
        rejected = self._rejection(stored, written, write)
        return rejected or nearest

    def _seen(self, stored: Pod) -> Iterator[Pod]:
        """What the kubelet can have seen of the pod, the latest first."""
        yield stored
        key = ("Pod", stored.metadata.namespace, stored.metadata.name)
        for _, pod in reversed(self.past.versions.get(key, ())):
            if pod is not stored and pod.metadata.uid == stored.metadata.uid:
                yield pod

    def _attempts(self, pod: Pod, stored: Pod) -> Iterator[tuple[Any, bool]]:
        rows = law.collect("report", Situation(pod, stored))
        known = self.cgroups.get(stored.spec.node_name, True)
        for reads in (known, not known):
            for row in rows:
                yield row, reads

    def _host_ips(self, pod: Pod) -> tuple[HostIP, ...]:
        node = self.past.store.get("Node", "", pod.spec.node_name)
        if node is None:
            return pod.status.host_ips
        return tuple(HostIP(ip=each.address) for each in node.status.addresses if each.type == "InternalIP")

    def _rejection(self, stored: Pod, written: Pod, write: RecordedWrite) -> Explanation | None:
        """The pod is not admitted, by the rule that gives the written reason."""
        if written.status.phase != "Failed" or not written.status.reason:
            return None
        session = self._session(stored, write, PodMemory(pod=stored, added_at=write.time, stage="new"))
        decision = kubelet.decide("admission", session)
        if decision.actions != ("reject_pod",):
            return None
        kubelet.perform(decision, session)
        verdict = session.memory.generated
        if verdict is None or (verdict.reason, verdict.message) != (written.status.reason, written.status.message):
            return None
        facts = {name: value for name, value in decision.facts.items() if isinstance(value, bool | str)}
        return Explanation(decision.rule, facts, write.key, self.past.store.revision, self._cause(write))

    def _hand_back(self, stored: Pod, write: RecordedWrite) -> Explanation | Nearest:
        """A pod that is marked for deletion goes when nothing of it runs."""
        decision = None
        for stage in ("ending", "ended"):
            memory = PodMemory(pod=stored, added_at=0, stage=stage)
            session = self._session(stored, write, memory, _runtime(stored, stored, ended=True))
            decision = kubelet.decide("pod_sync", session)
            if session.memory.stage == "ending" and "report_end" not in decision.actions:
                return Nearest(decision.rule, _plain(decision.facts), "a container of it runs")
        assert decision is not None
        if "delete_object" not in decision.actions:
            return Nearest(decision.rule, _plain(decision.facts), "it is not marked for deletion")
        return Explanation(
            decision.rule, _plain(decision.facts), write.key, self.past.store.revision, self._cause(write)
        )

    def _session(
        self, stored: Pod, write: RecordedWrite, memory: PodMemory, runtime: PodRuntime | None = None
    ) -> Session:
        node = stored.spec.node_name
        state = Map({stored.metadata.uid: runtime}) if runtime is not None else Map()
        view = self.past.whole_view(write.time, memory=self._admitted(node, stored), runtime=state)
        return Session(
            settings=Settings(node=node), view=view, key=write.key, pod=stored, object_gone=False, memory=memory
        )

    def _admitted(self, node: str, but: Pod) -> Map[Any, Any]:
        """The kubelet's memory of the node's other pods: those whose status it has reported were admitted."""
        found = {}
        for pod in self.past.store.snapshot.on_node(node):
            if (
                pod.metadata.uid != but.metadata.uid and pod.status.phase != "Pending"
            ) or pod.status.container_statuses:
                key = ("Pod", pod.metadata.namespace, pod.metadata.name)
                found[key] = (PodMemory(pod=pod, added_at=0, stage="syncing"),)
        return Map(found)


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if isinstance(value, bool | int | str)}


def _report(
    outputs: Mapping[str, Any], pod: Pod, stored: Pod, written: Pod, reads: bool, now: int, host_ips: tuple[HostIP, ...]
) -> PodStatus:
    """The status that the kubelet's rules give for the containers that were reported."""
    case = StatusCase(
        pod=pod,
        runtime=_runtime(pod, written),
        reported=stored.status,
        now=now,
        over=outputs["over"],
        start_errors=dict(_start_errors(written)),
        host_ips=host_ips,
        reads_cgroups=reads,
    )
    status = settle(generate(case), case.old, now)
    if outputs["unsent"]:
        again = evolve(case, reported=status)
        status = settle(generate(again), again.old, now)
    if outputs["lost"]:
        status = ended_status(pod, evolve(status, container_statuses=written.status.container_statuses))
    status = merged(ReportCase(stored, status, outputs["may_run"]), now)
    said = written.status
    return evolve(status, pod_ip=said.pod_ip, pod_ips=said.pod_ips)  # addresses come from the runtime


def _runtime(pod: Pod, written: Pod, *, ended: bool = False) -> PodRuntime:
    """The runtime's state that a reported status tells of; `ended`: the sandbox is gone."""
    status = written.status
    usable = any(each.type == "PodReadyToStartContainers" and each.status == "True" for each in status.conditions)
    existed = usable or bool(status.pod_ip) or any(_runs(each) for each in status.of_containers)
    sandbox = Sandbox(0, status.pod_ip or "-", usable and not ended, 0) if existed else None
    runs = {each.name: found for each in status.of_containers if (found := _runs(each))}
    return PodRuntime(sandbox=sandbox, containers=Map(runs), mounted=True, cleaned=ended)


def _runs(status: ContainerStatus) -> tuple[Instance, ...]:
    """The runs of a container that its status tells of, oldest first."""
    found = []
    for state, identity in ((status.last_state, ""), (status.state, status.container_id)):
        run = _run(status, state, identity)
        if run is not None:
            found.append(run)
    return tuple(found)


def _run(status: ContainerStatus, state: ContainerState, identity: str) -> Instance | None:
    probes = Map(
        {
            "startup": Probed(True, 1, bool(status.started), 0),
            "ready": Probed(True, 1, status.ready, 0),
        }
    )
    common: dict[str, Any] = {
        "attempt": status.restart_count, "image": status.image, "image_id": status.image_id, "probes": probes,
        "resources_known": _told_memory(status),
    }  # fmt: skip
    if state.running is not None:
        return Instance(id=identity, state="running", started_at=state.running.started_at, **common)
    ended = state.terminated
    if ended is None or not ended.container_id:
        return None
    return Instance(
        id=ended.container_id, state="exited", started_at=ended.started_at, finished_at=ended.finished_at,
        exit_code=ended.exit_code, reason=ended.reason, message=ended.message, **common,
    )  # fmt: skip


def _told_memory(status: ContainerStatus) -> bool:
    """Whether the status shows what the runtime gave the container, beside what it asked for."""
    return bool(status.resources and "memory" in (status.resources.requests or {}))


def _start_errors(written: Pod) -> Iterator[tuple[str, StartError]]:
    for each in written.status.of_containers:
        waiting = each.state.waiting
        if waiting is not None and waiting.reason not in _NOT_YET:
            yield each.name, StartError(waiting.reason, waiting.message)


def _same(recorded: PodStatus, ours: PodStatus) -> bool:
    """Whether two statuses are the same, times and places of conditions aside: the quick answer."""
    return evolve(recorded, conditions=()) == evolve(ours, conditions=()) and _owned(recorded) == _owned(ours)


def _owned(status: PodStatus) -> dict[str, Any]:
    owned = (each for each in status.conditions if each.type in OWNED)
    return {each.type: evolve(each, last_transition_time=None) for each in owned}


def _comparable(status: PodStatus) -> dict[str, Any]:
    """A status whose conditions have names instead of places: their order depends on who came first."""
    found = to_json(Pod(status=status)).get("status") or {}
    conditions = {each["type"]: dict(each) for each in found.get("conditions") or () if each["type"] in OWNED}
    for each in conditions.values():
        each.pop("lastTransitionTime", None)
    return {**found, "conditions": conditions}


@frozen
class Dated:
    """A condition in a written status: when it changed, when its pod was made, when the status was written (ns)."""

    changed: int
    made: int
    written: int


@law.fact
def dated(case: Dated) -> Literal["before", "within", "after"]:
    """Where the condition's time lies: before the pod was made, within its life, or after the write."""
    if case.changed < case.made - case.made % SECOND:
        return "before"
    return "after" if case.changed > case.written + SECOND else "within"


@lru_cache(maxsize=64)
def _possible(lies: Literal["before", "within", "after"], edition: object) -> bool:
    """What an edition of the table says of a condition whose time lies so: it asks nothing else."""
    example = {"before": Dated(0, SECOND, 0), "within": Dated(0, 0, 0), "after": Dated(2 * SECOND, 0, 0)}[lies]
    return bool(law.decide("condition-time", example).outputs["possible"])


def _misdated(written: Pod, at: int) -> str:
    made = written.metadata.creation_timestamp or 0
    for each in written.status.conditions:
        since = each.last_transition_time
        if each.type not in OWNED or since is None:
            continue
        if not _possible(dated(Dated(since, made, at)), law.edition):
            return f"condition {each.type} changed at {format_micro_time(since)}, outside the pod's life"
    return ""


def _apart(recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    for path, left, right in differences("Pod", {"status": recorded}, {"status": ours}, by=law):
        return apart("Pod", path, left, right)
    return ""
