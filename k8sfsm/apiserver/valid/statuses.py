"""What the tables of statuses, and of Nodes, name.

Source: pkg/apis/core/validation/validation.go: ValidatePodStatusUpdate, ValidateNodeUpdate, ValidateLoadBalancerStatus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from attrs import evolve

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.constraints import has_format, one_of, parsed_ip
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.valid.gotypes import as_go
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint, judged
from k8sfsm.kinds.container_restarts import may_restart_together, restarts_after
from k8sfsm.objects import PodSpec, part_from_json

_MAY_RESTART: Final = {"containers": True, "initContainers": True, "ephemeralContainers": False}
"""Lists of containers, and whether one that has ended may be started again."""


def _pod(part: Part) -> Part:
    """The pod around a part of its status."""
    return part if part.parent is None else _pod(part.parent)


def _spec(part: Part) -> Mapping[str, Any]:
    return _pod(part).get("spec") or {}


# -- pods -------------------------------------------------------------------------------------------------------------


@constraint("condition-types")
def condition_types(spot: Spot, row: Row) -> Iterator[Fault]:
    """Conditions of known types (`of`), or of types with qualified names."""
    for index, condition in enumerate(spot.value or ()):
        name = condition.get("type") or ""
        for error in () if name in row.of else format_errors("label-key", name):
            yield spot.fault(row, error, name, f"[{index}].Type")


@constraint("format-or-old")
def format_or_old(spot: Spot, row: Row) -> Iterable[Fault]:
    """Text of a format, unless it is what was there."""
    return () if spot.value == spot.old else has_format(spot, row)


@constraint("free-nomination")
def free_nomination(spot: Spot, row: Row) -> Iterator[Fault]:
    """No node is nominated for a pod that has one."""
    old = (_pod(spot.whole).old or {}).get("spec") or {}
    if spot.value and spot.value != spot.old and old.get("nodeName"):
        yield spot.fault(row)


@constraint("end-for-good")
def end_for_good(spot: Spot, row: Row) -> Iterator[Fault]:
    """Containers (`of`: which of the spec) that have ended stay so, but for those that may be started again."""
    now = {each.get("name"): each.get("state") or {} for each in reversed(spot.value or ())}
    for index, was in enumerate(spot.old or ()):
        end, state = (was.get("state") or {}).get("terminated"), now.get(was.get("name"))
        if end is None or state is None or state.get("terminated") is not None:
            continue
        if not _restarts(_spec(spot.whole), row.of, was.get("name"), end.get("exitCode") or 0):
            yield spot.fault(row, under=f"[{index}].state")


def _restarts(spec: Mapping[str, Any], group: str, name: str, code: int) -> bool:
    return _MAY_RESTART[group] and may_restart(part_from_json(PodSpec, spec), name, code)


def may_restart(spec: PodSpec, name: str, code: int) -> bool:
    """Whether a container that ended with `code` may be started again. Ephemeral ones never are."""
    if may_restart_together(spec):
        return True
    found = next((each for each in (*spec.containers, *spec.init_containers) if each.name == name), None)
    return found is not None and restarts_after(found, spec.restart_policy or "Always", code)


@law.fact
def claim_of_pod(part: Part) -> bool:
    """Whether the claim that is reported is one of the pod's."""
    return part.get("name") in [claim.get("name") for claim in _spec(part).get("resourceClaims") or ()]


@law.fact
def pod_system(part: Part) -> Literal["linux", "windows", "other"]:
    """The operating system that the pod is for."""
    name = (_spec(part).get("os") or {}).get("name") or "linux"
    systems: dict[str, Literal["linux", "windows"]] = {"linux": "linux", "windows": "windows"}
    return systems.get(name, "other")


@law.fact
def device_asked_for(part: Part) -> Literal["asked", "no-request", "no-claim"]:
    """Whether the container asks for the resource, or (`claim:NAME`) has the claim, that a device is reported of.

    Of a container that is not in the spec nothing is said.
    """
    spec, name, of = _spec(part), str(part.get("name") or ""), part.parent.get("name")
    every = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = next((each.get("resources") or {} for each in every if each.get("name") == of), None)
    if resources is None:
        return "asked"
    if not name.startswith("claim:"):
        return "asked" if name in (resources.get("requests") or {}) else "no-request"
    claims = [f"claim:{'/'.join(_claim(claim))}" for claim in resources.get("claims") or ()]
    return "asked" if name in claims else "no-claim"


def _claim(claim: Mapping[str, Any]) -> list[str]:
    return [part for part in (claim.get("name"), claim.get("request")) if part]


# -- addresses --------------------------------------------------------------------------------------------------------


def _address(entry: Any) -> Any:
    """The address that an entry is or has; of a range its first part."""
    found = entry.get("ip") if isinstance(entry, Mapping) else entry
    return parsed_ip(str(found or "").partition("/")[0])


@constraint("ip-entries")
def ip_entries(spot: Spot, row: Row) -> Iterator[Fault]:
    """Entries with an IP address each; those that were there already may stay. Source: IsValidIPForLegacyField."""
    known = [each.get("ip") for each in spot.old or ()]
    for index, entry in enumerate(spot.value or ()):
        text = entry.get("ip") or ""
        if text not in known and parsed_ip(text) is None:
            says = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield spot.fault(row, says, text, f"[{index}]")


@constraint("family-each")
def family_each(spot: Spot, row: Row) -> Iterator[Fault]:
    """Of several addresses, or ranges of them, one of each family. Source: IsDualStackIPStrings."""
    entries = spot.value or ()
    if len(entries) < 2:
        return
    versions = [getattr(_address(entry), "version", 0) for entry in entries]
    if sorted(versions) != [4, 6]:
        yield spot.fault(row, "", [as_go("PodIP", entry) for entry in entries])


@constraint("first-like")
def first_like(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list of entries whose first has the address that the field `of` is."""
    if spot.value and (spot.value[0].get("ip") or "") != (spot.whole.get(row.of) or ""):
        yield spot.fault(row, "", spot.value[0].get("ip") or "", "[0].ip")


@constraint("no-ip")
def no_ip(spot: Spot, row: Row) -> Iterator[Fault]:
    """A text that is no IP address."""
    if spot.value and parsed_ip(spot.value) is not None:
        yield spot.fault(row)


@law.fact
def balanced(part: Part) -> bool:
    """Whether the Service has a load balancer."""
    return (part.get("spec") or {}).get("type") == "LoadBalancer"


@law.fact
def address_given(part: Part) -> bool:
    """Whether a load balancer is reached at an address."""
    return bool(part.get("ip"))


# -- numbers ----------------------------------------------------------------------------------------------------------


@constraint("not-above")
def not_above(spot: Spot, row: Row) -> Iterator[Fault]:
    """A number that is not above the field `of`."""
    if (spot.value or 0) > (spot.whole.get(row.of) or 0):
        yield spot.fault(row, "", spot.value or 0)


@constraint("bytes-at-most")
def bytes_at_most(spot: Spot, row: Row) -> Iterator[Fault]:
    """A text that is not too long; `{0}` is the bound."""
    if len((spot.value or "").encode()) > row.of:
        yield evolve(spot.fault(row, row.detail.format(row.of)), error="Too long")


@constraint("choice")
def choice(spot: Spot, row: Row) -> Iterable[Fault]:
    """One of a few texts; none is not one of them."""
    return one_of(evolve(spot, value=spot.value or ""), row)


@constraint("not-lowered")
def not_lowered(spot: Spot, row: Row) -> Iterator[Fault]:
    """A number that an update does not lower or remove. Source: IsDecremented."""
    if spot.old is not None and (spot.value is None or spot.value < spot.old):
        yield spot.fault(row, "", spot.value or 0)


# -- nodes ------------------------------------------------------------------------------------------------------------


@constraint("named-amounts")
def named_amounts(spot: Spot, row: Row) -> Iterator[Fault]:
    """Amounts by resource; the table `of` judges each: its name and its amount."""
    for name, amount in (spot.value or {}).items():
        yield from judged(
            Part({"name": name, "amount": amount}, spot.whole.root, spot.whole, f"{spot.path}.{name}", row.of)
        )


@constraint("each-as")
def each_as(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list of parts that another table (`of`) judges, each named as an entry of `as`."""
    path = spot.fault(row).field
    for index, item in enumerate(spot.value or ()):
        yield from judged(Part(item, spot.whole.root, spot.whole, f"{path}[{index}]", row.of))


@law.fact
def taint_repeated(part: Part) -> bool:
    """Whether a taint before this one has the same key and effect."""
    taints = (_pod(part).get("spec") or {}).get("taints") or ()
    before = taints[: next(index for index, each in enumerate(taints) if each is part.value)]
    return (part.get("key"), part.get("effect")) in [(each.get("key"), each.get("effect")) for each in before]


@constraint("unique-part")
def unique_part(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list of parts (`of`: their Go type) of which no two are the same."""
    entries = list(spot.value or ())
    for index, entry in enumerate(entries):
        if entry in entries[:index]:
            yield evolve(spot.fault(row, "", as_go(row.of, entry), f"[{index}]"), error="Duplicate value")


@constraint("kept-once-given")
def kept_once_given(spot: Spot, row: Row) -> Iterator[Fault]:
    """A field that stays what it is as soon as it is set."""
    if spot.old and spot.value != spot.old:
        yield spot.fault(row)


# -- annotations and namespaces ---------------------------------------------------------------------------------------


def _entries(found: Any, name: str) -> dict[str, Any]:
    """Entries of a map by their name, or by its beginning (`NAME*`)."""
    stem = name.removesuffix("*")
    return {key: text for key, text in (found or {}).items() if key == name or (stem != name and key.startswith(stem))}


@constraint("kept-entries")
def kept_entries(spot: Spot, row: Row) -> Iterator[Fault]:
    """Entries (`of`: the name, or its beginning) that stay as they are."""
    for key, text in _entries(spot.old, row.of).items():
        if (spot.value or {}).get(key) != text:
            yield spot.fault(row, under=f"[{key}]")


@constraint("no-new-entries")
def no_new_entries(spot: Spot, row: Row) -> Iterator[Fault]:
    """No new entries of a name (`of`), or of a beginning of names."""
    for key in _entries(spot.value, row.of):
        if key not in (spot.old or {}):
            yield spot.fault(row, under=f"[{key}]")


@law.fact
def namespace_deleted(part: Part) -> bool:
    """Whether the namespace is being deleted."""
    return (part.get("metadata") or {}).get("deletionTimestamp") is not None


@law.fact
def reported_phase(part: Part) -> str:
    """The phase that the status says."""
    return str((part.get("status") or {}).get("phase") or "")
