"""The pytest session that collects the tests, measures them once, and forks for every mutant."""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import pytest
from attrs import define, field, frozen

from benchmarks.mutation.coverage import Coverage, Seen
from benchmarks.mutation.trial import Bench, run
from k8sfsm.spec.mutate import Mutant

ONLY_WHERE_IT_HOLDS = ("delete-row", "change-output", "drop-action")
"""Operations on a table's row that change nothing where the row does not hold."""


@frozen(kw_only=True)
class Plan:
    """What to do: each mutant is told to `done` with its result; `killers`: tests that killed it some time before."""

    root: Path
    mutants: Sequence[Mutant]
    jobs: int
    limit: float
    killers: Mapping[str, str]
    baseline: Path
    done: Callable[[Mutant, dict[str, Any]], None]
    say: TextIO


@define(eq=False)
class Session:
    """The plugin that takes the place of pytest's own loop over the tests."""

    plan: Plan
    coverage: Coverage = field(factory=Coverage)
    items: dict[str, pytest.Item] = field(factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items if item.get_closest_marker("campaign") is None}
        if session.testsfailed:
            print("mutation: some tests cannot be collected and are left out", file=self.plan.say)
        self._measure()
        bench = Bench.ready(self.plan.root)
        gc.collect()
        gc.freeze()
        _Trials(self, bench).all(self.plan.mutants)
        return True

    def _measure(self) -> None:
        if self.plan.baseline.is_file():
            self._load()
        else:
            self._run()
            self._save()
        for name in self.coverage.failed:
            print(f"mutation: {name} fails without any mutant and is left out", file=self.plan.say)
            self.items.pop(name, None)

    def _run(self) -> None:
        self.coverage.install()
        items = list(self.items.values())
        items[0].config.pluginmanager.register(self.coverage)
        begin = told = time.monotonic()
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if time.monotonic() > told + 10:
                told = time.monotonic()
                count = len(self.coverage.tests)
                print(f"mutation: {count} of {len(items)} tests, {told - begin:.0f} s", file=self.plan.say, flush=True)
        items[0].config.pluginmanager.unregister(self.coverage)

    def _save(self) -> None:
        tests = {
            name: {"seconds": self.coverage.seconds[name], "parts": sorted(seen.parts), "rules": sorted(seen.rules)}
            for name, seen in self.coverage.tests.items()
        }
        self.plan.baseline.write_text(json.dumps({"tests": tests, "failed": list(self.coverage.failed)}), "utf-8")

    def _load(self) -> None:
        stored = json.loads(self.plan.baseline.read_text("utf-8"))
        for name, test in stored["tests"].items():
            self.coverage.tests[name] = Seen(set(test["parts"]), set(test["rules"]))
            self.coverage.seconds[name] = test["seconds"]
        self.coverage.failed = dict.fromkeys(stored["failed"])

    def tests_for(self, mutant: Mutant) -> list[tuple[pytest.Item, float]]:
        """The tests that may notice a mutant: its last killer, then those in which its rule holds, then the others."""
        part, room = _part(mutant), mutant.file.partition("/")[0]
        only = mutant.operation in ONLY_WHERE_IT_HOLDS and mutant.place[0] == "tables"
        chosen: list[tuple[bool, bool, float, str]] = []
        for name, seen in self.coverage.tests.items():
            holds = mutant.rule in seen.rules
            if name in self.items and (holds or room in seen.parts or (part in seen.parts and not only)):
                last = name == self.plan.killers.get(mutant.id)
                chosen.append((not last, not holds, self.coverage.seconds[name], name))
        return [(self.items[name], seconds) for _, _, seconds, name in sorted(chosen)]


def _part(mutant: Mutant) -> str:
    """The name under which `Coverage` notes the mutant's table, comparison, region or constant."""
    if mutant.place[0] == "comparisons":
        return f"{mutant.file.partition('/')[0]} {mutant.place[1]}"
    return mutant.rule.rpartition("/")[0] if mutant.file != "constants.yaml" else mutant.rule


@define(eq=False)
class _Trials:
    """The children that run at the moment."""

    session: Session
    bench: Bench
    running: dict[int, tuple[Mutant, int, float]] = field(factory=dict)
    """File descriptor of the answer -> mutant, process, when it has to be over."""
    ready: selectors.BaseSelector = field(factory=selectors.DefaultSelector)
    sound: dict[str, bool] = field(factory=dict)

    def all(self, mutants: Sequence[Mutant]) -> None:
        waiting = list(reversed(mutants))
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.session.plan.jobs:
                    self._start(waiting.pop())
                self._wait()
        finally:
            for _, process, _ in self.running.values():
                _end(process)

    def _start(self, mutant: Mutant) -> None:
        answer, process = self._fork(mutant, self.session.tests_for(mutant))
        self.running[answer] = mutant, process, time.monotonic() + self.session.plan.limit * 2 + 60
        self.ready.register(answer, selectors.EVENT_READ)

    def _fork(self, mutant: Mutant | None, tests: list[tuple[pytest.Item, float]]) -> tuple[int, int]:
        """A child with its trial; returns where its answer comes out, and its process."""
        answer, out = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(answer)
            run(mutant, self.bench, tests, self.session.plan.limit, out)
        os.close(out)
        return answer, process

    def _wait(self) -> None:
        for key, _ in self.ready.select(1.0):
            self._finish(key.fd)
        for answer, (_, _, until) in list(self.running.items()):
            if time.monotonic() > until:
                self._finish(answer, late=True)

    def _finish(self, answer: int, late: bool = False) -> None:
        mutant, process, _ = self.running.pop(answer)
        self.ready.unregister(answer)
        if late:
            _end(process)
        result = _answer(answer, process)
        if result["by"] == "test" and result["what"] in self.session.items and not self._sound(result["what"]):
            plan = self.session.plan
            print(f"mutation: {result['what']} fails after a fork without any mutant, left out", file=plan.say)
            del self.session.items[result["what"]]
            self._start(mutant)
            return
        self.session.plan.done(mutant, result)

    def _sound(self, name: str) -> bool:
        """Whether a test that killed a mutant passes without one, in a child of its own."""
        if name not in self.sound:
            item, seconds = self.session.items[name], self.session.coverage.seconds[name]
            self.sound[name] = _answer(*self._fork(None, [(item, seconds)]))["by"] == ""
        return self.sound[name]


def _answer(answer: int, process: int) -> dict[str, Any]:
    """What a child has found out. One that dies without an answer is a test run that crashed: somebody would notice."""
    text = b"".join(iter(lambda: os.read(answer, 65536), b""))
    os.close(answer)
    os.waitpid(process, 0)
    found: dict[str, Any] = json.loads(text) if text else {"by": "test", "what": "the tests crash", "seconds": 0.0}
    return found


def _end(process: int) -> None:
    """End a child of ours, and what it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def hold(paths: Sequence[str], plan: Plan) -> int:
    """Run the session in this process, with nothing of pytest's own output. Returns pytest's exit code."""
    sys.dont_write_bytecode = False
    quiet = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:faulthandler"]
    # A folder of its own: other pytest sessions tidy up the common one, also while this one is at work.
    quiet += ["--basetemp", str(plan.baseline.parent / "tmp")]
    options = [*quiet, "--continue-on-collection-errors", "-o", "tmp_path_retention_policy=none"]
    return int(pytest.main([*options, *paths], plugins=[Session(plan)]))
