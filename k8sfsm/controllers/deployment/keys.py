"""Which Deployments a change concerns. Source: pkg/controller/deployment/deployment_controller.go: addReplicaSet..."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from k8sfsm.controllers.pod_changes import asked_by_sort, sorts_of
from k8sfsm.controllers.selector import SelectorError, matcher
from k8sfsm.kinds.deployment_bounds import law
from k8sfsm.law import LawError
from k8sfsm.objects import Deployment, LabelSelector, OwnerReference, ReplicaSet, controller_of, key_of
from k8sfsm.request import Key
from k8sfsm.view import Change, View


@frozen
class Noticed:
    """A change of a ReplicaSet or a Pod, as the controller sees it."""

    change: Change
    view: View


def _resolved(owner: OwnerReference | None, namespace: str, view: View) -> Deployment | None:
    """The cached Deployment of an owner reference, by name and uid. Source: resolveControllerRef."""
    if owner is None or owner.kind != "Deployment":
        return None
    found = view.get("Deployment", namespace, owner.name)
    return found if found is not None and found.metadata.uid == owner.uid else None


@law.fact
def noticed(case: Noticed) -> Literal["ADDED", "MODIFIED", "DELETED"]:
    """What happened; a ReplicaSet that comes into sight while it is being deleted counts as deleted."""
    change = case.change
    going = change.new.metadata.deletion_timestamp is not None
    return "DELETED" if change.type == "ADDED" and going else change.type


@law.fact
def owned_now(case: Noticed) -> bool:
    """The object has a controller owner reference."""
    return controller_of(case.change.new) is not None


@law.fact
def owner_changed(case: Noticed) -> bool:
    """The controller owner reference is another one than before."""
    return case.change.old is not None and controller_of(case.change.old) != controller_of(case.change.new)


@law.fact
def labels_changed(case: Noticed) -> bool:
    """The labels are other ones than before."""
    old = case.change.old
    return old is not None and old.metadata.labels != case.change.new.metadata.labels


def _owner_key(obj: ReplicaSet | None, view: View) -> Iterable[Key]:
    found = None if obj is None else _resolved(controller_of(obj), obj.metadata.namespace, view)
    return () if found is None else (key_of(found),)


def _selecting(rs: ReplicaSet, view: View) -> Iterable[Key]:
    """Deployments whose non-empty selector matches. Source: deployment_util.go: GetDeploymentsForReplicaSet."""
    for deployment in view.list("Deployment", rs.metadata.namespace):
        if selects(deployment, rs):
            yield key_of(deployment)


def selects(deployment: Deployment, rs: ReplicaSet) -> bool:
    """Whether the Deployment's selector is not empty and matches the ReplicaSet's labels."""
    selector = deployment.spec.selector
    if selector is None or selector == LabelSelector():
        return False
    try:
        return matcher(selector)(rs.metadata.labels)
    except SelectorError:
        return False


@law.key
def deployments_of_replica_set(change: Change, view: View) -> Iterable[Key]:
    """The owner, the owner before, or all Deployments that might adopt an orphan."""
    for decision in law.collect("replica-set-noticed", Noticed(change, view)):
        match decision.outputs["wakes"]:
            case "owner":
                yield from _owner_key(change.new, view)
            case "owner-before":
                yield from _owner_key(change.old, view)
            case "selecting":
                yield from _selecting(change.new, view)
            case other:
                raise LawError(f"no such Deployments: {other}")


def _deployment_of(case: Noticed) -> Deployment | None:
    """The Deployment of a Pod by way of its ReplicaSet. Source: getDeploymentForPod."""
    owner = controller_of(case.change.new)
    if owner is None or owner.kind != "ReplicaSet":
        return None
    rs = case.view.get("ReplicaSet", case.change.new.metadata.namespace, owner.name)
    if rs is None or rs.metadata.uid != owner.uid:
        return None
    return _resolved(controller_of(rs), rs.metadata.namespace, case.view)


@law.fact
def pod_strategy(case: Noticed) -> str:
    """The strategy of the Pod's Deployment, "" where it has none."""
    found = _deployment_of(case)
    return "" if found is None else found.spec.strategy.type


@law.fact
def pods_left(case: Noticed) -> int:
    """Pods that the Deployment's ReplicaSets still own."""
    found = _deployment_of(case)
    owned = () if found is None else case.view.owned("ReplicaSet", found.metadata.uid)
    return sum(len(case.view.owned("Pod", rs.metadata.uid)) for rs in owned)


@law.key
@asked_by_sort(sorts_of)
def recreated_deployment(change: Change, view: View) -> Iterable[Key]:
    """The Deployment of the last pod to go, where it waits for that."""
    case = Noticed(change, view)
    if not law.decide("pod-noticed", case).outputs["wakes"]:
        return
    found = _deployment_of(case)
    if found is not None:
        yield key_of(found)
