"""`python -m benchmarks.mutation`: the mutation score of the specs."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks.mutation.report import Report, Results, fingerprint, room_of
from k8sfsm.spec import load_specs, specs_dir
from k8sfsm.spec.mutate import Mutant, mutants, write_mutant

CHECKOUT = Path(__file__).resolve().parents[2]
OF_ROWS = (
    "delete-row",
    "flip-boolean",
    "flip-comparison",
    "flip-first",
    "swap-target",
    "swap-actor",
    "drop-guard",
    "change-output",
)
"""Operations that take out or turn round a row; the others change details of one."""
DEMANDED = 95.0


@click.command()
@click.option("--rooms", multiple=True, metavar="ROOM", help="Only this room (may be repeated).")
@click.option("--rule", "rules", multiple=True, metavar="PATH", help="Only rules whose path begins so.")
@click.option("--all", "every", is_flag=True, help="Mutants of details too: single actions, numbers, constants...")
@click.option("--sample", type=click.IntRange(min=1), help="A random sample of so many mutants.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample.")
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True)
@click.option("--limit", default=60.0, show_default=True, help="Seconds for one mutant; after that it has survived.")
@click.option("--tests", multiple=True, metavar="PATH", help="Only these tests, for a quick look.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the only mutant chosen into this new folder.")
@click.option(
    "--store", type=click.Path(path_type=Path), default=CHECKOUT / ".mutation", help="Where results are kept."
)
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", help="Form of the result.")
def main(
    output: str, store: Path, write: Path | None, jobs: int, limit: float, tests: tuple[str, ...], **choice: Any
) -> None:
    """Change each row of specs/ in turn: does a test, or lint, notice?

    Exit code 1 where fewer than 95 % of the mutants are noticed. Results are kept in .mutation/ as long as specs,
    tests and code stay the same, so a run that was broken off goes on.
    """
    chosen = _chosen(**choice)
    if write is not None:
        if len(chosen) != 1:
            raise click.ClickException(f"{len(chosen)} mutants are chosen, expected one: use --rule")
        click.echo(write_mutant(chosen[0], specs_dir(), write))
        return
    store.mkdir(exist_ok=True)
    tree = fingerprint(CHECKOUT) + "".join(f" {test}" for test in tests)
    results = Results.open(store / "results.jsonl", tree)
    open_mutants = [mutant for mutant in chosen if results.of(mutant) is None]
    if open_mutants:
        _try(open_mutants, results, store, jobs, limit, tests or (str(CHECKOUT / "tests"),))
    report = Report([(mutant, result) for mutant in chosen if (result := results.of(mutant)) is not None])
    _show(report, output)
    if report.total.mutants < len(chosen):
        raise click.ClickException(
            f"{len(chosen) - report.total.mutants} mutants were not tried, see {store.name}/session.log"
        )
    sys.exit(0 if report.total.percent >= DEMANDED else 1)


def _chosen(rooms: tuple[str, ...], rules: tuple[str, ...], every: bool, sample: int | None, seed: int) -> list[Mutant]:
    found = [mutant for mutant in mutants(load_specs(specs_dir())) if every or mutant.operation in OF_ROWS]
    unknown = set(rooms) - {room_of(mutant) for mutant in found}
    if unknown:
        raise click.ClickException(f"no mutants in {', '.join(sorted(unknown))}")
    if rooms:
        found = [mutant for mutant in found if room_of(mutant) in rooms]
    if rules:
        found = [mutant for mutant in found if mutant.rule.startswith(rules)]
    if sample is not None and sample < len(found):
        found = [found[place] for place in sorted(random.Random(seed).sample(range(len(found)), sample))]
    return found


def _try(
    open_mutants: list[Mutant], results: Results, store: Path, jobs: int, limit: float, tests: tuple[str, ...]
) -> None:
    """Run all trials; what pytest prints goes to `session.log`, the progress to the real stderr."""
    from benchmarks.mutation.session import Plan, hold

    baseline = store / f"baseline-{_short(results.tree)}.json"
    for old in store.glob("baseline-*.json"):
        if old != baseline:
            old.unlink()
    sys.stdout.flush()
    with os.fdopen(os.dup(2), "w") as say:
        kept = os.dup(1), os.dup(2)
        with (store / "session.log").open("w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            progress = _Progress(len(open_mutants), say)

            def done(mutant: Mutant, result: dict[str, Any]) -> None:
                results.add(mutant, result)
                progress.step(result)

            plan = Plan(
                root=specs_dir(),
                mutants=open_mutants,
                jobs=jobs,
                limit=limit,
                killers=results.killers,
                baseline=baseline,
                done=done,
                say=say,
            )
            hold(tests, plan)
        finally:
            for number, stream in enumerate(kept, 1):
                os.dup2(stream, number)
                os.close(stream)


def _short(tree: str) -> str:
    import hashlib

    return hashlib.sha256(tree.encode()).hexdigest()[:16]


class _Progress:
    """A line on stderr now and then: how many, how many noticed, how long it will take."""

    def __init__(self, total: int, say: Any) -> None:
        self.total = total
        self.say = say
        self.count = self.survived = 0
        self.begin = self.told = time.monotonic()

    def step(self, result: dict[str, Any]) -> None:
        self.count += 1
        self.survived += not result["by"]
        now = time.monotonic()
        if now < self.told + (1 if self.say.isatty() else 15) and self.count < self.total:
            return
        self.told = now
        left = (now - self.begin) / self.count * (self.total - self.count)
        line = f"mutation: {self.count} of {self.total} mutants, {self.survived} survived, {left / 60:.1f} min left"
        end = "\r" if self.say.isatty() and self.count < self.total else "\n"
        print(line, end=end, file=self.say, flush=True)


def _show(report: Report, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(report.as_json(), indent=2))
        return
    for line in report.survivors():
        click.echo(line)
    Console().print(report.table())


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.mutation")
