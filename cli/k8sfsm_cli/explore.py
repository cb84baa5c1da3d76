"""`k8sfsm explore`: every order of a small scenario."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import click

from k8sfsm.engine.offer import KINDS
from k8sfsm.scenario.loading import load_story
from k8sfsm.verify.explore import Bound, Explored, explore
from k8sfsm.verify.fuzz.shrink import cut
from k8sfsm_cli.findings import finding_json, print_finding, write_finding

_EVERY: Final = 2.0
"""Seconds between two lines of progress."""
_ALL: Final = "all"


@click.command(name="explore")
@click.argument("scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--turns", default="0", show_default=True, help=f"How often something may come out of turn; {_ALL!r}: always."
)
@click.option("--depth", type=click.IntRange(1), default=100_000, help="Look so many steps deep.")
@click.option("--states", type=click.IntRange(1), default=1_000_000, help="Look at so many different states.")
@click.option("--faults", default="", help="KIND=COUNT,... instead of the scenario's `allow`; 'none'.")
@click.option("--from-start", is_flag=True, help="Explore what is applied at first, too; else it has come to rest.")
@click.option("--fine", is_flag=True, help="Every write takes its turn, not only every decision with its writes.")
@click.option(
    "--trace", type=click.Path(path_type=Path, dir_okay=False), help="Where the trace of a failure is written."
)
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def explore_command(
    scenario: Path,
    turns: str,
    depth: int,
    states: int,
    faults: str,
    from_start: bool,
    fine: bool,
    trace: Path | None,
    output: str,
) -> None:
    """Look at every order in which SCENARIO may happen, breadth first, with the faults that it allows.

    Prints how many states there are. Either the invariants and the properties of the scenario hold in all of them, or
    the shortest way to one in which they do not is told and written as a trace. A cluster that comes back to the same
    state again and again, and never to rest, is a failure too. Exit code 0: all hold; 1: a failure; 2: bad input.
    """
    story = load_story(scenario)
    bound = Bound(turns=_turns(turns), depth=depth, states=states)
    began = perf_counter()
    found = explore(story, _allowed(faults), bound, not from_start, fine, _Progress(began))
    seconds = perf_counter() - began
    answer = _figures(found, seconds)
    failure = None
    if found.failure is not None:
        path = trace if trace is not None else Path(f"explore-{scenario.stem}.jsonl")
        small = cut(found.failure)
        write_finding(small, path)
        command = " ".join(["k8sfsm", *map(shlex.quote, sys.argv[1:])]) if sys.argv[1:] else "k8sfsm explore"
        failure = finding_json(small, path, command)
        if output == "text":
            print_finding(small, path, command)
    if output == "json":
        click.echo(json.dumps({**answer, "failure": failure}, indent=2, ensure_ascii=False))
    else:
        _tell(found, seconds, bound)
    if failure is not None:
        sys.exit(1)


def _turns(text: str) -> int | None:
    if text == _ALL:
        return None
    if not text.isdigit():
        raise click.BadParameter(f"'{text}' is no number, expected one such as 2, or {_ALL!r}")
    return int(text)


def _allowed(faults: str) -> dict[str, int] | None:
    """The faults that the option names; None where it is not given."""
    if not faults:
        return None
    allowed: dict[str, int] = {}
    for part in [] if faults == "none" else faults.split(","):
        name, _, count = part.strip().partition("=")
        if name not in KINDS:
            raise click.BadParameter(f"no kind of fault is called '{name}', expected some of {', '.join(KINDS)}")
        if count and not count.isdigit():
            raise click.BadParameter(f"'{count}' is no number, expected {name}=1")
        allowed[name] = int(count or 1)
    return allowed


class _Progress:
    """Says on stderr how it goes, now and then."""

    def __init__(self, began: float) -> None:
        self._began = self._shown = began

    def __call__(self, found: Explored) -> None:
        now = perf_counter()
        if now - self._shown >= _EVERY:
            self._shown = now
            rate = round(found.states / (now - self._began))
            text = f"{found.states:,} states, {found.unique:,} unique, depth {found.depth}, {rate:,} states/s"
            click.echo(f"explore: {text}", err=True)


def _figures(found: Explored, seconds: float) -> dict[str, Any]:
    return {
        "states": found.states,
        "unique": found.unique,
        "ends": found.ends,
        "depth": found.depth,
        "statesPerSecond": round(found.states / seconds) if seconds else 0,
        "whole": found.whole,
    }


def _tell(found: Explored, seconds: float, bound: Bound) -> None:
    rate = round(found.states / seconds) if seconds else 0
    click.echo(f"{found.states:,} states, {found.unique:,} unique, depth {found.depth}, {rate:,} states/s")
    if found.failure is not None:
        return
    orders = "in every order" if bound.turns is None else f"with up to {bound.turns} things out of turn"
    if found.whole:
        click.echo(f"proven {orders}: all invariants and properties hold; {found.ends} ways to end")
    else:
        click.echo(f"nothing found {orders}, up to the bound of depth or states")
