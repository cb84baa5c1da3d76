"""One mutant, in a process of its own: the law with the mutant in it, lint, and the tests that may notice."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest
from _pytest.runner import runtestprotocol
from attrs import evolve, frozen

from benchmarks.mutation.coverage import forget_caches
from k8sfsm import law as law_module
from k8sfsm.law import Law, import_all, laws
from k8sfsm.machine import Machines
from k8sfsm.spec import Room, SpecError, Specs, load_specs, loader
from k8sfsm.spec.code import constants_used, where
from k8sfsm.spec.lint import Code, lint
from k8sfsm.spec.mutate import Mutant, mutant_text
from k8sfsm.spec.source import read_yaml

KILLED_LATE = 10.0
"""A test that takes this many times as long as without the mutant (and `GRACE` seconds) does not end: a failure."""
GRACE = 10.0


class Endless(BaseException):
    """A test has run out of its time. No Exception, so that no test takes it for an error of the code."""


@frozen
class Bench:
    """What all trials share, made once before the first fork."""

    root: Path
    specs: Specs
    code: Code
    actors: Room
    findings: Mapping[str, Counter[str]]
    """Findings of lint by room without any mutant."""
    machines: tuple[Machines, ...]
    """Bound machines that tests keep."""

    @classmethod
    def ready(cls, root: Path) -> Bench:
        """Import everything and read everything."""
        import_all()
        specs = load_specs(root)
        rooms: dict[str, Any] = {name: dict(law.functions) for name, law in laws().items()}
        code = Code(rooms=rooms, constants=tuple(constants_used()), where=where)
        actors = actors_of(specs)
        findings = {room: lint_of(specs, code, room, actors) for room in specs.rooms}
        machines = tuple(each for each in gc.get_objects() if isinstance(each, Machines))
        return cls(root, specs, code, actors, findings, machines)


def lint_of(specs: Specs, code: Code, room: str, actors: Room) -> Counter[str]:
    """What lint finds in one room, without positions: those move in a file that is written anew."""
    known = {room: code.rooms[room]} if room in code.rooms else {}
    rooms = {room: specs.rooms[room], actors.name: actors}
    found = lint(evolve(specs, rooms=rooms, constants={}), evolve(code, rooms=known, constants=()))
    return Counter(f"{finding.check}: {finding.message}" for finding in found)


def actors_of(specs: Specs) -> Room:
    """A room that only declares the controllers of all others, so that lint knows the actors."""
    bare = {
        f"{room.name}/{name}": evolve(controller, tables={}, comparisons={}, watches=())
        for room in specs.rooms.values()
        for name, controller in room.tables.items()
    }
    return Room(name="actors", machine=None, tables=bare, invariants=None)


def put_in(mutant: Mutant, bench: Bench) -> None:
    """From now on in this process, the mutant's file reads as mutated. Other files stay as they were read."""
    mutated, text = bench.root / mutant.file, mutant_text(mutant, bench.root)
    read: Callable[..., Any] = loader._read
    loader._read = lambda path, root: read_yaml(text, mutant.file) if path == mutated else read(path, root)
    for name in ("_machine", "_controller", "_invariants", "_constants"):
        setattr(loader, name, _Reread(getattr(loader, name), mutated))
    law_module._values.clear()
    Law(mutant.file.partition("/")[0]).forget()
    for machines in bench.machines:
        machines._kinds.clear()
    forget_caches()


class _Reread:
    """A cached reader of files that reads one file once more."""

    def __init__(self, cached: Any, file: Path) -> None:
        self._cached = cached
        self._file = file
        self._own: dict[tuple[Any, ...], Any] = {}

    def __call__(self, path: Path, *rest: Any) -> Any:
        if path != self._file:
            return self._cached(path, *rest)
        if rest not in self._own:
            self._own[rest] = self._cached.__wrapped__(path, *rest)
        return self._own[rest]

    def cache_clear(self) -> None:
        self._own.clear()
        self._cached.cache_clear()


def lint_notices(mutant: Mutant, bench: Bench) -> str:
    """What lint says about the mutant that it does not say without it; "" where it says nothing new."""
    room = mutant.file.partition("/")[0]
    if room not in bench.specs.rooms:
        return ""
    try:
        specs = load_specs(bench.root, [room])
    except SpecError as error:
        return str(error.mistakes[0])
    new = lint_of(specs, bench.code, room, bench.actors) - bench.findings[room]
    return next(iter(new), "")


def run(
    mutant: Mutant | None, bench: Bench, tests: Sequence[tuple[pytest.Item, float]], limit: float, out: int
) -> NoReturn:
    """The life of a child: one JSON line into the file descriptor `out`, then the end. Without a mutant: a control."""
    os.setpgid(0, 0)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    begin = time.monotonic()
    result: dict[str, Any]
    try:
        said = "" if mutant is None else _put_in_and_lint(mutant, bench)
        result = {"by": "lint", "what": said} if said else _tests(tests, begin + limit)
    except BaseException as error:
        result = {"by": "error", "what": f"{type(error).__name__}: {error}"}
    result["seconds"] = round(time.monotonic() - begin, 3)
    os.write(out, json.dumps(result).encode())
    os._exit(0)


def _put_in_and_lint(mutant: Mutant, bench: Bench) -> str:
    put_in(mutant, bench)
    return lint_notices(mutant, bench)


def _tests(tests: Sequence[tuple[pytest.Item, float]], until: float) -> dict[str, Any]:
    signal.signal(signal.SIGALRM, _ring)
    for number, (item, seconds) in enumerate(tests):
        if time.monotonic() > until:
            return {"by": "", "what": f"time is up after {number} of {len(tests)} tests", "ran": number}
        following = tests[number + 1][0] if number + 1 < len(tests) else None
        signal.setitimer(signal.ITIMER_REAL, seconds * KILLED_LATE + GRACE)
        try:
            reports = runtestprotocol(item, log=False, nextitem=following)
        except Endless:
            return {"by": "test", "what": item.nodeid, "endless": True}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if any(report.failed for report in reports):
            return {"by": "test", "what": item.nodeid}
    return {"by": "", "what": f"{len(tests)} tests pass" if tests else "no test reaches it", "ran": len(tests)}


def _ring(number: int, frame: FrameType | None) -> None:
    sys.stdout.flush()
    raise Endless
