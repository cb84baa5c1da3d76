"""What the tables of containers name.

Source: pkg/apis/core/validation/validation.go: validateContainerCommon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint
from k8sfsm.apiserver.valid.pods import sound_volumes
from k8sfsm.objects import Quantity, QuantityError

_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_VARIABLE_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_POD_FIELDS: Final = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
)
"""Source: pkg/apis/core/pods/helpers.go: ConvertDownwardAPIFieldLabel."""
_SUBSCRIPT: Final = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


@law.fact
def handler(part: Part) -> str:
    """What a probe or hook does, the first if it names several things; "" where it names none."""
    return next((name for name in _HANDLERS if part.get(name) is not None), "")


@law.fact
def port_numbers(part: Part) -> Literal["none", "container", "host", "both"]:
    """Which of its two numbers the port has."""
    ours, theirs = bool(part.get("containerPort")), bool(part.get("hostPort"))
    if ours and theirs:
        return "both"
    return "container" if ours else "host" if theirs else "none"


@law.fact
def variable_sources(part: Part) -> int | None:
    """How many sources a variable's value has; None where it comes from none."""
    source = part.get("valueFrom")
    if not isinstance(source, Mapping):
        return None
    return sum(source.get(name) is not None for name in _VARIABLE_SOURCES)


@law.fact
def field_reference(
    part: Part,
) -> Literal["versionless", "pathless", "other-version", "label", "annotation", "known", "unknown"]:
    """What a reference to a field of the pod is."""
    version, path = part.get("apiVersion"), part.get("fieldPath")
    if not version or not path:
        return "pathless" if version else "versionless"
    if version != "v1":
        return "other-version"
    entry = _SUBSCRIPT.fullmatch(str(path))
    if entry is not None:
        return "label" if entry[1] == "labels" else "annotation"
    return "known" if path in _POD_FIELDS or path == "spec.host" else "unknown"


@law.fact
def resource_reference(part: Part) -> Literal["none", "cpu", "memory", "pages", "unknown"]:
    """What a reference to a container's resource is."""
    name = str(part.get("resource") or "")
    if not name:
        return "none"
    kind, _, resource = name.partition(".")
    if kind not in ("limits", "requests"):
        return "unknown"
    if resource.startswith("hugepages-"):
        return "pages"
    known: dict[str, Literal["cpu", "memory"]] = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "memory"}
    return known.get(resource, "unknown")


@law.fact
def adds_sys_admin(part: Part) -> bool:
    """Whether the container gets the capability to do nearly everything."""
    return "CAP_SYS_ADMIN" in ((part.get("capabilities") or {}).get("add") or ())


@law.fact
def proc_unmasked(part: Part) -> bool:
    """Whether a container that shares its node's users sees all of /proc."""
    pod = part.within("PodFields")
    shared = pod is None or pod.get("hostUsers") is not False
    return shared and part.get("procMount") == "Unmasked"


@constraint("known-volume")
def known_volume(spot: Spot, row: Row) -> Iterator[Fault]:
    """The name of a volume of the pod that has no errors."""
    pod = spot.whole.within("PodFields")
    if pod is not None and (spot.value or "") not in [*sound_volumes(pod)]:  # a list: what is given may be a map
        yield spot.fault(row, "", spot.value or "")


@constraint("known-container")
def known_container(spot: Spot, row: Row) -> Iterator[Fault]:
    """The name of a container of the pod that is not ephemeral."""
    pod = spot.whole.within("PodFields")
    if not spot.value or pod is None:
        return
    if all(each.get("name") != spot.value for each in _containers(pod)):
        yield Fault(spot.path, "Not found", f'"{spot.value}"')


def _containers(pod: Part) -> list[Mapping[str, Any]]:
    return [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]


_COUNTS: Final = {"none": 0, "both": 2}


@constraint("source-count")
def source_count(spot: Spot, row: Row) -> Iterator[Fault]:
    """Sources of variables that name a map or a secret: not none (`of` none), not both."""
    for each in spot.value or ():
        number = sum(each.get(name) is not None for name in ("configMapRef", "secretRef"))
        if number == _COUNTS[row.of]:
            yield spot.fault(row)


@constraint("within-grace")
def within_grace(spot: Spot, row: Row) -> Iterator[Fault]:
    """Seconds within the pod's grace period, which is `{0}`."""
    pod = spot.whole.within("PodFields")
    grace = None if pod is None else pod.get("terminationGracePeriodSeconds")
    if grace is not None and not 0 <= (spot.value or 0) <= grace:
        yield spot.fault(row, row.detail.format(grace), spot.value or 0)


@constraint("subscript")
def subscript(spot: Spot, row: Row) -> Iterator[Fault]:
    """A field path whose key is of the format `of`."""
    entry = _SUBSCRIPT.fullmatch(str(spot.value))
    for error in format_errors(row.of, entry[2]) if entry is not None else ():
        yield spot.fault(row, error, entry[2] if entry is not None else "")


@constraint("divisor")
def divisor(spot: Spot, row: Row) -> Iterator[Fault]:
    """One of a few amounts, or none."""
    try:
        found = Quantity.parse(str(spot.value or "0"))
    except QuantityError:
        found = Quantity.parse("-1")
    if found and str(found) not in row.of:
        yield spot.fault(row)


@constraint("cluster-forbids")
def cluster_forbids(spot: Spot, row: Row) -> Iterator[Fault]:
    """Privileged containers, where the cluster does not allow them."""
    top: Part | None = spot.whole
    while top is not None and top.parent is not None:
        top = top.parent
    if top is None or not top.notes.get("allow_privileged", True):
        yield spot.fault(row)
