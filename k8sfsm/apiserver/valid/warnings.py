"""What the API server warns of: the table `specs/apiserver/warnings.yaml`, and what its rows name.

Source: pkg/api/pod/warnings.go; pkg/api/node/util.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint
from k8sfsm.apiserver.valid.resources import amount_of
from k8sfsm.objects.gotext import quote

_BYTES: Final = ("memory", "ephemeral-storage")
Port: TypeAlias = Mapping[str, Any]


@frozen
class NodeLabel:
    """A label that a pod wants its node to have."""

    key: str


@law.fact
def node_label(case: NodeLabel) -> str:
    """The label's key."""
    return case.key


def _outdated(key: str) -> str:
    row = law.decide("deprecated-label", NodeLabel(key)).outputs
    return f'deprecated since {row["since"]}; use "{row["instead"]}" instead' if row["since"] else ""


@constraint("current-label")
def current_label(spot: Spot, row: Row) -> Iterator[Fault]:
    """A label's key that is not outdated; `{0}` is the key, `{1}` what is to be said of it."""
    said = _outdated(str(spot.value))
    if said:
        yield spot.fault(row, row.detail.format(spot.value, said))


@constraint("current-labels")
def current_labels(spot: Spot, row: Row) -> Iterator[Fault]:
    """Labels whose keys are not outdated."""
    for key in spot.value or ():
        said = _outdated(key)
        if said:
            yield spot.fault(row, row.detail.format(key, said), under=f"[{key}]")


@constraint("recommended-format")
def recommended_format(spot: Spot, row: Row) -> Iterator[Fault]:
    """Text of a format; `{0}` is all that is wrong with it."""
    errors = format_errors(row.of, spot.value or "")
    if errors:
        yield spot.fault(row, row.detail.format(" ".join(errors)))


@constraint("no-entry")
def no_entry(spot: Spot, row: Row) -> Iterator[Fault]:
    """A map without the entry `of`."""
    if row.of in (spot.value or {}):
        yield spot.fault(row, under=f"[{row.of}]")


@constraint("said-once")
def said_once(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list in which no two entries have the same value of the field `of`; `{0}` is that value."""
    seen: set[str] = set()
    for index, item in enumerate(spot.value or ()):
        text = str(item.get(row.of) or "")
        if text in seen:
            yield spot.fault(row, row.detail.format(quote(text)), under=f"[{index}].{row.of}")
        seen.add(text)


@constraint("whole-bytes")
def whole_bytes(spot: Spot, row: Row) -> Iterator[Fault]:
    """Amounts by resource, those of bytes in whole ones; `{0}` is one that is not."""
    for name in _BYTES:
        amount = (spot.value or {}).get(name)
        if amount is not None and not amount_of(amount).round_up(0)[1]:
            yield spot.fault(row, row.detail.format(quote(str(amount_of(amount)))), under=f"[{name}]")


@constraint("hides-nothing")
def hides_nothing(spot: Spot, row: Row) -> Iterator[Fault]:
    """Variables of which none takes the place of an earlier one, but to add to it; `{0}` is the name."""
    seen: set[str] = set()
    for index, item in enumerate(spot.value or ()):
        name, text = str(item.get("name") or ""), str(item.get("value") or "")
        refers = f"$({name})"
        if name in seen and (item.get("valueFrom") is not None or text == refers or refers not in text):
            yield spot.fault(row, row.detail.format(quote(name)), under=f"[{index}]")
        seen.add(name)


def _ports(spec: Any) -> Iterator[tuple[str, Port]]:
    """The ports of all containers in the order in which they are looked at, with their paths below the spec."""
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            for number, port in enumerate(container.get("ports") or ()):
                yield f".{group}[{index}].ports[{number}]", port


@constraint("no-bare-host-ip")
def no_bare_host_ip(spot: Spot, row: Row) -> Iterator[Fault]:
    """Ports that name no address of the node without a port there; `{0}` is the port as Go prints it."""
    for path, port in _ports(spot.value):
        if port.get("hostIP") and not port.get("hostPort"):
            text = (
                f"{{Name:{port.get('name', '')} HostPort:0 ContainerPort:{port.get('containerPort', 0)} "
                f"Protocol:{port.get('protocol', '')} HostIP:{port['hostIP']}}}"
            )
            yield spot.fault(row, row.detail.format(text), under=path)


def _clash(port: Port, other: Port) -> str:
    """How two definitions of one port clash."""
    addresses, numbers = (
        [each.get("hostIP") or "" for each in (port, other)],
        [each.get("hostPort") or 0 for each in (port, other)],
    )
    if addresses[0] == addresses[1] and numbers[0] == numbers[1]:
        return "same"
    if 0 in numbers:
        return "overlapping"
    one_is_open = addresses.count("") == 1
    return "ambiguous" if numbers[0] == numbers[1] and one_is_open else "none"


@constraint("other-port")
def other_port(spot: Spot, row: Row) -> Iterator[Fault]:
    """Ports of which no two are defined in the way `of`; `{0}` is the earlier one."""
    seen: list[tuple[str, Port]] = []
    for path, port in _ports(spot.value):
        for earlier, other in seen:
            same = all(port.get(name) == other.get(name) for name in ("containerPort", "protocol"))
            if same and _clash(port, other) == row.of:
                yield spot.fault(row, row.detail.format(spot.path + earlier), under=path)
        seen.append((path, port))


@constraint("other-port-name")
def other_port_name(spot: Spot, row: Row) -> Iterator[Fault]:
    """Ports of different names; `{0}` is a name, `{1}` the first port that has it."""
    seen: dict[str, str] = {}
    for path, port in _ports(spot.value):
        name = port.get("name")
        if name and name in seen:
            yield spot.fault(row, row.detail.format(quote(name), spot.path + seen[name]), under=path)
        elif name:
            seen[name] = path
