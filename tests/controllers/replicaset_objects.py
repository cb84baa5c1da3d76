"""ReplicaSets, Pods and API servers for the tests of this folder."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from k8sfsm.objects import (
    ContainerStatus,
    LabelSelector,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    ReplicationController,
    ReplicationControllerSpec,
    parse_time,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Outcome, Update, Write
from k8sfsm.store import Change
from k8sfsm.view import View

NOW = parse_time("2026-01-15T12:00:00Z")
KEY = ("ReplicaSet", "default", "web")
RC_KEY = ("ReplicationController", "default", "web")
LABELS = {"app": "web"}
TEMPLATE = PodTemplateSpec(metadata=ObjectMeta(labels=LABELS))


def meta(name: str = "web", **values: Any) -> ObjectMeta:
    fields = {"namespace": "default", "uid": f"uid-{name}", "resource_version": "7", "creation_timestamp": NOW - SECOND}
    return ObjectMeta(name=name, **{**fields, **values})


def replica_set(replicas: int = 2, *, name: str = "web", status: Any = None, **values: Any) -> ReplicaSet:
    """A ReplicaSet that has been observed; `values`: of metadata, or min_ready_seconds, selector, template."""
    spec = ReplicaSetSpec(
        replicas=replicas,
        selector=values.pop("selector", LabelSelector(match_labels=LABELS)),
        template=values.pop("template", TEMPLATE),
        min_ready_seconds=values.pop("min_ready_seconds", 0),
    )
    known = status or ReplicaSetStatus(observed_generation=1, terminating_replicas=0)
    return ReplicaSet(metadata=meta(name, **{"generation": 1, **values}), spec=spec, status=known)


def replication_controller(replicas: int = 2, **values: Any) -> ReplicationController:
    spec = ReplicationControllerSpec(replicas=replicas, selector=values.pop("selector", LABELS), template=TEMPLATE)
    return ReplicationController(metadata=meta(generation=1, **values), spec=spec)


def reference(owner: Any, controller: bool = True) -> OwnerReference:
    return OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=controller,
        block_owner_deletion=True,
    )


def pod(
    name: str, owner: Any = None, *, ready: int | None = 600, phase: str = "Running", node: str = "n1", **values: Any
) -> Pod:
    """A Pod, ready for `ready` seconds (None: not ready); `values`: of metadata, or restarts."""
    since = NOW - (0 if ready is None else ready) * SECOND
    status = PodStatus(
        phase=phase,
        conditions=(
            PodCondition(type="Ready", status="False" if ready is None else "True", last_transition_time=since),
        ),
        container_statuses=(ContainerStatus(name="app", restart_count=values.pop("restarts", 0)),),
    )
    owners = (reference(owner),) if owner is not None else ()
    metadata = meta(name, **{"labels": LABELS, "owner_references": owners, **values})
    return Pod(metadata=metadata, spec=PodSpec(node_name=node), status=status)


def pods(number: int, owner: Any, **values: Any) -> tuple[Pod, ...]:
    return tuple(pod(f"p{i}", owner, **values) for i in range(number))


class FakeApi:
    """Accepts everything, unless `refuse` says with what it answers; counts revisions."""

    def __init__(self, refuse: Any = None, live: Any = None) -> None:
        self.refuse = refuse or (lambda write: None)
        self.live = live
        self.revision = 100
        self.writes: list[Write] = []

    def __call__(self, write: Write) -> Outcome:
        self.writes.append(write)
        refused = self.refuse(write)
        if refused is not None:
            return evolve(refused, request=write)
        self.revision += 1
        obj = write.object if isinstance(write, Create | Update) else self.live
        if obj is not None:
            name = obj.metadata.name or f"{obj.metadata.generate_name}{self.revision}"
            obj = evolve(obj, metadata=evolve(obj.metadata, name=name, resource_version=str(self.revision)))
        return Outcome(request=write, code=200, object=obj)


def refusal(code: int, message: str = "no", obj: Any = None) -> Outcome:
    return Outcome(request=None, code=code, reason="Refused", message=message, object=obj)  # type: ignore[arg-type]


def view(*objects: Any, memory: Any = None, now: int = NOW) -> View:
    return View.of(objects, now=now, memory=memory)


def change(old: Any, new: Any) -> Change:
    """A watch event; DELETED where `new` is None."""
    kind = "ADDED" if old is None else "DELETED" if new is None else "MODIFIED"
    last = old if new is None else new
    key = (last.kind, last.metadata.namespace, last.metadata.name)
    return Change(revision=9, type=kind, key=key, old=old, new=last)


def newer(obj: Any, **values: Any) -> Any:
    """A changed copy with another resourceVersion; `values`: of metadata."""
    return evolve(obj, metadata=evolve(obj.metadata, **{"resource_version": "8", **values}))
