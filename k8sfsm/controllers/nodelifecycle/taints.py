"""Taints of nodes: those that conditions stand for, and the writes that add and remove taints.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go: doNoScheduleTaintingPass, reconcileNodeLabels;
pkg/controller/util/node/controller_utils.go: SwapNodeControllerTaint;
pkg/controller/controller_utils.go: AddOrUpdateTaintOnNode, RemoveTaintOffNode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.controllers.nodelifecycle.health import law
from k8sfsm.law import constant
from k8sfsm.objects import Node, Taint, evolve, key_of, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import DONE, Outcome, Parallel, Patch, Plan, Why, Write

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
NO_SCHEDULE: Final = "NoSchedule"
NO_EXECUTE: Final = "NoExecute"
CORDONED: Final = "Cordoned"
"""What being cordoned is called where conditions are looked up; no condition of a node has that name."""
OLD_LABELS: Final = (
    ("kubernetes.io/os", "beta.kubernetes.io/os"),
    ("kubernetes.io/arch", "beta.kubernetes.io/arch"),
)
"""Labels and their old names."""


@frozen(kw_only=True)
class Swap:
    """Taints to add to a node, and then to remove from it. `tries`: how often a refused write may be repeated."""

    node: Node
    add: tuple[Taint, ...] = ()
    remove: tuple[Taint, ...] = ()
    why: Why | None = None
    tries: int = 0

    def write(self) -> Patch | None:
        """The next write that it takes; None where the node is as wanted."""
        there = self.node.spec.taints
        if self.add:
            new = {(each.key, each.effect): each for each in self.add}
            kept = tuple(new.pop((each.key, each.effect), each) for each in there)
            return self._patch((*kept, *new.values()))
        if any(_matches(each, self.remove) for each in there):
            return self._patch(tuple(each for each in there if not _matches(each, self.remove)))
        return None

    def _patch(self, taints: tuple[Taint, ...]) -> Patch:
        body = {
            "metadata": {"resourceVersion": self.node.metadata.resource_version},
            "spec": {"taints": [to_json(each) for each in taints] or None},
        }
        return Patch(key=key_of(self.node), body=body, type="strategic", why=self.why)


@frozen
class Answered:
    """The answer to a write that may be repeated `tries` times."""

    outcome: Outcome
    tries: int


@law.fact
def write_code(case: Answered) -> int:
    """The HTTP status."""
    return case.outcome.code


@law.fact
def write_tries_left(case: Answered) -> int:
    """How often the write may be repeated."""
    return case.tries


def goes_on(outcome: Outcome, tries: int) -> Literal["next", "again", "give-up"]:
    """How to go on after a write."""
    found: Literal["next", "again", "give-up"] = law.decide("answer", Answered(outcome, tries)).outputs["go_on"]
    return found


def same_taint(one: Taint, other: Taint) -> bool:
    """Whether key and effect are the same. Source: staging/src/k8s.io/api/core/v1/taint.go: MatchTaint."""
    return (one.key, one.effect) == (other.key, other.effect)


def _matches(taint: Taint, others: Iterable[Taint]) -> bool:
    return any(same_taint(taint, other) for other in others)


def tainted(node: Node, key: str, effect: str = NO_EXECUTE) -> bool:
    """Whether the node has the taint."""
    return any((each.key, each.effect) == (key, effect) for each in node.spec.taints)


def taint_now(key: str, effect: str, now: int) -> Taint:
    """The taint, with the time at which it is added (ns)."""
    return Taint(key=key, effect=effect, time_added=now - now % SECOND)


def swap_plan(swaps: Iterable[Swap], then: Callable[[], Plan] = lambda: DONE) -> Plan:
    """The plan that carries out swaps of different nodes side by side, and goes on with `then`."""
    waiting = [(swap, write) for swap in swaps if (write := swap.write()) is not None]
    if not waiting:
        return then()

    def answered(outcomes: tuple[Outcome, ...]) -> Plan:
        pairs = zip((swap for swap, _ in waiting), outcomes, strict=True)
        return swap_plan([left for swap, outcome in pairs if (left := _after(swap, outcome)) is not None], then)

    return Plan(steps=(Parallel(writes=tuple(write for _, write in waiting)),), then=answered)


def _after(swap: Swap, outcome: Outcome) -> Swap | None:
    """What is left of a swap after a write; None where it is over."""
    how = goes_on(outcome, swap.tries)
    if how == "next":
        return evolve(swap, node=outcome.object, add=()) if swap.add else None
    return evolve(swap, node=outcome.object, tries=swap.tries - 1) if how == "again" else None


# -- NoSchedule taints and labels -------------------------------------------------------------------------------------


@frozen
class Aspect:
    """A condition of a node, or that it is cordoned."""

    type: str
    status: str


@frozen
class Mark:
    """A taint that a node has or should have."""

    taint: Taint
    wanted: bool
    there: bool


@frozen
class LabelPair:
    """A label (None: not set) and the one with the old name."""

    given: str | None
    old: str | None


@law.fact
def condition_type(case: Aspect) -> str:
    """The condition's type; Cordoned stands for spec.unschedulable."""
    return case.type


@law.fact
def condition_status(case: Aspect) -> str:
    """The condition's status."""
    return case.status


@law.fact
def taint_effect(case: Taint) -> str:
    """The taint's effect."""
    return case.effect


@law.fact
def taint_key(case: Taint) -> str:
    """The taint's key."""
    return case.key


@law.fact
def taint_wanted(case: Mark) -> bool:
    """A condition of the node stands for the taint."""
    return case.wanted


@law.fact
def taint_there(case: Mark) -> bool:
    """The node has the taint."""
    return case.there


@law.fact
def label_given(case: LabelPair) -> bool:
    """The node has the label."""
    return case.given is not None


@law.fact
def old_label_same(case: LabelPair) -> bool:
    """The label of the old name has the same value."""
    return case.old == case.given


def condition_swap(node: Node, now: int) -> Swap:
    """What makes the node's NoSchedule taints those that its conditions stand for."""
    aspects = [Aspect(each.type, each.status) for each in node.status.conditions]
    aspects.append(Aspect(CORDONED, str(node.spec.unschedulable)))
    decisions = [law.decide("condition-taint", aspect) for aspect in aspects]
    keys = dict.fromkeys(found.outputs["taint"] for found in decisions if found.outputs["taint"])
    own = [each for each in node.spec.taints if law.decide("own-taint", each).outputs["own"]]
    wanted = [taint_now(key, NO_SCHEDULE, now) for key in keys]
    changes = {
        name: tuple(each for each in (*wanted, *own) if _change(each, wanted, own) == name)
        for name in ("add", "remove")
    }
    why = next((found.why for found in decisions if found.outputs["taint"]), decisions[-1].why)
    return Swap(node=node, why=why, tries=constant("node_taint_tries"), **changes)


def _change(taint: Taint, wanted: Iterable[Taint], own: Iterable[Taint]) -> str:
    case = Mark(taint, _matches(taint, wanted), _matches(taint, own))
    return str(law.decide("taint-diff", case).outputs["change"])


def label_writes(node: Node) -> tuple[Write, ...]:
    """The write that copies labels to their old names; none where they are the same."""
    labels = node.metadata.labels
    copied: dict[str, Any] = {}
    why: Why | None = None
    for name, old in OLD_LABELS:
        decision = law.decide("label", LabelPair(labels.get(name), labels.get(old)))
        if decision.outputs["copied"]:
            copied[old], why = labels[name], decision.why
    if not copied:
        return ()
    return (Patch(key=key_of(node), body={"metadata": {"labels": copied}}, type="strategic", why=why),)
