"""Tables as `kubectl get` prints them: columns, rows, text.

Source: pkg/printers/internalversion/printers.go: AddHandlers; cli-runtime/pkg/printers/tableprinter.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.objects import KINDS
from k8sfsm.printer.cells import age
from k8sfsm.printer.network import endpoints_row, endpointslice_row, service_row
from k8sfsm.printer.node import node_row
from k8sfsm.printer.pod import pod_row
from k8sfsm.printer.workload import deployment_row, replicaset_row, replicationcontroller_row

Row: TypeAlias = Callable[[Any, int], list[object]]


@frozen
class Column:
    """A column: its title, and whether only `-o wide` shows it."""

    title: str
    wide: bool = False


@frozen
class Printer:
    """How a kind is printed."""

    columns: tuple[Column, ...]
    row: Row


def _printer(row: Row, narrow: str, wide: str = "") -> Printer:
    return Printer((*map(Column, narrow.split("|")), *(Column(title, True) for title in wide.split("|") if title)), row)


def _plain_row(obj: Any, now: int) -> list[object]:
    return [obj.metadata.name, age(obj, now)]


def _namespace_row(obj: Any, now: int) -> list[object]:
    return [obj.metadata.name, obj.status.phase, age(obj, now)]


_PRINTERS: Final = {
    "Deployment": _printer(deployment_row, "NAME|READY|UP-TO-DATE|AVAILABLE|AGE", "CONTAINERS|IMAGES|SELECTOR"),
    "ReplicaSet": _printer(replicaset_row, "NAME|DESIRED|CURRENT|READY|AGE", "CONTAINERS|IMAGES|SELECTOR"),
    "ReplicationController": _printer(
        replicationcontroller_row, "NAME|DESIRED|CURRENT|READY|AGE", "CONTAINERS|IMAGES|SELECTOR"
    ),
    "Pod": _printer(pod_row, "NAME|READY|STATUS|RESTARTS|AGE", "IP|NODE|NOMINATED NODE|READINESS GATES"),
    "Service": _printer(service_row, "NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE", "SELECTOR"),
    "EndpointSlice": _printer(endpointslice_row, "NAME|ADDRESSTYPE|PORTS|ENDPOINTS|AGE"),
    "Endpoints": _printer(endpoints_row, "NAME|ENDPOINTS|AGE"),
    "Node": _printer(
        node_row,
        "NAME|STATUS|ROLES|AGE|VERSION",
        "INTERNAL-IP|EXTERNAL-IP|OS-IMAGE|KERNEL-VERSION|CONTAINER-RUNTIME",
    ),
    "Namespace": _printer(_namespace_row, "NAME|STATUS|AGE"),
}
_PLAIN: Final = _printer(_plain_row, "NAME|AGE")
_GAP: Final = 3


def columns_of(kind: str, *, wide: bool = False) -> tuple[Column, ...]:
    """The columns in which `kubectl get` prints a kind."""
    return tuple(column for column in _PRINTERS.get(kind, _PLAIN).columns if wide or not column.wide)


def row_of(obj: Any, now: int, *, wide: bool = False) -> list[object]:
    """The cells of an object, texts and numbers; `now`: ns."""
    row = _PRINTERS.get(obj.kind, _PLAIN).row
    cells = service_row(obj, now, wide=wide) if obj.kind == "Service" else row(obj, now)
    return cells[: len(columns_of(obj.kind, wide=wide))]


def printed_table(titles: Sequence[str], rows: Iterable[Sequence[object]], gap: int = _GAP) -> str:
    """Rows under titles, in columns `gap` spaces apart, as kubectl aligns them; each line ends with a newline."""
    lines = [list(titles), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(titles))]
    texts = (
        "".join(cell.ljust(width + gap) for cell, width in zip(line[:-1], widths, strict=False)) + line[-1]
        for line in lines
    )
    return "".join(text + "\n" for text in texts)


def printed(kind: str, objects: Iterable[Any], now: int, *, wide: bool = False, namespaces: bool = False) -> str:
    """What `kubectl get` prints of objects of one kind, in order of namespace and name; "" where there are none.

    `namespaces`: with the column of `--all-namespaces`, for kinds that are in namespaces. `now`: ns.
    """
    known = KINDS.get(kind)
    spaced = namespaces and (known is None or known.namespaced)
    found = sorted(objects, key=lambda obj: (obj.metadata.namespace, obj.metadata.name))
    if not found:
        return ""
    titles = [*(["NAMESPACE"] if spaced else []), *(column.title for column in columns_of(kind, wide=wide))]
    rows = ([*([obj.metadata.namespace] if spaced else []), *row_of(obj, now, wide=wide)] for obj in found)
    return printed_table(titles, rows)
