"""`k8sfsm fuzz`: random campaigns over scenarios, with faults."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import click
from attrs import define, field

from k8sfsm.engine.offer import KINDS, usual_allowance
from k8sfsm.scenario.model import Story
from k8sfsm.verify.fuzz import Failure, shrunk
from k8sfsm.verify.fuzz.campaign import Done, Task, campaign, plain_tasks, story_of, tasks
from k8sfsm.verify.fuzz.shrink import MOST_RUNS
from k8sfsm_cli.errors import BadInput
from k8sfsm_cli.findings import finding_json, print_finding, write_finding

_ENDLESS: Final = 1 << 40
_NONE: Final = "none"
_EVERY: Final = 2.0
"""Seconds between two lines of progress."""


@define
class _Tally:
    """What has been done so far. `seconds`: of processors' time."""

    runs: int = 0
    steps: int = 0
    judged: int = 0
    seconds: float = 0.0
    faults: dict[str, int] = field(factory=dict)

    def add(self, done: Done) -> None:
        self.runs += 1
        self.steps += done.result.steps
        self.judged += done.result.judged
        self.seconds += done.seconds
        for drawn in done.result.drawn:
            self.faults[drawn.fault.kind] = self.faults.get(drawn.fault.kind, 0) + 1

    @property
    def rate(self) -> int:
        """Steps per second of one core."""
        return round(self.steps / self.seconds) if self.seconds else 0


@click.command()
@click.argument("scenarios", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="The first seed; each run has the next. Without: as it stands, then from 0 on.",
)
@click.option("--runs", type=click.IntRange(1), help="Runs of each scenario; without --runs and --steps 20.")
@click.option("--steps", type=click.IntRange(1), help="Go on until so many steps are made.")
@click.option(
    "--faults",
    "faults",
    default="",
    help=f"Only these kinds, separated by commas, or {_NONE!r}. Else the scenario's `allow`, or all.",
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--dask", "dask", default="", metavar="ADDRESS", help="Run on the Dask cluster at this address.")
@click.option(
    "--trace", "trace", type=click.Path(path_type=Path, dir_okay=False), help="Where the trace of a failure is written."
)
@click.option(
    "--shrink",
    type=click.IntRange(0),
    default=MOST_RUNS,
    show_default=True,
    help="Runs spent on making a failure small.",
)
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def fuzz(
    scenarios: tuple[str, ...],
    seed: int | None,
    runs: int | None,
    steps: int | None,
    faults: str,
    jobs: int,
    dask: str,
    trace: Path | None,
    shrink: int,
    output: str,
) -> None:
    """Play SCENARIOS again and again, with faults and in other orders; check every invariant after every step.

    Each scenario is played as it stands first, and must come as it expects. Then a run's seed decides the order of what
    happens at once, how long things take, and the faults; when these are over the cluster must come to what it should
    be. The first failure ends the campaign: it is shrunk to a short trace, which is written to a file. Exit code 0:
    nothing found; 1: a failure; 2: input that cannot be used.
    """
    chosen = _chosen(faults)
    count = runs if runs is not None else (_ENDLESS if steps is not None else 20)
    drawn = tasks(scenarios, lambda story: _allowed(story, chosen), seed or 0, count)
    given = chain(plain_tasks(scenarios) if seed is None else (), drawn)
    tally, failed = _Tally(), None
    try:
        with closing(campaign(given, jobs, dask)) as results:  # type: ignore[type-var]
            for done in _with_progress(results, tally):
                if done.result.failure is not None:
                    failed = done
                    break
                if steps is not None and tally.steps >= steps:
                    break
    except ImportError:
        raise BadInput("--dask needs the extra dask, expected `pip install 'k8sfsm[dask]'`") from None
    _conclude(tally, failed, trace, shrink, output, jobs)


def _chosen(faults: str) -> Mapping[str, int] | None:
    """The kinds of faults that the option names; None where it is not given."""
    if not faults:
        return None
    names = [] if faults == _NONE else [name.strip() for name in faults.split(",")]
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise click.UsageError(f"no kind of fault is called '{unknown[0]}', expected some of {', '.join(KINDS)}")
    return {name: KINDS[name].usual for name in names}


def _allowed(story: Story, chosen: Mapping[str, int] | None) -> Mapping[str, int]:
    if chosen is not None:
        return chosen
    return story.allow if story.allow is not None else usual_allowance()


def _with_progress(results: Iterator[Done], tally: _Tally) -> Iterator[Done]:
    """The results as they come, counted; now and then a line on stderr says how it goes."""
    shown = began = perf_counter()
    for done in results:
        tally.add(done)
        now = perf_counter()
        if now - shown >= _EVERY:
            shown = now
            rate = round(tally.steps / (now - began))
            name = Path(done.task.scenario).name
            click.echo(
                f"fuzz: {tally.steps:,} steps, {rate:,} steps/s, {tally.runs} runs, {name} {_which(done.task)}",
                err=True,
            )
        yield done


def _conclude(tally: _Tally, failed: Done | None, trace: Path | None, shrink: int, output: str, jobs: int) -> None:
    told = f"{tally.steps:,} steps in {tally.runs} runs, {tally.rate:,} steps/s on one core"
    click.echo(f"fuzz: {told}, {jobs} processes, {sum(tally.faults.values())} faults", err=True)
    answer: dict[str, Any] = {
        "steps": tally.steps,
        "runs": tally.runs,
        "converged": tally.judged,
        "stepsPerSecond": tally.rate,
        "faults": dict(sorted(tally.faults.items())),
    }
    found = None if failed is None else _reported(failed, trace, shrink, output, answer)
    if output == "json":
        click.echo(json.dumps({**answer, "failure": found}, indent=2, ensure_ascii=False))
    elif failed is None:
        click.echo(f"nothing found: {told}; {tally.judged} runs came to rest as they should")
    if failed is not None:
        sys.exit(1)


def _which(task: Task) -> str:
    return "as it stands" if task.plain else f"seed {task.seed}"


def _reported(failed: Done, trace: Path | None, shrink: int, output: str, answer: Mapping[str, Any]) -> Any:
    """Make the failure small, write it down, and tell of it."""
    task, failure = failed.task, failed.result.failure
    assert failure is not None
    name = f"{Path(task.scenario).name} {_which(task)}"
    click.echo(f"fuzz: {name} fails: {failure.violations[0]}; shrinking", err=True)
    small: Failure = shrunk(failure, shrink)
    number = "plain" if task.plain else str(task.seed)
    path = trace if trace is not None else Path(f"fuzz-{Path(task.scenario).stem}-{number}.jsonl")
    write_finding(small, path)
    command = f"k8sfsm fuzz {shlex.quote(task.scenario)}{'' if task.plain else f' --seed {task.seed}'} --runs 1"
    if not task.plain and story_of(task.scenario).allow != task.allow and task.allow != usual_allowance():
        command += f" --faults {','.join(task.allow) or _NONE}"
    if output == "json":
        return finding_json(small, path, command)
    print_finding(small, path, command)
    return None
