"""The states of recorded objects, as the machines of `specs/` see them."""

from __future__ import annotations

from attrs import define, field

from k8sfsm.law import LawError
from k8sfsm.machine import ABSENT, Machines
from k8sfsm.objects import KINDS, ObjectError
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.trace.itf import States, outline


@define
class StateReader:
    """Reads states off recorded objects; each document is classified once."""

    machines: Machines = field(factory=Machines.load)
    _known: dict[int, tuple[Document, States]] = field(factory=dict)

    def states(self, document: Document) -> States:
        """Region -> state; empty for a kind without a machine, or an object that is no whole one of its kind."""
        known = self._known.get(id(document))
        if known is not None and known[0] is document:
            return known[1]
        states = self._classify(document)
        self._known[id(document)] = document, states
        return states

    def _classify(self, document: Document) -> States:
        if document.key[0] not in KINDS or self.machines.of(document.key[0]) is None:
            return {}
        try:
            return self.machines.classify(document.typed)
        except (ObjectError, LawError):
            return {}

    def outlined(self, document: Document) -> States:
        """The same, and for objects without a machine the outline: phase, and whether it is being deleted."""
        return self.states(document) or outline(document)

    def moves(self, write: RecordedWrite) -> dict[str, tuple[str, str]]:
        """Region -> (state before, state after) for the regions whose state a write changed."""
        if write.states:
            return {name: pair for name, pair in write.states.items() if pair[0] != pair[1]}
        if write.type is None or write.new is None:
            return {}
        after = self.states(write.new) if write.type != "DELETED" else {}
        before = self.states(write.old) if write.old is not None else {}
        pairs = {name: (before.get(name, ABSENT), after.get(name, ABSENT)) for name in {**before, **after}}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
