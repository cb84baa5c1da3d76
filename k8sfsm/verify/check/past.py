"""The history up to a write, as the components can have seen it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen
from immutables import Map

from k8sfsm.engine.cluster import Component, Watch, Wiring
from k8sfsm.engine.standard import control_plane
from k8sfsm.engine.wiring import wire
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.law import constant
from k8sfsm.objects import KINDS, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Remember
from k8sfsm.scheduler.scheduler import Scheduler
from k8sfsm.store import Change, Snapshot, Store
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.value import value
from k8sfsm.verify.check.course import Course
from k8sfsm.view import View

_NO_MEMORY: Final[Map[Any, Any]] = Map()
_WAKES: Final = 64
_SCHEDULER: Final = "kube-scheduler"


@frozen
class Moment:
    """The store after a change."""

    revision: int
    at: int
    change: Change | None
    snapshot: Snapshot


@frozen
class Beginning:
    """What a controller knew when a course began: the last view that it had shown before, and its memory then, which
    is that of a certain revision.
    """

    floor: int
    since: int
    memory: Map[Any, Any]


@define
class Actor:
    """What a component's controller can have in mind. `memories`: (revision, memory) within the lag, oldest first."""

    wiring: Wiring
    kinds: frozenset[str]
    watched: frozenset[str]
    """The kinds that the controller itself watches; `kinds`: those that its component has informers for."""
    subject: str
    """The kind that it watches first: where there is none of it in a namespace, nothing there concerns the controller.
    "" for one whose subject is in no namespace.
    """
    memories: deque[tuple[int, Map[Any, Any]]] = field(factory=lambda: deque([(0, Map())]))
    woken: dict[Key, deque[int]] = field(factory=dict)
    """Key -> revisions of the changes that put it into the queue."""
    stirred: dict[Key, int] = field(factory=dict)
    """Key -> when (ns) it was put into the queue last."""
    courses: dict[Key, Course] = field(factory=dict)
    floor: dict[Key, int] = field(factory=dict)
    """Key -> the revision of the last view that the controller has shown for it."""
    began: dict[Key, Beginning] = field(factory=dict)
    """Key -> what was known when the latest course began."""
    trails: dict[Key, Course] = field(factory=dict)
    """Key -> the course as it is under way, with what it has sent."""

    @property
    def places(self) -> bool:
        """Whether it places pods, and so looks at other namespaces than that of what it works on."""
        return self.wiring.sender.actor == _SCHEDULER

    def forget(self, key: Key) -> None:
        """The object of a key is long gone."""
        for table in (self.woken, self.stirred, self.courses, self.floor, self.began, self.trails):
            table.pop(key, None)

    def give_up(self, key: Key) -> None:
        """The actor did about a key what it should not have done: what it has in mind now is not known."""
        self.courses.pop(key, None)
        for position, (seen, memory) in enumerate(self.memories):
            about = [name for name in memory if isinstance(name, tuple) and key in name]
            self.memories[position] = (seen, _with(memory, _NO_MEMORY, about))

    def memory_at(self, revision: int) -> Map[Any, Any]:
        """The memory when the view was at a revision."""
        return next((each for seen, each in reversed(self.memories) if seen <= revision), self.memories[0][1])

    def begin(self, key: Key, seen: int) -> None:
        """A course begins, on a view of revision `seen`."""
        since, memory = next((each for each in reversed(self.memories) if each[0] <= seen), self.memories[0])
        self.began[key] = Beginning(self.floor.get(key, 0), since, memory)

    def remember_first(self, steps: tuple[Remember, ...], since: int, past: Past) -> None:
        """What a sync on a view of revision `since` noted first: what it has seen since then is counted on top."""
        if not steps:
            return
        names = dict.fromkeys(step.key for step in steps)
        memory: Map[Any, Any] | None = None
        moments = {moment.revision: moment for moment in past.moments} if self.wiring.observe is not None else {}
        at = max((seen for seen, _ in self.memories if seen <= since), default=self.memories[0][0])
        for position, (seen, known) in enumerate(self.memories):
            if seen < at:
                continue
            if memory is None:
                memory = _noted(known, steps)
            elif (moment := moments.get(seen)) is not None and moment.change is not None:
                memory = _noted(memory, tuple(self.wiring.observe(moment.change, past.seen_by(memory, moment))))
            self.memories[position] = (seen, _with(known, memory, names))

    def remember(self, steps: tuple[Remember, ...], since: int) -> None:
        """What a sync on a view of revision `since` noted is known from then on."""
        if not steps:
            return
        at = max((seen for seen, _ in self.memories if seen <= since), default=self.memories[0][0])
        for position, (seen, memory) in enumerate(self.memories):
            if seen >= at:
                self.memories[position] = (seen, _noted(memory, steps))


def _with(memory: Map[Any, Any], other: Map[Any, Any], names: Iterable[Any]) -> Map[Any, Any]:
    """A memory with another one's entries of some names."""
    for name in names:
        if name in other:
            memory = memory.set(name, other[name])
        elif name in memory:
            memory = memory.delete(name)
    return memory


def _noted(memory: Map[Any, Any], steps: tuple[Remember, ...]) -> Map[Any, Any]:
    for step in steps:
        if step.value is not None:
            memory = memory.set(step.key, step.value)
        elif step.key in memory:
            memory = memory.delete(step.key)
    return memory


@value
class Shuffled(View):
    """A view whose lists begin with a certain object: the order of a real informer's lists is chance."""

    first: Key = ("", "", "")

    def _by_chance(self, found: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(sorted(found, key=lambda obj: key_of(obj) != self.first))

    def list(self, kind: str, namespace: str = "") -> tuple[Any, ...]:
        """As `View.list`, in another order."""
        return self._by_chance(super().list(kind, namespace))

    def series(self, index: str, kind: str, value: str) -> Series:
        """As `View.series`, in another order."""
        found = self._by_chance(tuple(super().series(index, kind, value)))
        return Series.of((tuple(range(len(found))),), (found,)) if found else NO_SERIES


@define
class Past:
    """The store, what it was within the lag, and the controllers that watch it."""

    store: Store
    choose_node: Callable[[Sequence[str], Key], str]
    tie_break: Callable[[Key], int]
    moments: deque[Moment] = field(factory=deque)
    actors: dict[str, Actor] = field(factory=dict)
    versions: dict[Key, deque[tuple[int, Any]]] = field(factory=dict)
    """Pod -> its states that a kubelet can have seen last, oldest first, and since when (ns) they were there."""
    coming: Sequence[RecordedWrite] = ()
    """The writes that follow, as far as they are known."""
    places: dict[tuple[str, str], None] = field(factory=dict)
    """(kind, namespace) of all objects so far."""
    watchers: dict[str, list[tuple[str, Actor, Watch]]] = field(factory=dict)
    """Kind -> (name, actor, watch) of everybody who watches it."""
    unbound: dict[Key, None] = field(factory=dict)
    """The pods that are on no node."""
    last_heard: dict[Key, int] = field(factory=dict)
    """Pod -> the revision of its last change by somebody else than its kubelet."""

    def __attrs_post_init__(self) -> None:
        self.places.update((key[:2], None) for key in self.store.snapshot.objects)
        self.moments.append(Moment(self.store.revision, 0, None, self.store.snapshot))
        for component in control_plane(scheduler=Scheduler()):
            self._join(component)

    def _join(self, component: Component) -> None:
        wirings = wire(component)
        kinds = frozenset(watch.kind for wiring in wirings for watch in wiring.watches)
        for wiring in wirings:
            watched = tuple(watch.kind for watch in wiring.watches)
            subject = watched[0] if KINDS[watched[0]].namespaced else ""
            self.actors[wiring.actor] = Actor(wiring, kinds, frozenset(watched), subject)

    def view(
        self,
        actor: Actor,
        moment: Moment,
        now: int,
        behind: Mapping[str, Moment] | None = None,
        first: Key | None = None,
    ) -> View:
        """What an actor saw when it had seen all up to a moment; of the kinds in `behind`, up to an earlier one.

        `first`: the object that its caches happen to list first.
        """
        snapshots = dict.fromkeys(actor.kinds, moment.snapshot)
        for kind, earlier in (behind or {}).items():
            snapshots[kind] = earlier.snapshot
        memory = actor.memory_at(moment.revision)
        chances = (self.store, self.choose_node, self.tie_break)
        if first is None:
            return View(now, snapshots, memory, Map(), *chances)
        return Shuffled(now, snapshots, memory, Map(), *chances, first)

    def coming_bindings(self, write: RecordedWrite) -> Iterator[RecordedWrite]:
        """The bindings that were asked for soon after this one, of pods that exist already."""
        for each in self.coming:
            if each.time > write.time + SECOND:
                return
            if (
                each.verb == "bind"
                and each.ok
                and each.new is not None
                and self.store.snapshot.get(each.key) is not None
            ):
                yield each

    def whole_view(self, now: int, memory: Map[Any, Any] = _NO_MEMORY, runtime: Map[str, Any] = _NO_MEMORY) -> View:
        """All that there is, seen at a time (ns)."""
        return View(now, self.store.snapshot, memory, runtime, self.store, self.choose_node, self.tie_break)

    def list_all(self, actor: Actor, at: int) -> None:
        """At its start a component is woken by everything that exists."""
        store = self.store
        for key, (_, obj) in store.snapshot.objects.items():
            watch = next((each for each in actor.wiring.watches if each.kind == key[0]), None)
            if watch is None:
                continue
            change = Change(store.revision, "ADDED", key, None, obj, at)
            for found in watch.keys(change, self.view(actor, self.moments[-1], at)):
                name = found[0] if len(found) == 2 else found
                actor.woken.setdefault(name, deque([store.revision], maxlen=_WAKES))
                actor.stirred[name] = at

    def appear(self, obj: Any, at: int) -> None:
        """An object shows that was there before the history began."""
        store, change = self.store.put(obj, at)
        for _ in self.take(store, change, ""):
            pass

    def take(self, store: Store, change: Change, writer: str) -> Iterator[tuple[str, Key]]:
        """A change was committed: everybody hears of it, some time. Gives the keys that it puts into actors' queues."""
        return iter(self._taken(store, change, writer))

    def _taken(self, store: Store, change: Change, writer: str) -> list[tuple[str, Key]]:
        self.store = store
        if change.type == "ADDED":
            self.places[change.key[:2]] = None
        moment = Moment(change.revision, change.at, change, store.snapshot)
        self.moments.append(moment)
        if change.key[0] == "Pod":
            self._remember(change)
            self._note_binding(change.key, None if change.type == "DELETED" else change.new)
            if writer != "kubelet":
                self.last_heard[change.key] = change.revision
        oldest = change.at - constant("check_view_lag") * SECOND
        while len(self.moments) > 1 and self.moments[1].at < oldest:
            self._forget(self.moments.popleft())
        self.store = self.store.forgetting(self.moments[0].revision)
        bare = self.seen_by(_NO_MEMORY, moment)
        return [
            (name, key)
            for name, actor, watch in self._watchers(change.key[0])
            for key in self._notify(actor, watch, change, bare, moment)
        ]

    def _watchers(self, kind: str) -> list[tuple[str, Actor, Watch]]:
        """Who watches a kind, in the order of the actors."""
        found = self.watchers.get(kind)
        if found is None:
            found = self.watchers[kind] = [
                (name, actor, watch)
                for name, actor in self.actors.items()
                for watch in actor.wiring.watches
                if watch.kind == kind
            ]
        return found

    def _forget(self, moment: Moment) -> None:
        change = moment.change
        if change is not None and change.type == "DELETED" and self.store.snapshot.get(change.key) is None:
            self.versions.pop(change.key, None)
            self.last_heard.pop(change.key, None)
            for actor in self.actors.values():
                actor.forget(change.key)

    def _note_binding(self, key: Key, obj: Any) -> None:
        if key[0] == "Pod" and obj is not None and not obj.spec.node_name:
            self.unbound[key] = None
        else:
            self.unbound.pop(key, None)

    def _remember(self, change: Change) -> None:
        known = self.versions.setdefault(change.key, deque())
        known.append((change.at, change.new))
        oldest = change.at - constant("check_view_lag") * SECOND
        while len(known) > 1 and known[1][0] < oldest:
            known.popleft()

    def seen_by(self, memory: Map[Any, Any], moment: Moment) -> View:
        """The view of a controller that has just seen a change."""
        return View(moment.at, moment.snapshot, memory, Map(), self.store, self.choose_node, self.tie_break)

    def _notify(self, actor: Actor, watch: Watch, change: Change, bare: View, moment: Moment) -> list[Key]:
        """An actor hears of a change; `bare`: the view of one who remembers nothing."""
        memories, oldest = actor.memories, self.moments[0].revision
        memory = memories[-1][1]
        subject, place = actor.subject, change.key[1]
        concerned = not subject or not place or change.key[0] == subject or (subject, place) in self.places
        observe = actor.wiring.observe
        view = self.seen_by(memory, moment) if memory and (concerned or observe is not None) else bare
        if observe is not None:
            memory = _noted(memory, tuple(observe(change, view)))
        memories.append((change.revision, memory))
        while len(memories) > 1 and memories[1][0] <= oldest:
            memories.popleft()
        if not concerned:
            return []
        keys = []
        for found in watch.keys(change, view):
            key = found[0] if len(found) == 2 else found
            woken = actor.woken.get(key)
            if woken is None:
                woken = actor.woken[key] = deque(maxlen=_WAKES)
            woken.append(change.revision)
            actor.stirred[key] = change.at
            keys.append(key)
        return keys

    def earlier(self, floor: int) -> Iterator[Moment]:
        """The moments that a view can be of, the latest first."""
        for moment in reversed(self.moments):
            if moment.revision < floor:
                return
            yield moment
