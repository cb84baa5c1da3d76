"""What the tables of metadata name.

Source: staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.constraints import strict_format
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint
from k8sfsm.objects import KINDS
from k8sfsm.objects.gotext import quote

_INT32: Final = range(-(2**31), 2**31)


@law.fact
def of_kind(part: Part) -> str:
    """The kind of the whole object."""
    return part.root


@law.fact
def namespaced(part: Part) -> bool:
    """Whether objects of the kind are in namespaces; of a kind that nobody knows, whether this one is."""
    known = KINDS.get(part.root)
    return known.namespaced if known is not None else bool(part.get("namespace"))


@law.fact
def being_deleted(part: Part) -> bool:
    """Whether the object was being deleted before the update."""
    return isinstance(part.old, Mapping) and part.old.get("deletionTimestamp") is not None


@constraint("prefix")
def prefix(spot: Spot, row: Row) -> Iterable[Fault]:
    """The start of a name of a format: it may end with a dash. Source: maskTrailingDash."""
    text = spot.value
    if not text:
        return
    whole = text[:-2] + "a" if isinstance(text, str) and len(text) > 1 and text.endswith("-") else text
    for fault in strict_format(Spot(spot.whole, spot.path, whole), row):
        yield spot.fault(row, fault.detail)


@constraint("versioned")
def versioned(spot: Spot, row: Row) -> Iterator[Fault]:
    """An apiVersion with a version: `v1`, `apps/v1`. Source: schema.FromAPIVersionAndKind."""
    text = spot.value or ""
    if text.count("/") > 1 or not text.rpartition("/")[2]:
        yield spot.fault(row, "", text)


@constraint("no-event")
def no_event(spot: Spot, row: Row) -> Iterator[Fault]:
    """An owner that is no Event. Source: BannedOwners."""
    if isinstance(spot.value, Mapping) and (spot.value.get("apiVersion"), spot.value.get("kind")) == ("v1", "Event"):
        yield spot.fault(row)


@constraint("one-controller")
def one_controller(spot: Spot, row: Row) -> Iterator[Fault]:
    """Owners of which one at most is the controller; `{0}` and `{1}` are the first and each further one."""
    found = [f"{owner.get('kind')}/{owner.get('name')}" for owner in spot.value or () if owner.get("controller")]
    for other in found[1:]:
        yield spot.fault(row, row.detail.format(found[0], other))


@constraint("not-both")
def not_both(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list that does not have both of two entries (`of`)."""
    if all(name in (spot.value or ()) for name in row.of):
        yield spot.fault(row, row.detail.format(*row.of))


@constraint("qualified-or")
def qualified_or(spot: Spot, row: Row) -> Iterator[Fault]:
    """A name with a domain, or one of a few."""
    if "/" not in str(spot.value) and spot.value not in row.of:
        yield spot.fault(row)


@constraint("nothing-new")
def nothing_new(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list without entries that it had not before; `{0}` are those, sorted."""
    new = sorted(set(spot.value or ()) - set(spot.old or ()))
    if new:
        yield spot.fault(row, row.detail.format(", ".join(map(quote, new))))


_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)


@constraint("number-entry")
def number_entry(spot: Spot, row: Row) -> Iterator[Fault]:
    """A map whose entry `of`, if there is one, is a 32 bit number. Source: validatePodDeletionCost."""
    found: Any = (spot.value or {}).get(row.of)
    if found is not None and (_INTEGER.fullmatch(str(found)) is None or int(found) not in _INT32):
        yield spot.fault(row, "", found, f"[{row.of}]")
