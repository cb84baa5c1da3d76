"""Watches a running engine: after every step the invariants that its writes can break are checked, and no others.

What is found here is what a full check of every state would find: an invariant names the kinds of which a write can
break it (`of`), and whether it is about one object at a time (`each`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from k8sfsm.engine.engine import Engine
from k8sfsm.machine import Machines
from k8sfsm.request import Key
from k8sfsm.spec.loader import ENVIRONMENT, specs_dir
from k8sfsm.store import Snapshot
from k8sfsm.verify.invariants import Invariant, Violation, invariants
from k8sfsm.view import Change, View

REFUSED: Final = ("IllegalTransition", "Invalid")
"""Reasons of refusals that no controller's write may meet."""


class _Alone(View):
    """A view in which of the object's kind there is that object only."""

    def list(self, kind: str, namespace: str = "") -> tuple[Any, ...]:
        """The object, where it is of that kind."""
        for _, obj in self.snapshot(kind).objects.values():
            return (obj,) if obj.kind == kind and namespace in ("", obj.metadata.namespace) else ()
        return ()


_Breakable: TypeAlias = tuple[tuple[Invariant, ...], tuple[Invariant, ...], tuple[Invariant, ...]]


def _of_kind(kind: str) -> _Breakable:
    """What a write of a kind can break: transition invariants, those about one object, those about all."""
    return _of_kind_in(kind, os.environ.get(ENVIRONMENT))


@lru_cache(maxsize=256)
def _of_kind_in(kind: str, _environment: str | None) -> _Breakable:
    """The same; `_environment`: what the spec directory depends on."""
    chosen = [each for each in invariants() if not each.of or kind in each.of]
    return (
        tuple(each for each in chosen if each.type == "transition"),
        tuple(each for each in chosen if each.type == "safety" and each.each),
        tuple(each for each in chosen if each.type == "safety" and not each.each),
    )


class Watch:
    """What has been checked of one engine so far: all changes up to the revision `checked`.

    `blind_until` (ns): until then somebody may see the cluster as it was; what needs fresh views is not judged.
    """

    __slots__ = ("blind_until", "checked", "runtimes")

    def __init__(self, engine: Engine) -> None:
        self.checked = engine.store.revision
        self.runtimes = engine.node_states
        self.blind_until = 0

    def look(self, engine: Engine) -> tuple[Violation, ...]:
        """What the changes since the last look have broken."""
        store = engine.store
        runtimes, self.runtimes = self.runtimes, engine.node_states
        moved = () if runtimes is self.runtimes else tuple(_sandboxes_moved(runtimes, self.runtimes, engine.now))
        if store.revision == self.checked:
            return moved
        view = View(engine.now, store.snapshot, store=store)
        blind = engine.now < self.blind_until
        changes = tuple(store.changes(self.checked))
        self.checked = store.revision
        return (*moved, *broken_by(changes, view, blind))

    def is_new(self, engine: Engine) -> bool:
        """Whether anything has changed since the last look."""
        return engine.store.revision != self.checked or engine.node_states is not self.runtimes


def _sandboxes_moved(old: Mapping[str, Any], new: Mapping[str, Any], now: int) -> Iterator[Violation]:
    """Changes of sandboxes that are no transitions of their machine. They are on nodes and not in the store."""
    for node, pods in new.items():
        before = old.get(node, {})
        for uid, runtime in pods.items() if pods is not before else ():
            past, sandbox = getattr(before.get(uid), "sandbox", None), getattr(runtime, "sandbox", None)
            if past is sandbox:
                continue
            for illegal in _machines(specs_dir()).check_part("Sandbox", past, sandbox, "kubelet", now).illegal:
                yield Violation("Sandbox/moves", f"on {node}: {illegal}")


@lru_cache(maxsize=8)
def _machines(path: Path) -> Machines:
    return Machines.load(path)


def broken_by(changes: Iterable[Change], view: View, blind: bool = False) -> Iterator[Violation]:
    """The invariants that changes have broken; `view`: the state after them. `blind`: not those for fresh views."""
    general: dict[str, Invariant] = {}
    last: dict[Key, Change] = {}
    for change in changes:
        transitions, single, others = _of_kind(change.key[0])
        for each in transitions:
            if not (blind and each.fresh):
                for says in each.holds(change, view):
                    yield Violation(each.path, says)
        general.update((each.path, each) for each in others if each.reads is None or _moves(change, each.reads))
        if single:
            last[change.key] = change
    for change in last.values():
        if change.type != "DELETED":
            yield from _alone(change, view)
    for each in general.values():
        yield from (Violation(each.path, says) for says in each.holds(view))


def _moves(change: Change, reads: Callable[[Any], Any]) -> bool:
    """Whether a change moves what an invariant looks at of an object."""
    return change.type != "MODIFIED" or change.old is None or reads(change.old) != reads(change.new)


def _alone(change: Change, view: View) -> Iterator[Violation]:
    """The invariants about one object that it breaks."""
    snapshot = Snapshot(change.revision, _ONE.set(change.key, (change.revision, change.new)))
    alone = _Alone(view.now, snapshot)
    for each in _of_kind(change.key[0])[1]:
        for says in each.holds(alone):
            yield Violation(each.path, says)


_ONE: Final = Snapshot().objects
