"""Which laws of histories are asked about a write: those that it can break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from k8sfsm.spec.model import Invariant as Row
from k8sfsm.trace.case import Written, law
from k8sfsm.trace.told import asks_others

Laws: TypeAlias = list[tuple[str, Callable[[Any], Any]]]
"""(`trace/NAME`, what says in words how it is broken)."""
Sort: TypeAlias = tuple[str, str, str | None]
"""Kind, verb, and what a watch shows of the change."""
Rows: TypeAlias = dict[str, list[tuple[str, Callable[[Any], Any], Row]]]
"""Type -> the laws with their rows."""


def all_rows() -> Rows:
    """The laws, by type."""
    spec = law.invariants()
    rows: Rows = {"transition": [], "convergence": []}
    for name, row in spec.invariants.items() if spec else ():
        rows[row.type].append((f"trace/{name}", law.function("invariant", row.holds), row))
    return rows


def laws_of(sort: Sort, rows: Rows) -> Laws:
    """The laws that a write of a sort can break."""
    return [(rule, holds) for rule, holds, row in rows["transition"] if can_break(sort, row)]


def can_break(sort: Sort, row: Row) -> bool:
    """Whether a write of a sort is one of those of which a row says that they can break it."""
    kind, verb, change = sort
    fits = not row.of or kind in row.of
    return fits and (not row.verbs or verb in row.verbs) and (not row.changes or (change or "none") in row.changes)


_OF_LIKENESS: Final = frozenset(
    f"trace/{name}"
    for name in (
        "change-shown", "generation-counts", "uid-constant", "creation-constant", "deletion-kept", "request-known",
        "status-write-alone", "scale-alone", "status-kept", "fixed-fields", "answer-fits", "body-stored",
        "patch-applied", "observed-not-ahead",
    )
)  # fmt: skip
"""The laws that look at an object before and after and at the body of the request, and of their names, moments and
revisions at no more than which of them are the same (`k8sfsm.trace.likeness`).
"""


def beside_the_likeness(case: Written, laws: Laws) -> Laws:
    """The laws that a write can break although one that is like it kept them all."""
    likely = _OF_LIKENESS if asks_others(case) else _OF_LIKENESS | {"trace/writer-fits"}
    return [(rule, holds) for rule, holds in laws if rule not in likely]
