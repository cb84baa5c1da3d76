"""Binds the names in a room's specs to Python functions, and asks its tables.

    law = Law("replicaset")

    @law.fact
    def surplus(sync: Sync) -> int:
        \"\"\"Active pods beyond `spec.replicas`; negative when pods are missing.\"\"\"
        ...

    decision = law.decide("manage", sync)
    return Plan(steps=law.perform(decision, sync))

Functions that are registered are returned as they are. Law objects of the same room are one object.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from k8sfsm.objects import changer_of, evolve
from k8sfsm.request import Parallel, Step, Why
from k8sfsm.spec.amendment import Amendment, in_force
from k8sfsm.spec.domain import Count
from k8sfsm.spec.loader import forget_files, load_constants, load_invariants, load_tables, specs_dir
from k8sfsm.spec.mistakes import SpecError, did_you_mean
from k8sfsm.spec.model import Comparison, Controller, Invariants, Table
from k8sfsm.table import CompiledComparison, CompiledTable, Decision, LawError, Ranked, Row
from k8sfsm.value import value

__all__ = [
    "Count",
    "Decision",
    "Law",
    "LawError",
    "Transition",
    "amended",
    "constant",
    "forget",
    "import_all",
    "laws",
    "meaning",
    "usable",
]

F = TypeVar("F", bound=Callable[..., Any])
Role: TypeAlias = Literal["fact", "guard", "action", "comparison", "key", "invariant"]
ROLES: tuple[Role, ...] = ("fact", "guard", "action", "comparison", "key", "invariant")


@value
class Transition:
    """What a guard judges: a write that `actor` makes at `now` (ns since the epoch); None: no object.

    Where a part of an object is judged (a container's status), `old` and `new` are the part, and `old_whole` and
    `new_whole` the object that it belongs to, as far as the caller gave it.
    """

    old: Any
    new: Any
    actor: str
    now: int
    old_whole: Any = None
    new_whole: Any = None


@value
class Reading:
    """What the facts of these names look at in an object."""

    of: Callable[[Any], Hashable]
    facts: frozenset[str]


def _takes(function: Callable[..., Any]) -> int:
    return len(inspect.signature(function).parameters)


class Law:
    """The names of one room (a folder of `specs/`) bound to Python."""

    _rooms: ClassVar[dict[str, Law]] = {}
    room: str
    functions: dict[Role, dict[str, Callable[..., Any]]]
    edition: object
    """Stands for the room's tables as they are: as long as it is the same, they are."""

    def __new__(cls, room: str) -> Law:
        """The law of a room; the same object for the same room."""
        known = cls._rooms.get(room)
        if known is not None:
            return known
        law = super().__new__(cls)
        law.room = room
        law.functions = {role: {} for role in ROLES}
        law.readings = ()
        law._tables = {}
        law._comparisons = {}
        law._table_names = frozenset()
        law._read = ()
        law.edition = object()
        cls._rooms[room] = law
        return law

    readings: tuple[Reading, ...]
    _tables: dict[str, CompiledTable]
    _table_names: frozenset[str]
    _read: tuple[Controller, ...]
    _comparisons: dict[str, CompiledComparison]

    def __repr__(self) -> str:
        return f"Law({self.room!r})"

    # -- registration ---------------------------------------------------------------------------------------------

    def _register(self, role: Role, function: F) -> F:
        name = function.__name__
        if not inspect.getdoc(function):
            raise LawError(f"{role} '{name}' of room '{self.room}' has no docstring, expected one")
        for other, functions in self.functions.items():
            known = functions.get(name)
            if known is None:
                continue
            same = (known.__module__, known.__qualname__) == (function.__module__, function.__qualname__)
            if other == role and same:
                break
            raise LawError(
                f"{role} '{name}' of room '{self.room}' ({function.__module__}) has the name of the {other}"
                f" in {known.__module__}, expected names to be unique in a room"
            )
        self.functions[role][name] = function
        return function

    def fact(self, function: F) -> F:
        """Register a fact: a function of one case (tables), object (classifiers) or item (comparisons)."""
        return self._register("fact", function)

    def reading(self, *facts: Callable[..., Any]) -> Callable[[F], F]:
        """Register a reading: a hashable function of an object, on which alone the given facts about it depend.

        Objects of one reading are in the same states wherever classifiers ask no other facts.
        """

        def register(function: F) -> F:
            self.readings = (*self.readings, Reading(function, frozenset(each.__name__ for each in facts)))
            return function

        return register

    def guard(self, function: F) -> F:
        """Register a guard: `(Transition) -> bool`."""
        return self._register("guard", function)

    def action(self, function: F) -> F:
        """Register an action: `(case, decision) -> Iterable[Step]`."""
        return self._register("action", function)

    def comparison(self, function: F) -> F:
        """Register a comparison: `(a, b, case) -> int`, below 0 where a goes first, 0 where they are equal."""
        return self._register("comparison", function)

    def key(self, function: F) -> F:
        """Register a key function of watches: `(change, view) -> Iterable[Key | tuple[Key, int]]`."""
        return self._register("key", function)

    def invariant(self, function: F) -> F:
        """Register an invariant, named by `holds` in `invariants.yaml`."""
        return self._register("invariant", function)

    def function(self, role: Role, name: str) -> Callable[..., Any]:
        """The registered function; `self` as a key is built in. Raises LawError with the nearest name."""
        found = self.functions[role].get(name)
        if found is not None:
            return found
        if role == "key" and name == "self":
            return _self_key
        raise LawError(f"unknown {role} '{name}' in room '{self.room}', {did_you_mean(name, self.functions[role])}")

    # -- the room's files -----------------------------------------------------------------------------------------

    def controllers(self) -> tuple[Controller, ...]:
        """The room's files of tables, `controller.yaml` first. Raises SpecError."""
        return tuple(load_tables(self.room).values())

    def controller(self) -> Controller:
        """The room's `controller.yaml`: its queue and watches. Raises LawError where there is none."""
        found = load_tables(self.room).get("controller.yaml")
        if found is None:
            raise LawError(f"room '{self.room}' has no controller.yaml in {specs_dir().name}/")
        return found

    def invariants(self) -> Invariants | None:
        """The room's `invariants.yaml`, if any. Raises SpecError."""
        return load_invariants(self.room)

    def constant(self, name: str) -> Any:
        """The value of a row of `constants.yaml`, as written (see its unit). Raises LawError."""
        return constant(name)

    # -- tables ---------------------------------------------------------------------------------------------------

    def table(self, name: str) -> CompiledTable:
        """The table bound to its facts; compiled when first asked for. Raises LawError and SpecError."""
        compiled = self._tables.get(name)
        if compiled is None:
            compiled = self._tables[name] = self._compile(name)
        return compiled

    def _files(self) -> tuple[Controller, ...]:
        """The same as `controllers`, looked for once."""
        if not self._read:
            self._read = self.controllers()
        return self._read

    def _compile(self, name: str) -> CompiledTable:
        controllers = self._files()
        for controller in controllers:
            table = controller.tables.get(name)
            if table is not None:
                return compile_table(self, f"{controller.prefix}/{name}", table)
        known = [table for controller in controllers for table in controller.tables]
        raise LawError(f"unknown table '{name}' in room '{self.room}', {did_you_mean(name, known)}")

    def has_table(self, name: str) -> bool:
        """Whether the room has a table of that name. Raises SpecError."""
        if not self._table_names:
            self._table_names = frozenset(table for file in self._files() for table in file.tables)
        return name in self._table_names

    def decide(self, name: str, case: Any) -> Decision:
        """Ask a `unique` or `first` table about `case`.

        Raises LawError where no rule holds, or several of a unique table.
        """
        compiled = self._tables.get(name)
        if compiled is None:
            compiled = self.table(name)
        return compiled.decide(case)

    def collect(self, name: str, case: Any) -> tuple[Decision, ...]:
        """Ask a table about `case`: the decisions of all rules that hold, in order."""
        return self.table(name).collect(case)

    def perform(self, decision: Decision, case: Any) -> tuple[Step | Parallel, ...]:
        """Call the decision's actions in order and join their steps; steps without a cause get the decision's."""
        if not decision.actions:
            return ()
        actions = self.functions["action"]
        steps: list[Step | Parallel] = []
        for name in decision.actions:
            action = actions.get(name) or self.function("action", name)
            steps.extend(action(case, decision))
        if not steps:
            return ()
        why = decision.why
        return tuple([_with_cause(step, why) for step in steps])

    # -- comparisons ----------------------------------------------------------------------------------------------

    def _comparison(self, name: str) -> CompiledComparison:
        compiled = self._comparisons.get(name)
        if compiled is None:
            compiled = self._comparisons[name] = self._bind_comparison(name)
        return compiled

    def _bind_comparison(self, name: str) -> CompiledComparison:
        controllers = self._files()
        for controller in controllers:
            comparison = controller.comparisons.get(name)
            if comparison is not None:
                return bind_comparison(self, comparison)
        known = [comparison for controller in controllers for comparison in controller.comparisons]
        raise LawError(f"unknown comparison '{name}' in room '{self.room}', {did_you_mean(name, known)}")

    def compare(self, name: str, a: Any, b: Any, case: Any) -> int:
        """Below 0 where `a` goes before `b`, above 0 where after, 0 where no row tells them apart."""
        return self._comparison(name).compare(a, b, case)

    def order(self, name: str, items: Iterable[Any], case: Any) -> tuple[Any, ...]:
        """`items` in the order of the comparison; items that it does not tell apart keep their order."""
        return self._comparison(name).order(items, case)

    def rank(self, name: str, item: Any, case: Any) -> tuple[int, ...]:
        """Numbers that sort as the comparison does. Raises LawError where a row is not by a fact."""
        compiled = self._comparison(name)
        if any(rank.by is None for rank in compiled.ranks):
            raise LawError(f"comparison '{name}' of room '{self.room}' has a row that is not by a fact, expected `by`")
        return compiled.rank(item, case)

    def forget(self) -> None:
        """Compile tables and comparisons anew when they are next asked for."""
        self._tables.clear()
        self._comparisons.clear()
        self._table_names = frozenset()
        self._read = ()
        self.edition = object()


def compile_table(law: Law, path: str, table: Table) -> CompiledTable:
    """Bind a table of specs to the facts of `law`. Raises LawError where a fact or action is not registered."""
    facts = {name: law.function("fact", name) for name in table.inputs}
    rows = []
    for name, rule in table.rules.items():
        for action in rule.then:
            law.function("action", action)
        rows.append(Row(rule=f"{path}/{name}", tests=rule.tests, actions=rule.then, outputs=dict(rule.outputs)))
    return CompiledTable(path, table.hit, facts, rows)


def bind_comparison(law: Law, comparison: Comparison) -> CompiledComparison:
    """Bind an ordered comparison to the facts and comparisons of `law`. A fact may take `(item)` or `(item, case)`."""
    ranks = []
    for row in comparison.rows.values():
        if row.compare is not None:
            ranks.append(Ranked(None, 1, law.function("comparison", row.compare), row.final))
            continue
        fact = law.function("fact", str(row.by))
        by = fact if _takes(fact) == 2 else _without_case(fact)
        ranks.append(Ranked(by, -1 if row.first == "higher" else 1, None, False))
    return CompiledComparison(ranks)


def _without_case(fact: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def by(item: Any, case: Any) -> Any:
        return fact(item)

    return by


def _with_cause(step: Any, why: Why) -> Any:
    if isinstance(step, Parallel):
        if all(write.why is not None for write in step.writes):
            return step
        return evolve(step, writes=tuple(_with_cause(write, why) for write in step.writes))
    return step if step.why is not None else changer_of(type(step), "why")(step, why)


def _self_key(change: Any, view: Any) -> Sequence[Any]:
    return (change.key,)


def constant(name: str) -> Any:
    """The value of a row of `constants.yaml`, as written (see its unit). Raises LawError with the nearest name."""
    value = _values.get(name, _MISSING)
    if value is _MISSING:
        value = _constants().get(name, _MISSING)
    if value is _MISSING:
        load_constants()  # a row that cannot be read is a better reason than a missing one
        raise LawError(f"unknown constant '{name}', {did_you_mean(name, _constants())}")
    return value


_MISSING = object()
_values: dict[str, Any] = {}


def _constants() -> Mapping[str, Any]:
    if not _values:
        _values.update({name: row.value for name, row in load_constants(strict=False).items()})
    return _values


def meaning(room: str, role: str, name: str) -> str:
    """The first line of a registered function's docstring, or "" where a room has no such function."""
    law = Law._rooms.get(room)
    function = None if law is None else {str(key): named for key, named in law.functions.items()}[role].get(name)
    return "" if function is None else (inspect.getdoc(function) or "").partition("\n")[0]


def laws() -> Mapping[str, Law]:
    """Every room that Python knows, by name, in the order of import."""
    return Law._rooms


WITHOUT_LAW = ("k8sfsm.testing", "k8sfsm.spec")
"""Packages that register no names; the first needs libraries that users may not have."""


def import_all() -> tuple[tuple[str, Exception], ...]:
    """Import every module that may register names, so that `laws()` is whole.

    Returns the modules that cannot be imported, each with the reason.
    """
    failed: list[tuple[str, Exception]] = []
    package = import_module("k8sfsm")
    names = [found.name for found in walk_packages(package.__path__, "k8sfsm.", onerror=lambda name: None)]
    for name in names:
        if name.startswith(WITHOUT_LAW) or name.endswith("__main__"):
            continue
        try:
            import_module(name)
        except Exception as error:
            failed.append((name, error))
    return tuple(failed)


def forget() -> None:
    """Forget all files and compiled tables: after `K8SFSM_SPECS` has changed, or in a test that writes specs."""
    forget_files()
    _forget_compiled()


def _forget_compiled() -> None:
    _values.clear()
    for law in Law._rooms.values():
        law.forget()


@contextmanager
def amended(amendments: Iterable[Amendment]) -> Iterator[None]:
    """Ask the tables and constants with amendments in them until the block ends; no amendments: nothing changes."""
    wanted = tuple(amendments)
    if not wanted:
        yield
        return
    with in_force(wanted):
        _forget_compiled()
        try:
            yield
        finally:
            _forget_compiled()


def usable(room: str) -> tuple[str, ...]:
    """What hinders the tables of a room, as lines; empty when they load and bind. For tests of a controller."""
    law = Law(room)
    problems: list[str] = []
    try:
        controllers = law.controllers()
    except SpecError as error:
        return tuple(map(str, error.mistakes))
    for controller in controllers:
        for name, table in controller.tables.items():
            try:
                compile_table(law, f"{controller.prefix}/{name}", table)
            except LawError as error:
                problems.append(f"{table.at}: {error}")
        for comparison in controller.comparisons.values():
            try:
                bind_comparison(law, comparison)
            except LawError as error:
                problems.append(f"{comparison.at}: {error}")
    return tuple(problems)
