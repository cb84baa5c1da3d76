"""Mutants: all of them, each different, each written and read back."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from spec_files import SPECS, Write
from test_spec_show import CONTROLLER, INVARIANTS, MACHINE

from k8sfsm.spec import SpecError, load_specs
from k8sfsm.spec.mutate import Mutant, mutants, opposite_text, write_mutant


def lines(root: Path) -> list[str]:
    return [str(mutant).removeprefix("specs/") for mutant in mutants(load_specs(root))]


def test_tables_and_comparisons(write: Write) -> None:
    text = CONTROLLER.replace("  rank:", "  other-rank:")
    text = text.replace("      else: {}", "      else: {surplus: true, phase: 3}")
    assert lines(write("thing/controller.yaml", text)) == [
        "thing/controller.yaml:15:7: delete-row Thing/manage/create: the row is gone",
        "thing/controller.yaml:15:16: flip-comparison Thing/manage/create: surplus: < 0 -> >= 0",
        "thing/controller.yaml:15:46: change-output Thing/manage/create: phase: Growing -> not Growing",
        "thing/controller.yaml:15:7: drop-action Thing/manage/create: action make is not ordered",
        "thing/controller.yaml:16:7: delete-row Thing/manage/wait: the row is gone",
        "thing/controller.yaml:16:14: drop-value Thing/manage/wait: surplus: 0 is left out of the list",
        "thing/controller.yaml:16:14: drop-value Thing/manage/wait: surplus: None is left out of the list",
        "thing/controller.yaml:17:7: delete-row Thing/manage/else: the row is gone",
        "thing/controller.yaml:17:14: flip-boolean Thing/manage/else: surplus: true -> false",
        "thing/controller.yaml:17:29: change-output Thing/manage/else: phase: 3 -> 4",
        "thing/controller.yaml:22:7: delete-row Thing/other-rank/size: the row is gone",
        "thing/controller.yaml:22:7: flip-first Thing/other-rank/size: higher goes first",
        "thing/controller.yaml:23:7: delete-row Thing/other-rank/age: the row is gone",
        "thing/controller.yaml:23:7: flip-boolean Thing/other-rank/age: equal goes on to the next row",
    ]


def test_machines_and_constants(write: Write) -> None:
    write("constants.yaml", "limit: {value: 3}\nname: {value: x}\n")
    found = lines(write("thing/machine.yaml", MACHINE))
    assert [line for line in found if "Thing/life/finish" in line] == [
        "thing/machine.yaml:10:7: delete-row Thing/life/finish: the row is gone",
        "thing/machine.yaml:10:7: swap-actor Thing/life/finish: actor kubelet -> a",
        "thing/machine.yaml:10:7: swap-target Thing/life/finish: to Done -> Absent",
        "thing/machine.yaml:10:7: drop-guard Thing/life/finish: guard g is not asked",
    ]
    assert found[0] == "thing/machine.yaml:6:21: flip-comparison Thing/life/Done: phase: Done -> != Done"
    assert found[-1] == "constants.yaml:1:1: change-constant constants/limit: 3 -> 7"


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("< 0", ">= 0"), ("<=3", "> 3"), ("> 1", "<= 1"), (">= 2", "< 2"), ("!= x", "x"), ("x", "!= x"),
        ("not [A, B]", ["A", "B"]), ("[1..5]", None),
    ],
)  # fmt: skip
def test_opposites(text: str, opposite: object) -> None:
    assert opposite_text(text) == opposite


def meaning(root: Path, room: str) -> str:
    """What a room and the constants say; positions aside."""
    return re.sub(r"Position\([^)]*\)|path='[^']*'", "", repr(load_specs(root, [room])))


def room_of(mutant: Mutant) -> str:
    return mutant.file.partition("/")[0] if "/" in mutant.file else "thing"


def test_every_mutant_is_written_and_differs(write: Write, tmp_path: Path) -> None:
    write("thing/controller.yaml", CONTROLLER)
    write("thing/machine.yaml", MACHINE)
    root = write("thing/invariants.yaml", INVARIANTS)
    before = meaning(root, "thing")
    found: list[Mutant] = list(mutants(load_specs(root)))
    assert len({mutant.id for mutant in found}) == len(found)
    for number, mutant in enumerate(found):
        target = tmp_path / str(number)
        file = write_mutant(mutant, root, target)
        assert file.read_text("utf-8").startswith("# yaml-language-server")
        assert meaning(target, "thing") != before, mutant


def test_mutants_of_the_real_specs(tmp_path: Path) -> None:
    """Every kind of mutant of the specs of this checkout is a spec that can be read, and another one."""
    copy = tmp_path / "specs"
    shutil.copytree(SPECS, copy)
    found = list(mutants(load_specs(copy)))
    assert len({mutant.id for mutant in found}) == len(found)
    chosen: dict[str, Mutant] = {}
    for mutant in found:
        if "/" in mutant.file and mutant.operation not in chosen:
            chosen[mutant.operation] = mutant
    assert len(chosen) >= 8
    for operation, mutant in chosen.items():
        write_mutant(mutant, copy, tmp_path / operation)
        assert meaning(tmp_path / operation, room_of(mutant)) != meaning(copy, room_of(mutant)), mutant


def test_a_mutant_of_an_unreadable_file_is_refused(write: Write, tmp_path: Path) -> None:
    root = write("thing/controller.yaml", CONTROLLER)
    mutant = next(iter(mutants(load_specs(root))))
    write("thing/controller.yaml", "a: 1\na: 2\n")
    with pytest.raises(SpecError):
        write_mutant(mutant, root, tmp_path / "copy")
