"""Renders the pages of the book that come from code and specs.

`python docs/render.py cli` writes docs/cli.md; `python docs/render.py book` writes the whole book's sources to build/.
"""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from k8sfsm.spec import Room, Specs, load_specs
from k8sfsm.spec.graph import graph
from k8sfsm.spec.sheet import markdown
from k8sfsm.spec.sheet import show as sheets_of
from k8sfsm.spec.source import yaml_text
from k8sfsm.spec.svg import svg
from k8sfsm_cli import main as k8sfsm

DOCS = Path(__file__).resolve().parent
BUILD = DOCS.parent / "build"
NO_DOCS = ""
PAGES = (
    ("k8sfsm", "index.md"),
    ("Concepts", "concepts.md"),
    ("The format of specs", "spec-format.md"),
    ("Commands", "cli.md"),
    ("Histories and traces", "trace-format.md"),
    ("Replay", "replay.md"),
    ("Performance", "performance.md"),
    ("Scenarios", "scenarios.md"),
    ("Campaigns", "fuzz.md"),
    ("Exploring", "explore.md"),
    ("Stories", "stories.md"),
    ("What pause is for", "pause.md"),
    ("CPU: request and limit", "cpu.md"),
    ("DNS", "dns.md"),
    ("Check", "check.md"),
    ("kube-proxy and packets", "proxy.md"),
    ("Testing your own controller", "testing.md"),
    ("From Python", "python-api.md"),
)


def cli_page() -> str:
    """The reference of all commands, from what the commands say about themselves."""
    parts = ["# Commands", "<!-- written by `python docs/render.py cli` -->"]
    for context in _commands(_context(k8sfsm, "k8sfsm", None)):
        parts += _command(context)
    return "\n\n".join(parts) + "\n"


def _commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from _commands(_context(command, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, **command.context_settings)


def _command(context: click.Context) -> list[str]:
    usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    said = inspect.cleandoc(context.command.help or "")
    parts = [f"## {context.command_path}", f"```text\n{usage}\n```", said]
    if isinstance(context.command, click.Group):
        return [part for part in parts if part]
    rows = [record for each in context.command.get_params(context) if (record := each.get_help_record(context))]
    table = ["| option | |", "|---|---|", *(f"| `{_cell(name)}` | {_cell(text)} |" for name, text in rows)]
    return [part for part in (*parts, "\n".join(table)) if part]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def book(build: Path) -> None:
    """Write the sources of the book: the pages of docs/, one page per room with its machines drawn, and the menu."""
    pages, kinds = build / "book", build / "book" / "kinds"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    kinds.mkdir()
    specs = load_specs()
    for room in specs.rooms.values():
        (kinds / f"{room.name}.md").write_text(_room(specs, room, kinds), "utf-8")
    rules = [{room: f"kinds/{room}.md"} for room in specs.rooms]
    menu = [*({title: file} for title, file in PAGES), {"Rules": rules}]
    settings = {"INHERIT": "../mkdocs.yml", "docs_dir": "book", "site_dir": "../site", "nav": menu}
    (build / "mkdocs.yml").write_text(yaml_text(settings), "utf-8")


def _room(specs: Specs, room: Room, folder: Path) -> str:
    """The page of a room; drawings are written beside it."""
    parts = [f"# {room.name}"]
    if room.machine is not None:
        for name, region in room.machine.regions.items():
            file = folder / f"{room.name}-{name}.svg"
            file.write_text(svg(graph(f"{room.machine.kind}/{name}", region)), "utf-8")
            parts.append(f"![the states of {room.machine.kind}/{name}]({file.name})")
    parts.append(markdown(sheets_of(specs, room.name, lambda *names: NO_DOCS)))
    return "\n\n".join(parts)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["cli"]:
            (DOCS / "cli.md").write_text(cli_page(), "utf-8")
        case ["book"]:
            book(BUILD)
        case _:
            sys.exit(str(__doc__))
