"""What the tables of pods, their volumes and their placement name.

Source: pkg/apis/core/validation/validation.go: ValidatePodSpec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from attrs import evolve

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.constraints import strict_format
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint, judged
from k8sfsm.objects import Quantity, QuantityError

_SOURCES: Final = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)


@law.fact
def gated_and_placed(part: Part) -> bool:
    """Whether a pod with scheduling gates names its node."""
    spec = part.get("spec") or {}
    return bool(spec.get("nodeName")) and bool(spec.get("schedulingGates"))


@law.fact
def token_without_account(part: Part) -> bool:
    """Whether the pod has no service account, so that no token of one can be mounted."""
    return not (part.get("spec") or {}).get("serviceAccountName")


@law.fact
def dns_state(part: Part) -> Literal["missing", "serverless", "given", "none"]:
    """Whether the pod's own resolver settings are needed (dnsPolicy None), and given."""
    config, needed = part.get("dnsConfig"), part.get("dnsPolicy") == "None"
    if config is None:
        return "missing" if needed else "none"
    return "serverless" if needed and not config.get("nameservers") else "given"


@law.fact
def host_users(part: Part) -> bool:
    """Whether the pod shares its node's users."""
    return part.get("hostUsers") is not False


@law.fact
def network_use(part: Part) -> Literal["own", "pod", "template"]:
    """Whether the pod has a network of its own; if not, whether it is a pod or a template."""
    if not part.get("hostNetwork"):
        return "own"
    return "pod" if part.root == "Pod" else "template"


@law.fact
def claim_sources(part: Part) -> int:
    """How many sources the resource claim has."""
    return sum(part.get(name) is not None for name in ("resourceClaimName", "resourceClaimTemplateName"))


@law.fact
def first_source(part: Part) -> str:
    """The source of the volume, the first in the order of the API if it has several; "" where it has none."""
    return next((name for name in _SOURCES if part.get(name) is not None), "")


@law.fact
def file_references(part: Part) -> int:
    """How many references the file of a volume has."""
    return sum(part.get(name) is not None for name in ("fieldRef", "resourceFieldRef"))


@law.fact
def effect_of_toleration(part: Part) -> str | None:
    """The effect that is tolerated; None for all."""
    return part.get("effect") or None


def sound_volumes(part: Part) -> Mapping[str, Any]:
    """The volumes of a pod without errors, by name; of two with one name the first. `part`: the spec."""
    known: Mapping[str, Any] | None = part.notes.get("volumes")
    if known is not None:
        return known
    found: dict[str, Any] = {}
    for volume in part.get("volumes") or ():
        name = _name_of(volume)
        if name in found or any(judged(Part(volume, part.root, part, table="VolumeFields"))):
            continue
        found[str(name)] = volume
    part.notes["volumes"] = found
    return found


def _name_of(volume: Any) -> str | None:
    name = volume.get("name") if isinstance(volume, Mapping) else None
    return name if isinstance(name, str) else None


@constraint("unique-sound")
def unique_sound(spot: Spot, row: Row) -> Iterator[Fault]:
    """Volumes without errors that have different names: one with errors gives its name away to none."""
    seen: set[str] = set()
    for index, volume in enumerate(spot.value or ()):
        name = _name_of(volume)
        if name in seen:
            yield evolve(spot.fault(row, "", name, f"[{index}].name"), error="Duplicate value")
        elif not any(judged(Part(volume, spot.whole.root, spot.whole, table=row.of))):
            seen.add(str(name))


@constraint("unique-name")
def unique_name(spot: Spot, row: Row) -> Iterator[Fault]:
    """Containers of different names, that no container of the lists `of` has either."""
    seen = [each.get("name") or "" for name in row.of or () for each in spot.whole.get(name) or ()]
    for index, container in enumerate(spot.value or ()):
        name = container.get("name") or ""
        if name in seen:
            yield evolve(spot.fault(row, "", name, f"[{index}].name"), error="Duplicate value")
        elif name or not row.of:
            seen.append(name)


@constraint("own-host-ports")
def own_host_ports(spot: Spot, row: Row) -> Iterator[Fault]:
    """Containers that want different ports of their node; `of` each: containers that run one after the other."""
    seen: list[str] = []
    for index, container in enumerate(spot.value or ()):
        shown_index = 0 if row.of == "each" else index
        seen = [] if row.of == "each" else seen
        for number, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            text = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if text in seen:
                under = f"[{shown_index}].ports[{number}].hostPort"
                yield evolve(spot.fault(row, "", text, under), error="Duplicate value")
            seen.append(text)


@constraint("same-host-port")
def same_host_port(spot: Spot, row: Row) -> Iterator[Fault]:
    """A container's port that is the same on the node; `of` or-none: it may be left to be set."""
    ours, theirs = spot.value.get("hostPort") or 0, spot.value.get("containerPort") or 0
    if ours != theirs and (ours or row.of != "or-none"):
        yield spot.fault(row, "", ours, ".hostPort")


@constraint("gate-name")
def gate_name(spot: Spot, row: Row) -> Iterator[Fault]:
    """A scheduling gate with a qualified name. The error is the gate's, not its name's."""
    name = spot.value.get("name") or ""
    for fault in strict_format(Spot(spot.whole, spot.path, name), evolve(row, of="label-key")):
        yield spot.fault(row, fault.detail, name)


@constraint("unique-gate")
def unique_gate(spot: Spot, row: Row) -> Iterator[Fault]:
    """Scheduling gates of different names. The error is the gate's, not its name's."""
    seen: set[str] = set()
    for index, gate in enumerate(spot.value or ()):
        name = gate.get("name") or ""
        if name in seen:
            yield evolve(spot.fault(row, "", name, f"[{index}]"), error="Duplicate value")
        seen.add(name)


@constraint("new-gates")
def new_gates(spot: Spot, row: Row) -> Iterator[Fault]:
    """Scheduling gates that a pod had before; `{0}` is the name of one that it had not."""
    old = {gate.get("name") for gate in spot.old or ()}
    added = {gate.get("name"): index for index, gate in enumerate(spot.value or ()) if gate.get("name") not in old}
    for name, index in added.items():
        yield spot.fault(row, row.detail.format(name), under=f"[{index}].name")


@constraint("unique-spread")
def unique_spread(spot: Spot, row: Row) -> Iterator[Fault]:
    """Spread constraints of which no later one has the same topology key and action."""
    pairs = [(each.get("topologyKey") or "", each.get("whenUnsatisfiable") or "") for each in spot.value or ()]
    for index, pair in enumerate(pairs):
        if pair in pairs[index + 1 :]:
            under = f"[{index}].{{topologyKey, whenUnsatisfiable}}"
            yield evolve(spot.fault(row, "", f"{{{pair[0]}, {pair[1]}}}", under), error="Duplicate value")


@constraint("domains-only")
def domains_only(spot: Spot, row: Row) -> Iterator[Fault]:
    """A field that is absent; `{0}` is what the constraint does if it cannot be met."""
    if spot.value is not None:
        yield spot.fault(row, row.detail.format(spot.whole.get("whenUnsatisfiable") or ""))


@constraint("none-of")
def none_of(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list with no entry that the list `of` has."""
    others = spot.whole.get(row.of) or ()
    for index, item in enumerate(spot.value or ()):
        if item in others:
            yield spot.fault(row, "", item, f"[{index}]")


@constraint("not-selected")
def not_selected(spot: Spot, row: Row) -> Iterator[Fault]:
    """Label keys that the label selector beside them does not name."""
    selector = spot.whole.get("labelSelector") or {}
    named = [
        *(selector.get("matchLabels") or {}),
        *(each.get("key") for each in selector.get("matchExpressions") or ()),
    ]
    for index, key in enumerate(spot.value or ()):
        if key in named:
            yield spot.fault(row, "", key, f"[{index}]")


@constraint("search-domain")
def search_domain(spot: Spot, row: Row) -> Iterable[Fault]:
    """A domain of a format, with or without a dot at its end; `.` alone is the root."""
    text = spot.value
    if not isinstance(text, str) or (text in (".", "") and row.of == "dns-search"):
        return ()
    cut = text.removesuffix(".")
    return strict_format(Spot(spot.whole, spot.path, cut), row) if cut or row.of == "dns-search" else ()


@constraint("padded")
def padded(spot: Spot, row: Row) -> Iterator[Fault]:
    """Text without space around it."""
    if isinstance(spot.value, str) and spot.value.strip() != spot.value:
        yield spot.fault(row)


@constraint("absolute-path")
def absolute_path(spot: Spot, row: Row) -> Iterator[Fault]:
    """A path from the root."""
    if not str(spot.value or "").startswith("/"):
        yield spot.fault(row, "", spot.value or "")


@constraint("given-in-pod")
def given_in_pod(spot: Spot, row: Row) -> Iterator[Fault]:
    """The field is there, in a pod; a template may leave it out."""
    if not spot.value and spot.whole.root == "Pod":
        yield evolve(spot.fault(row), error="Required value")


@constraint("not-negative")
def not_negative(spot: Spot, row: Row) -> Iterator[Fault]:
    """An amount that is not below zero."""
    if spot.value is None:
        return
    try:
        negative = Quantity.parse(str(spot.value)) < Quantity.parse("0")
    except QuantityError:
        negative = True
    if negative:
        yield spot.fault(row)


@constraint("say-resource")
def say_resource(spot: Spot, row: Row) -> Iterator[Fault]:
    """The row's conditions are the error, and the word `resource` is shown as the bad value."""
    yield spot.fault(row, "", "resource")
