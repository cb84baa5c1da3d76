"""A plan under way: which steps are left, and what the writes so far came to."""

from __future__ import annotations

from k8sfsm.objects import evolve
from k8sfsm.request import Key, Outcome, Parallel, Plan, Step, Write
from k8sfsm.value import value


@value
class Batch:
    """Writes sent together. `left` of them belong to the batch under way, which had `size`."""

    waiting: tuple[Write, ...]
    left: int
    size: int
    slow_start: bool
    failed: bool = False

    @classmethod
    def of(cls, parallel: Parallel) -> Batch:
        """The first batch: one write in a slow start, else all.

        Source: pkg/controller/replicaset/replica_set.go: slowStartBatch.
        """
        size = 1 if parallel.slow_start else len(parallel.writes)
        return cls(parallel.writes, min(size, len(parallel.writes)), size, parallel.slow_start)

    def sent(self, outcome: Outcome) -> Batch:
        """The batch after its next write was answered."""
        failed = self.failed or not outcome.ok
        return Batch(self.waiting[1:], self.left - 1, self.size, self.slow_start, failed)

    @property
    def over(self) -> bool:
        """No batch will follow: everything is sent, or a batch of a slow start had an error."""
        return self.left == 0 and (not self.waiting or (self.slow_start and self.failed))

    def next(self) -> Batch:
        """The batch after this one: twice as large."""
        return evolve(self, left=min(2 * self.size, len(self.waiting)), size=2 * self.size)


@value
class Run:
    """The plan that an actor carries out for one key. `cause`: the revision that made the actor look."""

    key: Key
    cause: int
    plan: Plan
    steps: tuple[Step | Parallel, ...]
    batch: Batch | None = None
    outcomes: tuple[Outcome, ...] = ()

    @classmethod
    def of(cls, key: Key, cause: int, plan: Plan) -> Run:
        """A plan whose steps are all to come."""
        return cls(key, cause, plan, plan.steps)

    @property
    def next_write(self) -> Write:
        """The write that is sent next. The run must be waiting for one."""
        if self.batch is not None:
            return self.batch.waiting[0]
        step = self.steps[0]
        assert not isinstance(step, Parallel)
        return step  # type: ignore[return-value]

    def answered(self, outcome: Outcome) -> Run:
        """The run after its next write was answered. The first error of a single write ends the steps."""
        outcomes = (*self.outcomes, outcome)
        if self.batch is not None:
            return Run(self.key, self.cause, self.plan, self.steps, self.batch.sent(outcome), outcomes)
        return Run(self.key, self.cause, self.plan, self.after(outcome), None, outcomes)

    def after(self, outcome: Outcome) -> tuple[Step | Parallel, ...]:
        """The steps that are left after a single write was answered."""
        return self.steps[1:] if outcome.ok else ()


def failure_of(outcomes: tuple[Outcome, ...]) -> str:
    """The text of the first error among answers that no `then` looks at; "" where there is none."""
    for outcome in outcomes:
        if not outcome.ok:
            return outcome.message or outcome.reason
    return ""
