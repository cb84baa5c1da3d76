"""What the table of a pod's update names.

Source: pkg/apis/core/validation/validation.go: ValidatePodUpdate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint
from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.objects import from_json

_SECONDS: Final = range(2**31)


def _specs(part: Part) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return (part.old or {}).get("spec") or {}, part.get("spec") or {}


def _list(spec: Mapping[str, Any], name: str) -> list[Any]:
    found = spec.get(name)
    return list(found) if found else []


@law.fact
def containers_change(part: Part) -> Literal["none", "regular", "init"]:
    """Which containers come or go."""
    old, new = _specs(part)
    for name, said in (("containers", "regular"), ("initContainers", "init")):
        if len(_list(old, name)) != len(_list(new, name)):
            return said  # type: ignore[return-value]
    return "none"


@law.fact
def deadline_change(part: Part) -> Literal["none", "outside", "raised", "removed"]:
    """What an update does to the pod's deadline that it may not."""
    old, new = (spec.get("activeDeadlineSeconds") for spec in _specs(part))
    if new is None:
        return "none" if old is None else "removed"
    if new not in _SECONDS:
        return "outside"
    return "raised" if old is not None and old < new else "none"


def _without(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != name}


@law.fact
def tolerations_kept(part: Part) -> bool:
    """Whether every toleration is still there, but for the time that it lasts."""
    old, new = _specs(part)
    kept = [_without(each, "tolerationSeconds") for each in _list(new, "tolerations")]
    return all(_without(each, "tolerationSeconds") in kept for each in _list(old, "tolerations"))


@law.fact
def gates_added(part: Part) -> bool:
    """Whether the pod gets a new scheduling gate."""
    old, new = _specs(part)
    known = [gate.get("name") for gate in _list(old, "schedulingGates")]
    return any(gate.get("name") not in known for gate in _list(new, "schedulingGates"))


def _gated(part: Part) -> bool:
    return bool(_list(_specs(part)[0], "schedulingGates"))


@law.fact
def selector_narrowed(part: Part) -> bool:
    """Whether a pod that is held by gates keeps its node selector; more may be added to it (true for other pods)."""
    old, new = (spec.get("nodeSelector") or {} for spec in _specs(part))
    return not _gated(part) or all(new.get(name) == value for name, value in old.items())


def _terms(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return list((affinity or {}).get("nodeSelectorTerms") or ())


def _only_added(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Source: validateNodeSelectorTermHasOnlyAdditions."""
    names = ("matchExpressions", "matchFields")
    if not any(old.get(name) for name in names):
        return not any(new.get(name) for name in names)
    return all(_list(new, name)[: len(_list(old, name))] == _list(old, name) for name in names)


@law.fact
def affinity_change(part: Part) -> Literal["none", "terms", "widened"]:
    """What an update does to the node affinity of a pod that is held by gates, that it may not."""
    old, new = map(_terms, _specs(part))
    if not _gated(part) or not old:
        return "none"
    if len(old) != len(new):
        return "terms"
    return "none" if all(map(_only_added, old, new)) else "widened"


@constraint("only-additions")
def only_additions(spot: Spot, row: Row) -> Iterator[Fault]:
    """A term of a node selector to which something may have been added, and nothing else."""
    if spot.old is not None and not _only_added(spot.old, spot.value):
        yield spot.fault(row)


@law.fact
def debuggers_kept(part: Part) -> bool:
    """Whether every ephemeral container is still there as it was."""
    old, new = (_list(spec, "ephemeralContainers") for spec in _specs(part))
    return all(_bare(each) in map(_bare, new) for each in old)


_RESIZED: Final = ("cpu", "memory")


def _resources(part: Part) -> Iterator[tuple[Any, Any]]:
    """Pairs of the resources that a container had and has."""
    old, new = _specs(part)
    for group in ("containers", "initContainers"):
        for was, now in zip(_list(old, group), _list(new, group), strict=False):
            yield was.get("resources") or {}, now.get("resources") or {}


def _removed(part: Part, of: str) -> bool:
    return any(name not in (now.get(of) or {}) for was, now in _resources(part) for name in was.get(of) or {})


@law.fact
def class_changes(part: Part) -> bool:
    """Whether the pod is of another quality of service than before."""
    old, new = (from_json({"apiVersion": "v1", "kind": "Pod", "spec": spec}) for spec in _specs(part))
    return qos_class(old) != qos_class(new)


@law.fact
def limits_removed(part: Part) -> bool:
    """Whether a container has no limit any more for something that it had one for."""
    return _removed(part, "limits")


@law.fact
def requests_removed(part: Part) -> bool:
    """Whether a container requests nothing any more of something that it requested."""
    return _removed(part, "requests")


@law.fact
def other_resources_change(part: Part) -> bool:
    """Whether other resources change than cpu and memory."""
    return any(_others(was) != _others(now) for was, now in _resources(part))


def _others(resources: Any) -> dict[str, Any]:
    return {
        of: {name: amount for name, amount in (resources.get(of) or {}).items() if name not in _RESIZED}
        for of in ("requests", "limits")
    }


@law.fact
def frozen_change(part: Part) -> bool:
    """Whether an update changes what stays as it is: all but images, deadline, gates, tolerations and what gates free.

    A negative grace period may become 1.
    """
    old, new = (dict(spec) for spec in _specs(part))
    for name in ("containers", "initContainers"):
        if len(_list(old, name)) == len(_list(new, name)):
            new[name] = [
                {**mine, "image": other.get("image")}
                for mine, other in zip(_list(new, name), _list(old, name), strict=True)
            ]
            old[name] = [{**other, "image": other.get("image")} for other in _list(old, name)]
    free = ["activeDeadlineSeconds", "schedulingGates", "tolerations"]
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        free.append("terminationGracePeriodSeconds")
    if _gated(part):
        free.append("nodeSelector")
        old["affinity"], new["affinity"] = _without_node(old), _without_node(new)
    for name in free:
        old.pop(name, None)
        new.pop(name, None)
    return bool(_bare(old) != _bare(new))


def _without_node(spec: Mapping[str, Any]) -> Any:
    return _without(spec.get("affinity") or {}, "nodeAffinity") or None


_MAPS: Final = ("annotations", "labels", "limits", "matchLabels", "nodeSelector", "overhead", "requests", "resources")
"""Members that Go holds as maps or as bare structs: empty is the same as absent. Of pointers it is not."""


def _bare(value: Any) -> Any:
    """The value without members that Go's semantic equality does not tell from absent ones."""
    if isinstance(value, Mapping):
        members = {key: _bare(item) for key, item in value.items()}
        return {key: item for key, item in members.items() if not (item is None or item == [] or _blank(key, item))}
    return [_bare(item) for item in value] if isinstance(value, list | tuple) else value


def _blank(name: str, item: Any) -> bool:
    return item == {} and name in _MAPS
