"""Scripts: a sync written as one generator, turned into a `Plan` of steps and continuations.

A script yields steps and gets each write's `Outcome` back, so that a long sync reads from top to bottom. A plan
may be continued more than once (an engine that forks does that): every further time the script is run anew and
fed the outcomes that are known, which gives the same steps because a script is a function of the view alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from attrs import frozen

from k8sfsm.law import Decision, Law
from k8sfsm.objects import evolve
from k8sfsm.request import Call, Outcome, Parallel, Plan, Record, Remember, Step, Write

Phase: TypeAlias = Generator[Step, "Outcome | None", None]
"""A part of a script: yields steps, is sent the outcome of each write (None for other steps)."""


class SyncError(Exception):
    """The sync ends here. `retry`: the queue tries the key again with its rate limit (else waits for an event)."""

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.retry = retry


@frozen
class End:
    """How a script ended well: `requeue_after` (ns), if the key is to come back by itself; `limited`: see `Plan`."""

    requeue_after: int | None = None
    limited: bool = False


Script: TypeAlias = Generator[Step, "Outcome | None", End]


def send(write: Write) -> Generator[Step, Outcome | None, Any]:
    """Send a write whose failure ends the sync; gives the object as it is stored afterwards."""
    outcome = yield write
    return accepted(outcome)


def accepted(outcome: Outcome | None) -> Any:
    """The stored object of a successful write. Raises SyncError where the write failed."""
    assert outcome is not None
    if not outcome.ok:
        raise SyncError(outcome.message or outcome.reason or str(outcome.code))
    return outcome.object


def perform(law: Law, decision: Decision, case: Any) -> Phase:
    """Run the actions of a decision in order; steps without a cause get the decision's."""
    for name in decision.actions:
        phase: Phase = law.function("action", name)(case, decision)
        answer: Outcome | None = None
        while True:
            try:
                step = phase.send(answer)
            except StopIteration:
                break
            answer = yield step if step.why is not None else evolve(step, why=decision.why)


def plan_of(script: Callable[[], Script]) -> Plan:
    """The plan that carries out a script. `script` starts it and may be called several times."""
    return _Run(script, script(), ()).advance(None)


class _Run:
    """A script under way: the generator, used once, and the answers that bring a fresh one to the same point."""

    def __init__(self, script: Callable[[], Script], live: Script | None, answers: tuple[Outcome | None, ...]) -> None:
        self.script = script
        self.live = live
        self.answers = answers

    def advance(self, answer: Outcome | None) -> Plan:
        """Run on to the next write or the end."""
        assert self.live is not None
        steps: list[Step | Parallel] = []
        answers = list(self.answers)
        try:
            step = self.live.send(answer)
            while isinstance(step, Record | Remember | Call):
                steps.append(step)
                answers.append(None)
                step = self.live.send(None)
        except StopIteration as end:
            return Plan(steps=tuple(steps), requeue_after=end.value.requeue_after, limited=end.value.limited)
        except SyncError as error:
            return Plan(steps=tuple(steps), error=str(error) if error.retry else "")
        steps.append(step)
        return Plan(steps=tuple(steps), then=_Run(self.script, self.live, tuple(answers)).go_on)

    def go_on(self, outcomes: tuple[Outcome, ...]) -> Plan:
        """Continue after the write that this run waits for was answered."""
        live = self.live or self._replayed()
        self.live = None
        return _Run(self.script, live, (*self.answers, outcomes[-1])).advance(outcomes[-1])

    def _replayed(self) -> Script:
        live = self.script()
        live.send(None)
        for answer in self.answers:
            live.send(answer)
        return live
