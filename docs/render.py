"""Renders the pages of the book that come from code and specs.

`python docs/render.py cli` writes docs/cli.md; `python docs/render.py book` writes the whole book's sources to build/.
`python docs/render.py book FOLDER` writes them to a folder, without playing everything to see where rules hold.
"""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

import k8sfsm
from k8sfsm.law import import_all
from k8sfsm.scenario.loading import load_story
from k8sfsm.spec import load_specs, specs_dir
from k8sfsm.spec.source import yaml_text
from k8sfsm_cli import main

DOCS = Path(__file__).resolve().parent
BUILD = DOCS.parent / "build"
sys.path.insert(0, str(DOCS))

from rulepages import rule_links, with_links, write_rule_pages  # noqa: E402

MENU: tuple[tuple[str, str | tuple[tuple[str, str], ...]], ...] = (
    ("k8sfsm", "index.md"),
    (
        "Questions",
        (
            ("In English", "questions.md"),
            ("中文", "questions.zh.md"),
            ("What pause is for", "pause.md"),
            ("CPU: request and limit", "cpu.md"),
        ),
    ),
    (
        "Tutorials",
        (
            ("Replay a rollout", "tutorial-replay.md"),
            ("Judge your own cluster", "tutorial-audit.md"),
            ("Stories of rollouts", "stories.md"),
            ("Testing your own controller", "testing.md"),
            ("Campaigns", "fuzz.md"),
            ("Exploring", "explore.md"),
            ("Avalanches", "avalanche.md"),
            ("A cloud", "cloud.md"),
        ),
    ),
    (
        "How it works",
        (
            ("Concepts", "concepts.md"),
            ("Scenarios", "scenarios.md"),
            ("Rules of your own", "own-rules.md"),
            ("Replay", "replay.md"),
            ("Check", "check.md"),
            ("Explain", "explain.md"),
            ("kube-proxy and packets", "proxy.md"),
            ("DNS", "dns.md"),
            ("Users, roles, rules of your own", "access.md"),
            ("Performance", "performance.md"),
        ),
    ),
    (
        "Reference",
        (
            ("Commands", "cli.md"),
            ("From Python", "python-api.md"),
            ("Python API", "api.md"),
            ("The format of specs", "spec-format.md"),
            ("Histories and traces", "trace-format.md"),
        ),
    ),
)
"""The pages of the book by title. `api.md` is written by `api_page`."""


def cli_page() -> str:
    """The reference of all commands, from what the commands say about themselves."""
    parts = ["# Commands", "<!-- written by `python docs/render.py cli` -->"]
    for context in _commands(_context(main, "k8sfsm", None)):
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


def api_page() -> str:
    """The reference of the public interface, from its docstrings."""
    names = [name for name in k8sfsm.__all__ if not name.startswith("__")]
    parts = ["# Python API", "What `import k8sfsm` gives. How to begin: [From Python](python-api.md)."]
    for name in names:
        home = k8sfsm._HOMES[name]
        parts.append(f"## {name}\n\n::: {home}.{name}\n    options: {{show_root_heading: false, heading_level: 3}}")
    return "\n\n".join(parts) + "\n"


def story_page(file: Path) -> str:
    """A scenario of specs/scenarios as a page."""
    text = file.read_text("utf-8")
    doc = load_story(file).doc
    command = f"```console\n$ k8sfsm run specs/scenarios/{file.name}\n```"
    return f"# {file.stem}\n\n{doc}\n\n{command}\n\n```yaml\n{text}```\n"


def book(build: Path, exercised: Mapping[str, Sequence[str]] | None = None) -> None:
    """Write the sources of the book: the pages of docs/, of rules, of stories and of the API, and the menu.

    `exercised`: where each rule holds (see `exercised.py`); the pages of rules say so if it is given.
    """
    pages, kinds, stories = build / "book", build / "book" / "kinds", build / "book" / "stories"
    shutil.rmtree(pages, ignore_errors=True)
    kinds.mkdir(parents=True)
    stories.mkdir()
    import_all()
    specs = load_specs()
    links = rule_links(specs)
    for file in sorted(DOCS.glob("*.md")):
        (pages / file.name).write_text(with_links(file.read_text("utf-8"), links), "utf-8")
    for file in sorted(DOCS.glob("*.yaml")):
        shutil.copy(file, pages)
    (pages / "api.md").write_text(api_page(), "utf-8")
    write_rule_pages(specs, kinds, exercised or {})
    scenarios = sorted((specs_dir() / "scenarios").glob("*.yaml"))
    for file in scenarios:
        (stories / f"{file.stem}.md").write_text(story_page(file), "utf-8")
    menu = [{title: pages if isinstance(pages, str) else [dict([page]) for page in pages]} for title, pages in MENU]
    menu.append({"Stories": [{file.stem: f"stories/{file.stem}.md"} for file in scenarios]})
    menu.append({"Rules": [{room: f"kinds/{room}.md"} for room in (*specs.rooms, "constants")]})
    checkout = DOCS.parent
    inherit, site = ("../mkdocs.yml", "../site") if build.parent == checkout else (str(checkout / "mkdocs.yml"), "site")
    settings = {"INHERIT": inherit, "docs_dir": "book", "site_dir": site, "nav": menu}
    (build / "mkdocs.yml").write_text(yaml_text(settings), "utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["cli"]:
            (DOCS / "cli.md").write_text(cli_page(), "utf-8")
        case ["book"]:
            from exercised import exercised

            book(BUILD, exercised())
        case ["book", folder]:
            book(Path(folder))
        case _:
            sys.exit(str(__doc__))
