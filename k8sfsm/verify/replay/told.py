"""What recorded controllers wrote next: it tells which of the views that they can have had they did have."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Set
from typing import Final

from k8sfsm.engine.queue import MILLISECOND
from k8sfsm.law import constant
from k8sfsm.objects import ReplicaSet, evolve
from k8sfsm.request import Key, Look, Parallel, Plan, Update, Write
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.verify.replay.choices import address_of, named, reconciled, requests_of
from k8sfsm.verify.replay.tracks import COUNTS

_PHASES: Final = 8
"""Plans that go on without a write so often come to none."""


class Told:
    """The recorded requests of each actor for each key that it reconciled, in order of time.

    `paired`: numbers of the requests that predicted writes have been paired with.
    """

    def __init__(self, recording: Recording, paired: Set[int]) -> None:
        self._paired = paired
        self._left: dict[tuple[str, Key], deque[RecordedWrite]] = defaultdict(deque)
        for write in sorted(requests_of(recording), key=lambda entry: entry.time):
            self._left[write.actor, reconciled(write)].append(write)

    def likeliest(self, plan: Plan, actor: str, key: Key, now: int, others: Iterable[Plan]) -> Plan:
        """`plan`, or the first of `others` (made on older views) whose first write is the recorded one.

        An actor that saw an older view will see the newer one soon: it looks at the key again.
        """
        recorded = self._next(actor, key, now)
        if recorded is None or recorded.new is None:
            return plan
        if _writes(plan, recorded):
            return plan
        for other in others:
            if _writes(other, recorded):
                return evolve(other, steps=(Look(key=key), *other.steps))
        return plan

    def _next(self, actor: str, key: Key, now: int) -> RecordedWrite | None:
        """The actor's next recorded request about the key, if it is near."""
        left = self._left.get((actor, key))
        while left and (left[0].time < now or left[0].request in self._paired):
            left.popleft()
        if not left or left[0].time > now + constant("replay_latency_window") * MILLISECOND:
            return None
        return left[0]


def _writes(plan: Plan, recorded: RecordedWrite) -> bool:
    """Whether the first write of a plan is the recorded one, as far as it decides something."""
    write = _first_write(plan)
    if write is None or address_of(write) != (recorded.verb, recorded.subresource, named(recorded)):
        return False
    if not isinstance(write, Update) or recorded.new is None:
        return True
    mine, told = write.object, recorded.new.typed
    if write.subresource == "status":
        return all(
            (getattr(mine.status, name) or 0) == (getattr(told.status, name) or 0) for name in COUNTS.get(mine.kind, ())
        )
    return not isinstance(mine, ReplicaSet) or bool(mine.spec.replicas == told.spec.replicas)


def _first_write(plan: Plan) -> Write | None:
    for _ in range(_PHASES):
        for step in plan.steps:
            if isinstance(step, Parallel):
                if step.writes:
                    return step.writes[0]
            elif isinstance(step, Write):
                return step
        if plan.then is None:
            return None
        plan = plan.then(())
    return None
