"""Who picks the next action: the policies of a run."""

from __future__ import annotations

from typing import Protocol

from k8sfsm.engine.action import Action, Fault
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.offer import faults_of


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

    The engine's own choices then draw how long everything takes, so that actors overtake each other. `rate`: one step
    in so many is a fault, of a kind that the engine's allowance still has (0: none).
    """

    def __init__(self, seed: int, rate: int = 0) -> None:
        self._picks = Seeded(seed)
        self._strikes = Seeded(~seed)
        self._rate = rate
        self.choices = Seeded(seed, jitter=1)

    def pick(self, enabled: tuple[Action, ...]) -> Action:
        """Any."""
        return enabled[self._picks.index(len(enabled))]

    def index(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        return self._picks.index(count)

    def fault(self, engine: Engine) -> Fault | None:
        """The fault that happens now, if one does."""
        if not self._rate or self._strikes.index(self._rate):
            return None
        kinds = [kind for kind, left in engine.allowance.items() if left > 0]
        found = faults_of(engine, kinds[self._strikes.index(len(kinds))]) if kinds else ()
        return found[self._strikes.index(len(found))] if found else None


def run(engine: Engine, policy: Policy, steps: int = 1_000_000) -> int:
    """Let `policy` pick actions until the cluster is at rest, or for so many steps; returns how many there were."""
    for done in range(steps):
        if engine.at_rest:
            return done
        engine.step(policy.pick(engine.enabled()))
    return steps
