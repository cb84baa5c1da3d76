from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from spec_files import CHECKOUT, SPECS, Write

from k8sfsm.spec import SpecError, load_constants, load_machine, load_specs, load_tables, specs_dir

TABLE = """\
controller: c
tables:
  t:
    hit: unique
    inputs: [a]
    rules:
      x: {a: true}
      y: {a: false}
"""


def mistakes(write: Write, name: str, text: str) -> list[str]:
    root = write(name, text)
    with pytest.raises(SpecError) as caught:
        load_specs(root)
    assert [str(each) for each in caught.value.mistakes] == str(caught.value).splitlines()
    return [str(each).removeprefix(f"specs/{name}:") for each in caught.value.mistakes]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("controller: c", "contoller: c", ["1:1: key 'controller' is missing, expected a text",
                                           "1:1: unknown key 'contoller', did you mean 'controller'?"]),
        ("hit: unique", "hit: uniqe", ["4:10: 'hit': the text 'uniqe' stands here, expected one of: unique, first,"
                                       " collect; did you mean 'unique'?"]),
        ("    hit: unique\n", "", ["3:3: key 'hit' is missing, expected one of: unique, first, collect"]),
        ("inputs: [a]", "inputs: a", ["5:13: 'inputs': the text 'a' stands here, expected a list (in square"
                                      " brackets)"]),
        ("inputs: [a]", "inputs: [a, 3]", ["5:17: the number 3 stands here, expected a text"]),
        ("inputs: [a]", "inputs: [a, a]", ["3:3: column 'a' is listed twice, expected it once"]),
        ("inputs: [a]", "inputs: [a, then]", ["3:3: column 'then' has a reserved name, expected another"]),
        ("{a: true}", "{b: true}", ["7:11: unknown column 'b' in rule 'x', expected one of: a, then, source, doc"]),
        ("{a: true}", '{a: "< b"}', ["7:11: 'a': 'b' after '<' is no number, expected for example \"< 0\""]),
        ("{a: true}", "{a: true, then: go}", ["7:26: 'then': the text 'go' stands here, expected a list (in square"
                                              " brackets)"]),
        ("{a: true}", "{a: true, a: false}", ["7:20: key 'a' stands twice (first in line 7), expected it once"]),
        ("{a: true}", "{a: not [A, B]}", ["7:18: no valid YAML: while parsing a flow mapping expected ',' or '}', but"
                                          " got '['; a test such as \"not [A, B]\" or \"< 0\" needs its quotes"]),
        ("      x:", "\tx:", ["7:1: a tab in the indentation, expected spaces"]),
        ("      x: {a: true}\n      y: {a: false}\n", "      {}\n", ["3:3: table 't' has no rules, expected at least"
                                                                    " one"]),
        ("controller: c", "controller: c\nqueue: {workers: five, max_delay: 3}",
         ["2:18: 'workers': the text 'five' stands here, expected a whole number",
          "2:24: unknown key 'max_delay', did you mean 'max_delay_s'?"]),
        ("controller: c", "controller: c\nqueue: {workers: true}",
         ["2:18: 'workers': true stands here, expected a whole number"]),
        ("controller: c", "controller: c\nwatches:\n  - {kind: Pod}\n  - Pod",
         ["3:5: key 'key' is missing, expected a text",
          "4:5: the text 'Pod' stands here, expected a mapping with the keys kind, key, doc, source"]),
        ("controller: c", "controller: c\nat: here", ["2:1: unknown key 'at', expected one of: controller, reconciles,"
                                                      " source, doc, queue, watches, tables, comparisons"]),
        ("controller: c", "controller: 2026-11-23", ["1:13: '2026-11-23' is read as a timestamp by YAML, expected a"
                                                     " text, number, true, false or null; put it in quotes if it is"
                                                     " a text"]),
    ],
)  # fmt: skip
def test_mistakes_in_tables(write: Write, old: str, new: str, expected: list[str]) -> None:
    assert old in TABLE
    assert mistakes(write, "room/controller.yaml", TABLE.replace(old, new)) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{by: a}", "5:7: row 'r': key 'first' is missing beside 'by', expected one of: lower, higher"),
        ("{compare: a, first: lower}", "5:7: row 'r': 'first' stands beside 'compare', expected it beside 'by'"),
        ("{by: a, first: lower, final: true}",
         "5:7: row 'r': 'final' stands beside 'by', expected it beside 'compare'"),
        ("{}", "5:7: row 'r': expected either 'by' (with 'first') or 'compare'"),
        ("{by: a, first: low}",
         "5:25: 'first': the text 'low' stands here, expected one of: lower, higher; did you mean 'lower'?"),
    ],
)  # fmt: skip
def test_mistakes_in_comparisons(write: Write, row: str, expected: str) -> None:
    text = f"controller: c\ncomparisons:\n  rank:\n    rows:\n      r: {row}\n"
    assert mistakes(write, "room/controller.yaml", text) == [expected]


MACHINE = """\
kind: Thing
regions:
  life:
    states:
      A: {when: {}}
    transitions:
      t: {from: Absent, to: A, actors: [user]}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("to: A,", "to: B,", ["7:7: unknown state 'B' in transition 't', expected one of: A, Absent"]),
        ("from: Absent", "from: [Absnt]", ["7:7: unknown state 'Absnt' in transition 't', did you mean 'Absent'?"]),
        ("from: Absent", "from: A", ["7:7: transition 't' leaves the state 'A' unchanged; that needs no transition"]),
        ("A: {when: {}}", "A: {}", ["5:7: key 'when' is missing, expected a mapping"]),
        ("A: {when: {}}", 'A: {when: {n: "[2..1]"}}', ["5:18: 'n': the interval '[2..1]' is empty, expected the lower"
                                                       " number first"]),
        ("A: {when: {}}", "A: {when: {}}\n      Absent: {when: {}}",
         ["6:7: state 'Absent' is implicit (no object), expected another name"]),
        ("actors: [user]", "actors: []", ["7:7: transition 't' needs a state to come from and an actor"]),
        ("actors: [user]", "guard: [g]", ["7:7: key 'actors' is missing, expected a list",
                                          "7:32: unknown key 'guard', did you mean 'guards'?"]),
    ],
)  # fmt: skip
def test_mistakes_in_machines(write: Write, old: str, new: str, expected: list[str]) -> None:
    assert old in MACHINE
    assert mistakes(write, "thing/machine.yaml", MACHINE.replace(old, new)) == expected


def test_the_mistakes_of_all_files_are_collected(write: Write) -> None:
    write("one/controller.yaml", TABLE.replace("unique", "any"))
    write("two/machine.yaml", MACHINE.replace("to: A", "to: B"))
    root = write("constants.yaml", "limit: 3\nother: {value: 3, units: s}\n")
    with pytest.raises(SpecError) as caught:
        load_specs(root)
    assert [str(each.at) for each in caught.value.mistakes] == [
        "specs/constants.yaml:1:8",
        "specs/constants.yaml:2:19",
        "specs/one/controller.yaml:4:10",
        "specs/two/machine.yaml:7:7",
    ]


def test_one_bad_room_does_not_hinder_another(write: Write) -> None:
    write("bad/controller.yaml", "tables: [")
    write("good/controller.yaml", TABLE)
    assert list(load_tables("good")["controller.yaml"].tables) == ["t"]
    with pytest.raises(SpecError):
        load_tables("bad")


def test_one_bad_constant_does_not_hinder_another(write: Write) -> None:
    write("constants.yaml", "bad: 3\ngood: {value: 4, unit: s}\n")
    assert load_constants(strict=False)["good"].value == 4
    with pytest.raises(SpecError):
        load_constants()


def test_every_row_knows_its_place(write: Write) -> None:
    write("room/controller.yaml", TABLE)
    table = load_tables("room")["controller.yaml"].tables["t"]
    assert [(row.at.line, row.at.column) for row in table.rules.values()] == [(7, 7), (8, 7)]
    assert str(table.rules["y"].cells_at["a"]) == "specs/room/controller.yaml:8:11"


def test_from_may_be_one_state_or_a_list(write: Write) -> None:
    write("thing/machine.yaml", MACHINE)
    machine = load_machine("thing")
    assert machine is not None
    assert machine.regions["life"].transitions["t"].from_ == ("Absent",)


def test_other_files_of_a_room_are_tables_when_their_first_line_says_so(write: Write) -> None:
    write("room/layout.yaml", "# yaml-language-server: $schema=../schema/layout.schema.json\nwhatever: 1\n")
    write("room/a.yaml", f"# yaml-language-server: $schema=../schema/controller.schema.json\n{TABLE}")
    write("room/controller.yaml", TABLE.replace("  t:", "  u:"))
    assert list(load_tables("room")) == ["controller.yaml", "a.yaml"]


def test_the_directory_is_the_variable_else_the_checkout(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write("constants.yaml", "")
    assert specs_dir() == root
    monkeypatch.delenv("K8SFSM_SPECS")
    assert specs_dir() == SPECS


def test_nothing_depends_on_the_hash_seed(tmp_path: Path) -> None:
    copy = tmp_path / "specs"
    shutil.copytree(SPECS, copy)
    script = (
        "from k8sfsm.spec import load_specs\n"
        "from k8sfsm.spec.lint import Code, lint\n"
        "from k8sfsm.spec.mutate import mutants\n"
        "from k8sfsm.spec.sheet import show\n"
        "specs = load_specs()\n"
        "for each in (*mutants(specs), *show(specs), *lint(specs, Code())):\n"
        "    print(each)\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONHASHSEED": seed, "K8SFSM_SPECS": str(copy)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
