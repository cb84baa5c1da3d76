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
from k8sfsm.objects.gotext import quote

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


def _by_name(found: Any) -> dict[str, Any]:
    return {str(each.get("name")): each for each in found or ()}


@constraint("none-gone")
def none_gone(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list of parts with names, from which none is taken out; `{0}` is the name."""
    for name in _by_name(spot.old):
        if name not in _by_name(spot.value):
            yield spot.fault(row, row.detail.format(quote(name)))


@constraint("none-changed")
def none_changed(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list of parts with names, of which those that were there stay as they are; `{0}` is the name."""
    now = _by_name(spot.value)
    for name, was in _by_name(spot.old).items():
        if name in now and _bare(now[name]) != _bare(was):
            yield spot.fault(row, row.detail.format(quote(name)))


MIRROR: Final = "kubernetes.io/config.mirror"
"""The annotation of a pod that stands for one of its node's own files."""
_RESIZED: Final = ("cpu", "memory")


@law.fact
def of_node(part: Part) -> bool:
    """Whether the pod stands for one of its node's own files."""
    return MIRROR in ((part.old or {}).get("metadata") or {}).get("annotations", {})


@law.fact
def mirror_without_node(part: Part) -> bool:
    """Whether the pod says that it is a node's own, and not of which node."""
    annotations = (part.get("metadata") or {}).get("annotations") or {}
    return MIRROR in annotations and not (part.get("spec") or {}).get("nodeName")


@law.fact
def resizable(part: Part) -> Literal["yes", "static", "windows"]:
    """Whether the containers of such a pod can get other resources."""
    if of_node(part):
        return "static"
    return "windows" if (_specs(part)[0].get("os") or {}).get("name") == "windows" else "yes"


@law.fact
def class_changes(part: Part) -> bool:
    """Whether the pod would be of another quality of service than it is."""
    new = from_json({"apiVersion": "v1", "kind": "Pod", "spec": _specs(part)[1]})
    return qos_class(new) != ((part.old or {}).get("status") or {}).get("qosClass")


@law.fact
def node_resizes(part: Part) -> bool:
    """Whether the kubelet tells what its running containers have, as one that resizes does."""
    statuses = ((part.old or {}).get("status") or {}).get("containerStatuses") or ()
    running = (each for each in statuses if (each.get("state") or {}).get("running") is not None)
    first = next(running, None)
    return first is None or first.get("resources") is not None


@law.fact
def foreign_resize(part: Part) -> Literal["none", "container", "sidecar", "init"]:
    """Of which container something changes that cannot: other resources than cpu and memory, or any of a plain init
    container.
    """
    old, new = _specs(part)
    for group in ("containers", "initContainers"):
        for was, now in zip(_list(old, group), _list(new, group), strict=False):
            pair = was.get("resources") or {}, now.get("resources") or {}
            role = (
                "container" if group == "containers" else "sidecar" if was.get("restartPolicy") == "Always" else "init"
            )
            if _bare(_beside(pair[0], role)) != _bare(_beside(pair[1], role)):
                return role  # type: ignore[return-value]
    return "none"


def _beside(resources: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    """Resources without what may change."""
    if role == "init":
        return resources
    return {
        name: {each: amount for each, amount in found.items() if each not in _RESIZED}
        if isinstance(found, Mapping)
        else found
        for name, found in resources.items()
    }


@constraint("no-entry-gone")
def no_entry_gone(spot: Spot, row: Row) -> Iterator[Fault]:
    """A map that has all the entries that it had."""
    if any(name not in (spot.value or {}) for name in spot.old or {}):
        yield spot.fault(row)


@constraint("entry")
def entry(spot: Spot, row: Row) -> Iterator[Fault]:
    """The row's conditions are the error of the entry `of`."""
    yield spot.fault(row, "", (spot.value or {}).get(row.of), f"[{row.of}]")


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
