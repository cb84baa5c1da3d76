"""RuntimeClasses: the overhead of Pods that run with one, and where they may run."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, pod

from k8sfsm.apiserver.runtime_classes import merged
from k8sfsm.objects import Quantity, Toleration, from_json
from k8sfsm.request import Create

OVERHEAD = {"podFixed": {"cpu": "250m", "memory": "120Mi"}}
SCHEDULING = {
    "nodeSelector": {"runtime": "kata"},
    "tolerations": [{"key": "kata", "operator": "Exists", "effect": "NoSchedule"}],
}
REFUSED = 'pods "p" is forbidden: {}'


def world(**fields: Any) -> World:
    there = World()
    there.make(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "kata"},
            "handler": "kata",
            **fields,
        }
    )
    return there


def refusal(there: World, **spec: Any) -> str:
    code, reason, text = there.refused(Create(object=from_json(pod(**spec))))
    assert (code, reason) == (403, "Forbidden")
    return text


def test_a_pod_gets_overhead_and_scheduling_of_its_class() -> None:
    made = world(overhead=OVERHEAD, scheduling=SCHEDULING).make(pod(runtimeClassName="kata", nodeSelector={"a": "b"}))
    assert {name: str(amount) for name, amount in made.spec.overhead.items()} == OVERHEAD["podFixed"]
    assert made.spec.node_selector == {"a": "b", "runtime": "kata"}
    assert [(each.key, each.effect) for each in made.spec.tolerations] == [
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("kata", "NoSchedule"),
    ]


def test_a_class_may_say_nothing() -> None:
    there = world()
    made = there.make(pod(runtimeClassName="kata"))
    assert made.spec.overhead == {} and made.spec.node_selector == {} and len(made.spec.tolerations) == 2
    assert there.make(pod(name="q")).spec.overhead == {}


def test_a_pod_may_say_what_its_class_says() -> None:
    there = world(overhead=OVERHEAD, scheduling=SCHEDULING)
    same = {"cpu": "0.25", "memory": "120Mi"}
    made = there.make(pod(runtimeClassName="kata", overhead=same, nodeSelector={"runtime": "kata"}))
    assert made.spec.overhead["cpu"] == Quantity.parse("250m")


def test_the_class_has_to_exist() -> None:
    text = refusal(world(), runtimeClassName="gvisor")
    assert text == REFUSED.format('pod rejected: RuntimeClass "gvisor" not found')


def test_another_overhead_is_refused() -> None:
    """Before the Pod is judged: it may be wrong in other ways as well."""
    text = refusal(world(overhead=OVERHEAD), runtimeClassName="kata", overhead={"cpu": "1"}, containers=[])
    assert text == REFUSED.format("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")


@pytest.mark.parametrize("spec", [{}, {"runtimeClassName": "kata"}])
def test_overhead_comes_from_a_class_alone(spec: dict[str, Any]) -> None:
    alone = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
    assert refusal(world(), overhead={"cpu": "1"}, **spec) == REFUSED.format(alone)


def test_other_nodes_are_refused() -> None:
    there = world(scheduling=SCHEDULING)
    text = refusal(there, runtimeClassName="kata", nodeSelector={"runtime": "runc"})
    says = "conflict: runtimeClass.scheduling.nodeSelector[runtime] = kata; pod.spec.nodeSelector[runtime] = runc"
    assert text == REFUSED.format(says)


def test_a_class_that_changes_is_asked_anew() -> None:
    there = world(overhead=OVERHEAD)
    template = pod(runtimeClassName="kata")
    first = there.make(template)
    found = there.get("RuntimeClass", "kata", "")
    there.store, _ = there.store.put(
        found.__class__(
            api_version=found.api_version, kind=found.kind, metadata=found.metadata, extra={"handler": "kata"}
        )
    )
    second = there.make({**template, "metadata": {"name": "q", "namespace": "a"}})
    assert first.spec.overhead and not second.spec.overhead


def bears(key: str = "", operator: str = "Exists", effect: str = "", **more: Any) -> Toleration:
    return Toleration(key=key, operator=operator, effect=effect, **more)


LONG = bears("k", effect="NoExecute", toleration_seconds=60)
SHORT = bears("k", effect="NoExecute", toleration_seconds=5)
FOR_EVER = bears("k", effect="NoExecute")
VALUE = bears("k", "Equal", value="v")


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ([bears("k")], [bears("k")], [bears("k")]),
        ([bears("k")], [bears("l")], [bears("k"), bears("l")]),
        ([bears("k", effect="NoSchedule")], [bears("k")], [bears("k")]),
        ([bears("k")], [bears("k", effect="NoSchedule")], [bears("k")]),
        ([bears("k", effect="NoSchedule")], [bears("k", effect="NoExecute")], 2),
        ([bears("k"), VALUE], [bears()], [bears()]),
        ([VALUE], [bears("k")], [bears("k")]),
        ([VALUE], [bears("k", "Equal", value="w")], 2),
        ([VALUE], [bears("k", "", value="v")], [bears("k", "", value="v")]),
        ([bears("k", "", value="v", effect="NoSchedule")], [VALUE], 2),
        ([bears("k")], [VALUE], [bears("k")]),
        ([bears("", "Equal")], [bears("k")], 2),
        ([LONG], [SHORT], [LONG]),
        ([LONG], [FOR_EVER], [FOR_EVER]),
        ([FOR_EVER], [LONG], [FOR_EVER]),
        ([bears("k", effect="NoSchedule", toleration_seconds=9)], [bears("k", toleration_seconds=1)], 1),
    ],
)
def test_needless_tolerations_go(first: Any, second: Any, kept: Any) -> None:
    found = merged(tuple(first), tuple(second))
    assert len(found) == kept if isinstance(kept, int) else list(found) == kept
