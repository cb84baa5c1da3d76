"""What a RuntimeClass makes of the Pods that run with it: their overhead, and where they may run.

Source: plugin/pkg/admission/runtimeclass/admission.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.apiserver.deletion import law
from k8sfsm.objects import PodSpec, Quantity, Toleration, evolve, part_from_json


@frozen
class Pair:
    """A toleration `first` that another one, `second`, may make needless."""

    first: Toleration
    second: Toleration


@law.fact
def same_toleration(pair: Pair) -> bool:
    """Whether both are the same."""
    return pair.first == pair.second


@law.fact
def key_covered(pair: Pair) -> bool:
    """Whether the other one is for the same key, or for all."""
    every = pair.second.key == "" and pair.second.operator == "Exists"
    return every or pair.first.key == pair.second.key


@law.fact
def effect_covered(pair: Pair) -> bool:
    """Whether the other one is for the same effect, or for all."""
    return pair.second.effect in ("", pair.first.effect)


@law.fact
def time_covered(pair: Pair) -> bool:
    """Whether the other one, where it bears evictions for a time, does so for as long."""
    most, wanted = pair.second.toleration_seconds, pair.first.toleration_seconds
    return pair.second.effect != "NoExecute" or most is None or (wanted is not None and wanted <= most)


@law.fact
def value_covered(pair: Pair) -> bool:
    """Whether the other one is for the same value, or for all."""
    if pair.second.operator == "Exists":
        return True
    return pair.first.operator == "Equal" and pair.first.value == pair.second.value


def _covers(second: Toleration, first: Toleration) -> bool:
    return bool(law.decide("covered-toleration", Pair(first, second)).outputs["covered"])


def merged(first: tuple[Toleration, ...], second: tuple[Toleration, ...]) -> tuple[Toleration, ...]:
    """Tolerations of both, without those that another one makes needless; of equal ones the first.

    Source: pkg/util/tolerations/tolerations.go: MergeTolerations.
    """
    every = (*first, *second)
    kept: list[Toleration] = []
    for index, each in enumerate(every):
        later = (other for other in every[index + 1 :] if other != each)
        if not any(_covers(other, each) for other in (*kept, *later)):
            kept.append(each)
    return tuple(kept)


# -- the class of a pod -----------------------------------------------------------------------------------------------

_NOTHING: Final[Mapping[str, Any]] = {}


def _overhead(found: Any) -> dict[str, Quantity] | None:
    """The overhead that a class sets; None where it sets none."""
    given = None if found is None else found.extra.get("overhead")
    if given is None:
        return None
    return {name: Quantity.parse(str(amount)) for name, amount in (given.get("podFixed") or {}).items()}


def _scheduling(found: Any) -> Mapping[str, Any]:
    return (None if found is None else found.extra.get("scheduling")) or _NOTHING


Overhead: TypeAlias = Literal["none", "alone", "given", "other"]
OTHER: Final = "Pod's Overhead doesn't match RuntimeClass's defined Overhead"
ALONE: Final = "Pod Overhead set without corresponding RuntimeClass defined Overhead"


def overhead_state(spec: PodSpec, found: Any) -> Overhead:
    """How the overhead of a Pod goes with that of its class (None: it has none)."""
    wanted, own = _overhead(found), dict(spec.overhead)
    if wanted is None:
        return "alone" if own else "none"
    return "given" if own in ({}, wanted) else "other"


def clash(spec: PodSpec, found: Any) -> tuple[str, str, str] | None:
    """The first label that the class asks of nodes with another value than the Pod: key, value, the Pod's value."""
    for key, text in (_scheduling(found).get("nodeSelector") or {}).items():
        own = spec.node_selector.get(key)
        if own is not None and own != text:
            return key, text, own
    return None


def schedules(found: Any) -> bool:
    """Whether the class says where its Pods may run."""
    return bool(_scheduling(found))


def with_overhead(spec: PodSpec, found: Any) -> PodSpec:
    """The spec with the overhead of its class."""
    return evolve(spec, overhead=_overhead(found) or {})


def with_scheduling(spec: PodSpec, found: Any) -> PodSpec:
    """The spec with the node selector and the tolerations of its class."""
    told = _scheduling(found)
    own = tuple(part_from_json(Toleration, each) for each in told.get("tolerations") or ())
    selector = {**spec.node_selector, **(told.get("nodeSelector") or {})}
    return evolve(spec, node_selector=selector, tolerations=merged(spec.tolerations, own))
