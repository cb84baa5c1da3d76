"""What the tables of Services name.

Source: pkg/apis/core/validation/validation.go: ValidateService, ValidateServiceUpdate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from attrs import evolve

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.constraints import cidr, parsed_ip, strict_format
from k8sfsm.apiserver.valid.faults import Fault, shown
from k8sfsm.apiserver.valid.gotypes import as_go
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint

Change = Literal["none", "same-number", "gone", "moved", "moved-and-fewer", "fewer"]
_HEADLESS: Final = ["None"]


@law.fact
def headless(part: Part) -> bool:
    """Whether the Service is to have no address of its own."""
    return bool(part.get("clusterIPs") == _HEADLESS)


@law.fact
def health_check(part: Part) -> bool:
    """Whether a load balancer asks each node for its health. Source: pkg/api/service/util.go: NeedsHealthCheck."""
    return _needs_health_check(part.value)


def _needs_health_check(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


@law.fact
def first_address(part: Part) -> Literal["fits", "missing", "other", "alone"]:
    """How clusterIPs fit clusterIP."""
    one, many = part.get("clusterIP"), part.get("clusterIPs")
    if not one:
        return "alone" if many else "fits"
    if not many:
        return "missing"
    return "fits" if many[0] == one else "other"


@law.fact
def addresses_readable(part: Part) -> Literal["yes", "no", "headless-more"]:
    """Whether all of clusterIPs are addresses; None may be there alone."""
    given = part.get("clusterIPs") or []
    if given[:1] == _HEADLESS:
        return "yes" if len(given) == 1 else "headless-more"
    return "yes" if all(parsed_ip(each) is not None for each in given) else "no"


def _specs(part: Part) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return (part.old or {}).get("spec") or {}, part.get("spec") or {}


def _change(old: list[str], new: list[str]) -> Change:
    if len(old) == len(new):
        return "same-number"
    if not new:
        return "gone"
    moved = bool(old) and old[0] != new[0]
    fewer = len(new) == 1 and len(old) > 1
    if fewer:
        return "moved-and-fewer" if moved else "fewer"
    return "moved" if moved else "none"


def _bound(part: Part) -> bool:
    """Whether an update may not change addresses and families: not from or to ExternalName, not between headless."""
    old, new = _specs(part)
    if "ExternalName" in (old.get("type"), new.get("type")):
        return False
    return not (old.get("clusterIPs") == new.get("clusterIPs") == _HEADLESS)


@law.fact
def addresses_change(part: Part) -> Change:
    """What an update does to the addresses of a Service that has to keep them."""
    old, new = _specs(part)
    return _change(old.get("clusterIPs") or [], new.get("clusterIPs") or []) if _bound(part) else "none"


@law.fact
def families_change(part: Part) -> Change:
    """What an update does to the families of a Service that has to keep them."""
    old, new = _specs(part)
    either_headless = _HEADLESS in (old.get("clusterIPs"), new.get("clusterIPs"))
    if not _bound(part) or either_headless:
        return "none"
    return _change(old.get("ipFamilies") or [], new.get("ipFamilies") or [])


@law.fact
def class_change(part: Part) -> bool:
    """Whether an update gives a load balancer another class."""
    old, new = _specs(part)
    both = old.get("type") == new.get("type") == "LoadBalancer"
    return both and old.get("loadBalancerClass") != new.get("loadBalancerClass")


@law.fact
def health_port_change(part: Part) -> bool:
    """Whether an update gives a load balancer another port for health checks."""
    old, new = _specs(part)
    if not (_needs_health_check(old) and _needs_health_check(new)):
        return False
    return (old.get("healthCheckNodePort") or 0) != (new.get("healthCheckNodePort") or 0)


@constraint("same-entries")
def same_entries(spot: Spot, row: Row) -> Iterator[Fault]:
    """Lists of one length with the same entries; each that differs is an error. `of` first: always of the first."""
    for index, (old, new) in enumerate(zip(spot.old or (), spot.value or (), strict=False)):
        if old != new:
            yield spot.fault(row, under="[0]" if row.of == "first" else f"[{index}]")


@constraint("single-stack")
def single_stack(spot: Spot, row: Row) -> Iterator[Fault]:
    """The policy of one family."""
    if spot.value != "SingleStack":
        yield spot.fault(row)


@constraint("class-again")
def class_again(spot: Spot, row: Row) -> Iterator[Fault]:
    """A load balancer's class of a format, and none for other Services: judged once more in an update."""
    if spot.value is None:
        return
    if (spot.whole.get("spec") or {}).get("type") == "LoadBalancer":
        yield from strict_format(spot, evolve(row, detail=""))
    else:
        yield evolve(spot.fault(row), error="Forbidden")


@constraint("unique-given")
def unique_given(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list in which no two entries have the same value of a field that is not empty."""
    seen: list[Any] = []
    for index, item in enumerate(spot.value or ()):
        found = item.get(row.of)
        if found and found in seen:
            yield evolve(spot.fault(row, "", found, f"[{index}].{row.of}"), error="Duplicate value")
        seen.append(found)


@constraint("unique-node-port")
def unique_node_port(spot: Spot, row: Row) -> Iterator[Fault]:
    """Ports that want different ports of the nodes, for one protocol."""
    seen: list[Any] = []
    for index, item in enumerate(spot.value or ()):
        key = (item.get("protocol"), item.get("nodePort") or 0)
        if key[1] and key in seen:
            yield evolve(spot.fault(row, "", key[1], f"[{index}].nodePort"), error="Duplicate value")
        seen.append(key)


@constraint("unique-port")
def unique_port(spot: Spot, row: Row) -> Iterator[Fault]:
    """Ports of different numbers, for one protocol."""
    seen: list[Any] = []
    for index, item in enumerate(spot.value or ()):
        key = {"protocol": item.get("protocol") or "", "port": item.get("port") or 0}
        if key in seen:
            found = as_go("ServicePortKey", key)
            yield Fault(f"{spot.path}[{index}]", "Duplicate value", shown(found))
        seen.append(key)


@constraint("cidrs")
def cidrs(spot: Spot, row: Row) -> Iterator[Fault]:
    """Ranges of IP addresses."""
    for index, item in enumerate(spot.value or ()):
        for fault in cidr(Spot(spot.whole, spot.path, item), row):
            yield evolve(fault, field=f"{fault.field}[{index}]")


@constraint("addresses")
def addresses(spot: Spot, row: Row) -> Iterator[Fault]:
    """IP addresses; the first entry may be None."""
    for index, item in enumerate(spot.value or ()):
        if not (index == 0 and item == "None") and parsed_ip(item) is None:
            text = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield spot.fault(row, text, item, f"[{index}]")


@constraint("two-families")
def two_families(spot: Spot, row: Row) -> Iterator[Fault]:
    """Several addresses that are of two families."""
    found = [parsed_ip(each) for each in spot.value or ()]
    if len(found) > 1 and len({each.version for each in found if each is not None}) < 2:
        yield spot.fault(row)


@constraint("of-families")
def of_families(spot: Spot, row: Row) -> Iterator[Fault]:
    """Addresses of the families that the Service names; `{0}` is the family, `{1}` its place."""
    if spot.value == _HEADLESS:
        return
    for index, (item, family) in enumerate(zip(spot.value or (), spot.whole.get("ipFamilies") or (), strict=False)):
        found = parsed_ip(item)
        if family in ("IPv4", "IPv6") and found is not None and f"IPv{found.version}" != family:
            yield spot.fault(row, row.detail.format(family, index), item, f"[{index}]")
