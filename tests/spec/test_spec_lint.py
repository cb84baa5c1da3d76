"""Lint: every check finds what it is for, and nothing in a sound spec."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_files import Write

from k8sfsm.law import Count
from k8sfsm.spec import Position, load_specs
from k8sfsm.spec.code import constants_used, where
from k8sfsm.spec.domain import OTHER, domain
from k8sfsm.spec.lint import Code, lint
from k8sfsm.spec.proof import column, prove
from k8sfsm.spec.unary import parse_test

SCHEMA = "# yaml-language-server: $schema=../schema/{}.schema.json\n"


class Color(enum.Enum):
    RED = 1
    BLUE = 2


def surplus(case: Any) -> int:
    return 0


def missing(case: Any) -> Count:
    return 0


def deleting(case: Any) -> bool:
    return False


def phase(case: Any) -> Literal["Running", "Done"]:
    return "Done"


def reason(case: Any) -> str | None:
    return None


def untyped(case):  # type: ignore[no-untyped-def]
    return None


def act(case: Any, decision: Any) -> tuple[()]:
    return ()


FACTS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (surplus, missing, deleting, phase, reason, untyped)
}


def table(hit: str, inputs: str, rules: str, more: str = "source: s") -> str:
    rows = "".join(f"      {row}\n" for row in rules.split("; "))
    head = f"controller: c\ntables:\n  t:\n    hit: {hit}\n    {more}\n    inputs: [{inputs}]\n    rules:\n"
    return SCHEMA.format("controller") + head + rows


def findings(
    root: Path, code: Code | None = None, without: tuple[str, ...] = ("unused-fact", "first-line")
) -> list[str]:
    code = code or Code(rooms={"room": {"fact": FACTS}})
    return [
        f"{each.at.line}: {each.message} [{each.check}]"
        for each in lint(load_specs(root), code)
        if each.check not in without
    ]


@pytest.mark.parametrize(
    ("hit", "inputs", "rules", "expected"),
    [
        ("unique", "deleting, surplus",
         'a: {deleting: true}; b: {deleting: false, surplus: "< 0"}; c: {deleting: false, surplus: ">= 0"}', []),
        ("unique", "surplus", 'a: {surplus: "< 0"}; b: {surplus: "> 0"}', ["4: table 't' has no row for surplus=0"
                                                                          " [incomplete]"]),
        ("unique", "surplus", 'a: {surplus: "<= 0"}; b: {surplus: ">= 1"}', []),
        ("unique", "surplus", 'a: {surplus: "<= 0"}; b: {surplus: ">= 0"}', [
            "10: rule 'a' and rule 'b' hold together for surplus=0, expected only one [overlap]"]),
        ("unique", "missing", 'a: {missing: 0}; b: {missing: "> 0"}', []),
        ("unique", "surplus", 'a: {surplus: 0}; b: {surplus: "> 0"}', ["4: table 't' has no row for surplus=-1"
                                                                      " [incomplete]"]),
        ("unique", "phase", "a: {phase: Running}; b: {phase: Done}", []),
        ("unique", "phase", "a: {phase: Running}; b: {phase: Don}", [
            "4: table 't' has no row for phase=Done [incomplete]",
            "10: rule 'b': the test of 'phase' holds for no value that the fact can have [dead-test]"]),
        ("unique", "reason", 'a: {reason: null}; b: {reason: "!= null"}', []),
        ("unique", "reason", "a: {reason: null}; b: {reason: Lost}", [
            "4: table 't' has no row for reason=any other value [incomplete]"]),
        ("unique", "untyped", 'a: {untyped: "< 0"}; b: {untyped: ">= 0"}', [
            "4: table 't' has no row for untyped=null [incomplete]"]),
        ("first", "deleting, surplus", 'a: {deleting: true}; b: {surplus: "> 0"}; c: {}', []),
        ("first", "deleting", "a: {deleting: true}; b: {}; c: {deleting: false}", [
            "11: rule 'c' is never reached: the rows before it take all its cases [unreachable-row]"]),
        ("first", "deleting", "a: {deleting: true}", ["4: table 't' has no row for deleting=false [incomplete]"]),
        ("collect", "deleting", "a: {deleting: true}; b: {deleting: true}", []),
        ("collect", "surplus", 'a: {surplus: "> 0"}; b: {surplus: "(0..1)"}', [
            "10: rule 'b': the test of 'surplus' holds for no value that the fact can have [dead-test]"]),
        ("unique", "deleting, surplus", "a: {deleting: true}; b: {deleting: false}", [
            "4: table 't': no rule tests the input 'surplus' [unused-column]"]),
    ],
)  # fmt: skip
def test_tables_are_proven(write: Write, hit: str, inputs: str, rules: str, expected: list[str]) -> None:
    assert findings(write("room/controller.yaml", table(hit, inputs, rules))) == expected


def test_at_most_five_gaps_are_listed(write: Write) -> None:
    rules = "; ".join(f"r{number}: {{surplus: {number * 2}}}" for number in range(8))
    found = findings(write("room/controller.yaml", table("unique", "surplus", rules)))
    assert len(found) == 1  # all gaps between numbers are one class of cases: no row at all holds


def test_outputs_without_value_are_found(write: Write) -> None:
    text = table("first", "deleting", "a: {}", "source: s\n    outputs: [phase]")
    assert "5: table 't': no rule gives the output 'phase' a value [unused-column]" in [
        line.replace("4:", "5:") for line in findings(write("room/controller.yaml", text))
    ]


def test_sources_are_asked_for(write: Write) -> None:
    text = table("first", "deleting", "a: {deleting: true, source: x}; b: {}", "doc: no source")
    assert findings(write("room/controller.yaml", text)) == [
        "10: rule 'b' has no source, expected one there or at the table 't' [source]"
    ]


def test_names_are_known_and_used(write: Write) -> None:
    text = table("first", "deletin, deleting", "a: {deletin: true, then: [act, akt]}; b: {deleting: true}; c: {}")
    text += "watches:\n  - {kind: Pod, key: self}\n  - {kind: Pod, key: owner}\n"
    root = write("room/controller.yaml", text)
    code = Code(rooms={"room": {"fact": {"deleting": deleting, "phase": phase}, "action": {"act": act}}}, where=where)
    line = phase.__code__.co_firstlineno
    assert findings(root, code, without=("first-line", "unused-column")) == [
        "4: fact 'deletin' is not registered in Law('room'), did you mean 'deleting'? [unknown-fact]",
        "9: action 'akt' is not registered in Law('room'), did you mean 'act'? [unknown-action]",
        "14: key 'owner' is not registered in Law('room'), none is known here [unknown-key]",
        f"{line}: fact 'phase' of Law('room') is registered, but no spec uses it [unused-fact]",
    ]


def test_comparisons_are_checked(write: Write) -> None:
    text = "controller: c\ncomparisons:\n  k:\n    rows:\n      a: {by: siz, first: lower}\n      b: {compare: x}\n"
    assert findings(write("room/controller.yaml", text), Code()) == [
        "5: row 'a' has no source, expected one there or at the comparison 'k' [source]",
        "5: fact 'siz' is not registered in Law('room'), none is known here [unknown-fact]",
        "6: row 'b' has no source, expected one there or at the comparison 'k' [source]",
        "6: comparison 'x' is not registered in Law('room'), none is known here [unknown-comparison]",
    ]


def test_machines_are_checked(write: Write) -> None:
    root = write(
        "room/machine.yaml",
        SCHEMA.format("machine")
        + """\
kind: Room
regions:
  r:
    source: s
    states:
      A: {when: {deleting: true}}
      B: {when: {deleting: true}}
      C: {when: {phase: Done}, final: true}
      D: {when: {phase: Running}}
    transitions:
      t: {from: Absent, to: A, actors: [usr]}
      u: {from: A, to: C, actors: [user], guards: [g]}
      v: {from: C, to: D, actors: [user]}
""",
    )
    assert findings(root) == [
        "8: no transition leaves state 'B' of region 'r', expected one, or `final: true` [dead-end]",
        "8: state 'B' is never reached: the rows before it take all its cases [unreachable-row]",
        "8: no transitions lead from Absent to state 'B' [unreachable-state]",
        "9: state 'C' is final, but a transition leaves it [final]",
        "10: no transition leaves state 'D' of region 'r', expected one, or `final: true` [dead-end]",
        "12: transition 't': unknown actor 'usr', did you mean 'user'? [actor]",
        "13: guard 'g' is not registered in Law('room'), none is known here [unknown-guard]",
    ]


def test_a_machine_lies_in_the_room_of_its_kind(write: Write) -> None:
    text = "kind: Pod\nregions:\n  r: {source: s, states: {A: {when: {}}}, transitions: {}}\n"
    assert "1: the machine of 'Pod' lies in room 'room', expected 'pod' [room]" in findings(
        write("room/machine.yaml", text)
    )


def test_states_transitions_and_invariants_are_cited(write: Write) -> None:
    write(
        "room/machine.yaml",
        "kind: Room\nregions:\n  r:\n    states:\n      A: {when: {}}\n    transitions:\n"
        "      t: {from: Absent, to: A, actors: [user]}\n      u: {from: A, to: Absent, actors: [user]}\n",
    )
    root = write("room/invariants.yaml", "kind: Room\ninvariants:\n  i: {type: safety, holds: h}\n")
    assert [line for line in findings(root) if "[source]" in line] == [
        "3: invariant 'i' has no source, expected one [source]",
        "5: state 'A' has no source, expected one there or at the region 'r' [source]",
        "7: transition 't' has no source, expected one there or at the region 'r' [source]",
        "8: transition 'u' has no source, expected one there or at the region 'r' [source]",
    ]


def test_constants_are_known_used_and_cited(write: Write) -> None:
    root = write("constants.yaml", "delay: {value: 3}\nlimit: {value: 4, source: s}\n")
    code = Code(constants=(("delay", Position("x.py", 1, 1)), ("dely", Position("x.py", 2, 1))))
    assert findings(root, code) == [
        "1: constant 'delay' has no source, expected one [source]",
        "2: no code asks for the constant 'limit' [unused-constant]",
        "2: constant 'dely' has no row in constants.yaml, did you mean 'delay'? [unknown-constant]",
    ]


def test_first_lines_name_the_schema(write: Write) -> None:
    write("schema/machine.schema.json", "{}")
    write("schema/scenario.schema.json", "{}")
    write("constants.yaml", "# nothing\n")
    write("scenarios/a.yaml", SCHEMA.format("scenario"))
    write("room/machine.yaml", SCHEMA.format("controller") + "kind: Room\nregions: {}\n")
    root = write("room/other.yaml", SCHEMA.format("layout"))
    expected = "the first line does not name the file's schema, expected: # yaml-language-server: $schema="
    assert [str(each) for each in lint(load_specs(root), Code())] == [
        f"specs/constants.yaml:1:1: {expected}schema/constants.schema.json [first-line]",
        f"specs/room/machine.yaml:1:1: {expected}../schema/machine.schema.json [first-line]",
        "specs/room/other.yaml:1:1: the schema 'layout' that the first line names does not exist [first-line]",
    ]


def test_constants_are_found_in_sources(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "a.py").write_text("x = law.constant('one')\ny = constant(\n    'two')\nz = constant(name)\n", "utf-8")
    (package / "b.py").write_text("constant('broken'", "utf-8")
    assert [(name, str(at)) for name, at in constants_used(package)] == [
        ("one", "pkg/a.py:1:5"),
        ("two", "pkg/a.py:2:5"),
    ]


def test_domains_follow_the_return_type() -> None:
    tests = [parse_test(raw) for raw in ("> 0", 5, "A", None)]
    assert domain(bool, tests) == (True, False)
    assert domain(Literal["A", "B"], tests) == ("A", "B")
    assert domain(Color, tests) == (Color.RED, Color.BLUE)
    assert domain(str | None, tests) == ("A", OTHER, None)
    assert domain(int, tests) == (-1, 0, 1, 4, 5, 6)
    assert domain(Count, tests) == (0, 1, 4, 5, 6)
    assert domain(float, [parse_test("[0..1]")]) == (-1, 0, 0.5, 1, 2)
    assert {True, None, OTHER, "A", 5, 2.5} <= set(domain(Any, tests))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["-", True, False]),
            st.sampled_from(["-", "< 0", "0", "> 0", ">= 2", "[0..1]"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_proofs_agree_with_trying_everything(rows: list[tuple[Any, Any]]) -> None:
    tests = [[parse_test(raw) for raw in each] for each in zip(*rows, strict=True)]
    columns = [column("a", bool, tests[0]), column("b", int, tests[1])]
    cases = [
        tuple(row for row in range(len(rows)) if tests[0][row].holds(a) and tests[1][row].holds(b))
        for a, b in itertools.product((True, False), range(-3, 5))
    ]
    unique = prove("unique", columns, len(rows))
    assert bool(unique.gaps) == any(not held for held in cases)
    assert {held for held, _ in unique.overlaps} == {held for held in cases if len(held) > 1}
    first = prove("first", columns, len(rows))
    hit = {held[0] for held in cases if held}
    assert set(first.unreachable) == set(range(len(rows))) - hit
