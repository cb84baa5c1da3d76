"""`python -m benchmarks.fuzz_input`: spoilt files for every reader; none may end in a traceback."""

from __future__ import annotations

import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import click
from attrs import define, field

from benchmarks.fuzz_input.targets import LAST, TARGETS, Fuzz
from k8sfsm_cli.errors import BadInput

SLOW = 20


class TooSlow(Exception):
    """A case that does not come to an end."""


@define
class Tally:
    """What became of the cases of one target."""

    read: int = 0
    refused: int = 0
    findings: dict[str, str] = field(factory=dict)


def one_case(name: str, seed: int, tally: Tally) -> None:
    """Run one case; notes whether the input was read or refused, and what must not be."""
    fuzz: Fuzz = TARGETS[name]
    LAST.clear()
    try:
        fuzz(random.Random(f"{name}/{seed}"))
        tally.read += 1
    except BadInput.KINDS as error:
        tally.refused += 1
        line = BadInput.of(error).format_message()
        if not line.strip() or "\n" in line.strip():
            tally.findings.setdefault(f"no line: {type(error).__name__}", _report(name, seed, line))
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "k8sfsm" in frame.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        tally.findings.setdefault(f"{type(error).__name__} at {where}", _report(name, seed, traceback.format_exc(-6)))


def _report(name: str, seed: int, text: str) -> str:
    shown = repr(LAST.get("input"))
    return f"--target {name} --case {seed}\n{text}\ninput: {shown[:1500]}{'...' if len(shown) > 1500 else ''}\n"


def campaign(seconds: float, chosen: tuple[str, ...], seed: int, limit: int | None = None) -> dict[str, Tally]:
    """Run cases in turn for so long, or so many of each target. The same seed gives the same cases."""
    tallies = {name: Tally() for name in chosen}
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end and (limit is None or number < limit):
        for name in chosen:
            signal.alarm(SLOW)
            one_case(name, seed + number, tallies[name])
            signal.alarm(0)
        number += 1
    return tallies


def _late(signum: int, frame: Any) -> None:
    raise TooSlow(f"no answer after {SLOW} s")


@click.command()
@click.option("--seconds", default=600.0, show_default=True, envvar="FUZZ_SECONDS", help="How long.")
@click.option("--target", "chosen", multiple=True, type=click.Choice(list(TARGETS)), help="Only this reader.")
@click.option("--seed", default=0, show_default=True, help="The first case.")
@click.option("--case", type=int, help="Only this case, with its input.")
def main(seconds: float, chosen: tuple[str, ...], seed: int, case: int | None) -> None:
    """Spoil the committed examples and read them. Exit code 1 where something else than a clear line comes of it."""
    signal.signal(signal.SIGALRM, _late)
    names = chosen or tuple(TARGETS)
    limit = None if case is None else 1
    tallies = campaign(seconds, names, seed if case is None else case, limit)
    for name, tally in tallies.items():
        click.echo(f"{name}: {tally.read} read, {tally.refused} refused, {len(tally.findings)} findings")
        for title, report in tally.findings.items():
            click.echo(f"\n{name}: {title}\n{report}")
    if case is not None:
        click.echo(repr(LAST.get("input")))
    sys.exit(1 if any(tally.findings for tally in tallies.values()) else 0)


if __name__ == "__main__":
    main()
