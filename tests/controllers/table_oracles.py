"""Tables against a second statement of the same law in Python, over every combination of facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from k8sfsm.law import Law
from k8sfsm.table import CompiledTable

BOTH = (False, True)
Facts = dict[str, Any]
Oracle = Callable[..., Any]


def yes(*names: str) -> dict[str, tuple[Any, ...]]:
    """Facts that are true or false."""
    return dict.fromkeys(names, BOTH)


def by_facts(room: str, name: str) -> CompiledTable:
    """The table of the law, asked about a mapping of its facts."""
    table = Law(room).table(name)
    facts = {column.name: (lambda case, name=column.name: case[name]) for column in table.graph.columns}
    return CompiledTable(table.path, table.hit, facts, table.graph.rows)


def every_case(domains: dict[str, tuple[Any, ...]]) -> Iterator[Facts]:
    """Every combination of facts."""
    for values in product(*domains.values()):
        yield dict(zip(domains, values, strict=True))


class Oracles:
    """The second statements of a file of tests, by room and table."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], tuple[dict[str, tuple[Any, ...]], Oracle]] = {}

    def __call__(self, room: str, name: str, **domains: tuple[Any, ...]) -> Callable[[Oracle], Oracle]:
        """The function gives what the table says to one combination of facts (see `check`)."""

        def register(function: Oracle) -> Oracle:
            self.known[room, name] = (domains, function)
            return function

        return register

    def tables(self, room: str) -> set[str]:
        """The tables of a room that are stated."""
        return {name for known, name in self.known if known == room}

    def check(self, room: str, name: str) -> None:
        """Compare: outputs in order and actions; of a `collect` table those of every row that holds."""
        domains, expected = self.known[room, name]
        table = by_facts(room, name)
        assert {column.name for column in table.graph.columns} == set(domains)
        for facts in every_case(domains):
            if table.hit == "collect":
                found: Any = [[*row.outputs.values(), *row.actions] for row in table.collect(facts)]
            else:
                decision = table.decide(facts)
                found = [*decision.outputs.values(), *decision.actions]
            assert found == expected(**facts), facts
