"""Many runs: in this process, in several, or on a Dask cluster. The order of results is that of the seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any, Final

from attrs import frozen

from k8sfsm.engine.collecting import seldom_collected
from k8sfsm.scenario.loading import load_story
from k8sfsm.scenario.model import Story
from k8sfsm.verify.fuzz.run import Chance, Result, run_once

_AHEAD: Final = 4
"""Runs per worker that are handed out before the first of them is done."""


@frozen
class Task:
    """One run to be made: the scenario's file, the seed, and the faults that are allowed; or `plain`, as it stands."""

    scenario: str
    seed: int
    allow: Mapping[str, int]
    plain: bool = False


@frozen
class Done:
    """A run that was made. `seconds`: of the processor's time that it took."""

    task: Task
    result: Result
    seconds: float


_STORIES: dict[Path, Story] = {}


def story_of(scenario: str) -> Story:
    """The story of a scenario file. Raises SpecError and OSError."""
    path = Path(scenario).resolve()
    if path not in _STORIES:
        _STORIES[path] = load_story(Path(scenario))
    return _STORIES[path]


def make(task: Task) -> Done:
    """Make one run, in whatever process this is."""
    story, began = story_of(task.scenario), process_time()
    with seldom_collected():
        result = run_once(story, Chance.none() if task.plain else Chance(seed=task.seed, allow=task.allow))
    return Done(task, result, process_time() - began)


def tasks(
    scenarios: Iterable[str], allow: Callable[[Story], Mapping[str, int]], seed: int, runs: int
) -> Iterator[Task]:
    """The runs of a campaign: all scenarios with the first seed, all with the next..."""
    known = tuple(scenarios)
    allowed = {name: allow(story_of(name)) for name in known}
    for number in range(seed, seed + runs):
        for name in known:
            yield Task(name, number, allowed[name])


def plain_tasks(scenarios: Iterable[str]) -> Iterator[Task]:
    """Each scenario as it stands, without faults but its own."""
    return (Task(name, 0, {}, plain=True) for name in scenarios)


def campaign(given: Iterator[Task], jobs: int = 1, dask: str = "") -> Iterator[Done]:
    """Make the runs, in `jobs` processes or on the Dask cluster at `dask`; results in the order of the tasks."""
    if dask:
        yield from _on_dask(given, dask)
    elif jobs == 1:
        yield from map(make, given)
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            yield from _ahead(given, pool.submit, jobs * _AHEAD)
            pool.shutdown(cancel_futures=True)


def _ahead(given: Iterator[Task], submit: Callable[..., Any], width: int) -> Iterator[Done]:
    """Results in order; so many runs are under way at once."""
    waiting = [submit(make, task) for task in islice(given, width)]
    try:
        while waiting:
            yield waiting.pop(0).result()
            waiting += [submit(make, task) for task in islice(given, 1)]
    finally:
        for future in waiting:
            future.cancel()


def _on_dask(given: Iterator[Task], address: str) -> Iterator[Done]:
    """Runs on an existing Dask cluster. Its workers need k8sfsm and the scenario files. Raises OSError, ImportError."""
    distributed: Any = import_module("distributed")  # an extra, and not typed

    with distributed.Client(address, set_as_default=False) as client:
        workers = len(client.scheduler_info()["workers"]) or 1

        def submit(function: Callable[[Task], Done], task: Task) -> Any:
            return client.submit(function, task, pure=False)

        yield from _ahead(given, submit, workers * _AHEAD)
