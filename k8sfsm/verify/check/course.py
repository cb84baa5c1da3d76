"""A plan that a component is carrying out, followed along the requests that were recorded."""

from __future__ import annotations

from itertools import takewhile
from typing import Final, TypeAlias

from attrs import evolve, frozen

from k8sfsm.engine.run import Batch, Run
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
    trail: tuple[tuple[Address, Outcome], ...] = ()
    """The requests that it has sent so far, with their answers."""

    @classmethod
    def of(cls, key: Key, seen: int, plan: Plan) -> Course | None:
        """A plan from its start to its first write; None where it has none."""
        return _advanced(cls(key, seen, Run.of(key, 0, plan)))

    @property
    def next_writes(self) -> tuple[Write, ...]:
        """The writes that may be sent next: one, those of a batch, which go together, or deletions of whole kinds, which
        a real component takes from a map.
        """
        batch = self.run.batch
        if batch is not None:
            return batch.waiting[: batch.left]
        collections = takewhile(lambda step: isinstance(step, DeleteCollection), self.run.steps)
        return tuple(collections) or (self.run.next_write,)

    def answered(self, outcome: Outcome) -> Course | None:
        """The course after one of its next writes was answered; None where no write follows."""
        run = self.run
        trail = (*self.trail, (address_of(outcome.request), outcome))
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
        return _advanced(evolve(self, run=run, remembered=(), trail=trail))

    def along(self, trail: tuple[tuple[Address, Outcome], ...]) -> Course | None:
        """The course after the same requests had the same answers; None where it would have sent others."""
        course: Course | None = self
        noted: tuple[Remember, ...] = ()
        for address, outcome in trail:
            orders = () if course is None else course.next_writes
            order = next((each for each in orders if address_of(each) == address), None)
            if course is None or order is None:
                return None
            noted += course.remembered
            course = course.answered(evolve(outcome, request=order))
        return course if course is None else evolve(course, remembered=(*noted, *course.remembered))


def _advanced(course: Course) -> Course | None:
    """Up to the next write. Source of the order: `k8sfsm.engine.perform`."""
    run, remembered = course.run, list(course.remembered)
    for _ in range(_PHASES):
        if run.batch is not None:
            return evolve(course, run=run, remembered=tuple(remembered))
        done = 0
        for step in run.steps:
            if not isinstance(step, _UNANSWERED):
                break
            remembered += [step] if isinstance(step, Remember) else []
            done += 1
        left = run.steps[done:]
        if not left:
            if run.plan.then is None:
                return None
            run = Run.of(run.key, run.cause, run.plan.then(run.outcomes))
            continue
        first = left[0]
        if not isinstance(first, Parallel):
            return evolve(course, run=evolve(run, steps=left), remembered=tuple(remembered))
        run = evolve(run, steps=left[1:], batch=Batch.of(first) if first.writes else None)
    return None
