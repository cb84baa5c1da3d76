"""The tables of iptables as the kernel keeps them, and the three ways in which the proxy changes them.

`Tables.restore` takes what iptables-restore takes with --noflush. A rule is kept as text without "-A CHAIN".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

BUILT_IN: Final = {
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
}
ACTIONS: Final = ("ACCEPT", "DROP", "REJECT", "RETURN", "DNAT", "SNAT", "MASQUERADE", "MARK", "LOG")
"""Targets that are no chains."""
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_HEXADECIMAL: Final = re.compile(r"0x0+(?=[0-9a-f])")


class TablesError(ValueError):
    """Rules that iptables would not take. The text is one line."""


@lru_cache(maxsize=200_000)
def words(rule: str) -> tuple[str, ...]:
    """The words of a rule; quotes hold several together."""
    return tuple(quoted or plain for quoted, plain in _TOKEN.findall(rule))


def target_of(rule: str) -> str:
    """The target of a rule; "" where it has none."""
    parts = words(rule)
    return parts[parts.index("-j") + 1] if "-j" in parts else ""


class Tables:
    """Chains by table and name, each with its rules in order."""

    def __init__(self, tables: Iterable[str] = ("mangle", "nat", "filter")) -> None:
        self.tables: dict[str, dict[str, list[str]]] = {
            table: {chain: [] for chain in BUILT_IN[table]} for table in tables
        }

    def ensure_chain(self, table: str, chain: str) -> None:
        """Make a chain where there is none."""
        self.tables[table].setdefault(chain, [])

    def ensure_rule(self, table: str, chain: str, rule: str) -> None:
        """Put a rule at the head of a chain, unless the chain has it somewhere."""
        rules = self.tables[table][chain]
        if rule not in rules:
            rules.insert(0, rule)

    def restore(self, lines: Sequence[str]) -> None:
        """Do what the lines say: ``*table``, ``:CHAIN`` (make or empty it), ``-A``, ``-X``, ``COMMIT``.

        Raises TablesError where a line is none of these, or names a chain that does not exist.
        """
        chains: dict[str, list[str]] = {}
        for line in lines:
            sign = line[:1]
            if sign == "-":
                self._change(chains, line)
            elif sign == ":":
                chains[line[1 : line.index(" ")]] = []
            elif sign == "*":
                if line[1:] not in self.tables:
                    raise TablesError(f"{line}: unknown table, expected one of {', '.join(self.tables)}")
                chains = self.tables[line[1:]]
            elif line != "COMMIT" and sign not in ("#", ""):
                raise TablesError(f"{line}: expected a table, a chain, a rule or COMMIT")

    def _change(self, chains: dict[str, list[str]], line: str) -> None:
        what, _, rest = line.partition(" ")
        chain, _, rule = rest.partition(" ")
        if chain not in chains:
            raise TablesError(f"{line}: no chain {chain}")
        if what == "-A":
            chains[chain].append(_HEXADECIMAL.sub("0x", rule) if "mark" in rule else rule)
        elif what == "-X":
            del chains[chain]
        else:
            raise TablesError(f"{line}: expected -A or -X")

    def lines(self, table: str) -> Iterator[str]:
        """The rules of a table, chain by chain, as ``-A CHAIN ...``."""
        for chain, rules in self.tables[table].items():
            for rule in rules:
                yield f"-A {chain} {rule}"

    def dangling(self) -> Iterator[str]:
        """Rules whose target is neither an action nor a chain of their table."""
        for table, chains in self.tables.items():
            for line in self.lines(table):
                target = target_of(line)
                if target and target not in ACTIONS and target not in chains:
                    yield f"{table}: {line}: there is no chain {target}"


def read_tables(text: str) -> Tables:
    """Tables from what iptables-save printed, of one or several tables. Raises TablesError."""
    lines = [line.strip() for line in text.splitlines()]
    named = [line[1:] for line in lines if line.startswith("*")]
    unknown = [table for table in named if table not in BUILT_IN]
    if unknown or not named:
        raise TablesError(f"expected iptables-save output of nat and filter, found {unknown or 'no table'}")
    tables = Tables(dict.fromkeys((*named,)))
    tables.restore(lines)
    return tables
