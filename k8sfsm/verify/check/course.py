"""A plan that a component is carrying out, followed along the requests that were recorded."""

from __future__ import annotations

from itertools import takewhile
from typing import Final, TypeAlias

from attrs import frozen

from k8sfsm.engine.run import Batch, Run
from k8sfsm.objects import evolve
from k8sfsm.request import Call, DeleteCollection, Key, Look, Outcome, Parallel, Plan, Record, Remember, Write
from k8sfsm.verify.replay.choices import address_of

Address: TypeAlias = tuple[str, str, Key]
"""(verb, subresource, object)."""
_UNANSWERED: Final = (Remember, Record, Call, Look)
_PHASES: Final = 400
"""More continuations than any plan has without a write."""


@frozen
class Course:
    """A plan on its way, waiting for the answer to its next write. `seen`: the revision of the view it was made of."""

    key: Key
    seen: int
    run: Run
    remembered: tuple[Remember, ...] = ()
    """What it remembered since its last write."""
    recorded: tuple[Record, ...] = ()
    """The Events that it ordered since its last write."""
    over: bool = False
    """No write follows."""
    trail: tuple[tuple[Address, Outcome], ...] = ()
    """The requests that it has sent so far, with their answers."""
    beside: tuple[Course, ...] = ()
    """What goes on at the same time, in no order with the rest."""

    @classmethod
    def of(cls, key: Key, seen: int, plan: Plan) -> Course:
        """A plan from its start to its first write."""
        return _advanced(cls(key, seen, Run.of(key, 0, plan)))

    @property
    def next_writes(self) -> tuple[Write, ...]:
        """The writes that may be sent next: one, those of a batch, which go together, or deletions of whole kinds,
        which a real component takes from a map; and those of what goes on beside.
        """
        return (*self._own_writes, *(write for other in self.beside for write in other.next_writes))

    @property
    def _own_writes(self) -> tuple[Write, ...]:
        batch = self.run.batch
        if self.over:
            return ()
        if batch is not None:
            return batch.waiting[: batch.left]
        collections = [each for each in takewhile(_empties, self.run.steps) if isinstance(each, DeleteCollection)]
        return tuple(collections) or (self.run.next_write,)

    def answered(self, outcome: Outcome) -> Course:
        """The course after one of its next writes was answered."""
        trail = (*self.trail, (address_of(outcome.request), outcome))
        for place, other in enumerate(self.beside):
            if not any(write is outcome.request for write in other.next_writes):
                continue
            after = other.answered(outcome)
            rest = (*self.beside[:place], *(() if after.over else (after,)), *self.beside[place + 1 :])
            noted = evolve(self, trail=trail, beside=rest, remembered=after.remembered, recorded=after.recorded)
            return _rid_of_over(noted)
        return self._answered_own(outcome, trail)

    def _answered_own(self, outcome: Outcome, trail: tuple[tuple[Address, Outcome], ...]) -> Course:
        run = self.run
        if run.batch is not None:
            others = list(run.batch.waiting)
            others.remove(outcome.request)
            run = evolve(run, batch=evolve(run.batch, waiting=(outcome.request, *others)))
        elif isinstance(outcome.request, DeleteCollection):
            rest = list(run.steps)
            rest.remove(outcome.request)
            run = evolve(run, steps=(outcome.request, *rest))
        run = run.answered(outcome)
        if run.batch is not None and not run.batch.left:
            run = evolve(run, batch=None if run.batch.over else run.batch.next())
        return _advanced(evolve(self, run=run, remembered=(), recorded=(), trail=trail))

    def along(self, trail: tuple[tuple[Address, Outcome], ...]) -> Course | None:
        """The course after the same requests had the same answers; None where it would have sent others."""
        course = self
        noted: tuple[Remember, ...] = ()
        for address, outcome in trail:
            order = next((each for each in course.next_writes if address_of(each) == address), None)
            if order is None:
                return None
            noted += course.remembered
            course = course.answered(evolve(outcome, request=order))
        return evolve(course, remembered=(*noted, *course.remembered))


def _empties(step: object) -> bool:
    return isinstance(step, DeleteCollection)


def _rid_of_over(course: Course) -> Course:
    """A course that is over itself goes on as what was beside it."""
    if not course.over or not course.beside:
        return course
    first, *others = course.beside
    return evolve(first, trail=course.trail, beside=(*first.beside, *others), remembered=course.remembered,
                  recorded=course.recorded)  # fmt: skip


def _advanced(course: Course) -> Course:
    """Up to the next write. Source of the order: `k8sfsm.engine.perform`."""
    run, remembered, recorded, beside = course.run, list(course.remembered), list(course.recorded), course.beside

    def stopped(run: Run, over: bool = False) -> Course:
        after = evolve(
            course, run=run, remembered=tuple(remembered), recorded=tuple(recorded), over=over, beside=beside
        )
        return _rid_of_over(after)

    for _ in range(_PHASES):
        if run.plan.overlapping and run.plan.then is not None:
            other = Course.of(run.key, course.seen, run.plan.then(()))
            remembered += other.remembered
            recorded += other.recorded
            beside += () if other.over else (evolve(other, remembered=(), recorded=()),)
            run = evolve(run, plan=evolve(run.plan, then=None, overlapping=False))
        if run.batch is not None:
            return stopped(run)
        done = 0
        for step in run.steps:
            if not isinstance(step, _UNANSWERED):
                break
            remembered += [step] if isinstance(step, Remember) else []
            recorded += [step] if isinstance(step, Record) else []
            done += 1
        left = run.steps[done:]
        if not left:
            if run.plan.then is None:
                return stopped(run, over=True)
            run = Run.of(run.key, run.cause, run.plan.then(run.outcomes))
            continue
        first = left[0]
        if not isinstance(first, Parallel):
            return stopped(evolve(run, steps=left))
        run = evolve(run, steps=left[1:], batch=Batch.of(first) if first.writes else None)
    return stopped(run, over=True)
