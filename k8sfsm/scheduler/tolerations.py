"""Taints and tolerations: who may be where in spite of a taint.

Source: staging/src/k8s.io/api/core/v1/toleration.go: ToleratesTaint,
staging/src/k8s.io/component-helpers/scheduling/corev1/helpers.go: FindMatchingUntoleratedTaint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from k8sfsm.objects import Taint, Toleration
from k8sfsm.scheduler.rules import law

HARD: Final = ("NoSchedule", "NoExecute")
"""Effects that keep a pod from being placed."""


@frozen
class Encounter:
    """A toleration held against a taint: the case of the table `tolerates`."""

    toleration: Toleration
    taint: Taint


@law.fact
def same_effect(encounter: Encounter) -> bool:
    """The toleration names no effect, or the taint's."""
    return encounter.toleration.effect in ("", encounter.taint.effect)


@law.fact
def same_key(encounter: Encounter) -> bool:
    """The toleration names no key, or the taint's."""
    return encounter.toleration.key in ("", encounter.taint.key)


@law.fact
def toleration_operator(encounter: Encounter) -> str:
    """How the toleration compares values; "" where it does not say."""
    return encounter.toleration.operator


@law.fact
def same_value(encounter: Encounter) -> bool:
    """Toleration and taint have the same value (both may have none)."""
    return encounter.toleration.value == encounter.taint.value


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Does one toleration put up with one taint?"""
    return bool(law.decide("tolerates", Encounter(toleration, taint)).outputs["tolerated"])


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Does any of the tolerations put up with the taint?"""
    return any(tolerates(toleration, taint) for toleration in tolerations)


def first_untolerated(
    taints: Iterable[Taint], tolerations: Sequence[Toleration], effects: Sequence[str] = HARD
) -> Taint | None:
    """The first taint with one of `effects` that no toleration puts up with; None where there is none."""
    for taint in taints:
        if taint.effect in effects and not tolerated(taint, tolerations):
            return taint
    return None
