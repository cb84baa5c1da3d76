"""What holds of a cluster at rest: the workload controllers, asked once more, would write nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import evolve
from immutables import Map

from k8sfsm.controllers.deployment import DeploymentController
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.kinds.replicaset import failing
from k8sfsm.law import Law
from k8sfsm.objects import key_of
from k8sfsm.request import Call, Look, Parallel, Plan, Record, Remember
from k8sfsm.view import View

deployment_law: Final = Law("deployment")
replica_set_law: Final = Law("replicaset")
_NO_WRITES: Final = (Record, Call, Remember, Look)


def _writes(plan: Plan) -> Iterator[Any]:
    """The writes of the first part of a plan that has some."""
    while True:
        for step in plan.steps:
            if isinstance(step, Parallel):
                yield from step.writes
            elif not isinstance(step, _NO_WRITES):
                yield step
                return
        if plan.then is None or any(isinstance(step, Parallel) and step.writes for step in plan.steps):
            return
        plan = plan.then(())


def _left_to_do(
    controller: Any, kind: str, view: View, tries_on: Callable[[Any], bool] = lambda _: False
) -> Iterator[str]:
    fresh = evolve(view, memory=Map())
    for obj in view.list(kind):
        if tries_on(obj):
            continue
        key = key_of(obj)
        for write in _writes(controller.reconcile(fresh, key)):
            yield f"{kind} {key[1]}/{key[2]}: {controller.name} would send {type(write).__name__}"


@deployment_law.invariant
def deployment_rests(view: View) -> Iterator[str]:
    """At rest the controller has nothing to write about any Deployment."""
    return _left_to_do(DeploymentController(), "Deployment", view)


@replica_set_law.invariant
def replica_set_rests(view: View) -> Iterator[str]:
    """At rest the controller, even without its expectations, has nothing to write about any ReplicaSet.

    Where creating its Pods is refused it goes on trying.
    """
    return _left_to_do(ReplicaSetController(), "ReplicaSet", view, failing)
