"""Who picks the next action: the policies of a run."""

from __future__ import annotations

from typing import Protocol

from k8sfsm.engine.action import Action
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.engine import Engine


class Policy(Protocol):
    """Picks one of the actions that an engine offers."""

    def pick(self, enabled: tuple[Action, ...]) -> Action:
        """One of `enabled`, which is not empty."""


class InOrder:
    """The order in which the actions came to be: what `Engine.run` does."""

    def pick(self, enabled: tuple[Action, ...]) -> Action:
        """The first."""
        return enabled[0]


class Random:
    """Any of the actions, drawn from a seed. `choices`: what an engine run by this policy is to be given.

    The engine's own choices then draw how long everything takes, so that actors overtake each other.
    """

    def __init__(self, seed: int) -> None:
        self._picks = Seeded(seed)
        self.choices = Seeded(seed, jitter=1)

    def pick(self, enabled: tuple[Action, ...]) -> Action:
        """Any."""
        return enabled[self._picks.index(len(enabled))]


def run(engine: Engine, policy: Policy, steps: int = 1_000_000) -> int:
    """Let `policy` pick actions until the cluster is at rest, or for so many steps; returns how many there were."""
    for done in range(steps):
        if engine.at_rest:
            return done
        engine.step(policy.pick(engine.enabled()))
    return steps
