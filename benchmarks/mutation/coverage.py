"""Which tables a test asks and which rules hold in it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper, wraps
from typing import Any

import pytest
from attrs import define, field

from k8sfsm import law as law_module
from k8sfsm.apiserver.memo import Memo
from k8sfsm.classifiers import Classifiers
from k8sfsm.law import Law
from k8sfsm.machine import Illegal, KindMachine, Machines, RegionMachine, Verdict
from k8sfsm.spec import loader, specs_dir
from k8sfsm.table import CompiledTable

OF_VALUES = ("k8sfsm.spec", "k8sfsm.objects")
"""Packages whose caches do not depend on the specs, or are forgotten with them."""


@define(eq=False)
class Seen:
    """What one test has asked.

    `parts`: paths of tables and regions, `room name` of comparisons, names of constants, rooms read as a whole.
    """

    parts: set[str] = field(factory=set)
    rules: set[str] = field(factory=set)

    def add(self, other: Seen) -> None:
        self.parts |= other.parts
        self.rules |= other.rules


class Constants(dict[str, Any]):
    """The constants' values, noting which are asked for."""

    def __init__(self, seen: Callable[[], Seen]) -> None:
        super().__init__()
        self._seen = seen

    def get(self, name: str, default: Any = None) -> Any:
        self._seen().parts.add(f"constants/{name}")
        return super().get(name, default)


@define(eq=False)
class Coverage:
    """A pytest plugin that notes what each test asks, in `tests`; `seconds` is how long each took."""

    now: Seen = field(factory=Seen)
    tests: dict[str, Seen] = field(factory=dict)
    seconds: dict[str, float] = field(factory=dict)
    failed: dict[str, None] = field(factory=dict)
    fixtures: dict[Any, tuple[Seen, float]] = field(factory=dict)

    def install(self) -> None:
        """Note every question that is put to the law from now on."""
        law_module._values = Constants(lambda: self.now)
        for owner, name, note in (
            (CompiledTable, "decide", self._decided),
            (CompiledTable, "collect", self._collected),
            (RegionMachine, "classify", self._classified),
            (Classifiers, "states", self._all_classified),
            (RegionMachine, "judge", self._judged),
            (KindMachine, "check", self._checked),
            (Machines, "region", lambda of, args, found: self.now.parts.add(f"{found.kind}/{found.name}")),
            (Law, "table", lambda of, args, found: self.now.parts.add(found.path)),
            (Law, "_comparison", lambda of, args, found: self.now.parts.add(f"{of.room} {args[0]}")),
            (Law, "controllers", lambda of, args, found: self.now.parts.add(of.room)),
        ):
            setattr(owner, name, _noting(getattr(owner, name), note))
        loader._room = _noting(loader._room, self._read)

    def _decided(self, table: CompiledTable, args: Any, found: Any) -> None:
        self.now.parts.add(table.path)
        self.now.rules.add(found.rule)

    def _collected(self, table: CompiledTable, args: Any, found: Any) -> None:
        self.now.parts.add(table.path)
        self.now.rules.update(decision.rule for decision in found)

    def _classified(self, region: RegionMachine, args: Any, found: str) -> None:
        path = f"{region.kind}/{region.name}"
        self.now.parts.add(path)
        self.now.rules.add(f"{path}/{found}")

    def _all_classified(self, classifiers: Classifiers, args: Any, found: tuple[str, ...]) -> None:
        for region, state in zip(classifiers.regions, found, strict=True):
            path = f"{classifiers.kind}/{region.region}"
            self.now.parts.add(path)
            self.now.rules.add(f"{path}/{state}")

    def _judged(self, region: RegionMachine, args: Any, found: Any) -> None:
        self.now.parts.add(f"{region.kind}/{region.name}")
        self.now.rules.add(found.nearest if isinstance(found, Illegal) else found.rule)

    def _checked(self, machine: KindMachine, args: Any, found: Verdict) -> None:
        self.now.rules.update(move.rule for move in found.moves)

    def _read(self, room: Any, args: Any, found: Any) -> None:
        if args and args[0] == specs_dir():
            self.now.parts.add(found.name)

    @contextmanager
    def noting(self) -> Iterator[Seen]:
        """Note into a new `Seen`, and afterwards in the one before as well."""
        outer, self.now = self.now, Seen()
        try:
            yield self.now
        finally:
            outer.add(self.now)
            self.now = outer

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        """What a shared fixture asks belongs to every test that has it."""
        if fixturedef.scope == "function":
            return (yield)
        begin = time.perf_counter()
        with self.noting() as seen:
            result = yield
        self.fixtures[fixturedef] = seen, time.perf_counter() - begin
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        forget_caches()
        begin = time.perf_counter()
        self.tests[item.nodeid] = Seen()
        with self.noting() as seen:
            result = yield
        seconds = time.perf_counter() - begin
        for fixture, (asked, needed) in self.fixtures.items():
            if fixture.argname in getattr(item, "fixturenames", ()):
                seen.add(asked)
                seconds = max(seconds, needed)
        self.tests[item.nodeid] = seen
        self.seconds[item.nodeid] = seconds
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = None


def _noting(function: Any, note: Callable[[Any, Any, Any], object]) -> Any:
    @wraps(function)
    def noted(owner: Any, *args: Any, **named: Any) -> Any:
        found = function(owner, *args, **named)
        note(owner, args, found)
        return found

    return noted


def forget_caches() -> None:
    """Clear every cache of our code and of the tests that may hold what the specs said: of `functools`, and memos."""
    for name, module in list(sys.modules.items()):
        if name.startswith(OF_VALUES) or not name.startswith(("k8sfsm", "test", "conftest")):
            continue
        for value in list(vars(module).values()):
            if isinstance(value, _lru_cache_wrapper):
                value.cache_clear()
            elif isinstance(value, Memo):
                value.forget()
