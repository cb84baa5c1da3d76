"""Whose Pods a budget covers, and the scale of their controllers.

Source: pkg/controller/disruption/disruption.go: getExpectedScale, finders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.kinds.disruption_budget import law
from k8sfsm.objects import KINDS, LabelSelector, OwnerReference, Pod, controller_of, to_json
from k8sfsm.view import View

_SCALED: Final = ("ReplicaSet", "ReplicationController", "StatefulSet", "Deployment")


class ScaleError(ValueError):
    """The scale of a Pod's controller is not known; the message is Kubernetes' own."""


@frozen
class Managed:
    """A Pod with the objects that control it, as far as they exist."""

    pod: Pod
    reference: OwnerReference | None
    controller: Any
    grand: OwnerReference | None
    grand_controller: Any


@frozen
class Scales:
    """The controllers of Pods: uid -> replicas. `total`: of all of them."""

    replicas: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """How many Pods the controllers want together."""
        return sum(count for _, count in self.replicas)

    @classmethod
    def of(cls, pods: Iterable[Pod], view: View) -> Scales:
        """The controllers of these Pods. Raises ScaleError where one has no scale."""
        found: dict[str, int] = {}
        known: set[str] = set()
        for pod in pods:
            case = _managed(pod, view)
            if case.reference is not None and case.reference.uid in known:
                continue
            counts = law.decide("scale", case).outputs["counts"]
            chosen = _counted(case, counts)
            if case.reference is not None:
                known.add(case.reference.uid)
            if chosen is not None:
                found[chosen.metadata.uid] = _replicas(chosen)
        return cls(tuple(found.items()))


def _counted(case: Managed, counts: str) -> Any:
    if counts == "missing":
        raise ScaleError(f'found no controllers for pod "{case.pod.metadata.name}"')
    if counts == "no-scale":
        assert case.reference is not None
        raise ScaleError(f"{_resource(case.reference)} does not implement the scale subresource")
    return {"nobody": None, "controller": case.controller, "grand": case.grand_controller}[counts]


def _resource(reference: OwnerReference) -> str:
    """`daemonsets.apps`."""
    known = KINDS.get(reference.kind)
    group = reference.api_version.rpartition("/")[0]
    plural = f"{reference.kind.lower()}s" if known is None else known.resource
    return f"{plural}.{group}" if group else plural


def _managed(pod: Pod, view: View) -> Managed:
    reference = controller_of(pod)
    controller = _owner(view, pod.metadata.namespace, reference)
    grand = None if controller is None else controller_of(controller)
    return Managed(pod, reference, controller, grand, _owner(view, pod.metadata.namespace, grand))


def _owner(view: View, namespace: str, reference: OwnerReference | None) -> Any:
    if reference is None:
        return None
    found = view.get(reference.kind, namespace, reference.name)
    return found if found is not None and found.metadata.uid == reference.uid else None


def _replicas(obj: Any) -> int:
    wanted = to_json(obj).get("spec", {}).get("replicas")
    return 1 if wanted is None else int(wanted)


@law.fact
def controller_kind(
    case: Managed,
) -> Literal["none", "ReplicaSet", "ReplicationController", "StatefulSet", "Deployment", "other"]:
    """The kind of the Pod's controller."""
    if case.reference is None:
        return "none"
    return case.reference.kind if case.reference.kind in _SCALED else "other"  # type: ignore[return-value]


@law.fact
def controller_found(case: Managed) -> bool:
    """The controller exists, with the uid that the Pod names."""
    return case.controller is not None


@law.fact
def grand_kind(case: Managed) -> str:
    """The kind of the controller's own controller; none where it has none."""
    return "none" if case.grand is None else case.grand.kind


@law.fact
def grand_found(case: Managed) -> bool:
    """That one exists, with the uid that is named."""
    return case.grand_controller is not None


def scale_text(selector: LabelSelector | None) -> str:
    """A selector as Go prints it with %v. Source: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/generated.pb.go."""
    if selector is None:
        return "nil"
    labels = "".join(f"{name}: {text}," for name, text in sorted(selector.match_labels.items()))
    rows = "".join(
        f"LabelSelectorRequirement{{Key:{each.key},Operator:{each.operator},Values:[{' '.join(each.values)}],}},"
        for each in selector.match_expressions
    )
    head = f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}}"
    return f"{head},MatchExpressions:[]LabelSelectorRequirement{{{rows}}},}}"
