"""One look of a kubelet at one pod: what it sees, what it remembers, and the steps it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

from attrs import define, field, frozen

from k8sfsm.law import Law
from k8sfsm.lazy import lazy
from k8sfsm.node.conditions import OWNED
from k8sfsm.node.container_status import Place
from k8sfsm.node.memory import Doing, Eviction, PodMemory, Stage, eviction_key
from k8sfsm.node.phase import TERMINAL
from k8sfsm.node.runtime_state import Instance, PodRuntime, node_of, pod_of
from k8sfsm.objects import Container, HostIP, Node, Pod, PodStatus, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Call, Key, Record, Why
from k8sfsm.view import View

law = Law("kubelet")

_LISTS: Final = {"init": "initContainers", "regular": "containers", "ephemeral": "ephemeralContainers"}
LATE: Final = SECOND // 10
"""How much (ns) later than it happened something may be recorded."""


@frozen(kw_only=True)
class Settings:
    """A kubelet's node and flags. `relist_offset` (ns): when within a second it looks for ended containers.

    `probing` False: answers of probes come from outside (a recording). `jitter`: the part of a retry delay by which
    it is stretched (0 to 0.5 in a real kubelet, at random). `reads_cgroups`: off where cgroupsPerQOS is off.
    `labels`, `capacity`: of the Node that it registers. `heartbeats` False: its Node and Lease come from outside;
    `reports_node` False: its Node alone does. `renews_at`: a moment (ns) at which it renews its Lease, its rhythm.
    `cloud`: a cloud's controllers are to initialise the Node (--cloud-provider=external) and to attach volumes.
    `tries`: when (ns) a recorded kubelet tried again to start what it could not, by pod uid: its jitter is chance.
    """

    node: str
    host_ip: str = ""
    relist_offset: int = 0
    probing: bool = True
    jitter: float = 0.0
    reads_cgroups: bool = True
    heartbeats: bool = True
    reports_node: bool = True
    renews_at: int | None = None
    cgroup_version: int = 2
    labels: Mapping[str, str] = field(factory=dict)
    capacity: Mapping[str, str] = field(factory=lambda: {"cpu": "2", "memory": "8Gi", "pods": "110"})
    cloud: bool = False
    tries: Mapping[str, tuple[int, ...]] = field(factory=dict)

    def next_try(self, uid: str, now: int, wait: int) -> int:
        """When to try again after `wait` (ns) or up to half as long again: as recorded, else by `jitter`."""
        known = self.tries.get(uid)
        if known is None:
            return now + wait + int(wait * self.jitter)
        latest = now + wait + wait // 2
        return next((max(at, now + wait) for at in known if now + wait - LATE < at < latest + SECOND), latest)


@define(slots=False, kw_only=True)
class Session:
    """The case of the kubelet's tables for one pod. Actions change `memory` and give steps; `status` is to be sent.

    `runtime`: what the runtime knows of the pod; `containers`: init, regular, then ephemeral containers. `goes_round`:
    what comes of the look depends on what comes again and again (`latest_round`).
    """

    settings: Settings
    view: View
    key: Key
    pod: Pod
    object_gone: bool
    memory: PodMemory
    writes: list[Any] = field(factory=list)
    status: PodStatus | None = None
    status_why: Why | None = None
    again: bool = False
    container_name: str = ""
    forgotten: bool = False
    goes_round: bool = False
    requests: dict[str, tuple[int, int, int]] = field(factory=dict)
    runtime: PodRuntime = field(init=False)
    containers: tuple[Container, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.runtime = pod_of(self.view.runtime, self.pod.metadata.uid)
        spec = self.pod.spec
        self.containers = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)

    @property
    def now(self) -> int:
        """The time of this look (ns)."""
        return self.view.now

    @lazy
    def last_relist(self) -> int:
        """When the kubelet last looked for containers that ended by themselves."""
        return self.latest_round(self.settings.relist_offset, int(law.constant("relist_period")) * SECOND)

    def latest_round(self, begin: int, period: int) -> int:
        """The latest moment until now of those that lie `period` (ns) apart, from `begin` on."""
        self.goes_round = True
        return self.now - (self.now - begin) % period

    @property
    def asked_for_relist(self) -> bool:
        """The look has asked when the kubelet looks for ended containers."""
        return "last_relist" in self.__dict__

    @property
    def next_relist(self) -> int:
        """When it will look again."""
        return self.last_relist + int(law.constant("relist_period")) * SECOND

    @lazy
    def seen(self) -> PodRuntime:
        """The runtime's state as the kubelet knows it: ends since its last relist are hidden from it."""
        hidden = {each.name: self._hide(each.name) for each in self.containers if self._hidden(each.name)}
        if not hidden:
            return self.runtime
        return evolve(self.runtime, containers=self.runtime.containers.update(hidden))

    @lazy
    def hides_an_end(self) -> bool:
        """A container has ended that the kubelet has not noticed yet."""
        return self.seen is not self.runtime

    @property
    def next_notice(self) -> int:
        """When the kubelet notices the first end that is hidden from it."""
        return min(self._noticed_at(each.name) for each in self.containers if self._hidden(each.name))

    def _hidden(self, name: str) -> bool:
        return self._noticed_at(name) > self.now

    def _noticed_at(self, name: str) -> int:
        """When the end of a container's newest run is noticed; 0: there is none, or it is known."""
        run = _last(self.runtime, name)
        if run is None or run.state != "exited" or run.stopped or run.finished_at is None:
            return 0
        if run.noticed_at is not None:
            return run.noticed_at
        if run.finished_at <= max(self.last_relist, self.runtime.settled_at) or self._has_told_end_of(run):
            return 0
        return self.next_relist

    def _has_told_end_of(self, run: Instance) -> bool:
        """A status says that the run has ended: a clock that is put back makes nobody forget that."""
        for status in (self.memory.generated, self.pod.status):
            ends = [each.state.terminated for each in status.of_containers] if status is not None else ()
            if any(end is not None and end.container_id == run.id for end in ends):
                return True
        return False

    def _hide(self, name: str) -> tuple[Instance, ...]:
        runs = self.runtime.containers[name]
        alive = evolve(runs[-1], state="running", finished_at=None, exit_code=0, reason="", message="")
        return (*runs[:-1], alive)

    def container(self, name: str) -> Container:
        """The container of that name."""
        return next(each for each in self.containers if each.name == name)

    @property
    def current(self) -> Container:
        """The container that the sync is busy with."""
        return self.container(self.container_name)

    def is_init(self, name: str) -> bool:
        """True for init containers and sidecars."""
        return self.place(name) == "init"

    def place(self, name: str) -> Place:
        """In which list of the pod's spec a container is."""
        if any(each.name == name for each in self.pod.spec.init_containers):
            return "init"
        return "ephemeral" if any(each.name == name for each in self.pod.spec.ephemeral_containers) else "regular"

    def run(self, name: str) -> Instance | None:
        """The newest run of a container, as the kubelet knows it."""
        return _last(self.seen, name)

    def signature(self) -> Any:
        """What a sync depends on. Two looks with the same signature come to the same result."""
        meta, seen = self.pod.metadata, self.seen
        sandbox = seen.sandbox
        gates = self.pod.spec.readiness_gates
        opened: tuple[Any, ...] = ()
        if gates:
            wanted = [gate.condition_type for gate in gates]
            opened = tuple((each.type, each.status) for each in self.pod.status.conditions if each.type in wanted)
        runs = tuple(_mark(_last(seen, each.name)) for each in self.containers)
        return (
            meta.generation,
            meta.deletion_timestamp is not None,
            sandbox is not None and (sandbox.attempt, sandbox.ready),
            runs,
            opened,
            self.deadline is not None and self.now >= self.deadline,
        )

    @property
    def deadline(self) -> int | None:
        """When the pod's activeDeadlineSeconds are over (ns)."""
        limit, generated = self.pod.spec.active_deadline_seconds, self.memory.generated
        if limit is None or generated is None or generated.start_time is None:
            return None
        return generated.start_time + limit * SECOND

    def remember(self, **changes: Any) -> None:
        """Change what the kubelet remembers of the pod."""
        self.memory = evolve(self.memory, alike=None, **changes)

    @lazy
    def eviction(self) -> Eviction | None:
        """That the kubelet evicts the pod, if it does."""
        found: Eviction | None = self.view.memory.get(eviction_key(self.pod.metadata.uid))
        return found

    def wake(self, at: int) -> None:
        """Look again at `at` (ns) at the latest."""
        known = self.memory.wake_at
        if known is None or known <= self.now or at < known:
            self.remember(wake_at=at)

    def call(self, verb: str, container: str = "", **arguments: Any) -> Call:
        """An order to the runtime."""
        return Call(
            node=self.settings.node,
            verb=verb,
            pod=self.key,
            uid=self.pod.metadata.uid,
            container=container,
            arguments=arguments,
        )

    def record(self, type: Literal["Normal", "Warning"], reason: str, message: str, container: str = "") -> Record:
        """An event about the pod, or about one of its containers."""
        path = f"spec.{_LISTS[self.place(container)]}{{{container}}}" if container else ""
        return Record(regarding=self.pod, type=type, reason=reason, message=message, field_path=path)

    @property
    def host_ips(self) -> tuple[HostIP, ...]:
        """The node's internal addresses, as its Node object has them; before that exists, the configured one."""
        return addresses_of(self.view.get("Node", "", self.settings.node), self.settings)


def addresses_of(node: Node | None, settings: Settings) -> tuple[HostIP, ...]:
    """A node's internal addresses, as its Node object has them; before that exists, the configured one."""
    known = () if node is None else tuple(a.address for a in node.status.addresses if a.type == "InternalIP")
    configured = (settings.host_ip,) if settings.host_ip else ()
    return _hosts(known or configured)


@lru_cache(maxsize=8192)
def _hosts(addresses: tuple[str, ...]) -> tuple[HostIP, ...]:
    """The same for all pods of a node."""
    return tuple(HostIP(ip=address) for address in addresses)


def _last(runtime: PodRuntime, name: str) -> Instance | None:
    runs = runtime.containers.get(name)
    return runs[-1] if runs else None


def _mark(run: Instance | None) -> Any:
    if run is None:
        return None
    if not run.probes:
        return (run.attempt, run.state)
    found = tuple(
        None if (probed := run.probes.get(kind)) is None else probed.result for kind in ("startup", "live", "ready")
    )
    return (run.attempt, run.state, *found)


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def stage_now(session: Session) -> Stage:
    """How far the kubelet is with the pod."""
    return session.memory.stage


@law.fact
def object_gone(session: Session) -> bool:
    """The pod is not in the API any more."""
    return session.object_gone


@law.fact
def marked_deleted(session: Session) -> bool:
    """The pod has a deletionTimestamp."""
    return session.pod.metadata.deletion_timestamp is not None


@law.fact
def was_rejected(session: Session) -> bool:
    """The pod was started by an earlier kubelet, and this one did not admit it."""
    return session.memory.rejected


@law.fact
def handed_back(session: Session) -> bool:
    """The kubelet has asked the API server to remove the pod."""
    return session.memory.returned


@law.fact
def end_wanted(session: Session) -> bool:
    """The pod is to be ended: deleted, gone, over in the API, evicted, or at its own end."""
    over_at = session.memory.over_at
    return (
        session.object_gone
        or marked_deleted(session)
        or session.pod.status.phase in TERMINAL
        or session.eviction is not None
        or (over_at is not None and session.now >= over_at)
    )


@law.fact
def doing(session: Session) -> Doing:
    """What the pod's worker waits for."""
    return session.memory.work.doing


def runs_now(session: Session, name: str) -> bool:
    """The container runs."""
    run = _last(session.runtime, name)
    return run is not None and run.state == "running"


@law.fact
def anything_running(session: Session) -> bool:
    """A container of the pod runs."""
    return any(runs_now(session, each.name) for each in session.containers)


@law.fact
def sandbox_up(session: Session) -> bool:
    """The pod's sandbox is ready."""
    sandbox = session.runtime.sandbox
    return sandbox is not None and sandbox.ready


@law.fact
def volumes_unmounted(session: Session) -> bool:
    """Everything that the pod held on the node is released."""
    return session.runtime.cleaned


@law.fact
def sync_due(session: Session) -> bool:
    """Something changed since the last sync, or its time has come."""
    memory = session.memory
    if session.now < memory.held_until:
        return False
    if memory.resync_at is not None and session.now >= memory.resync_at:
        return True
    return bool(memory.synced != session.signature())


@law.fact
def status_unsent(session: Session) -> bool:
    """The API did not take what the kubelet reported last."""
    return session.memory.unsent


@law.fact
def stored_status_is_other(session: Session) -> bool:
    """Somebody else has changed what the kubelet reported about the pod."""
    memory, stored = session.memory, session.pod
    if memory.sent is None or int(stored.metadata.resource_version or 0) <= memory.sent_at:
        return False
    if stored.status is memory.sent:
        return False
    held = {each.type: each.status for each in stored.status.conditions if each.type in OWNED}
    return held != {each.type: each.status for each in memory.sent.conditions if each.type in OWNED}


@law.fact
def come_to_end(session: Session) -> bool:
    """The pod's containers have ended for good."""
    generated = session.memory.generated
    return generated is not None and generated.phase in TERMINAL


def images_of(session: Session) -> Any:
    """The images on the node."""
    return node_of(session.view.runtime).images
