"""Is there a rule of its actor that orders exactly this write, on a view that the actor can have had?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from attrs import define
from immutables import Map

from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.controllers.namespace import Sync
from k8sfsm.controllers.namespace import law as emptying
from k8sfsm.law import LawError
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import DONE, Key, Outcome, Record, Why
from k8sfsm.scheduler.cluster import ASSUMED
from k8sfsm.store import Change, Store
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.check.course import Course
from k8sfsm.verify.check.events import Announced, Announcement
from k8sfsm.verify.check.matching import (
    Told,
    differs_from,
    may_be_idle,
    named_owners,
    recorded_address,
    status_written,
)
from k8sfsm.verify.check.past import Actor, Moment, Past
from k8sfsm.verify.check.verdicts import Explanation, Nearest
from k8sfsm.verify.check.views import Behind, views_of
from k8sfsm.verify.replay.choices import address_of, reconciled
from k8sfsm.verify.replay.lagging import shuffled
from k8sfsm.view import View

_TRIES: Final = 64
_IDLE: Final = 16
_TOLD: Final = 12
"""On so many views an Event is looked for."""
_SHUFFLED: Final = 4
"""On so many views a cache's other orders are tried."""
_REFUSED: Final = 16
"""On so many views of a key the sender of a refused request is looked for."""


@define
class Explaining:
    """The search for explanations."""

    past: Past
    api: ApiServer
    announced: Announced

    def explain(self, actor: Actor, writes: Sequence[RecordedWrite]) -> Explanation | Nearest:
        """The rule behind one request, with the changes it made; else the order that comes nearest."""
        idle = self._idle_collection(actor, writes)
        if idle is not None:
            return idle
        found = self._explained(actor, writes, self._courses(actor, writes[0]))
        if isinstance(found, Nearest):
            found = self._looked_earlier(actor, writes) or found
        if isinstance(found, Nearest):
            listed_first = self._fresh(actor, self.keys_of(actor, writes[0]), writes[0], writes[0].key)
            other = self._explained(actor, writes, listed_first)
            found = other if isinstance(other, Explanation) else found
        if isinstance(found, Nearest) and writes[0].verb == "delete":
            found = self._in_other_orders(actor, writes) or found
        if isinstance(found, Nearest) and writes[0].verb == "deletecollection":
            found = self.emptied(writes[0]) or found
        if isinstance(found, Nearest) and writes[0].key in self.past.unbound and actor.places:
            other = self._explained(actor, writes, self._with_assumed(actor, writes[0]))
            found = other if isinstance(other, Explanation) else found
        return found

    def _idle_collection(self, actor: Actor, writes: Sequence[RecordedWrite]) -> Explanation | None:
        """The rule behind the deletion of a kind of which there is nothing, where no plan under way orders it."""
        write = writes[0]
        if write.verb != "deletecollection" or write.type is not None or not write.ok:
            return None
        if self.past.store.snapshot.series("in", write.key[0], write.key[1]):
            return None
        keys = self.keys_of(actor, write)
        found = self._explained(actor, writes, [actor.courses[key] for key in keys if key in actor.courses])
        return found if isinstance(found, Explanation) else self.emptied(write)

    def emptied(self, write: RecordedWrite) -> Explanation | None:
        """The namespace controller asks for kinds of which there is nothing as well: the rule for those that there are.

        Source: pkg/controller/namespace/deletion/namespaced_resources_deleter.go: deleteAllContent
        """
        namespace = self.past.store.get("Namespace", "", write.key[1])
        if namespace is None or (write.type is not None and write.key[0] != "Event"):
            return None
        view = self.past.whole_view(write.time)
        decision = emptying.decide("content", Sync(namespace=namespace, view=view))
        if decision.actions and write.key[0] != "Pod":
            pods = view.list("Pod", write.key[1])
            decision = emptying.decide("after-pods", Sync(namespace=namespace, view=view, left=pods))
        if not {"delete_pods", "delete_rest"} & set(decision.actions):
            return None
        key = ("Namespace", "", write.key[1])
        return Explanation(decision.rule, dict(decision.facts), key, self.past.store.revision, 0)

    def _with_assumed(self, actor: Actor, write: RecordedWrite) -> Iterator[Course]:
        """What comes of a scheduler's attempt that has placed others already whose bindings are on their way."""
        memory = actor.memories[-1][1]
        moments = self._moments(actor, 0, write.key)[:_TRIES]
        for bound in self.past.coming_bindings(write):
            memory = memory.set((ASSUMED, bound.uid), bound.new.typed.spec.node_name if bound.new is not None else "")
            for moment, behind in views_of(moments, actor):
                now = write.received or write.time
                course = self._sync(actor, write.key, moment, now, behind, memory=memory)
                if course is not None and not course.over:
                    yield course

    def _explained(
        self, actor: Actor, writes: Sequence[RecordedWrite], courses: Iterable[Course]
    ) -> Explanation | Nearest:
        nearest = Nearest()
        for course in courses:
            for step in self._with_idle(actor, course, writes[0]):
                found = self._fits(actor, step, writes)
                if isinstance(found, Explanation):
                    self._follow(actor, found, step)
                    return found
                nearest = _nearer(nearest, found)
        return nearest

    def _looked_earlier(self, actor: Actor, writes: Sequence[RecordedWrite]) -> Explanation | None:
        """The same plan on an earlier view: the requests before this one did not tell which view it was made of."""
        for key in self.keys_of(actor, writes[0]):
            known = actor.trails.get(key)
            began = actor.began.get(key)
            if known is None or not known.trail or began is None:
                continue
            moments = [m for m in self._moments(actor, began.floor, key) if m.revision <= known.seen]
            for moment, behind in views_of(moments[:_TRIES], actor):
                memory = began.memory if moment.revision >= began.since else None
                course = self._sync(actor, key, moment, moment.at or writes[0].time, behind, memory=memory)
                found = None if course is None else self._goes_on(actor, course, known, writes)
                if found is not None:
                    return found
        return None

    def _goes_on(
        self, actor: Actor, course: Course, known: Course, writes: Sequence[RecordedWrite]
    ) -> Explanation | None:
        """The write as part of a plan that also ordered what was sent before it."""
        after = course.along(known.trail)
        found = None if after is None else self._fits(actor, after, writes)
        if after is None or not isinstance(found, Explanation):
            return None
        self._follow(actor, found, after)
        return found

    def _in_other_orders(self, actor: Actor, writes: Sequence[RecordedWrite]) -> Explanation | None:
        """A deletion by a controller whose cache lists objects in another order: how it ranks them is no total order,
        so that it matters. It goes on with what was sent before, or begins.
        """
        write = writes[0]
        for key in self.keys_of(actor, write):
            known = actor.trails.get(key, Course.of(key, 0, DONE))
            began = actor.began.get(key)
            for moment in self._moments(actor, actor.floor.get(key, 0), key)[:_SHUFFLED]:
                memory = began.memory if began is not None and known.trail and moment.revision >= began.since else None
                view = self._view(actor, moment, write.received or write.time, memory=memory)
                for other in shuffled(view):
                    course = self._planned(actor, key, moment, other)
                    if course is None or course.over:
                        continue
                    found = self._goes_on(actor, course, known, writes)
                    if found is not None:
                        return found
        return None

    def _moments(self, actor: Actor, floor: int, key: Key) -> list[Moment]:
        """The moments of which a view of the actor can be, as far as they differ in what it sees for a key: it has
        never seen less than at `floor`, and most controllers look no further than the key's namespace.
        """
        found: list[Moment] = []
        spaces = None if actor.places else ("", key[1] or key[2])
        last = None
        for moment in self.past.earlier(floor):
            last = moment
            change = moment.change
            if not found:
                found.append(moment)
            elif change is None or change.key[0] not in actor.watched:
                continue
            elif spaces is None or change.key[1] in spaces:
                found.append(moment)
            if len(found) > _TRIES:
                return found
        return found if last is None or last is found[-1] else [*found, last]

    def refused(self, actor: Actor, write: RecordedWrite) -> None:
        """A request was refused: whoever sent it knows."""
        for course in self._courses(actor, write, _REFUSED):
            for order in course.next_writes:
                if address_of(order) == recorded_address(write):
                    stored = self.past.store.snapshot.get(write.key)
                    answer = Outcome(
                        request=order, code=write.code, reason=write.reason, message=write.message, object=stored
                    )
                    actor.remember(course.remembered, course.seen)
                    self._go_on(actor, course, answer)
                    return

    def _courses(self, actor: Actor, write: RecordedWrite, most: int | None = None) -> Iterator[Course]:
        keys = self.keys_of(actor, write)
        for key in keys:
            if key in actor.courses:
                yield actor.courses[key]
        yield from self._fresh(actor, keys, write, most=most)

    def give_up(self, actor: Actor, write: RecordedWrite) -> None:
        """A write that no rule orders was made all the same."""
        for key in self.keys_of(actor, write):
            actor.give_up(key)

    def keys_of(self, actor: Actor, write: RecordedWrite) -> tuple[Key, ...]:
        """Keys that the actor can have worked on: those that its watches make of the object, and like ones."""
        before = (reconciled(evolve(write, new=None)),) if write.old is not None else ()
        found: list[Key] = [
            reconciled(write),
            *before,
            *named_owners(write),
            write.key,
            ("Namespace", "", write.key[1] or write.key[2]),
        ]
        for document in (write.old, write.new):
            if document is not None:
                found = [*self._woken_by(actor, write.key, document.typed), *found]
        found += self._preemptors(actor, write)
        return tuple(key for key in dict.fromkeys(found) if key in actor.woken or key in actor.courses)

    def _preemptors(self, actor: Actor, write: RecordedWrite) -> Iterator[Key]:
        """Pods for whose sake the scheduler removes another: they are on their way, or may be."""
        if not actor.places or write.verb == "bind" or write.old is None:
            return
        yield from actor.courses
        yield from self.past.unbound

    def _fresh(
        self,
        actor: Actor,
        keys: Iterable[Key],
        write: RecordedWrite,
        first: Key | None = None,
        most: int | None = None,
    ) -> Iterator[Course]:
        """New syncs of keys on the views that the actor can have, the latest first; `first`: what it lists first;
        `most`: so many views at most.
        """
        for key in keys:
            newest = self.past.moments[-1]
            course = self._sync(actor, key, newest, write.received or write.time, None, first)
            if course is not None and not course.over:
                yield course
            moments = self._moments(actor, actor.floor.get(key, 0), key)[:_TRIES]
            for moment, behind in islice(views_of(moments, actor), 1, most):
                for now in (write.received or write.time, moment.at):
                    if now < moment.at and moment is not newest:
                        continue
                    course = self._sync(actor, key, moment, now, behind, first)
                    if course is not None and not course.over:
                        yield course

    def _sync(
        self,
        actor: Actor,
        key: Key,
        moment: Moment,
        now: int,
        behind: Behind | None,
        first: Key | None = None,
        memory: Map[Any, Any] | None = None,
    ) -> Course | None:
        return self._planned(actor, key, moment, self._view(actor, moment, now, behind, first, memory))

    def _view(
        self,
        actor: Actor,
        moment: Moment,
        now: int,
        behind: Behind | None = None,
        first: Key | None = None,
        memory: Map[Any, Any] | None = None,
    ) -> View:
        view = self.past.view(actor, moment, now, behind, first)
        return view if memory is None else evolve(view, memory=memory)

    def _planned(self, actor: Actor, key: Key, moment: Moment, view: View) -> Course | None:
        try:
            return Course.of(key, moment.revision, actor.wiring.controller.reconcile(view, key))
        except (LawError, ValueError, KeyError, AttributeError, AssertionError):  # such a view cannot have been
            return None

    def _with_idle(self, actor: Actor, course: Course, write: RecordedWrite) -> Iterator[Course]:
        """The course, and the same after requests that change nothing: logs need not have them."""
        for _ in range(_IDLE):
            yield course
            order = course.next_writes[0]
            if not may_be_idle(order):
                return
            answer = self.api.handle(self.past.store, order, self._sender(actor), write.time, Told(write))
            if not answer.outcome.ok or answer.changes:
                return
            after = course.answered(answer.outcome)
            if after.over:
                return
            noted, told = (*course.remembered, *after.remembered), (*course.recorded, *after.recorded)
            course = evolve(after, remembered=noted, recorded=told)

    def _sender(self, actor: Actor) -> Sender:
        return actor.wiring.sender

    def _stores(self, write: RecordedWrite) -> Iterator[Store]:
        """What the API server can have looked at first: a deletion is prepared before it is committed.

        Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go: Delete, BeforeDelete
        """
        store = self.past.store
        yield store
        if write.verb != "delete":
            return
        for at, earlier in reversed(self.past.versions.get(write.key, ())):
            if earlier is not store.snapshot.get(write.key) and at >= write.time - SECOND:
                yield Store(store.snapshot.put(store.revision, write.key, earlier), store.history)

    def _fits(self, actor: Actor, course: Course, writes: Sequence[RecordedWrite]) -> Explanation | Nearest:
        write = writes[0]
        nearest = Nearest()
        for order in course.next_writes:
            why = order.why or Why(rule=actor.wiring.controller.name)
            if address_of(order) != recorded_address(write):
                verb, _, key = address_of(order)
                nearest = _nearer(nearest, Nearest(why.rule, dict(why.facts), f"it orders {verb} {'/'.join(key)}"))
                continue
            outcome, differs = status_written(writes, order, self.past.store), ""
            for store in self._stores(write) if outcome is None else ():
                answer = self.api.handle(store, order, self._sender(actor), write.time, Told(write))
                differs, outcome = differs_from(writes, answer), answer.outcome
                if not differs:
                    break
            if not differs:
                woken = actor.woken.get(course.key, ())
                cause = next((each for each in reversed(woken) if each <= course.seen), 0)
                found = Explanation(why.rule, dict(why.facts), course.key, course.seen, cause, course)
                self._answer = outcome
                return found
            nearest = Nearest(why.rule, dict(why.facts), differs)
        return nearest

    _answer: Any = None

    def _follow(self, actor: Actor, found: Explanation, course: Course) -> None:
        if not course.trail:
            actor.begin(course.key, course.seen)
        actor.remember_first(course.remembered, course.seen, self.past)
        actor.floor[course.key] = max(actor.floor.get(course.key, 0), min(found.seen, course.seen))
        self._go_on(actor, course, self._answer)

    def _go_on(self, actor: Actor, course: Course, answer: Outcome) -> None:
        after = course.answered(answer)
        sent = (*course.trail, (address_of(answer.request), answer))
        actor.trails[course.key] = evolve(course, trail=sent, remembered=(), recorded=())
        actor.courses.pop(course.key, None)
        actor.remember(after.remembered, course.seen)
        self.announced.note(actor.wiring.controller.name, (*course.recorded, *after.recorded), self.past.moments[-1].at)
        if not after.over:
            actor.courses[course.key] = evolve(after, remembered=(), recorded=())

    def announcements(self, actor: Actor, write: RecordedWrite) -> Iterator[Record]:
        """The Events that a controller orders before any write, on the views that it can have had."""
        assert write.new is not None
        about = Announcement.of_json(write.new.json).about
        obj = self.past.store.snapshot.get(about)
        keys = [about, *self._woken_by(actor, about, obj)]
        for key in dict.fromkeys(each for each in keys if each in actor.woken):
            for moment in self._moments(actor, 0, key)[:_TOLD]:
                for now in (moment.at, write.received or write.time):
                    course = self._sync(actor, key, moment, now, None)
                    yield from () if course is None else course.recorded

    def _woken_by(self, actor: Actor, key: Key, obj: Any) -> Iterator[Key]:
        """The keys that a controller's watches make of an object."""
        watch = next((each for each in actor.wiring.watches if each.kind == key[0]), None)
        if watch is None or obj is None:
            return
        newest = self.past.moments[-1]
        change = Change(self.past.store.revision, "ADDED", key, None, obj, newest.at)
        view = self.past.seen_by(actor.memories[-1][1], newest)
        for found in watch.keys(change, view):
            yield found[0] if len(found) == 2 else found


def _nearer(known: Nearest, other: Nearest) -> Nearest:
    """The one that says more: an order to the same object says more than one to another."""
    if not known.rule or (known.differs.startswith("it orders") and not other.differs.startswith("it orders")):
        return other
    return known
