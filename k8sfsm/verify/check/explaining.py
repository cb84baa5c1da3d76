"""Is there a rule of its actor that orders exactly this write, on a view that the actor can have had?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, Final, TypeAlias

from attrs import define, evolve, frozen
from immutables import Map

from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.controllers.namespace import Sync
from k8sfsm.controllers.namespace import law as emptying
from k8sfsm.law import LawError
from k8sfsm.objects import key_of, to_json
from k8sfsm.request import DeleteCollection, Evict, Key, Outcome, Patch, Record, Why, Write
from k8sfsm.scheduler.cluster import ASSUMED
from k8sfsm.store import Change, Store
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.check.course import Address, Course
from k8sfsm.verify.check.events import Announced, Announcement
from k8sfsm.verify.check.judging import law
from k8sfsm.verify.check.past import SECOND, Actor, Moment, Past
from k8sfsm.verify.check.verdicts import Explanation, Nearest, apart
from k8sfsm.verify.replay.choices import address_of, named, reconciled
from k8sfsm.verify.replay.compare import differences

_TRIES: Final = 64
_IDLE: Final = 16
_TOLD: Final = 12
"""On so many views an Event is looked for."""
_PAIRED: Final = 6
"""So many earlier states of two kinds at once are tried."""
Behind: TypeAlias = Mapping[str, Moment]
"""Kind -> the moment up to which it was seen."""
_TOKEN: Final = "kube-api-access-"


class Granting(ApiServer):
    """An API server that takes well-formed objects for granted: what is asked for here, a real one has accepted."""

    def _refuse_invalid(self, old: Any, new: Any, basis: Any = None, subresource: str = "") -> None:
        """Nothing is refused."""


@frozen
class Told:
    """What the API server chose for a recorded object: the API server's chance, as it fell."""

    write: RecordedWrite

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        """The rest of the recorded name, or of its token volume's."""
        if base == _TOKEN and self.write.new is not None:
            for volume in (self.write.new.json.get("spec") or {}).get("volumes") or ():
                if str(volume.get("name", "")).startswith(_TOKEN):
                    return str(volume["name"])[len(_TOKEN) :]
        name = self.write.key[2]
        return name[len(base) :] if name.startswith(base) else name

    def uid(self, key: Key) -> str:
        """The recorded uid."""
        return self.write.uid

    def index(self, count: int) -> int:
        """The first."""
        return 0

    def fork(self) -> Told:
        """The same: it has nothing to choose."""
        return self

    def recorded(self, purpose: str, key: Key) -> str:
        """Nothing: Services are the users' own."""
        return ""


@define
class Explaining:
    """The search for explanations."""

    past: Past
    api: ApiServer
    announced: Announced

    def explain(self, actor: Actor, writes: Sequence[RecordedWrite]) -> Explanation | Nearest:
        """The rule behind one request, with the changes it made; else the order that comes nearest."""
        found = self._explained(actor, writes, self._courses(actor, writes[0]))
        if isinstance(found, Nearest):
            found = self._looked_earlier(actor, writes) or found
        if isinstance(found, Nearest):
            listed_first = self._fresh(actor, self.keys_of(actor, writes[0]), writes[0], writes[0].key)
            other = self._explained(actor, writes, listed_first)
            found = other if isinstance(other, Explanation) else found
        if isinstance(found, Nearest) and writes[0].verb == "deletecollection":
            found = self.emptied(writes[0]) or found
        if isinstance(found, Nearest) and writes[0].verb == "bind":
            other = self._explained(actor, writes, self._with_assumed(actor, writes[0]))
            found = other if isinstance(other, Explanation) else found
        return found

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
        """Placements by a scheduler that has placed others already whose bindings are on their way."""
        memory = actor.memories[-1][1]
        moments = self._moments(actor, 0)[:_TRIES]
        for bound in self.past.coming_bindings(write):
            memory = memory.set((ASSUMED, bound.uid), bound.new.typed.spec.node_name)
            for moment, behind in _views(moments, actor):
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
            if known is None or not known.trail:
                continue
            began = actor.began[key]
            moments = [m for m in self._moments(actor, began.floor) if m.revision <= known.seen]
            for moment, behind in _views(moments[:_TRIES], actor):
                memory = began.memory if moment.revision >= began.since else None
                course = self._sync(actor, key, moment, moment.at or writes[0].time, behind, memory=memory)
                course = None if course is None else course.along(known.trail)
                found = None if course is None else self._fits(actor, course, writes)
                if course is not None and isinstance(found, Explanation):
                    self._follow(actor, found, course)
                    return found
        return None

    def _moments(self, actor: Actor, floor: int) -> list[Moment]:
        """The moments of which a view of the actor can be: it has never seen less than at `floor`."""
        moments = list(self.past.earlier(floor))
        told = [m for m in moments[1:-1] if m.change is not None and m.change.key[0] in actor.watched]
        return [moments[0], *told, *moments[1:][-1:]]

    def refused(self, actor: Actor, write: RecordedWrite) -> None:
        """A request was refused: whoever sent it knows."""
        for course in self._courses(actor, write):
            for order in course.next_writes:
                if address_of(order) == _address(write):
                    stored = self.past.store.snapshot.get(write.key)
                    answer = Outcome(
                        request=order, code=write.code, reason=write.reason, message=write.message, object=stored
                    )
                    actor.remember(course.remembered, course.seen)
                    self._go_on(actor, course, answer)
                    return

    def _courses(self, actor: Actor, write: RecordedWrite) -> Iterator[Course]:
        keys = self.keys_of(actor, write)
        for key in keys:
            if key in actor.courses:
                yield actor.courses[key]
        yield from self._fresh(actor, keys, write)

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
            *_owners(write),
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
        if actor.wiring.sender.actor != "kube-scheduler" or write.verb == "bind" or write.old is None:
            return
        yield from actor.courses
        for pod in self.past.store.snapshot.series("node", "Pod", ""):
            yield key_of(pod)

    def _fresh(
        self, actor: Actor, keys: Iterable[Key], write: RecordedWrite, first: Key | None = None
    ) -> Iterator[Course]:
        """New syncs of keys on the views that the actor can have had, the latest first. `first`: what it lists first."""
        for key in keys:
            moments = self._moments(actor, actor.floor.get(key, 0))[:_TRIES]
            for number, (moment, behind) in enumerate(_views(moments, actor)):
                for now in (write.received or write.time, moment.at)[: 1 if number == 0 else 2]:
                    if now < moment.at and moment is not moments[0]:
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
        view = self.past.view(actor, moment, now, behind, first)
        view = view if memory is None else evolve(view, memory=memory)
        try:
            return Course.of(key, moment.revision, actor.wiring.controller.reconcile(view, key))
        except (LawError, ValueError, KeyError, AttributeError):  # such a view cannot have been
            return None

    def _with_idle(self, actor: Actor, course: Course, write: RecordedWrite) -> Iterator[Course]:
        """The course, and the same after requests that change nothing: logs need not have them."""
        for _ in range(_IDLE):
            yield course
            order = course.next_writes[0]
            if not _may_be_idle(order):
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
            if address_of(order) != _address(write):
                verb, _, key = address_of(order)
                nearest = _nearer(nearest, Nearest(why.rule, dict(why.facts), f"it orders {verb} {'/'.join(key)}"))
                continue
            for store in self._stores(write):
                answer = self.api.handle(store, order, self._sender(actor), write.time, Told(write))
                differs = _apart(writes, answer)
                if not differs:
                    break
            if not differs:
                woken = actor.woken.get(course.key, ())
                cause = next((each for each in reversed(woken) if each <= course.seen), 0)
                found = Explanation(why.rule, dict(why.facts), course.key, course.seen, cause, course)
                self._answer = answer.outcome
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
            for moment in self._moments(actor, 0)[:_TOLD]:
                for now in (moment.at, write.received or write.time):
                    course = self._sync(actor, key, moment, now, None)
                    yield from () if course is None else course.recorded

    def _woken_by(self, actor: Actor, key: Key, obj: Any) -> Iterator[Key]:
        """The keys that a controller's watches make of an object."""
        watch = next((each for each in actor.wiring.watches if each.kind == key[0]), None)
        if watch is None or obj is None:
            return
        change = Change(self.past.store.revision, "ADDED", key, None, obj, self.past.moments[-1].at)
        view = self.past.view(actor, self.past.moments[-1], change.at)
        for found in watch.keys(change, view):
            yield found[0] if len(found) == 2 else found


def _views(moments: Sequence[Moment], actor: Actor) -> Iterator[tuple[Moment, Behind | None]]:
    """All kinds as of one moment; then one kind, and at last two, as of earlier moments than the others."""
    if not moments:
        return
    for moment in moments:
        yield moment, None
    newest = moments[0]
    older = {kind: _older(kind, moments) for kind in sorted(actor.watched)}
    for kind, earlier in older.items():
        for moment in earlier:
            yield newest, {kind: moment}
    for (kind, earlier), (other, others) in combinations(older.items(), 2):
        for moment, another in product(earlier[:_PAIRED], others[:_PAIRED]):
            yield newest, {kind: moment, other: another}


def _older(kind: str, moments: Sequence[Moment]) -> list[Moment]:
    """The earlier states of a kind, the latest first: each as of the moment after a change of it, or the oldest."""
    changed = [each for each in moments[1:-1] if each.change is not None and each.change.key[0] == kind]
    first = moments[0].change
    return [*(changed if first is not None and first.key[0] == kind else changed[1:]), *moments[1:][-1:]]


def _owners(write: RecordedWrite) -> Iterator[Key]:
    """The controllers that the body of a request names: all that a refused creation tells."""
    if write.new is not None or not isinstance(write.body, dict):
        return
    for reference in (write.body.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            yield (str(reference.get("kind")), write.key[1], str(reference.get("name")))


def _address(write: RecordedWrite) -> Address:
    """(verb, subresource, object) of a recorded request; a deletion of a whole kind names no object."""
    kind, namespace, name = write.key
    if write.verb == "deletecollection":
        return write.verb, write.subresource, (kind, namespace, "")
    if write.verb == "create" and not name and isinstance(write.body, dict):
        base = str((write.body.get("metadata") or {}).get("generateName") or "")
        return write.verb, write.subresource, (kind, namespace, base)
    return write.verb, write.subresource, named(write)


def _apart(writes: Sequence[RecordedWrite], answer: Any) -> str:
    """How the answer to an order differs from what was recorded; "" where it does not."""
    if not answer.outcome.ok:
        return f"it would be refused: {answer.outcome.message or answer.outcome.reason}"
    changed = _without_steps([write for write in writes if write.type is not None], len(answer.changes))
    if len(changed) != len(answer.changes):
        return f"it changes {len(answer.changes)} times, recorded are {len(changed)}"
    if writes[0].verb == "deletecollection":  # in any order
        order = {(write.key, write.type): place for place, write in enumerate(changed)}
        made = sorted(answer.changes, key=lambda change: order.get((change.key, change.type), -1))
    else:
        made = list(answer.changes)
    for write, change in zip(changed, made, strict=True):
        if (write.key, write.type) != (change.key, change.type):
            return f"it makes {change.type} {'/'.join(change.key)}"
        worked_out = write.derived and write.verb == "delete"
        if write.new is None or write.type == "DELETED" or worked_out or _same(write.new.typed, change.new):
            continue
        recorded, ordered = to_json(write.new.typed), to_json(change.new)
        found = sorted(
            differences(write.key[0], recorded, ordered, by=law), key=lambda each: each[0].startswith("metadata")
        )
        if found:
            return apart(write.key[0], *found[0])
    return ""


def _may_be_idle(order: Write) -> bool:
    """Whether an order may change nothing, so that a log need not have it: a look at an object, or at an empty kind."""
    return isinstance(order, DeleteCollection | Evict) or (isinstance(order, Patch) and not order.body)


def _same(recorded: Any, ordered: Any) -> bool:
    """Whether two states of an object are the same but for what the API server gives them: the quick answer."""
    if type(recorded) is not type(ordered) or recorded.kind == "EndpointSlice":
        return False
    left, right = recorded.metadata, ordered.metadata
    meta = evolve(right, resource_version=left.resource_version, uid=left.uid, extra=left.extra)
    return bool(meta == left and evolve(ordered, metadata=left) == recorded)


def _without_steps(changed: list[RecordedWrite], wanted: int) -> list[RecordedWrite]:
    """The changes without those that a log is believed to imply, where a request made fewer: a removal without a mark."""
    if len(changed) == wanted or not all(write.derived for write in changed[:-1]):
        return changed
    return changed[-1:] if wanted == 1 and changed[-1].type == "DELETED" else changed


def _nearer(known: Nearest, other: Nearest) -> Nearest:
    """The one that says more: an order to the same object says more than one to another."""
    if not known.rule or (known.differs.startswith("it orders") and not other.differs.startswith("it orders")):
        return other
    return known
