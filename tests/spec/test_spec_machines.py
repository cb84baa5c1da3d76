"""Machines: what state an object is in, which writes are transitions, and why the others are not."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve, frozen
from spec_files import SPECS, Write

from k8sfsm.law import Law, LawError, Transition
from k8sfsm.machine import ABSENT, LEGAL, Illegal, Machines, Move, RegionMachine
from k8sfsm.spec import Region, load_specs

MACHINE = """\
kind: Thing
source: somewhere
regions:
  life:
    states:
      Done: {when: {phase: Done}, final: true}
      Running: {when: {phase: Running}}
      Waiting: {when: {}}
    transitions:
      create: {from: Absent, to: Waiting, actors: [user]}
      start: {from: Waiting, to: Running, actors: [kubelet], guards: [placed, same_owner]}
      adopt: {from: Waiting, to: Running, actors: [kubelet, user], guards: [adopted]}
      finish: {from: [Waiting, Running], to: Done, actors: [kubelet]}
      remove: {from: [Waiting, Running], to: Absent, actors: [user]}
  deletion:
    states:
      Deleting: {when: {deleting: true}}
      Live: {when: {deleting: false}}
    transitions:
      create: {from: Absent, to: Live, actors: [user]}
      delete: {from: Live, to: Deleting, actors: [user]}
      remove: {from: [Live, Deleting], to: Absent, actors: [user]}
"""


@frozen
class Thing:
    phase: str = "Waiting"
    deleting: Any = False
    node: str = ""
    owner: str = ""
    kind = "Thing"


@pytest.fixture
def machines(write: Write) -> Machines:
    root = write("thing/machine.yaml", MACHINE)
    law = Law("thing")

    @law.fact
    def phase(thing: Thing) -> str:
        """Its phase."""
        return thing.phase

    @law.fact
    def deleting(thing: Thing) -> Any:
        """Whether it goes away."""
        return thing.deleting

    @law.guard
    def placed(write: Transition) -> bool:
        """It has a node."""
        return bool(write.new.node)

    @law.guard
    def same_owner(write: Transition) -> bool:
        """Its owner stays, and so does the whole that it belongs to."""
        return bool(write.old.owner == write.new.owner and write.old_whole == write.new_whole)

    @law.guard
    def adopted(write: Transition) -> bool:
        """It got an owner."""
        return bool(write.new.owner and write.now > 5)

    return Machines.load(root)


def test_states_are_read_off_the_object(machines: Machines) -> None:
    assert machines.classify(Thing()) == {"life": "Waiting", "deletion": "Live"}
    assert machines.classify(Thing(phase="Done", deleting=True)) == {"life": "Done", "deletion": "Deleting"}
    assert machines.kinds() == ("Thing",)
    assert machines.regions("Thing") == ("life", "deletion")
    assert machines.region("Thing", "life").states == (ABSENT, "Done", "Running", "Waiting")


def test_an_object_without_a_state_is_an_error(machines: Machines) -> None:
    with pytest.raises(LawError, match="Thing/deletion: no state's `when` holds for"):
        machines.classify(Thing(deleting=None))


def test_kinds_without_machine_have_no_states(machines: Machines) -> None:
    other = SimpleNamespace(kind="Other")
    assert machines.classify(other) == {}
    assert machines.check(None, other, "user", 0) is LEGAL
    assert machines.check_part("Other", None, other, "user", 0) is LEGAL
    assert machines.regions("Other") == ()
    with pytest.raises(LawError, match="unknown region 'Thing/lif', did you mean 'life'"):
        machines.region("Thing", "lif")


def test_a_write_moves_every_region_that_it_changes(machines: Machines) -> None:
    created = machines.check(None, Thing(), "user", 0)
    assert created.legal
    assert created.moves == (
        Move("Thing", "life", ABSENT, "Waiting", "Thing/life/create"),
        Move("Thing", "deletion", ABSENT, "Live", "Thing/deletion/create"),
    )
    assert machines.check(Thing(), Thing(node="n"), "anybody", 0) is LEGAL
    removed = machines.check(Thing(deleting=True), None, "user", 0)
    assert [move.rule for move in removed.moves] == ["Thing/life/remove", "Thing/deletion/remove"]


def test_the_first_transition_whose_guards_hold_is_taken(machines: Machines) -> None:
    old = Thing()
    assert machines.check(old, evolve(old, phase="Running", node="n"), "kubelet", 9).moves == (
        Move("Thing", "life", "Waiting", "Running", "Thing/life/start"),
    )
    assert machines.check(old, evolve(old, phase="Running", owner="o"), "kubelet", 9).moves == (
        Move("Thing", "life", "Waiting", "Running", "Thing/life/adopt"),
    )


@pytest.mark.parametrize(
    ("new", "actor", "nearest", "guard", "reason"),
    [
        (Thing(phase="Running"), "kubelet", "Thing/life/start", "placed",
         "guard placed of Thing/life/start does not hold"),
        (Thing(phase="Running", node="n", owner="o"), "kubelet", "Thing/life/start", "same_owner",
         "guard same_owner of Thing/life/start does not hold"),
        (Thing(phase="Running", node="n", owner="o"), "user", "Thing/life/adopt", "adopted",
         "guard adopted of Thing/life/adopt does not hold"),
        (Thing(phase="Running", node="n"), "nobody", "Thing/life/start", "", "Thing/life/start is for kubelet only"),
        (Thing(phase="Done"), "user", "Thing/life/finish", "", "Thing/life/finish is for kubelet only"),
    ],
)  # fmt: skip
def test_illegal_writes_say_what_came_nearest(
    machines: Machines, new: Thing, actor: str, nearest: str, guard: str, reason: str
) -> None:
    verdict = machines.check(Thing(), new, actor, 0)
    state = new.phase
    expected = Illegal("Thing", "life", "Waiting", state, actor, nearest, guard, reason)
    assert verdict.illegal == (expected,)
    assert not verdict.legal
    assert str(expected) == f"Thing/life: Waiting -> {state} by {actor} is illegal: {reason}"


def test_a_change_without_any_transition_says_where_it_could_go(machines: Machines) -> None:
    (illegal,) = machines.check(Thing(phase="Running"), Thing(), "user", 0).illegal
    assert (illegal.nearest, illegal.guard) == ("Thing/life/remove", "")
    assert illegal.reason == "Running may only become Done, Absent"
    (illegal,) = machines.check(Thing(phase="Done"), Thing(), "user", 0).illegal
    assert (illegal.nearest, illegal.reason) == ("", "Done may only become nowhere")


def test_parts_are_judged_with_their_whole(machines: Machines) -> None:
    old, new = Thing(), Thing(phase="Running", node="n")
    assert machines.classify_part("Thing", new)["life"] == "Running"
    assert machines.check_part("Thing", old, new, "kubelet", 0, old_whole="pod", new_whole="pod").legal
    assert not machines.check_part("Thing", old, new, "kubelet", 0, old_whole="pod", new_whole="other").legal


def test_machines_are_bound_once(machines: Machines) -> None:
    again = Machines.load(machines.path)
    assert again.of("Thing") is machines.of("Thing")


# -- the index and the library agree ----------------------------------------------------------------------------------


class Guards:
    """Stands for a law whose guards hold as a test wants."""

    def __init__(self) -> None:
        self.failing: str | None = None

    def function(self, role: str, name: str) -> Any:
        return (lambda write: name != self.failing) if role == "guard" else (lambda case: None)


def by_the_library(region: RegionMachine, old: str, new: str, write: Transition) -> str | None:
    """The first trigger that takes a model of the `transitions` library from `old` to `new`."""
    model = SimpleNamespace()
    region.library.add_model(model, initial=old)
    try:
        for trigger in region.library.events:
            region.library.set_state(old, model)
            if getattr(model, trigger)(write=write) and model.state == new:
                return f"{region.kind}/{region.name}/{trigger}"
        return None
    finally:
        region.library.remove_model(model)


REGIONS: list[tuple[str, str, Region]] = [
    (room.machine.kind, name, region)
    for room in load_specs(SPECS).rooms.values()
    if room.machine is not None
    for name, region in room.machine.regions.items()
]


@pytest.mark.parametrize(("kind", "name", "spec"), REGIONS, ids=[f"{kind}-{name}" for kind, name, _ in REGIONS])
def test_the_index_agrees_with_the_library(kind: str, name: str, spec: Region) -> None:
    guards = Guards()
    region = RegionMachine(kind, name, spec, guards)  # type: ignore[arg-type]
    actors = sorted({actor for edge in spec.transitions.values() for actor in edge.actors} | {"nobody"})
    names = sorted({guard for edge in spec.transitions.values() for guard in edge.guards})
    for failing in (None, *names):
        guards.failing = failing
        for old, new, actor in itertools.product(region.states, region.states, actors):
            if old == new:
                continue
            write = Transition(None, None, actor, 0)
            judged = region.judge(old, new, write)
            assert (judged.rule if isinstance(judged, Move) else None) == by_the_library(region, old, new, write)


def test_the_index_agrees_with_the_library_for_the_machine_above(write: Write) -> None:
    root = write("thing/machine.yaml", MACHINE)
    machine = load_specs(root).rooms["thing"].machine
    assert machine is not None
    for name, region in machine.regions.items():
        test_the_index_agrees_with_the_library("Thing", name, region)
