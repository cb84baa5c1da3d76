"""Services, pods and nodes for the tests of endpoints, and an API server that accepts everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from immutables import Map

from k8sfsm.objects import (
    Container,
    ContainerPort,
    Node,
    NodeCondition,
    NodeStatus,
    ObjectMeta,
    Pod,
    PodCondition,
    PodIP,
    PodSpec,
    PodStatus,
    Quantity,
    Service,
    ServicePort,
    ServiceSpec,
    key_of,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Key, Outcome, Plan, Record, Remember, Update, Write
from k8sfsm.store import Change, Store
from k8sfsm.view import View

NOON = 1_768_478_400 * SECOND
WEB: Key = ("Service", "default", "web")
HTTP = ServicePort(name="http", port=80, target_port=8080, protocol="TCP")


def service(**spec: Any) -> Service:
    given = {
        "selector": {"app": "web"},
        "ports": (HTTP,),
        "cluster_ip": "10.96.0.1",
        "ip_families": ("IPv4",),
        "type": "ClusterIP",
        **spec,
    }
    meta = ObjectMeta(name="web", namespace="default", uid="service", creation_timestamp=NOON)
    return Service(metadata=meta, spec=ServiceSpec(**given))


def pod(
    number: int,
    *,
    ready: bool = True,
    since: int = NOON,
    node: str = "node-1",
    phase: str = "Running",
    deleted: bool = False,
    labels: dict[str, str] | None = None,
    port: int = 8080,
) -> Pod:
    address = f"10.0.{number // 250}.{number % 250 + 1}"
    container = Container(name="app", ports=(ContainerPort(name="http", container_port=port, protocol="TCP"),))
    return Pod(
        metadata=ObjectMeta(
            name=f"web-{number}",
            namespace="default",
            uid=f"uid-{number:05d}",
            labels={"app": "web"} if labels is None else labels,
            deletion_timestamp=NOON if deleted else None,
        ),
        spec=PodSpec(node_name=node, containers=(container,)),
        status=PodStatus(
            phase=phase,
            pod_ip=address,
            pod_ips=(PodIP(ip=address),),
            conditions=(PodCondition(type="Ready", status="True" if ready else "False", last_transition_time=since),),
        ),
    )


def node(name: str = "node-1", zone: str = "", cpu: str = "4", ready: bool = True) -> Node:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    status = NodeStatus(
        allocatable={"cpu": Quantity.parse(cpu)} if cpu else {},
        conditions=(NodeCondition(type="Ready", status="True" if ready else "False"),),
    )
    return Node(metadata=ObjectMeta(name=name, labels=labels), status=status)


Refusal = Callable[[Write], Outcome | None]


class Cluster:
    """A store, and a controller with its memory. Writes are accepted unless `refuse` answers otherwise."""

    def __init__(self, controller: Any, *objects: Any) -> None:
        self.controller = controller
        self.memory: Map[Any, Any] = Map()
        self.store = Store.starting_at(100)
        self.now = NOON
        self.writes: list[Write] = []
        self.records: list[Record] = []
        self.error = ""
        for obj in objects:
            self.put(obj)

    def put(self, obj: Any) -> Change:
        """Create or replace an object, as somebody else."""
        self.store, change = self.store.put(obj)
        return change

    def drop(self, kind: str, name: str, namespace: str = "default") -> Change:
        """Remove an object, as somebody else."""
        self.store, change = self.store.remove((kind, namespace, name))
        return change

    def get(self, kind: str, name: str = "web", namespace: str = "default") -> Any:
        return self.store.get(kind, namespace, name)

    def every(self, kind: str) -> tuple[Any, ...]:
        return self.view.list(kind)

    @property
    def view(self) -> View:
        return View(self.now, self.store.snapshot, self.memory)

    def see(self, change: Change) -> None:
        """Let the controller observe a change."""
        for step in self.controller.observe(change, self.view):
            self._remember(step)

    def sync(self, key: Key = WEB, view: View | None = None, refuse: Refusal = lambda write: None) -> list[Write]:
        """One sync; returns the writes that were sent."""
        self.writes, self.records = [], []
        plan: Plan = self.controller.reconcile(view or self.view, key)
        while True:
            outcomes = self._carry_out(plan, refuse)
            if plan.then is None or not outcomes:
                self.error = plan.error
                return self.writes
            plan = plan.then(tuple(outcomes))

    def _carry_out(self, plan: Plan, refuse: Refusal) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for step in plan.steps:
            if isinstance(step, Remember):
                self._remember(step)
            elif isinstance(step, Record):
                self.records.append(step)
            elif isinstance(step, Create | Update | Delete):
                self.writes.append(step)
                outcomes.append(refuse(step) or self._accept(step))
                if not outcomes[-1].ok:
                    break
            else:
                raise AssertionError(step)
        return outcomes

    def _remember(self, step: Remember) -> None:
        if step.value is not None:
            self.memory = self.memory.set(step.key, step.value)
        elif step.key in self.memory:
            self.memory = self.memory.delete(step.key)

    def _accept(self, write: Write) -> Outcome:
        if isinstance(write, Delete):
            if self.store.get(*write.key) is None:
                return Outcome(request=write, code=404, message="not found")
            self.store, _ = self.store.remove(write.key)
            return Outcome(request=write, code=200)
        assert isinstance(write, Create | Update)
        meta = write.object.metadata
        if isinstance(write, Create):
            name = meta.name or f"{meta.generate_name}{self.store.revision}"
            meta = evolve(meta, name=name, uid=f"uid-of-{name}", generation=1)
        else:
            stored: Any = self.store.get(*key_of(write.object))
            meta = evolve(meta, uid=stored.metadata.uid, generation=stored.metadata.generation + 1)
        change = self.put(evolve(write.object, metadata=meta))
        return Outcome(request=write, code=200, object=change.new)


def refusing(code: int, message: str = "no") -> Refusal:
    """Every write is refused."""
    return lambda write: Outcome(request=write, code=code, message=message)
