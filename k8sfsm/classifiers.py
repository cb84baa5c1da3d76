"""Where an object stands in all regions of its kind's machine, found on one way.

Each region has a classifier: a table of facts that leads to a state. A write asks all of them about two objects, so
they are put one behind the other: the last fact that a region needs leads to the first one of the next. It is the same
facts that are asked, in the same order, as if each classifier were asked for itself (`RegionMachine.classify`).

Where the kind's law has a reading (`Law.reading`) for all of these facts, they are asked once for objects of which it
is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from k8sfsm.spec.model import ABSENT
from k8sfsm.table import Graph, LawError, Node
from k8sfsm.value import value


@value
class Classifier:
    """The classifier of a region; `names`: the states, by the rules of its rows."""

    region: str
    graph: Graph
    names: Mapping[str, str]


class _Place:
    """A place on the way: the fact to ask next, or no more of them. `states`: those of the regions that are passed;
    `lost`: one of them has none.
    """

    __slots__ = ("_all", "_node", "fact", "lost", "points", "states")

    def __init__(self, classifiers: Classifiers, node: Node | None, states: tuple[str, ...]) -> None:
        self._all = classifiers
        self._node = node
        self.fact: Any = None if node is None else node.fact
        self.points: dict[Any, _Place] = {}
        self.states = states
        self.lost = "" in states

    @property
    def name(self) -> str:
        """The name of the fact."""
        return "" if self._node is None else self._node.name

    def after(self, value: Any) -> _Place:
        """The place after `value`; it is found at once from now on where the region's own classifier does so."""
        assert self._node is not None
        node = self._node.points.get(value) or self._node.resolve(value)
        place = self._all.place(node, self.states)
        if value in self._node.points:
            self.points[value] = place
        return place


class Classifiers:
    """The classifiers of all regions of a kind, one behind the other."""

    def __init__(
        self, kind: str, regions: Sequence[Classifier], reading: Callable[[Any], Hashable] | None = None
    ) -> None:
        self.kind = kind
        self.regions = tuple(regions)
        self._places: dict[tuple[tuple[str, ...], int], _Place] = {}
        self._absent = (ABSENT,) * len(self.regions)
        self._root = self._begun(())
        self._reading = reading
        self._read: dict[Hashable, tuple[str, ...]] = {}

    def place(self, node: Node, states: tuple[str, ...]) -> _Place:
        """The place at a node of the region that comes after those whose states are known."""
        if node.fact is not None:
            return self._known(node, states)
        rows = node.rows
        return self._begun((*states, self.regions[len(states)].names[rows[0].rule] if rows else ""))

    def _begun(self, states: tuple[str, ...]) -> _Place:
        if len(states) < len(self.regions):
            return self.place(self.regions[len(states)].graph.root, states)
        return self._known(None, states)

    def _known(self, node: Node | None, states: tuple[str, ...]) -> _Place:
        key = (states, id(node))
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = _Place(self, node, states)
        return found

    def states(self, obj: Any) -> tuple[str, ...]:
        """The state of an object (None: `Absent`) in each region; objects in the same states get the same tuple.

        Raises LawError where no row of a classifier holds.
        """
        if obj is None:
            return self._absent
        if self._reading is None:
            return self.asked(obj)
        read = self._reading(obj)
        states = self._read.get(read)
        if states is None:
            states = self._read[read] = self.asked(obj)
        return states

    def asked(self, obj: Any) -> tuple[str, ...]:
        """The same of an object (not None), by asking the facts."""
        place = self._root
        try:
            while (fact := place.fact) is not None:
                value = fact(obj)
                try:
                    place = place.points[value]
                except KeyError:
                    place = place.after(value)
        except Exception as error:
            error.add_note(f"while asking the fact '{place.name}' of the classifiers of {self.kind}")
            raise
        if place.lost:
            region = self.regions[place.states.index("")].region
            raise LawError(f"{self.kind}/{region}: no state's `when` holds for {obj!r}")
        return place.states
