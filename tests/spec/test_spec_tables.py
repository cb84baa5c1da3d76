"""Decision tables and comparisons: what they decide, what they ask, what they refuse."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_files import Write

from k8sfsm.law import Law, LawError, usable
from k8sfsm.request import Delete, Parallel, Record, Why
from k8sfsm.spec.model import Hit
from k8sfsm.spec.unary import parse_test
from k8sfsm.table import CompiledTable, Row

CELLS = ["-", True, False, None, 0, 2, "< 0", ">= 1", "!= 2", "[0..2]", "not [a, 0]", "a", ["a", None], "(0..2)"]
VALUES = [True, False, None, -1, 0, 1, 2, 3, 0.5, "a", "b"]


def table(hit: Hit, names: list[str], rows: list[list[Any]], asked: list[str]) -> CompiledTable:
    def fact(name: str) -> Any:
        def ask(case: dict[str, Any]) -> Any:
            asked.append(name)
            return case[name]

        return ask

    compiled = [
        Row(rule=f"T/t/r{number}", tests={name: parse_test(raw) for name, raw in zip(names, row, strict=True)})
        for number, row in enumerate(rows)
    ]
    return CompiledTable("T/t", hit, {name: fact(name) for name in names}, compiled)


def holding(names: list[str], rows: list[list[Any]], case: dict[str, Any]) -> list[str]:
    """The rows that hold, found the plain way."""
    return [
        f"T/t/r{number}"
        for number, row in enumerate(rows)
        if all(parse_test(raw).holds(case[name]) for name, raw in zip(names, row, strict=True))
    ]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.lists(st.sampled_from(CELLS), min_size=3, max_size=3), min_size=1, max_size=6),
    cases=st.lists(st.lists(st.sampled_from(VALUES), min_size=3, max_size=3), min_size=1, max_size=12),
)
def test_compiled_tables_decide_as_the_plain_reading_does(rows: list[list[Any]], cases: list[list[Any]]) -> None:
    names = ["a", "b", "c"]
    asked: list[str] = []
    tables = {hit: table(hit, names, rows, asked) for hit in ("unique", "first", "collect")}
    for values in cases:
        case = dict(zip(names, values, strict=True))
        expected = holding(names, rows, case)
        del asked[:]
        collected = tables["collect"].collect(case)
        assert [each.rule for each in collected] == expected
        assert len(asked) == len(set(asked))
        if collected:
            assert list(collected[0].facts) == asked
        if expected:
            assert tables["first"].decide(case).rule == expected[0]
        else:
            with pytest.raises(LawError):
                tables["first"].decide(case)
        if len(expected) == 1:
            assert tables["unique"].decide(case).rule == expected[0]
        else:
            with pytest.raises(LawError):
                tables["unique"].decide(case)


def test_facts_are_asked_in_order_and_only_while_a_row_needs_them() -> None:
    asked: list[str] = []
    rows: list[list[Any]] = [[True, "-", "-"], [False, True, "-"], [False, False, "> 0"], [False, False, "<= 0"]]
    compiled = table("unique", ["a", "b", "c"], rows, asked)
    assert compiled.decide({"a": True}).facts == {"a": True}
    assert compiled.decide({"a": False, "b": True}).facts == {"a": False, "b": True}
    assert compiled.decide({"a": False, "b": False, "c": 3}).facts == {"a": False, "b": False, "c": 3}
    assert asked == ["a", "a", "b", "a", "b", "c"]


def test_first_does_not_ask_for_rows_behind_one_that_holds() -> None:
    asked: list[str] = []
    compiled = table("first", ["a", "b"], [[True, "-"], ["-", True], ["-", "-"]], asked)
    assert compiled.decide({"a": True}).rule == "T/t/r0"
    assert asked == ["a"]


def test_unique_says_which_rows_hold_together() -> None:
    compiled = table("unique", ["a"], [["> 0"], ["> 1"], ["< 0"]], [])
    with pytest.raises(LawError) as caught:
        compiled.decide({"a": 2})
    assert str(caught.value) == "T/t: the rules r0, r1 hold together for a=2, expected exactly one"
    with pytest.raises(LawError) as caught:
        compiled.decide({"a": 0})
    assert str(caught.value) == "T/t: no rule holds for a=0"


def test_a_list_or_map_is_none_of_the_values_that_tests_name() -> None:
    asked = table("first", ["a"], [["x"], ["> 1"], ["not [x]"]], [])
    for strange in ({"x": 1}, ["x"]):
        assert asked.decide({"a": strange}).rule == "T/t/r2"
        assert asked.decide({"a": "x"}).rule == "T/t/r0"


def test_collect_tables_are_not_decided() -> None:
    compiled = table("collect", ["a"], [[True], [True]], [])
    with pytest.raises(LawError, match=r"hit policy collect, expected collect\(\) instead of decide\(\)"):
        compiled.decide({"a": True})


def test_an_error_in_a_fact_says_where() -> None:
    compiled = table("first", ["a"], [[True]], [])
    with pytest.raises(KeyError) as caught:
        compiled.decide({})
    assert caught.value.__notes__ == ["while asking the fact 'a' of T/t"]
    with pytest.raises(KeyError) as caught:
        compiled.collect({})
    assert caught.value.__notes__ == ["while asking the fact 'a' of T/t"]


def test_many_different_numbers_do_not_make_the_graph_grow() -> None:
    compiled = table("first", ["a"], [["< 10"], ["[10..20]"], ["-"]], [])
    for number in range(1000):
        compiled.decide({"a": number})
    assert len(compiled.graph.nodes) == 4
    assert len(compiled.graph.root.points) <= 64 + 4


# -- laws -------------------------------------------------------------------------------------------------------------

ROOM = """\
controller: thing-controller
reconciles: Thing
tables:
  manage:
    hit: unique
    inputs: [surplus]
    outputs: [phase]
    rules:
      create: {surplus: "< 0", then: [make, tell], phase: Growing}
      delete: {surplus: "> 0", then: [kill]}
      steady: {surplus: 0, phase: [a, b]}
  notes:
    hit: collect
    inputs: [surplus]
    rules:
      any: {then: [tell]}
      many: {surplus: "> 1", then: [kill]}
comparisons:
  rank:
    rows:
      ready: {by: ready, first: higher}
      size: {by: size, first: lower}
  judged:
    rows:
      stop: {compare: both_marked, final: true}
      size: {by: size, first: higher}
"""


@pytest.fixture
def law(write: Write) -> Law:
    write("thing/controller.yaml", ROOM)
    law = Law("thing")

    @law.fact
    def surplus(case: int) -> int:
        """Too many."""
        return case

    @law.fact
    def ready(item: tuple[bool, int]) -> bool:
        """Ready."""
        return item[0]

    @law.fact
    def size(item: tuple[bool, int], case: int) -> int:
        """Size, in units of the case."""
        return item[1] // case

    @law.comparison
    def both_marked(a: tuple[bool, int], b: tuple[bool, int], case: int) -> int:
        """The greater size first, as long as one is not ready."""
        return (b[1] - a[1]) if not (a[0] and b[0]) else 0

    @law.action
    def make(case: int, decision: Any) -> Any:
        """Orders nothing."""
        return ()

    @law.action
    def tell(case: int, decision: Any) -> Any:
        """An event, with a cause of its own."""
        yield Record(regarding=case, type="Normal", reason="R", message="m", why=Why(rule="own"))

    @law.action
    def kill(case: int, decision: Any) -> Any:
        """Deletions, together and alone."""
        one = Delete(key=("Thing", "", "x"))
        return [Parallel(writes=(one, one)), one]

    return law


def test_decisions_name_rule_facts_actions_and_outputs(law: Law) -> None:
    decision = law.decide("manage", -2)
    assert decision.rule == "Thing/manage/create"
    assert decision.name == "create"
    assert decision.facts == {"surplus": -2}
    assert decision.actions == ("make", "tell")
    assert decision.outputs == {"phase": "Growing"}
    assert decision.why == Why(rule="Thing/manage/create", facts={"surplus": -2})
    assert law.decide("manage", 1).outputs == {"phase": None}
    assert law.decide("manage", 0).outputs == {"phase": ("a", "b")}
    assert [each.name for each in law.collect("notes", 2)] == ["any", "many"]


def test_actions_are_performed_in_order_and_steps_get_their_cause(law: Law) -> None:
    decision = law.decide("manage", 1)
    parallel, single = law.perform(decision, 1)
    assert isinstance(parallel, Parallel) and isinstance(single, Delete)
    assert [write.why for write in parallel.writes] == [decision.why, decision.why]
    assert single.why == decision.why
    (event,) = law.perform(law.decide("manage", -1), -1)
    assert isinstance(event, Record)
    assert event.why == Why(rule="own")
    assert law.perform(law.decide("manage", 0), 0) == ()


def test_comparisons_order_by_the_first_row_that_differs(law: Law) -> None:
    items = [(False, 10), (True, 25), (True, 11), (False, 5), (True, 12)]
    assert law.order("rank", items, 10) == ((True, 11), (True, 12), (True, 25), (False, 5), (False, 10))
    assert law.compare("rank", (True, 30), (False, 10), 10) < 0
    assert law.compare("rank", (True, 30), (True, 10), 10) > 0
    assert law.compare("rank", (True, 31), (True, 35), 10) == 0


def test_a_final_row_ends_the_comparison(law: Law) -> None:
    assert law.compare("judged", (True, 1), (True, 99), 1) == 0
    assert law.compare("judged", (False, 1), (True, 99), 1) > 0


def test_order_keeps_equal_items_in_their_order(law: Law) -> None:
    for items in itertools.permutations([(True, 10), (True, 11), (True, 12)]):
        assert law.order("rank", items, 100) == items


def test_unknown_names_say_what_is_near(law: Law) -> None:
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: law.decide("mange", 1), "unknown table 'mange' in room 'thing', did you mean 'manage'?"),
        (lambda: law.compare("rnk", 1, 2, 1), "unknown comparison 'rnk' in room 'thing', did you mean 'rank'?"),
        (lambda: law.function("fact", "surpls"), "unknown fact 'surpls' in room 'thing', did you mean 'surplus'?"),
        (lambda: law.function("key", "x"), "unknown key 'x' in room 'thing', none is known here"),
        (lambda: Law("nowhere").controller(), "room 'nowhere' has no controller.yaml in specs/"),
    ]
    for call, message in calls:
        with pytest.raises(LawError) as caught:
            call()
        assert str(caught.value) == message


def test_names_are_unique_in_a_room_and_documented(law: Law) -> None:
    def make(case: int) -> int:
        """Named as an action is."""
        return case

    def undocumented(case: int) -> int:
        return case

    with pytest.raises(LawError, match=r"fact 'make' of room 'thing' .* has the name of the action"):
        law.fact(make)
    with pytest.raises(LawError, match="guard 'undocumented' of room 'thing' has no docstring"):
        law.guard(undocumented)


def test_laws_of_a_room_are_one_object(law: Law) -> None:
    assert Law("thing") is law
    assert repr(law) == "Law('thing')"


def test_constants_are_read_as_written(write: Write, law: Law) -> None:
    write("constants.yaml", "delay: {value: 300, unit: s}\nnames: {value: [a, b]}\nbad: 3\n")
    assert law.constant("delay") == 300
    assert law.constant("names") == ("a", "b")
    write("constants.yaml", "delay: {value: 300, unit: s}\n")
    with pytest.raises(LawError, match="unknown constant 'dely', did you mean 'delay'"):
        law.constant("dely")


def test_the_key_self_is_built_in(law: Law) -> None:
    class Changed:
        key = ("Thing", "", "x")

    assert law.function("key", "self")(Changed(), None) == (("Thing", "", "x"),)


def test_usable_says_what_hinders_a_room(write: Write, law: Law) -> None:
    assert usable("thing") == ()
    write("thing/controller.yaml", ROOM.replace("[make, tell]", "[mke]").replace("by: ready", "by: redy"))
    assert usable("thing") == (
        "specs/thing/controller.yaml:4:3: unknown action 'mke' in room 'thing', did you mean 'make'?",
        "specs/thing/controller.yaml:19:3: unknown fact 'redy' in room 'thing', did you mean 'ready'?",
    )
    write("thing/controller.yaml", "controller: 3\n")
    assert usable("thing") == (
        "specs/thing/controller.yaml:1:13: 'controller': the number 3 stands here, expected a text",
    )
