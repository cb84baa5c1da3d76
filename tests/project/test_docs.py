"""What the documents say is so: commands run, links lead somewhere, rules exist, the excerpt is real output."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from k8sfsm.spec import load_specs
from k8sfsm_cli import main

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = (CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md")))
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|\.\.\.|\||<|web\.yaml|=")
LINT = "k8sfsm spec lint"
"""Has a test of its own."""
FENCE = re.compile(r"^ *```(console|text)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
BOX = re.compile(r"\s*[│┃]\s*")
RULE = re.compile(r"`((?!Kind/)[A-Z]\w+/[a-z-]+/[a-z-]+)`")


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def commands() -> Iterator[str]:
    """Every command of ours that a page shows and that can be run as it stands."""
    for page in (CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").glob("*.md")):
        if page.name in ("cli.md", "scenarios.md"):
            continue  # generated, and tested beside the scenarios
        shown = re.findall(r"^\$ (k8sfsm .*)$|`(k8sfsm [^`]*)`", text_of(page), re.MULTILINE)
        yield from (
            command
            for pair in shown
            for command in pair
            if command and not PLACEHOLDER.search(command) and command != LINT
        )


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_commands_run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    targets = [target.partition("#") for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target, _, _ in targets if target and not (page.parent / target).exists()] == []
    for target, _, anchor in targets:
        if anchor:
            assert anchor in _anchors(page.parent / target if target else page), f"{target}#{anchor}"


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@cache
def rules() -> frozenset[str]:
    specs = load_specs()
    found: set[str] = set()
    for room in specs.rooms.values():
        for controller in room.tables.values():
            found |= {
                f"{controller.prefix}/{name}/{rule}" for name, of in controller.tables.items() for rule in of.rules
            }
        machine = room.machine
        for name, region in machine.regions.items() if machine is not None else ():
            found |= {f"{machine.kind}/{name}/{edge}" for edge in region.transitions} if machine is not None else set()
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_rules_that_are_named_exist(page: Path) -> None:
    assert [rule for rule in RULE.findall(text_of(page)) if rule not in rules()] == []


def shown() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every command of a page that has excerpts of its output under it: page, command, lines."""
    for page in PAGES:
        command = ""
        for fence, block in FENCE.findall(text_of(page)):
            found = re.findall(r"^\s*\$ (k8sfsm .*)$", block, re.MULTILINE)
            if fence == "console":
                command = found[0] if len(found) == 1 and not PLACEHOLDER.search(found[0]) else ""
            elif command:
                yield page.name, command, tuple(line.strip() for line in block.splitlines() if line.strip())


def plain(line: str) -> str:
    """A printed line without the lines of its table and without runs of blanks."""
    return " ".join(re.sub("[│┃]", " ", line).split())


@pytest.fixture(scope="module")
def printed() -> Callable[[str], frozenset[str]]:
    @cache
    def lines(command: str) -> frozenset[str]:
        result = CliRunner(env={"COLUMNS": "500"}).invoke(main, shlex.split(command)[1:])
        return frozenset(map(plain, result.output.splitlines()))

    return lines


@pytest.mark.parametrize(("page", "command", "lines"), list(shown()))
def test_excerpts_are_what_commands_print(
    page: str, command: str, lines: tuple[str, ...], printed: Callable[[str], frozenset[str]], monkeypatch: Any
) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert [line for line in lines if line != "..." and plain(line) not in printed(command)] == []


def test_the_excerpt_is_what_the_demo_prints() -> None:
    recording = CHECKOUT / "examples" / "recordings" / "03-rolling-default"
    result = CliRunner().invoke(main, ["replay", str(recording)])
    assert result.exit_code == 0, result.output
    printed = {tuple(cell for cell in BOX.split(line) if cell) for line in result.stdout.splitlines()}
    block = re.search(r"```text\n(t/s .*?)```", text_of(CHECKOUT / "README.md"), re.DOTALL)
    assert block is not None
    head, *rows, dots, last = block[1].splitlines()
    assert dots == "..."
    assert last in result.stderr.splitlines()
    for row in (head, *rows):
        cells = tuple(re.split(r"  +|(?<=[0-9a-f]{9}[0-9a-z]) (?=created)", row))
        assert cells in printed, row


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(CHECKOUT / "Makefile"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z]+)`", text_of(page))}
    assert named <= targets


@pytest.fixture(scope="module")
def render() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render", CHECKOUT / "docs" / "render.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_up_to_date(render: ModuleType) -> None:
    """If this fails: `.venv/bin/python docs/render.py cli`."""
    assert text_of(CHECKOUT / "docs" / "cli.md") == render.cli_page()


def test_the_book_has_a_page_for_every_room(render: ModuleType, tmp_path: Path) -> None:
    render.book(tmp_path)
    specs = load_specs()
    pages = tmp_path / "book" / "kinds"
    assert {page.stem for page in pages.glob("*.md")} == {*specs.rooms, "constants"}
    assert "create-missing" in text_of(pages / "replicaset.md")
    assert text_of(pages / "pod-lifecycle.svg").startswith("<svg")
    assert "kinds/pod.md" in text_of(tmp_path / "mkdocs.yml")
    for page in pages.glob("*.md"):
        for drawing in re.findall(r"\]\((\S+\.svg)\)", text_of(page)):
            assert (pages / drawing).is_file()


def test_the_questions_are_the_same_in_both_languages() -> None:
    english, chinese = (text_of(CHECKOUT / "docs" / name) for name in ("questions.md", "questions.zh.md"))
    assert [block for _, block in FENCE.findall(english)] == [block for _, block in FENCE.findall(chinese)]
    assert len(re.findall("^## ", english, re.MULTILINE)) == len(re.findall("^## ", chinese, re.MULTILINE)) == 16
