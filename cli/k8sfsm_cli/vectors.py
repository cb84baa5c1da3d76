"""`k8sfsm vectors`: inputs and outputs of the real functions, run through our rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from k8sfsm.verify.vectors.runner import Score, run_file, target_name, vector_files
from k8sfsm_cli.printing import print_table, progress_bar


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--target", "names", multiple=True, metavar="NAME", help="Only this target (may be repeated; * allowed).")
@click.option(
    "--show", "shown", type=click.IntRange(min=0), default=0, help="Show the first N failures of each target."
)
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", help="Form of the result.")
def vectors(path: Path, names: tuple[str, ...], shown: int, output: str) -> None:
    """Run the vector files of PATH (a folder, or one file) through the rules that the engine uses.

    A vector file, TARGET.jsonl (or .gz, .zst), has one case per line: the input and the output of a function of
    Kubernetes. Exit code 1 where a case fails or is not supported.
    """
    if not path.exists():
        raise click.ClickException(f"{path}: no such file or folder, expected vector files")
    files = [file for file in vector_files(path) if _wanted(target_name(file), names)]
    if not files:
        raise click.ClickException(
            f"{path}: no target is called {' or '.join(names)}, expected the name of a file there"
        )
    scores: dict[str, Score] = {}
    with progress_bar("vectors", len(files)) as advance:
        for file in files:
            scores[target_name(file)] = run_file(file, shown)
            advance(1)
    if output == "json":
        click.echo(json.dumps({"targets": {name: score.as_json() for name, score in scores.items()}}, indent=2))
    else:
        print_table(_table(scores))
    for name, score in scores.items():
        for failure in score.failures:
            _show(name, failure.place, failure.given, failure.expected, failure.got)
    if not all(score.good for score in scores.values()):
        raise click.exceptions.Exit(1)


def _wanted(name: str, names: tuple[str, ...]) -> bool:
    from fnmatch import fnmatchcase

    return not names or any(fnmatchcase(name, pattern) for pattern in names)


def _table(scores: dict[str, Score]) -> Table:
    table = Table("target", "cases", "passed", "failed", "unsupported")
    total = Score()
    for name, score in scores.items():
        row = score.as_json()
        table.add_row(name, *map(str, row.values()), style=None if score.good else "red")
        for figure, count in row.items():
            setattr(total, figure, getattr(total, figure) + count)
    table.add_section()
    table.add_row("all", *map(str, total.as_json().values()), style="bold")
    return table


def _show(name: str, place: str, given: Any, expected: Any, got: Any) -> None:
    click.echo(f"\n{name} {place}", err=True)
    for title, value in (("input", given), ("expected", expected), ("got", got)):
        click.echo(f"  {title}: {json.dumps(value, ensure_ascii=False, default=str)}", err=True)
