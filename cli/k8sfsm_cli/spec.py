"""`k8sfsm spec`: the law as tables, diagrams and findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from k8sfsm.law import import_all, laws, meaning
from k8sfsm.spec import SpecError, Specs, load_specs, specs_dir
from k8sfsm.spec.code import constants_used, where
from k8sfsm.spec.graph import Graph, dot, graph, mermaid
from k8sfsm.spec.lint import Code, Finding, Functions
from k8sfsm.spec.lint import lint as find
from k8sfsm.spec.loader import room_names
from k8sfsm.spec.mistakes import Mistake, Position, did_you_mean
from k8sfsm.spec.sheet import Sheet, UnknownPath, markdown
from k8sfsm.spec.sheet import show as sheets_of
from k8sfsm.spec.svg import svg

FINDINGS = 1
UNREADABLE = 2


@click.group()
@click.option(
    "--specs",
    "path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The spec directory; else $K8SFSM_SPECS, else the one that comes with k8sfsm.",
)
@click.pass_context
def spec(context: click.Context, path: Path | None) -> None:
    """Read the law: its tables, machines, comparisons and constants."""
    context.obj = path if path is not None else specs_dir()


def _load(path: Path, rooms: tuple[str, ...] = ()) -> Specs:
    """The specs, or exit code 2 with every mistake on standard error."""
    try:
        return load_specs(path, rooms)
    except SpecError as error:
        click.echo(error, err=True)
        raise click.exceptions.Exit(UNREADABLE) from None


def _finding_json(finding: Finding | Mistake) -> dict[str, Any]:
    at = finding.at
    check = finding.check if isinstance(finding, Finding) else "unreadable"
    return {"file": at.file, "line": at.line, "column": at.column, "check": check, "message": finding.message}


def _code(rooms: tuple[str, ...]) -> tuple[Code, list[Finding]]:
    """What Python registers, and a finding for every module that cannot be imported."""
    broken = [
        Finding(Position(name.replace(".", "/") + ".py", 1, 1), "import", f"cannot be imported: {error}")
        for name, error in import_all()
    ]
    known: dict[str, Functions] = {
        name: dict(law.functions) for name, law in laws().items() if not rooms or name in rooms
    }
    used = () if rooms else tuple(constants_used())
    return Code(rooms=known, constants=used, where=where), broken


def _concerns(finding: Finding, path: Path, rooms: tuple[str, ...]) -> bool:
    """Whether a finding is about one of the rooms. Functions are looked at for these rooms only."""
    if finding.check == "import":
        return any(room in finding.at.file for room in rooms)
    own = tuple(f"{path.name}/{room}/" for room in rooms)
    return finding.at.file.endswith(".py") or finding.at.file.startswith(own)


@spec.command()
@click.argument("rooms", nargs=-1)
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="Form of the findings.")
@click.pass_obj
def lint(path: Path, rooms: tuple[str, ...], output: str) -> None:
    """Prove the tables and check every name, source and state; of all rooms, or of ROOMS only.

    Exit code 0: nothing found; 1: findings; 2: specs that cannot be read.
    """
    unknown = [room for room in rooms if room not in room_names(path)]
    if unknown:
        raise click.BadParameter(f"no room is called '{unknown[0]}', {did_you_mean(unknown[0], room_names(path))}")
    findings: list[Finding | Mistake] = []
    status = FINDINGS
    try:
        load_specs(path, rooms)
        specs = load_specs(path)
    except SpecError as error:
        findings += error.mistakes
        status = UNREADABLE
    else:
        code, broken = _code(rooms)
        findings += [each for each in (*broken, *find(specs, code)) if not rooms or _concerns(each, path, rooms)]
    if output == "json":
        click.echo(json.dumps([_finding_json(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(finding)
        click.echo(f"{len(findings)} findings" if findings else "nothing found", err=True)
    if findings:
        raise click.exceptions.Exit(status)


def _print(sheets: tuple[Sheet, ...]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    for number, sheet in enumerate(sheets):
        if number:
            console.print()
        console.print(Text(sheet.title, style="bold"))
        if sheet.doc:
            console.print(Text(sheet.doc))
        if sheet.source:
            console.print(Text(f"Source: {sheet.source}", style="dim"))
        if not sheet.rows:
            continue
        table = Table(show_lines=False)
        for place, column in enumerate(sheet.columns):
            table.add_column(column, overflow="fold", style="cyan" if place == 0 else None)
        for row in sheet.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)


@spec.command()
@click.argument("path", required=False, default="")
@click.option(
    "-o", "output", type=click.Choice(["table", "markdown", "json"]), default="table", help="Form of the tables."
)
@click.pass_obj
def show(directory: Path, path: str, output: str) -> None:
    """Show PATH: Kind, Kind/table, Kind/table/rule, Kind/region, a room, or constants; without it what there is."""
    specs = _load(directory)
    if path.count("/") > 1:
        import_all()  # for what the functions of a rule say about themselves
    try:
        sheets = sheets_of(specs, path, meaning)
    except UnknownPath as error:
        raise click.ClickException(str(error)) from None
    if output == "json":
        click.echo(json.dumps([sheet.json() for sheet in sheets], indent=2, ensure_ascii=False))
    elif output == "markdown":
        click.echo(markdown(sheets), nl=False)
    else:
        _print(sheets)


def _graphs(specs: Specs, kind: str, region: str | None) -> list[Graph]:
    machines = {room.machine.kind: room.machine for room in specs.rooms.values() if room.machine is not None}
    by_name = {name.lower(): machine for name, machine in machines.items()}
    machine = by_name.get(kind.lower())
    if machine is None:
        raise click.ClickException(f"no machine is called '{kind}', {did_you_mean(kind, machines)}")
    if region is not None and region not in machine.regions:
        raise click.ClickException(f"{machine.kind} has no region '{region}', {did_you_mean(region, machine.regions)}")
    return [graph(f"{machine.kind}/{name}", each) for name, each in machine.regions.items() if region in (None, name)]


@spec.command()
@click.argument("kind")
@click.option("--region", help="The region to draw; needed for svg where the kind has more than one.")
@click.option(
    "--format", "form", type=click.Choice(["mermaid", "dot", "svg"]), default="mermaid", help="Form of the diagram."
)
@click.pass_obj
def diagram(directory: Path, kind: str, region: str | None, form: str) -> None:
    """Draw the machine of KIND. SVG needs no other program."""
    graphs = _graphs(_load(directory), kind, region)
    if form == "svg" and len(graphs) > 1:
        names = ", ".join(each.name.partition("/")[2] for each in graphs)
        raise click.ClickException(f"{kind} has several regions, name one with --region: {names}")
    draw = {"mermaid": mermaid, "dot": dot, "svg": svg}[form]
    click.echo("\n".join(draw(each) for each in graphs), nl=False)
