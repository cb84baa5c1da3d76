"""What a controller waits for before it acts again: its own orders in its own cache.

*Expectations*: creations and deletions of dependents that were ordered and not seen yet. *Writes*: the newest
revisions that the controller wrote for an owner. Both live in the actor's memory, as entries per owner of which each
has one writer, so that a sync under way and the watch events that come in meanwhile cannot undo each other's work:

    ("expected", owner)   set by a sync before it creates or deletes
    ("seen", owner)       set by watch events
    ("given up", owner)   set by a sync whose requests failed
    ("wrote", owner)      set by a sync from the answers that it got
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from k8sfsm.law import Law, constant
from k8sfsm.objects import Pod
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Outcome, Remember
from k8sfsm.value import value
from k8sfsm.view import View

law: Final = Law("expectations")
Part = Literal["expected", "seen", "given up"]
PARTS: Final[tuple[Part, ...]] = ("expected", "seen", "given up")


@value
class Expected:
    """Creations (a number; they have no names yet) and deletions (namespace/name) ordered at `since` (ns)."""

    creations: int
    deletions: tuple[str, ...]
    since: int


@value
class Met:
    """What need not be awaited any more: it was seen, or its request failed. `deletions` are sorted."""

    creations: int = 0
    deletions: tuple[str, ...] = ()


NOTHING_MET: Final = Met()


@value
class Expectations:
    """The expectations of one owner at `now` (ns)."""

    expected: Expected | None
    seen: Met
    given_up: Met
    now: int

    @classmethod
    def of(cls, memory: Mapping[Any, Any], owner: Key, now: int) -> Expectations:
        """What `memory` says about `owner`."""
        return cls(
            memory.get(("expected", owner)),
            memory.get(("seen", owner), NOTHING_MET),
            memory.get(("given up", owner), NOTHING_MET),
            now,
        )

    @property
    def met(self) -> bool:
        """True when the owner's dependents may be created and deleted."""
        return bool(law.decide("expectations", self).outputs["met"])


@law.fact
def recorded(case: Expectations) -> bool:
    """Something was ordered and not all of it seen."""
    return case.expected is not None


@law.fact
def creations_missing(case: Expectations) -> int:
    """Creations that were ordered and neither seen nor refused; below 0 where more were seen than ordered."""
    assert case.expected is not None
    return case.expected.creations - case.seen.creations - case.given_up.creations


@law.fact
def deletions_missing(case: Expectations) -> int:
    """Deletions that were ordered and neither seen nor refused; each counts once, however often it is seen."""
    assert case.expected is not None
    met = {*case.seen.deletions, *case.given_up.deletions}
    return sum(1 for key in case.expected.deletions if key not in met)


@law.fact
def expired(case: Expectations) -> bool:
    """The orders are older than the time-out: their events will not come any more."""
    assert case.expected is not None
    return case.now - case.expected.since > int(constant("expectations_timeout")) * SECOND


def pod_key(pod: Pod) -> str:
    """How a Pod's deletion is awaited: by name, not by uid.

    Source: pkg/controller/controller_utils.go: PodKey
    """
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _expect(owner: Key, expected: Expected) -> tuple[Remember, ...]:
    return (
        Remember(key=("expected", owner), value=expected),
        Remember(key=("seen", owner), value=None),
        Remember(key=("given up", owner), value=None),
    )


def expect_creations(owner: Key, number: int, now: int) -> tuple[Remember, ...]:
    """Await `number` creations and nothing else.

    Source: pkg/controller/controller_utils.go: ExpectCreations
    """
    return _expect(owner, Expected(number, (), now))


def expect_deletions(owner: Key, keys: Iterable[str], now: int) -> tuple[Remember, ...]:
    """Await these deletions and nothing else.

    Source: pkg/controller/controller_utils.go: ExpectDeletions
    """
    return _expect(owner, Expected(0, tuple(keys), now))


def forget_expected(owner: Key) -> tuple[Remember, ...]:
    """Await nothing.

    Source: pkg/controller/controller_utils.go: DeleteExpectations
    """
    return tuple(Remember(key=(part, owner), value=None) for part in PARTS)


def creation_seen(view: View, owner: Key, number: int = 1) -> tuple[Remember, ...]:
    """Dependents of `owner` came up.

    Source: pkg/controller/controller_utils.go: CreationObserved
    """
    case = Expectations.of(view.memory, owner, view.now)
    return _seen(case, owner, Met(case.seen.creations + number, case.seen.deletions))


def deletion_seen(view: View, owner: Key, key: str) -> tuple[Remember, ...]:
    """A dependent of `owner` is going or gone. A deletion that nobody awaits changes nothing.

    Source: pkg/controller/controller_utils.go: UIDTrackingControllerExpectations.DeletionObserved
    """
    case = Expectations.of(view.memory, owner, view.now)
    if case.expected is None or key not in case.expected.deletions or key in case.seen.deletions:
        return ()
    return _seen(case, owner, Met(case.seen.creations, tuple(sorted((*case.seen.deletions, key)))))


def _seen(case: Expectations, owner: Key, seen: Met) -> tuple[Remember, ...]:
    if case.expected is None:
        return ()
    return (Remember(key=("seen", owner), value=seen),)


def give_up(owner: Key, *, creations: int = 0, deletions: Iterable[str] = ()) -> tuple[Remember, ...]:
    """Do not await what was refused or never sent: the total of one sync."""
    met = Met(creations, tuple(sorted(deletions)))
    return () if met == NOTHING_MET else (Remember(key=("given up", owner), value=met),)


@value
class Written:
    """The newest revision of each kind that was written for an owner with this uid."""

    uid: str
    revisions: tuple[tuple[str, int], ...]


@value
class Consistency:
    """What was written for an owner, and the view that may or may not have it."""

    written: Written | None
    view: View

    @classmethod
    def of(cls, view: View, owner: Key) -> Consistency:
        """What the view's memory says about `owner`."""
        return cls(view.memory.get(("wrote", owner)), view)

    def behind(self) -> tuple[int, str]:
        """By how many revisions the view is behind the writes, and a sentence about it."""
        lag, text = 0, ""
        for kind, revision in self.written.revisions if self.written is not None else ():
            read = self.view.revision(kind)
            if revision - read > lag:
                lag = revision - read
                text = f"read version: {read} is not as new as written version: {revision} for {kind}"
        return lag, text


@law.fact
def wrote(case: Consistency) -> bool:
    """The controller wrote something for this owner and has not seen itself catch up."""
    return case.written is not None


@law.fact
def lag(case: Consistency) -> int:
    """By how many revisions the view is behind what the controller wrote."""
    return case.behind()[0]


def forget_written(owner: Key) -> tuple[Remember, ...]:
    """Wait for no writes.

    Source: pkg/controller/util/consistency/consistency.go: Clear
    """
    return (Remember(key=("wrote", owner), value=None),)


def remember_written(known: Written | None, uid: str, outcomes: Iterable[Outcome]) -> Written | None:
    """What is written for the owner of this uid after these answers; refusals do not count.

    Source: pkg/controller/util/consistency/consistency.go: WroteAt
    """
    revisions = dict(known.revisions) if known is not None and known.uid == uid else {}
    for outcome in outcomes:
        if outcome.ok and outcome.object is not None:
            kind, text = outcome.object.kind, outcome.object.metadata.resource_version
            revision = int(text) if text.isdigit() else 0
            revisions[kind] = max(revision, revisions.get(kind, 0))
    return Written(uid, tuple(sorted(revisions.items()))) if revisions else None
