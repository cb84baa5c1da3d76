"""Checks a cluster against the invariants of all rooms (`specs/<room>/invariants.yaml`).

Safety invariants hold in every state, transition invariants for every change, convergence invariants when nothing is
left to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.law import Law, LawError, import_all
from k8sfsm.spec.loader import ENVIRONMENT, room_names, specs_dir
from k8sfsm.view import Change, View

Type: TypeAlias = Literal["safety", "transition", "convergence"]
_NOT_OF_CLUSTERS: Final = ("trace",)
"""Rooms whose invariants are about recordings, not about views."""


@frozen
class Violation:
    """An invariant that does not hold. `invariant`: its path (``Pod/addresses-differ``); `says`: what is wrong."""

    invariant: str
    says: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.says}"


@frozen
class Invariant:
    """An invariant, bound to its function. `of`, `each`, `fresh`, `reads`: see `k8sfsm.spec.model.Invariant`."""

    path: str
    type: Type
    holds: Callable[..., Iterable[str]]
    of: tuple[str, ...] = ()
    each: bool = False
    fresh: bool = False
    reads: Callable[[Any], Any] | None = None


@lru_cache(maxsize=8)
def _invariants(path: Path) -> tuple[Invariant, ...]:
    failed = dict(import_all())
    found = []
    for room in room_names(path):
        law = Law(room)
        spec = law.invariants()
        if spec is None or room in _NOT_OF_CLUSTERS:
            continue
        for name, row in spec.invariants.items():
            try:
                function = law.function("invariant", row.holds)
                reads = law.function("fact", row.reads) if row.reads else None
            except LawError as error:
                for module, reason in failed.items():
                    error.add_note(f"{module} could not be imported: {reason}")
                raise
            found.append(Invariant(f"{spec.kind}/{name}", row.type, function, row.of, row.each, row.fresh, reads))
    return tuple(found)


def invariants(type: Type | None = None) -> tuple[Invariant, ...]:
    """All invariants of clusters (or those of one type), by room. Raises SpecError and LawError."""
    return tuple(each for each in _invariants(specs_dir()) if type in (None, each.type))


@lru_cache(maxsize=8)
def _of_type(type: Type, environment: str | None) -> tuple[Invariant, ...]:
    """As `invariants`; `environment`: what the spec directory depends on."""
    return invariants(type)


def _broken(type: Type, *arguments: Any) -> Iterator[Violation]:
    for each in _of_type(type, os.environ.get(ENVIRONMENT)):
        for says in each.holds(*arguments):
            yield Violation(each.path, says)


def check_safety(view: View) -> tuple[Violation, ...]:
    """The safety invariants that do not hold in `view`."""
    return tuple(_broken("safety", view))


def check_transition(change: Change, view: View) -> tuple[Violation, ...]:
    """The transition invariants that `change` breaks; `view`: the state after it."""
    return tuple(_broken("transition", change, view))


def check_convergence(view: View) -> tuple[Violation, ...]:
    """The convergence invariants that do not hold in `view`, where nothing is left to do."""
    return tuple(_broken("convergence", view))
