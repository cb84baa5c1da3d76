"""Rules of a cluster's own: what people let their API server refuse, or warn of, beyond what Kubernetes does.

A folder of rule files, named by `K8SFSM_RULES` or chosen by `with_rules`, is read when an API server is made. A file is
a spec file whose tables are named by kinds; its rows are read like those of validation (`at`, `must`, `of`, `detail`),
and `effect: warn` makes a warning of what a row finds. Facts for its columns, and constraints, may come from Python
modules beside it.
`docs/own-rules.md` shows how to write one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final, Literal

from attrs import field, frozen

from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.judge import CONSTRAINTS, Row, Spot, constraint, spots
from k8sfsm.law import Law, LawError, compile_table
from k8sfsm.objects import to_json
from k8sfsm.spec.loader import load_tables
from k8sfsm.spec.mistakes import Mistake, SpecError, did_you_mean
from k8sfsm.table import CompiledTable

ENVIRONMENT: Final = "K8SFSM_RULES"
_CHOSEN: Final[ContextVar[Path | None]] = ContextVar("rules", default=None)
law = Law("admission")


@frozen
class Objection:
    """What a rule of one's own has against an object. `rule`: its path; `text`: for people."""

    rule: str
    text: str


@frozen
class OwnRules:
    """Tables by the kind that they are about."""

    tables: Mapping[str, tuple[CompiledTable, ...]] = field(factory=dict)

    def objections(self, obj: Any, old: Any, account: str) -> Iterator[tuple[str, Objection]]:
        """What rules find in a write of `obj` over `old` (None: a creation): pairs of an effect and what is said."""
        document = to_json(obj)
        before = None if old is None else to_json(old)
        notes = {"verb": "create" if old is None else "update", "account": account}
        part = Part(document, obj.kind, old=before, notes=notes)
        for table in self.tables.get(obj.kind, ()):
            for decision in table.collect(part):
                cells = dict(decision.outputs)
                effect = str(cells.pop("effect", None) or "refuse")
                for fault in _faults(part, Row.read(cells)):
                    yield effect, Objection(decision.rule, f"{fault}")


def _faults(part: Part, row: Row) -> Iterator[Fault]:
    check = CONSTRAINTS[row.must or "never"]
    for spot in _spots(part, row.at):
        yield from check(spot, row)


def _spots(part: Part, at: str) -> tuple[Spot, ...]:
    """The fields that a path leads to. A field of a part that is absent is absent too, unless it is in a list."""
    found = tuple(spots(part, at))
    return found if found or "[]" in at or "{}" in at else (Spot(part, at, None),)


# -- what every rule may ask ------------------------------------------------------------------------------------------


def verb(case: Part) -> Literal["create", "update"]:
    """Whether the object is new."""
    return case.notes["verb"]  # type: ignore[no-any-return]


def account(case: Part) -> str:
    """The user name of the one who asks."""
    return str(case.notes["account"])


def namespace(case: Part) -> str:
    """The object's namespace."""
    return str((case.get("metadata") or {}).get("namespace") or "")


_BUILT_IN: Final = (verb, account, namespace)


@constraint("matches")
def matches(spot: Spot, row: Row) -> Iterator[Fault]:
    """Text that a regular expression describes as a whole; nothing is said of a field that is not there."""
    if spot.value is not None and not re.fullmatch(str(row.of), str(spot.value)):
        yield spot.fault(row, row.detail or f"must match {row.of}")


@constraint("among")
def among(spot: Spot, row: Row) -> Iterator[Fault]:
    """A value of a list; nothing is said of a field that is not there."""
    if spot.value is not None and spot.value not in row.of:
        yield spot.fault(row, row.detail or f"must be one of {', '.join(map(str, row.of))}")


# -- reading them -----------------------------------------------------------------------------------------------------


@contextmanager
def with_rules(folder: Path | None) -> Iterator[None]:
    """API servers that are made within this context have the rules of that folder. None: of the one they would have."""
    token = _CHOSEN.set(folder or _CHOSEN.get())
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def own_rules() -> OwnRules:
    """The rules of the folder that was chosen, or that `K8SFSM_RULES` names; none where neither is.

    Raises SpecError and LawError where they cannot be used.
    """
    given = _CHOSEN.get() or os.environ.get(ENVIRONMENT)
    return read_rules(Path(given).resolve()) if given else OwnRules()


@cache
def read_rules(folder: Path) -> OwnRules:
    """The rules of a folder. Raises SpecError, LawError, and OSError where there is no such folder."""
    if not folder.is_dir():
        raise NotADirectoryError(20, "no folder of rules", str(folder))
    for fact in _BUILT_IN:
        law.fact(fact)
    for module in sorted(folder.glob("*.py")):
        _run(module)
    tables: dict[str, tuple[CompiledTable, ...]] = {}
    for file in load_tables(folder.name, folder.parent).values():
        for name, table in file.tables.items():
            _refuse_unknown(table)
            compiled = compile_table(law, f"{file.prefix}/{name}", table)
            tables[name] = (*tables.get(name, ()), compiled)
    if not tables:
        raise LawError(f"{folder.name}: no rules, expected YAML files whose first line names controller.schema.json")
    return OwnRules(tables)


def _refuse_unknown(table: Any) -> None:
    for rule in table.rules.values():
        must = rule.outputs.get("must")
        if must is not None and must not in CONSTRAINTS:
            text = f"unknown constraint '{must}', {did_you_mean(str(must), sorted(CONSTRAINTS))}"
            raise SpecError([Mistake(rule.at, text)])


def _run(path: Path) -> None:
    """Import a module that registers facts or constraints, by its place."""
    name = f"k8sfsm_rules_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise LawError(f"{path.name}: {type(error).__name__}: {error}") from error
