"""Deployments, their ReplicaSets and an API server that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve

from k8sfsm.controllers.deployment import DeploymentController
from k8sfsm.objects import (
    Container,
    Deployment,
    DeploymentCondition,
    DeploymentSpec,
    DeploymentStatus,
    DeploymentStrategy,
    LabelSelector,
    ObjectMeta,
    OwnerReference,
    PodSpec,
    PodTemplateSpec,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdateDeployment,
    parse_time,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Outcome, Plan, Record, Write
from k8sfsm.view import View

NOW = parse_time("2026-01-15T12:00:00Z")
KEY = ("Deployment", "default", "web")
LABELS = {"app": "web"}
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
ROLLING = DeploymentStrategy(
    type="RollingUpdate", rolling_update=RollingUpdateDeployment(max_surge="25%", max_unavailable="25%")
)
RECREATE = DeploymentStrategy(type="Recreate")


def template(image: str = "web:2", **labels: str) -> PodTemplateSpec:
    spec = PodSpec(containers=(Container(name="app", image=image),))
    return PodTemplateSpec(metadata=ObjectMeta(labels={**LABELS, **labels}), spec=spec)


def progressing(reason: str, *, status: str = "True", age: int = 60) -> DeploymentCondition:
    """A Progressing condition that was updated `age` seconds ago."""
    time = NOW - age * SECOND
    return DeploymentCondition(
        type="Progressing", status=status, reason=reason, last_update_time=time, last_transition_time=time
    )


AVAILABLE = DeploymentCondition(
    type="Available",
    status="True",
    reason="MinimumReplicasAvailable",
    message="Deployment has minimum availability.",
    last_update_time=NOW - 90 * SECOND,
    last_transition_time=NOW - 90 * SECOND,
)


def deployment(replicas: int = 4, *, status: DeploymentStatus | None = None, **values: Any) -> Deployment:
    """A Deployment of revision 2; `values`: of the spec, or `annotations`, `metadata`."""
    annotations = values.pop("annotations", {REVISION: "2"})
    fields = {"generation": 3, "uid": "uid-web", "resource_version": "7", **values.pop("metadata", {})}
    spec = {
        "selector": LabelSelector(match_labels=LABELS),
        "template": template(),
        "strategy": ROLLING,
        "progress_deadline_seconds": 600,
        "revision_history_limit": 10,
    }
    return Deployment(
        metadata=ObjectMeta(name="web", namespace="default", annotations=annotations, **fields),
        spec=DeploymentSpec(replicas=replicas, **{**spec, **values}),
        status=status or DeploymentStatus(observed_generation=3),
    )


def replica_set(revision: int, size: int = 4, *, available: int | None = None, **values: Any) -> ReplicaSet:
    """The ReplicaSet web-REVISION with the image web:REVISION, scaled for 4 replicas; one minute older per revision.

    `values`: of the metadata, or `template`, `min_ready_seconds`, `replicas_told`, `status`.
    """
    up = size if available is None else available
    told = values.pop("replicas_told", max(size, up))
    status = values.pop(
        "status",
        ReplicaSetStatus(
            replicas=told, ready_replicas=up, available_replicas=up, observed_generation=1, terminating_replicas=0
        ),
    )
    spec = ReplicaSetSpec(
        replicas=size,
        selector=LabelSelector(match_labels=LABELS),
        template=values.pop("template", template(f"web:{revision}", **{"pod-template-hash": f"h{revision}"})),
        min_ready_seconds=values.pop("min_ready_seconds", 0),
    )
    metadata = {
        "name": f"web-{revision}",
        "namespace": "default",
        "uid": f"uid-{revision}",
        "resource_version": "7",
        "generation": 1,
        "labels": {**LABELS, "pod-template-hash": f"h{revision}"},
        "annotations": {REVISION: str(revision), DESIRED: "4", MAXIMUM: "5"},
        "creation_timestamp": NOW - 3600 * SECOND + 60 * revision * SECOND,
        "owner_references": (owner(),),
    }
    return ReplicaSet(metadata=ObjectMeta(**{**metadata, **values}), spec=spec, status=status)


def owner(uid: str = "uid-web", name: str = "web", kind: str = "Deployment") -> OwnerReference:
    return OwnerReference(
        api_version="apps/v1", kind=kind, name=name, uid=uid, controller=True, block_owner_deletion=True
    )


Answer = Callable[[Write], Outcome | None]


def refuse(kind: type, code: int, reason: str = "", message: str = "", *, subresource: str | None = None) -> Answer:
    """Refuse writes of a type (and subresource)."""

    def answer(write: Write) -> Outcome | None:
        if not isinstance(write, kind) or (
            subresource is not None and getattr(write, "subresource", "") != subresource
        ):
            return None
        return Outcome(request=write, code=code, reason=reason, message=message)

    return answer


class Played:
    """What became of a sync: writes, events and the last part of the plan."""

    def __init__(self, plan: Plan, answer: Answer) -> None:
        self.writes: list[Any] = []
        self.events: list[str] = []
        self.plans = [plan]
        while True:
            outcomes = []
            for step in plan.steps:
                if isinstance(step, Record):
                    self.events.append(f"{step.type} {step.reason} {step.message}")
                    continue
                self.writes.append(step)
                outcomes.append(answer(step) or Outcome(request=step, code=200, object=getattr(step, "object", None)))
                if not outcomes[-1].ok:
                    break
            if plan.then is None:
                break
            plan = plan.then(tuple(outcomes))
            self.plans.append(plan)
        self.error = plan.error
        self.requeue_after = plan.requeue_after

    @property
    def told(self) -> list[str]:
        """The writes in short: "update web-2 to 3", "status web", "delete web-1"."""
        return [_told(write) for write in self.writes]

    @property
    def reason(self) -> str:
        """The reason of the Progressing condition in the last status write."""
        last = [write.object for write in self.writes if getattr(write, "subresource", "") == "status"][-1]
        return next((item.reason for item in last.status.conditions if item.type == "Progressing"), "")


def _told(write: Any) -> str:
    verb = type(write).__name__.lower()
    obj = getattr(write, "object", None)
    if obj is None:
        return f"{verb} {write.key[2]}"
    if getattr(write, "subresource", ""):
        return f"{write.subresource} {obj.metadata.name}"
    size = f" to {obj.spec.replicas}" if obj.kind == "ReplicaSet" else ""
    return f"{verb} {obj.metadata.name}{size}"


def sync(*objects: Any, answer: Answer = lambda write: None, now: int = NOW) -> Played:
    """One sync of the Deployment `web` among these objects."""
    return Played(DeploymentController().reconcile(View.of(objects, now=now), KEY), answer)


def complete_status(replicas: int = 4, *conditions: DeploymentCondition) -> DeploymentStatus:
    """The status of a rollout that is over."""
    return DeploymentStatus(
        observed_generation=3,
        replicas=replicas,
        updated_replicas=replicas,
        ready_replicas=replicas,
        available_replicas=replicas,
        terminating_replicas=0,
        conditions=conditions or (AVAILABLE, progressing("NewReplicaSetAvailable")),
    )


def with_paused(obj: Deployment) -> Deployment:
    return evolve(obj, spec=evolve(obj.spec, paused=True))
