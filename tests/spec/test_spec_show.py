"""`k8sfsm spec`: sheets, diagrams, exit codes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from spec_files import SPECS, Write

from k8sfsm.spec import Region, load_specs
from k8sfsm.spec.graph import END, START, dot, graph, mermaid
from k8sfsm.spec.layout import Box, Layout
from k8sfsm.spec.sheet import UnknownPath, markdown, show
from k8sfsm.spec.svg import layout, svg
from k8sfsm_cli.spec import spec

CONTROLLER = """\
# yaml-language-server: $schema=../schema/controller.schema.json
controller: thing-controller
reconciles: Thing
source: "pkg/thing.go"
watches:
  - {kind: Thing, key: self}
tables:
  manage:
    hit: first
    source: "pkg/thing.go: manage"
    doc: Makes what is missing.
    inputs: [surplus]
    outputs: [phase]
    rules:
      create: {surplus: "< 0", then: [make], phase: Growing, doc: "A | B"}
      wait: {surplus: [0, null], phase: null}
      else: {}
comparisons:
  rank:
    source: "pkg/thing.go: Less"
    rows:
      size: {by: size, first: lower}
      age: {compare: older, final: true}
"""
MACHINE = """\
# yaml-language-server: $schema=../schema/machine.schema.json
kind: Thing
regions:
  life:
    states:
      Done: {when: {phase: Done}, final: true}
      In-Use: {when: {}}
    transitions:
      create: {from: Absent, to: In-Use, actors: [user, a, b]}
      finish: {from: In-Use, to: Done, actors: [kubelet], guards: [g]}
      again: {from: Done, to: In-Use, actors: [kubelet]}
      remove: {from: [Done, In-Use], to: Absent, actors: [user], source: s, doc: "Gone."}
  other:
    states:
      A: {when: {}}
    transitions:
      create: {from: Absent, to: A, actors: [user]}
"""
INVARIANTS = """\
# yaml-language-server: $schema=../schema/invariants.schema.json
kind: Thing
invariants:
  one: {type: safety, holds: only_one, source: s}
"""


@pytest.fixture
def root(write: Write) -> Path:
    write("thing/controller.yaml", CONTROLLER)
    write("thing/machine.yaml", MACHINE)
    write("thing/invariants.yaml", INVARIANTS)
    return write("constants.yaml", "limit: {value: 3, unit: s, source: x, doc: y}\n")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(spec, arguments)


def test_a_table_shows_its_rules(root: Path) -> None:
    (sheet,) = show(load_specs(root), "Thing/manage")
    assert sheet.columns == ("rule", "surplus", "then", "phase", "doc")
    assert sheet.rows == (
        ("create", "< 0", "make", "Growing", "A | B"),
        ("wait", "[0, null]", "", "null", ""),
        ("else", "-", "", "null", ""),
    )
    assert (sheet.source, sheet.doc, sheet.at.line) == ("pkg/thing.go: manage", "Makes what is missing.", 8)


def test_markdown_is_a_table(root: Path) -> None:
    text = markdown(show(load_specs(root), "Thing/manage"))
    assert text == (
        "## Thing/manage (hit policy first)\n\nMakes what is missing.\n\n"
        "| rule | surplus | then | phase | doc |\n| --- | --- | --- | --- | --- |\n"
        "| create | &lt; 0 | make | Growing | A \\| B |\n| wait | [0, null] |  | null |  |\n| else | - |  | null |  |\n"
        "\nSource: `pkg/thing.go: manage`\n"
    )


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("", ["specs"]),
        ("constants", ["constants"]),
        ("thing/life", ["Thing/life: states (the first whose condition holds)", "Thing/life: transitions"]),
        ("Thing/rank", ["Thing/rank (the first row that differs decides)"]),
        ("Thing/manage/create", ["Thing/manage/create"]),
        ("Thing/life/remove", ["Thing/life/remove"]),
        ("thing-controller/rank", ["Thing/rank (the first row that differs decides)"]),
    ],
)
def test_paths(root: Path, path: str, titles: list[str]) -> None:
    assert [sheet.title for sheet in show(load_specs(root), path)] == titles


def test_a_kind_shows_all_that_it_has(root: Path) -> None:
    assert [sheet.path for sheet in show(load_specs(root), "Thing")] == [
        "Thing/life", "Thing/life", "Thing/other", "Thing/other", "Thing", "Thing/manage", "Thing/rank", "Thing",
    ]  # fmt: skip


def test_one_rule_is_written_out(root: Path) -> None:
    docs = {"surplus": "Too many.", "make": "Makes one."}
    (sheet,) = show(load_specs(root), "Thing/manage/create", lambda room, role, name: f"{role}: {docs[name]}")
    assert sheet.rows == (
        ("input", "surplus", "< 0", "fact: Too many."),
        ("then", "make", "", "action: Makes one."),
        ("output", "phase", "Growing", ""),
    )
    assert sheet.at.line == 15
    (sheet,) = show(load_specs(root), "Thing/life/remove")
    assert (sheet.rows, sheet.doc) == (
        (("from", "Done", ""), ("from", "In-Use", ""), ("to", "Absent", ""), ("actor", "user", "")), "Gone.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("Thig", "nothing is called 'Thig', did you mean 'Thing'?"),
        ("Thing/manag", "nothing is called 'Thing/manag', did you mean 'Thing/manage'?"),
        ("Thing/manage/creat", "nothing is called 'Thing/manage/creat', did you mean 'Thing/manage/create'?"),
    ],
)
def test_unknown_paths_say_what_is_near(root: Path, path: str, message: str) -> None:
    with pytest.raises(UnknownPath) as caught:
        show(load_specs(root), path)
    assert str(caught.value) == message
    result = run("show", path)
    assert result.exit_code == 1
    assert message in result.output


def test_show_prints_a_table_and_json(root: Path) -> None:
    printed = run("show", "Thing/manage").output
    assert "Thing/manage (hit policy first)" in printed
    assert "│ create │ < 0" in printed
    (sheet,) = json.loads(run("show", "Thing/rank", "-o", "json").output)
    assert sheet == {
        "path": "Thing/rank",
        "title": "Thing/rank (the first row that differs decides)",
        "doc": "",
        "source": "pkg/thing.go: Less",
        "file": "specs/thing/controller.yaml",
        "line": 19,
        "rows": [
            {"row": "size", "decides": "lower size first"},
            {"row": "age", "decides": "older; equal ends it"},
        ],
    }


def test_lint_exits_with_1_on_findings(root: Path) -> None:
    result = run("--specs", str(root), "lint", "thing", "-o", "json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert {"file", "line", "column", "check", "message"} == set(found[0])
    assert {"unknown-fact", "source", "final"} <= {each["check"] for each in found}
    text = run("lint", "thing").output
    assert (
        "specs/thing/controller.yaml:8:3: fact 'surplus' is not registered in Law('thing'), none is known here"
        " [unknown-fact]" in text
    )


def test_lint_exits_with_2_on_unreadable_specs(write: Write) -> None:
    root = write("thing/machine.yaml", "kind: [\n")
    result = run("--specs", str(root), "lint")
    assert result.exit_code == 2
    assert "specs/thing/machine.yaml:2:1: no valid YAML" in result.output
    (found,) = json.loads(run("--specs", str(root), "lint", "-o", "json").output)
    assert (found["line"], found["check"]) == (2, "unreadable")
    assert run("--specs", str(root), "show").exit_code == 2


def test_lint_finds_nothing_in_sound_specs(write: Write) -> None:
    root = write("thing/other.yaml", "# yaml-language-server: $schema=../schema/layout.schema.json\n")
    write("schema/layout.schema.json", "{}")
    result = run("--specs", str(root), "lint", "thing")
    assert (result.exit_code, result.output) == (0, "nothing found\n")


# -- diagrams ---------------------------------------------------------------------------------------------------------


def life(root: Path) -> Region:
    machine = load_specs(root).rooms["thing"].machine
    assert machine is not None
    return machine.regions["life"]


def test_mermaid(root: Path) -> None:
    assert mermaid(graph("Thing/life", life(root))) == (
        "stateDiagram-v2\n    Done\n"
        '    state "In-Use" as In_Use\n'
        "    [*] --> In_Use: create<br>user, a,<br>b\n"
        "    In_Use --> Done: finish<br>kubelet<br>[g]\n"
        "    Done --> In_Use: again<br>kubelet\n"
        "    Done --> [*]: remove<br>user\n"
        "    In_Use --> [*]: remove<br>user\n"
    )


def test_dot(root: Path) -> None:
    text = dot(graph("Thing/life", life(root)))
    assert text.startswith('digraph "Thing/life" {')
    assert '    "In-Use" -> "Done" [label="finish\\nkubelet\\n[g]"];' in text
    assert f'    "Done" -> {END} [label="remove\\nuser"];' in text
    assert f'    {START} -> "In-Use" [label="create\\nuser, a,\\nb"];' in text


def test_diagram_command(root: Path) -> None:
    assert run("diagram", "thing").output.count("stateDiagram-v2") == 2
    assert run("diagram", "Thing", "--region", "life", "--format", "dot").output.startswith("digraph")
    assert run("diagram", "Thing", "--region", "life", "--format", "svg").output.startswith("<svg")
    for arguments, message in [
        (("Thng",), "no machine is called 'Thng', did you mean 'Thing'?"),
        (("Thing", "--region", "lif"), "Thing has no region 'lif', did you mean 'life'?"),
        (("Thing", "--format", "svg"), "Thing has several regions, name one with --region: life, other"),
    ]:
        result = run("diagram", *arguments)
        assert result.exit_code == 1
        assert message in result.output


REGIONS = [
    (f"{room.machine.kind}/{name}", region)
    for room in load_specs(SPECS).rooms.values()
    if room.machine is not None
    for name, region in room.machine.regions.items()
]


def overlap(name: str, other: str, boxes: dict[str, Box], laid: Layout) -> bool:
    (x, y), (u, v) = laid.places[name], laid.places[other]
    wide = (boxes[name].width + boxes[other].width) / 2
    high = (boxes[name].height + boxes[other].height) / 2
    return abs(x - u) < wide and abs(y - v) < high


def crosses(points: tuple[tuple[float, float], ...], box: Box, place: tuple[float, float]) -> bool:
    """Whether an upright piece of a route runs through a box."""
    for (x, top), (u, bottom) in pairwise(points):
        upright = abs(x - u) < 0.01
        low, high = sorted((top, bottom))
        inside = abs(x - place[0]) < box.width / 2
        if upright and inside and low < place[1] + box.height / 2 - 0.1 and high > place[1] - box.height / 2 + 0.1:
            return True
    return False


@pytest.mark.parametrize(("name", "region"), REGIONS, ids=[name for name, _ in REGIONS])
def test_drawings_are_sound(name: str, region: Region) -> None:
    drawn = graph(name, region)
    boxes, laid = layout(drawn)
    assert [pair for pair in combinations(boxes, 2) if overlap(*pair, boxes, laid)] == []
    for route in laid.routes:
        others = [box for box in boxes if box not in (route.source, route.target)]
        assert [box for box in others if crosses(route.points, boxes[box], laid.places[box])] == []
    for box, (x, y) in laid.places.items():
        assert boxes[box].width / 2 <= x <= laid.width - boxes[box].width / 2
        assert boxes[box].height / 2 <= y <= laid.height - boxes[box].height / 2
    text = svg(drawn)
    assert text == svg(graph(name, region))
    words = [element.text for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert set(region.states) | set(region.transitions) <= set(words)
