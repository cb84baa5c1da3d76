"""Decision tables and ordered comparisons, compiled once and asked a million times.

A table becomes a graph of nodes that grows where cases lead: each node asks one fact, in the order of the table's
columns, and leads by its value to the next fact that some row still needs, down to a leaf that knows the rows that
hold. A fact is asked at most once per decision, and not at all where the rows left over do not look at it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cmp_to_key
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import field

from k8sfsm.request import Why
from k8sfsm.spec.model import Hit
from k8sfsm.spec.unary import Anything, Test, is_number
from k8sfsm.value import value

Fact: TypeAlias = Callable[[Any], Any]
_REMEMBERED: Final = 64
"""Values of one fact whose next node is found at once."""
NO_OUTPUTS: Mapping[str, Any] = MappingProxyType({})


class LawError(Exception):
    """The law cannot decide: a table without exactly one row that holds, or a name that Python does not know."""


@value(kw_only=True)
class Row:
    """A row as the graph needs it: the path of its rule, its tests by column, and what it gives."""

    rule: str
    tests: Mapping[str, Test]
    actions: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = NO_OUTPUTS


@value
class Decision:
    """The rule that held, the facts that were asked (and no others), the actions it orders and its outputs."""

    rule: str
    facts: Mapping[str, Any] = field(factory=dict)
    actions: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = NO_OUTPUTS

    @property
    def why(self) -> Why:
        """The same as a cause to put on requests."""
        return Why(rule=self.rule, facts=self.facts)

    @property
    def name(self) -> str:
        """The rule's own name: the last part of its path."""
        return self.rule.rpartition("/")[2]


class Column:
    """One input: which rows (as bits) hold for a value. Values that no test tells apart share one answer."""

    __slots__ = ("bounds", "fact", "name", "tested", "tests", "values")

    def __init__(self, name: str, fact: Fact, tests: Sequence[Test]) -> None:
        self.name = name
        self.fact = fact
        self.tests = tuple(tests)
        self.tested = sum(1 << row for row, test in enumerate(tests) if not isinstance(test, Anything))
        literals = {point for test in tests for point in test.points()}
        self.bounds: list[Any] = sorted({bound for test in tests for bound in test.bounds()})
        self.values = {None, True, False, *literals, *self.bounds}

    def rows(self, value: Any) -> int:
        """Bits of the rows whose test holds for `value`."""
        return sum(1 << row for row, test in enumerate(self.tests) if test.holds(value))


class Node:
    """A fact to ask (`fact`), or a leaf (`fact` None) with the bits of the rows that hold."""

    __slots__ = ("_column", "_gaps", "_graph", "_place", "alive", "fact", "name", "points", "rows")

    def __init__(self, graph: Graph, place: int, alive: int) -> None:
        self._graph = graph
        self._place = place
        self.alive = alive
        self.points: dict[Any, Node] = {}
        self._gaps: dict[int, Node] = {}
        leaf = place == len(graph.columns)
        self._column: Column | None = None if leaf else graph.columns[place]
        self.fact: Fact | None = None if self._column is None else self._column.fact
        self.name = "" if self._column is None else self._column.name
        self.rows: tuple[Row, ...] = tuple(row for bit, row in enumerate(graph.rows) if leaf and alive >> bit & 1)

    def resolve(self, value: Any) -> Node:
        """The node after `value`: the slow way, taken once per value that a test names or gap between numbers."""
        column = self._column
        assert column is not None
        if value in column.values:
            found = self.points[value] = self._next(column, value)
            return found
        gap = bisect_left(column.bounds, value) if is_number(value) and column.bounds else -1
        known = self._gaps.get(gap)
        if known is None:
            known = self._gaps[gap] = self._next(column, value)
        if len(self.points) < _REMEMBERED:
            self.points[value] = known
        return known

    def _next(self, column: Column, value: Any) -> Node:
        return self._graph.node(self._place + 1, self.alive & column.rows(value))


class Graph:
    """The nodes of one table; `hit` says when rows need no further look."""

    __slots__ = ("columns", "hit", "nodes", "root", "rows")

    def __init__(self, hit: Hit, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        self.hit = hit
        self.columns = tuple(columns)
        self.rows = tuple(rows)
        self.nodes: dict[tuple[int, int], Node] = {}
        self.root = self.node(0, (1 << len(rows)) - 1)

    def node(self, place: int, alive: int) -> Node:
        """The node for the rows `alive` from the column at `place` on; columns that none of them tests are passed."""
        alive = self._needed(place, alive)
        while place < len(self.columns) and not self.columns[place].tested & alive:
            place += 1
        key = (place, alive)
        if key not in self.nodes:
            self.nodes[key] = Node(self, place, alive)
        return self.nodes[key]

    def _needed(self, place: int, alive: int) -> int:
        """With `first`, a row that holds already hides all rows after it."""
        if self.hit != "first":
            return alive
        open_rows = 0
        for column in self.columns[place:]:
            open_rows |= column.tested
        settled = alive & ~open_rows
        lowest = settled & -settled
        return alive & (lowest | (lowest - 1)) if lowest else alive

    def walk(self, case: Any, facts: dict[str, Any]) -> tuple[Row, ...]:
        """Ask the facts of `case` into `facts`; returns the rows that hold, in order."""
        node = self.root
        try:
            while (fact := node.fact) is not None:
                value = facts[node.name] = fact(case)
                try:
                    node = node.points[value]
                except KeyError:
                    node = node.resolve(value)
                except TypeError:
                    node = node.resolve(_LIST_OR_MAP)
        except Exception as error:
            error.add_note(f"while asking the fact '{node.name}' of {self.rows[0].rule.rpartition('/')[0]}")
            raise
        return node.rows


_LIST_OR_MAP: Final = object()
"""Stands for the values that are no keys: they are none of those that tests name."""


class CompiledTable:
    """A decision table bound to its facts. `path` is the first part of its rules' paths."""

    __slots__ = ("_root", "graph", "hit", "path")

    def __init__(self, path: str, hit: Hit, inputs: Mapping[str, Fact], rows: Sequence[Row]) -> None:
        self.path = path
        self.hit = hit
        blank: Test = Anything()
        columns = [Column(name, fact, [row.tests.get(name, blank) for row in rows]) for name, fact in inputs.items()]
        self.graph = Graph(hit, columns, rows)
        self._root = self.graph.root

    def decide(self, case: Any) -> Decision:
        """The decision of a `unique` or `first` table. Raises LawError where no row holds or, with unique, several."""
        facts: dict[str, Any] = {}
        node = self._root
        try:
            while (fact := node.fact) is not None:
                value = facts[node.name] = fact(case)
                try:
                    node = node.points[value]
                except KeyError:
                    node = node.resolve(value)
                except TypeError:
                    node = node.resolve(_LIST_OR_MAP)
        except Exception as error:
            error.add_note(f"while asking the fact '{node.name}' of {self.path}")
            raise
        rows = node.rows
        if len(rows) != 1:
            raise self._undecided(rows, facts)
        row = rows[0]
        return Decision(row.rule, facts, row.actions, row.outputs)

    def collect(self, case: Any) -> tuple[Decision, ...]:
        """The decisions of all rows that hold, in the order of the table; they share their facts."""
        facts: dict[str, Any] = {}
        rows = self.graph.walk(case, facts)
        return tuple([Decision(row.rule, facts, row.actions, row.outputs) for row in rows]) if rows else ()

    def _undecided(self, rows: tuple[Row, ...], facts: Mapping[str, Any]) -> LawError:
        values = ", ".join(f"{name}={value!r}" for name, value in facts.items()) or "no facts"
        if self.hit == "collect":
            return LawError(f"{self.path} is a table with hit policy collect, expected collect() instead of decide()")
        if not rows:
            return LawError(f"{self.path}: no rule holds for {values}")
        names = ", ".join(row.rule.rpartition("/")[2] for row in rows)
        return LawError(f"{self.path}: the rules {names} hold together for {values}, expected exactly one")


@value
class Ranked:
    """A row of a comparison, bound: `by` (item, case) -> value with `sign` (-1: higher first), or `compare`."""

    by: Callable[[Any, Any], Any] | None
    sign: int
    compare: Callable[[Any, Any, Any], int] | None
    final: bool


class _Item:
    """An item being ordered, with the facts about it that were asked already."""

    __slots__ = ("case", "facts", "value")

    def __init__(self, value: Any, case: Any) -> None:
        self.value = value
        self.case = case
        self.facts: dict[Any, Any] = {}

    def fact(self, by: Callable[[Any, Any], Any]) -> Any:
        if by not in self.facts:
            self.facts[by] = by(self.value, self.case)
        return self.facts[by]


class CompiledComparison:
    """An ordered comparison bound to its facts; a fact of an item is asked when a row needs it, and only once."""

    __slots__ = ("ranks",)

    def __init__(self, ranks: Sequence[Ranked]) -> None:
        self.ranks = tuple(ranks)

    def compare(self, a: Any, b: Any, case: Any) -> int:
        """Below 0 where `a` goes before `b`, above 0 where after, 0 where no row tells them apart."""
        return self._compare(_Item(a, case), _Item(b, case))

    def order(self, items: Iterable[Any], case: Any) -> tuple[Any, ...]:
        """`items` in order; those that no row tells apart keep their order."""
        ranked = [_Item(item, case) for item in items]
        ranked.sort(key=cmp_to_key(self._compare))
        return tuple(item.value for item in ranked)

    def rank(self, item: Any, case: Any) -> tuple[int, ...]:
        """Numbers that sort as the comparison does; for comparisons by facts that are numbers only."""
        return tuple([rank.sign * rank.by(item, case) for rank in self.ranks if rank.by is not None])

    def _compare(self, a: _Item, b: _Item) -> int:
        for rank in self.ranks:
            if rank.by is not None:
                left, right = a.fact(rank.by), b.fact(rank.by)
                if left != right:
                    return -rank.sign if left < right else rank.sign
            elif rank.compare is not None:
                result = rank.compare(a.value, b.value, a.case)
                if result or rank.final:
                    return result
        return 0
