"""What the tables of resources name.

Source: pkg/apis/core/validation/validation.go: ValidateContainerResourceRequirements; pkg/apis/core/helper/helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from attrs import evolve

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint, judged
from k8sfsm.objects import Quantity, QuantityError

_CONTAINER: Final = ("cpu", "memory", "ephemeral-storage")
_PIECES: Final = (
    "pods",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "resourcequotas",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_BOUNDED: Final = tuple(f"{kind}.{name}" for kind in ("requests", "limits") for name in _CONTAINER)
_STANDARD: Final = frozenset((*_CONTAINER, *_BOUNDED, *_PIECES, "storage", "requests.storage"))
_ZERO: Final = Quantity.parse("0")
_PAGES: Final = "hugepages-"


def amount_of(given: Any) -> Quantity:
    """An amount as it was written; 0 where it is none."""
    try:
        return Quantity.parse(str(given))
    except QuantityError:
        return _ZERO


def is_native(name: str) -> bool:
    """Whether Kubernetes itself knows the resource. Source: IsNativeResource."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Whether the resource is one that a node's administrator may add. Source: IsExtendedResourceName."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not format_errors("label-key", f"requests.{name}")


def may_overcommit(name: str) -> bool:
    """Whether a container may request less than its limit. Source: IsOvercommitAllowed."""
    return is_native(name) and not name.startswith(_PAGES)


@law.fact
def resource_name(part: Part) -> Literal["unknown", "bare", "standard", "native", "extended", "strange"]:
    """What the name of a resource is: of containers (standard), of other things (bare), with a domain or unknown."""
    name = str(part.get("name"))
    if "/" not in name:
        if name in _CONTAINER or name.startswith(_PAGES):
            return "standard"
        if name in _STANDARD or name.startswith(f"requests.{_PAGES}"):
            return "bare"
        return "bare" if format_errors("label-key", name) else "unknown"
    if is_native(name):
        return "native"
    return "extended" if is_extended(name) else "strange"


@law.fact
def amount_negative(part: Part) -> bool:
    """Whether the amount is below zero."""
    return amount_of(part.get("amount")) < _ZERO


@law.fact
def amount_broken(part: Part) -> bool:
    """Whether the amount of something that comes in whole pieces is no whole number. Source: IsIntegerResourceName."""
    name = str(part.get("name"))
    return (name in _PIECES or is_extended(name)) and not amount_of(part.get("amount")).round_up(0)[1]


@law.fact
def pages_broken(part: Part) -> bool:
    """Whether an amount of huge pages is no number of pages. Source: IsHugePageResourceValueDivisible."""
    name = str(part.get("name"))
    if not name.startswith(_PAGES):
        return False
    size = amount_of(name.removeprefix(_PAGES)).value
    return size <= 0 or amount_of(part.get("amount")).value % size != 0


@law.fact
def request_and_limit(part: Part) -> Literal["fit", "over", "unequal", "unlimited"]:
    """How the request of a resource fits its limit."""
    name, amount, limit = str(part.get("name")), amount_of(part.get("amount")), part.get("limit")
    if limit is None:
        return "fit" if may_overcommit(name) else "unlimited"
    bound = amount_of(limit)
    if amount != bound and not may_overcommit(name):
        return "unequal"
    return "over" if amount > bound else "fit"


@law.fact
def huge_pages_alone(part: Part) -> bool:
    """Whether huge pages are wanted, and neither processor nor memory."""
    names = [*(part.get("limits") or {}), *(part.get("requests") or {})]
    return any(name.startswith(_PAGES) for name in names) and not {"cpu", "memory"} & set(names)


@constraint("amounts")
def amounts(spot: Spot, row: Row) -> Iterator[Fault]:
    """Amounts by resource; the table `of` judges each: its name, its amount and its limit."""
    limits = spot.whole.get("limits") or {}
    for name, amount in (spot.value or {}).items():
        entry = {"name": name, "amount": amount, "limit": limits.get(name)}
        yield from judged(Part(entry, spot.whole.root, spot.whole, f"{spot.path}[{name}]", row.of))


@constraint("beside-limit")
def beside_limit(spot: Spot, row: Row) -> Iterator[Fault]:
    """The row's conditions are the error of the whole list `of`; `{0}` is the resource, `{1}` its limit."""
    entry, around = spot.whole, spot.whole.parent
    name, limit = entry.get("name"), amount_of(entry.get("limit") or "0")
    shown = str(amount_of(entry.get("amount")))
    yield evolve(spot.fault(row, row.detail.format(name, limit), shown), field=f"{around.path}.{row.of}")


@constraint("say-name")
def say_name(spot: Spot, row: Row) -> Iterator[Fault]:
    """The row's conditions are the error; `{0}` is the amount, `{1}` the resource."""
    amount = str(amount_of(spot.whole.get("amount")))
    yield spot.fault(row, row.detail.format(amount, spot.whole.get("name")), amount)


@constraint("unique-claim")
def unique_claim(spot: Spot, row: Row) -> Iterator[Fault]:
    """Claims of a container: no request of a claim twice, and no claim beside one of its requests."""
    seen: list[str] = []
    for index, claim in enumerate(spot.value or ()):
        name, request = claim.get("name") or "", claim.get("request") or ""
        key = f"{name}/{request}" if request else name
        beside = [other for other in seen if other == name or (not request and other.startswith(f"{name}/"))]
        if name and (beside or key in seen):
            shown = name if beside else key
            yield evolve(spot.fault(row, "", shown, f"[{index}]"), error="Duplicate value")
        seen.append(key)


@constraint("known-claim")
def known_claim(spot: Spot, row: Row) -> Iterator[Fault]:
    """The name of a resource claim of the pod; `{0}` says which there are."""
    pod = spot.whole.within("PodFields")
    names = sorted(each.get("name") or "" for each in (pod.get("resourceClaims") or () if pod is not None else ()))
    name = spot.value.get("name") if isinstance(spot.value, Mapping) else None
    if name and name not in names:
        known = f": {', '.join(names)}" if names else " which is empty"
        yield spot.fault(row, row.detail.format(known), name)
