"""What recorded controllers wrote next: it tells which of the views that they can have had they did have."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import chain, islice
from typing import Final

from k8sfsm.law import constant
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Key, Look, Outcome, Parallel, Patch, Plan, Write
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.verify.replay.choices import address_of, named, reconciled, requests_of
from k8sfsm.verify.replay.contents import alike, content_of, recorded_content
from k8sfsm.view import View

_PAUSE: Final = 8 * MILLISECOND
"""How long after a look that led to nothing recorded the next one comes: something may be on its way."""
_SEARCHES: Final = 16
"""After so many looks no other views are tried for one recorded request: something else went another way."""
_PHASES: Final = 32
"""Plans that go on so often come to no end."""
_AHEAD: Final = 512
"""So many requests of one sync are looked at."""


class Told:
    """The recorded requests of each actor for each key that it reconciled, in order of time.

    `paired`: numbers of the requests that predicted writes have been paired with.
    """

    def __init__(self, recording: Recording, paired: Set[int]) -> None:
        self._paired = paired
        self._timed = recording.format != "watch"
        self._searched: Counter[int] = Counter()
        self._awaited: dict[tuple[str, Key], RecordedWrite] = {}
        self._left: dict[tuple[str, Key], deque[RecordedWrite]] = defaultdict(deque)
        for write in sorted(requests_of(recording), key=lambda entry: entry.time):
            self._left[write.actor, reconciled(write)].append(write)

    def likeliest(self, plan: Plan, actor: str, key: Key, view: View, others: Iterable[Plan]) -> Plan:
        """`plan`, or one of `others` (made on older views) that sends what the recorded actor sent next.

        The first all of whose requests were recorded, one after the other; else the one most of whose were. An actor
        that saw an older view will see the newer one soon: it looks at the key again. Where no view leads to what it
        did next, it had not looked yet: it looks when that was. Where no view led to it by then either, it does what it
        can do now. What people watched has no times of requests, and tells nothing.
        """
        if not self._timed:
            return plan
        now = view.now
        upcoming = self._upcoming(actor, key, now)
        if not upcoming:
            return self._not_yet(plan, now, actor, key)
        self._searched[upcoming[0].request] += 1
        hopeless = self._searched[upcoming[0].request] > _SEARCHES
        candidates = _Remembered(chain((plan,), () if hopeless else others))
        for skipped in range(_refused(upcoming) + 1):
            best, most = plan, 0
            for candidate in candidates:
                matched, whole = followed(candidate, upcoming[skipped:], view)
                if matched > most or (matched and whole):
                    best, most = candidate, matched
                if matched and whole:
                    break
            if most:
                return best if best is plan else _looking_again(best, key)
        first = upcoming[0].time
        if first <= now:
            late = first + constant("replay_latency_late") * MILLISECOND
            return plan if now + _PAUSE > late else Plan(requeue_after=_PAUSE, unsettled=True)
        return self._not_yet(plan, now, actor, key)

    def _not_yet(self, plan: Plan, now: int, actor: str, key: Key) -> Plan:
        """The plan; a look at the time of the actor's next request instead, if it sends something and that is soon.

        It waits for one request only: if that passes and is not predicted, the prediction goes its own way.
        """
        missed = self._awaited.pop((actor, key), None)
        if missed is not None and missed.request not in self._paired and missed.time <= now:
            return plan
        following = self._next(actor, key)
        soon = constant("replay_patience") * SECOND
        if following is None or not now + MILLISECOND < following.time <= now + soon or _first_write(plan) is None:
            return plan
        self._awaited[actor, key] = following
        return Plan(requeue_after=following.time - now, unsettled=True)

    def _next(self, actor: str, key: Key) -> RecordedWrite | None:
        """The actor's next recorded request about the key."""
        return next((each for each in self._left.get((actor, key), ()) if each.request not in self._paired), None)

    def _upcoming(self, actor: str, key: Key, now: int) -> list[RecordedWrite]:
        """The actor's next recorded requests about the key, as long as they are near each other."""
        left = self._left.get((actor, key))
        late = constant("replay_latency_late") * MILLISECOND
        while left and (left[0].time < now - late or left[0].request in self._paired):
            left.popleft()
        found: list[RecordedWrite] = []
        until = now + constant("replay_latency_window") * MILLISECOND
        for each in islice(left or (), _AHEAD):
            if each.time > until:
                break
            if each.request not in self._paired:
                found.append(each)
                until = each.time + constant("replay_patience") * SECOND
        return found


class _Remembered:
    """Plans that are made when they are first asked for, and then kept."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._left = iter(plans)
        self._made: list[Plan] = []

    def __iter__(self) -> Iterator[Plan]:
        yield from self._made
        for plan in self._left:
            self._made.append(plan)
            yield plan


def _refused(upcoming: Sequence[RecordedWrite]) -> int:
    """How many requests were refused before the first that was not: they changed nothing."""
    return next((count for count, each in enumerate(upcoming) if each.ok), len(upcoming) - 1)


def _looking_again(plan: Plan, key: Key) -> Plan:
    return evolve(plan, steps=(Look(key=key), *plan.steps))


def followed(plan: Plan, recorded: Sequence[RecordedWrite], view: View) -> tuple[int, bool]:
    """How many of the recorded requests, from the first on, a plan sends that gets their answers; and whether it sends
    nothing else. What it only reads is as it is in the view's store.
    """
    done = 0
    for _ in range(_PHASES):
        outcomes: list[Outcome] = []
        for step in plan.steps:
            writes = _sent_of(step, recorded[done:]) if isinstance(step, Parallel) else ()
            writes = (step,) if isinstance(step, Write) else writes
            if len(writes) == 1 and _reads(writes[0]):
                outcomes.append(_read(writes[0], view))
                continue
            told = recorded[done : done + len(writes)]
            if not _same(writes, told):
                return done, False
            done += len(writes)
            outcomes += (_answered(*pair) for pair in zip(writes, told, strict=True))
        if plan.then is None:
            return done, True
        plan = plan.then(tuple(outcomes))
    return done, False


def _sent_of(step: Parallel, recorded: Sequence[RecordedWrite]) -> tuple[Write, ...]:
    """The writes of a step that are sent, if their answers are the recorded ones: a slow start may end early."""
    sent, size = 0, 1 if step.slow_start else len(step.writes)
    while sent < len(step.writes):
        answers = recorded[sent : sent + size]
        sent, size = min(sent + size, len(step.writes)), 2 * size
        if not all(each.ok for each in answers):
            break
    return step.writes[:sent]


def _same(writes: Sequence[Write], told: Sequence[RecordedWrite]) -> bool:
    """Whether writes are the recorded ones, as far as they decide something; those sent together in any order."""
    if len(writes) != len(told):
        return False
    mine = sorted(address_of(write) for write in writes)
    if mine != sorted((each.verb, each.subresource, named(each)) for each in told):
        return False
    return len(writes) > 1 or all(alike(content_of(a), recorded_content(b)) for a, b in zip(writes, told, strict=True))


def _reads(write: Write) -> bool:
    """Whether a request changes nothing: no recording shows it."""
    return isinstance(write, Patch) and write.body == {}


def _read(write: Write, view: View) -> Outcome:
    assert view.store is not None
    stored = view.store.snapshot.get(address_of(write)[2])
    return Outcome(request=write, code=200 if stored is not None else 404, object=stored)


def _answered(write: Write, told: RecordedWrite) -> Outcome:
    stored = told.new.typed if told.new is not None else getattr(write, "object", None)
    return Outcome(request=write, code=told.code or 200, object=stored)


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
