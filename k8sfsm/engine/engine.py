"""The engine: a clock, an agenda, and one step after the other.

`enabled()` offers the actions that can happen now, `step(action)` performs one; a policy chooses. Everything that
happens is one of the actions of `k8sfsm.engine.action`. A fork shares all that neither side changes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from immutables import Map

from k8sfsm.apiserver import Answer, ApiServer, Sender
from k8sfsm.engine.action import Act, Action, Deliver, Enqueue, Fault, Happen, Send
from k8sfsm.engine.actor import Actor
from k8sfsm.engine.agenda import Agenda
from k8sfsm.engine.choices import Choices, Seeded
from k8sfsm.engine.cluster import Cluster, Component, Latencies, Wiring
from k8sfsm.engine.collecting import seldom_collected
from k8sfsm.engine.informer import Informers
from k8sfsm.engine.line import Line, line_of
from k8sfsm.engine.offer import offered
from k8sfsm.engine.perform import HOW, NO_STATE, notify
from k8sfsm.engine.recorded import Recorded
from k8sfsm.engine.trouble import NO_TROUBLE, Trouble
from k8sfsm.engine.wiring import wire
from k8sfsm.journal import EVENT
from k8sfsm.objects import evolve
from k8sfsm.request import Create, Outcome, Patch, Update, Why, Write
from k8sfsm.store import Change, Store
from k8sfsm.view import View

Tracer: TypeAlias = Callable[[Line], None]


class Engine:
    """A cluster in virtual time. `now`: nanoseconds since the epoch; `store`: the objects; `steps`: how many so far.

    `agenda`: what is to come. `states`: the part of the world that each place (a node) has to itself; whoever keeps it
    asks for `node_states`, and `put_state` changes it. `owner`: what those actors have as theirs that no fork shares
    (`own` makes one such).
    `keeps_events`: recorders write Events. `pace`: how `run` makes one step; None: it performs the first action due.
    """

    def __init__(
        self,
        cluster: Cluster,
        api: ApiServer,
        runtime: Any,
        *,
        store: Store | None = None,
        now: int = 0,
        choices: Choices | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.api = api
        self.runtime = runtime
        self.latencies: Latencies = cluster.latencies
        self.now = now
        self.store = store or Store.starting_at(0)
        self.choices: Choices = choices or Seeded()
        self.tracer = tracer
        self.steps = 0
        self.lines = 0
        self.requests = 0
        self.heartbeats = 0
        self.informers = Informers()
        self.actors: Mapping[str, Actor] = {}
        self.components: Map[str, Component] = Map()
        self.stopped: frozenset[str] = frozenset()
        self.states: dict[str, Map[str, Any]] = {}
        self.trouble: Trouble = NO_TROUBLE
        self.allowance: Mapping[str, int] = {}
        self.keeps_events = True
        self.pace: Callable[[Engine], None] | None = None
        self.agenda = Agenda()
        self.owner = self._actors_token = object()
        self._states_token: object = self.owner
        for component in cluster.components:
            self.add_component(component)

    # -- what can happen, and making it happen ------------------------------------------------------------------

    def enabled(self) -> tuple[Action, ...]:
        """The actions that can happen next, in a stable order: all that are due at the earliest time, then the faults
        that `allowance` (kind of fault -> how many more) lets happen.
        """
        return (*self.due(), *self.offers())

    def due(self) -> tuple[Action, ...]:
        """All actions that are due at the earliest time, in order."""
        return self.agenda.due_first()

    def next_due(self) -> int | None:
        """When the next action is due (ns); None where nothing is."""
        return self.agenda.next_due()

    def pending(self) -> tuple[tuple[int, Action], ...]:
        """Everything that is to come, in order: when it is due (ns), and what."""
        return self.agenda.pending()

    def offers(self) -> tuple[Fault, ...]:
        """The faults that may happen now, in a stable order."""
        return offered(self) if self.allowance else ()

    def step(self, action: Action | None = None) -> None:
        """Perform one action: the first, or a given one of those that are pending, or a fault.

        Raises ValueError where `action` is not pending, IndexError where nothing is.
        """
        if action is None:
            first = self.agenda.pop()
            if first is None:
                raise IndexError("nothing is pending")
            self._perform(*first)
            return
        self._perform(self.now if isinstance(action, Fault) else self.agenda.take(action), action)

    def _perform(self, due: int, action: Action) -> None:
        if due > self.now:
            self.now = due
        self.steps += 1
        HOW[action.__class__](self, action)

    def step_of(self, pick: Callable[[int], int]) -> None:
        """Perform one of the actions due at the earliest time: `pick` gives its number of so many.

        Raises IndexError where nothing is pending.
        """
        self._perform(*self.agenda.draw(pick))

    def schedule(self, action: Action, at: int) -> None:
        """Let an action happen at `at` (ns; not before now). Requests, faults and facts come in this way."""
        self.agenda.add(at if at > self.now else self.now, action)

    def cancel(self, actor: str) -> None:
        """Take out what an actor itself was going to do: its process has ended."""
        gone = self.agenda.drop(lambda action: isinstance(action, Act | Send | Enqueue) and action.actor == actor)
        self.heartbeats -= sum(isinstance(action, Enqueue) and action.periodic for action in gone)

    def forget_events(self, node: str) -> None:
        """Nothing of what was going to happen on a node happens: its machine is off."""
        self.agenda.drop(lambda action: isinstance(action, Happen) and action.event.node == node)

    def stop_heartbeats(self) -> None:
        """Nothing periodic happens any more: a cluster whose machines are well need not say so."""
        self.agenda.drop(lambda action: isinstance(action, Enqueue) and action.periodic)
        self.heartbeats = 0

    def deliver_later(self, component: str, kind: str) -> None:
        """Let an informer catch up, once news have travelled."""
        self.schedule(Deliver(component, kind), self.now + self.choices.delay(self.latencies.watch))

    def notify(self, actor: str, keys: Callable[..., Iterable[Any]], changes: Sequence[Change]) -> None:
        """An actor sees changes: its memory takes note, and the keys that they concern are queued."""
        notify(self, actor, keys, changes)

    def run(self, until: int | None = None, stop: Callable[[Engine], bool] | None = None) -> None:
        """Perform actions in order until `until` (ns), until `stop` says so, or until the cluster is at rest.

        A cluster where only rounds and heartbeats are left is at rest, whatever the next round may find. So after a
        kubelet has been stopped give an `until`, or a `stop` that looks for what is to happen: that its node is lost is
        found by a round of the node controller, after its grace period.
        """
        with seldom_collected():
            stopped = self._run(until, stop)
        if until is not None and not stopped:
            self.now = max(self.now, until)

    def _run(self, until: int | None, stop: Callable[[Engine], bool] | None) -> bool:
        """Says whether `stop` ended it."""
        while until is not None or not self.at_rest:
            if self.pace is None:
                agenda = self.agenda
                if agenda.present and until is not None and agenda.at <= until:  # what `pop` does
                    due, action = agenda.at, agenda.present.popleft()
                else:
                    first = agenda.pop(until)
                    if first is None:
                        break
                    due, action = first
                if due > self.now:  # what `_perform` does
                    self.now = due
                self.steps += 1
                HOW[action.__class__](self, action)
            elif self._is_due(until):
                self.pace(self)
            else:
                break
            if stop is not None and stop(self):
                return True
        return False

    def _is_due(self, until: int | None) -> bool:
        due = self.agenda.next_due()
        return due is not None and (until is None or due <= until)

    @property
    def at_rest(self) -> bool:
        """Nothing but heartbeats is left to happen."""
        return len(self.agenda) <= self.heartbeats

    def submit(self, write: Write, account: str = "user", actor: str = "user") -> Outcome:
        """Send a request of somebody outside at once, and return the answer."""
        return self.send(write, Sender(actor=actor, account=account))

    def fork(self) -> Engine:
        """An independent engine in the same state, without a tracer. It costs what either side changes later."""
        twin = Engine.__new__(Engine)
        twin.__dict__.update(self.__dict__)
        twin.choices = self.choices.fork()
        twin.informers = self.informers.fork()
        twin.agenda = self.agenda.copy()
        twin.tracer = None
        self.share()
        twin.share()
        return twin

    def share(self) -> None:
        """Own the actors no longer: one that is changed from now on is copied first, so that what others keep of it
        stays as it is.
        """
        self.owner = object()

    # -- the parts of a cluster ---------------------------------------------------------------------------------

    def add_component(self, component: Component) -> None:
        """Start a component: its informers list what there is, and its controllers get the keys of that."""
        self.components = self.components.set(component.name, component)
        wirings = wire(component)
        for wiring in wirings:
            self._own_actors()[wiring.actor] = Actor(wiring, self.owner)
        self.informers.subscribe(component, wirings)
        for kind in self.informers.kinds_of(component.name):
            self.api.machines.of(kind)  # read before the clock starts, not at the first write
        self.list_anew(component.name)

    def list_anew(self, component: str) -> None:
        """The component's informers list everything, as after a start; not before they reach the API server."""
        if component in self.trouble.parted:
            self.informers.forget(component)
            return
        for kind in self.informers.kinds_of(component):
            self.informers.relist(component, kind, self.store)
            self.deliver_later(component, kind)
        for wiring in self.informers.wirings(component):
            self.look_first(wiring)

    def look_first(self, wiring: Wiring) -> None:
        """An actor that starts looks at what it looks at in any case."""
        for key in wiring.first_keys:
            self.schedule(Enqueue(wiring.actor, key), self.now)

    def view_of(self, name: str) -> View:
        """What an actor sees now."""
        return self.view_for(self.actors[name])

    def view_for(self, actor: Actor) -> View:
        """What this actor of the engine sees now."""
        place, choices = actor.wiring.place, self.choices
        state = self.states.get(place, NO_STATE) if place else NO_STATE
        now, store = self.now, self.store
        if self.trouble is not NO_TROUBLE:
            name = actor.wiring.component.name
            now += self.trouble.skews.get(name, 0)
            store = self.trouble.parted.get(name, store)
        reader = actor.reader
        if reader is None or reader.owner is not self.informers.owner:
            reader = actor.reader = self.informers.readers[actor.wiring.component.name]
        return View(now, reader.snapshots, actor.memory, state, store, choices.node, choices.tie)

    def own(self, name: str) -> Actor:
        """The actor, to be changed: a copy of it where a fork still shares it."""
        actor = self.actors[name]
        if actor.owner is not self.owner:
            actor = self._own_actors()[name] = actor.copy(self.owner)
        return actor

    def _own_actors(self) -> dict[str, Actor]:
        actors: dict[str, Actor] = self.actors  # type: ignore[assignment]
        if self._actors_token is not self.owner:
            self.actors = actors = actors.copy()
            self._actors_token = self.owner
        return actors

    @property
    def node_states(self) -> Mapping[str, Map[str, Any]]:
        """The part of the world that each node, or another place, has to itself, as it is now; it stays so."""
        self._states_token = None
        return self.states

    def state_of(self, place: str) -> Map[str, Any]:
        """The part of the world that a place has to itself: of a node, its container runtime."""
        return self.states.get(place, NO_STATE)

    def put_state(self, place: str, state: Map[str, Any]) -> None:
        """Let a place be in a state."""
        self._own_states()[place] = state

    def befall(self, event: Any) -> None:
        """What happens changes the state of its place, or nothing."""
        place = event.node
        before = self.states.get(place, NO_STATE)
        after = event.applied(before)
        if after is not before:
            states = self.states if self._states_token is self.owner else self._own_states()
            states[place] = after

    def _own_states(self) -> dict[str, Map[str, Any]]:
        if self._states_token is not self.owner:
            self.states = self.states.copy()
            self._states_token = self.owner
        return self.states

    # -- writing ------------------------------------------------------------------------------------------------

    def send(self, write: Write, sender: Sender, cause: int = 0) -> Outcome:
        """One write goes through the API server, and what it changed on its way to all who watch."""
        answer = self.api.handle(self.store, write, sender, self.now, self.choices)
        self.store = answer.store
        for delivery in self.informers.publish(answer.changes):
            self.agenda.add(self.now + self.choices.delay(self.latencies.watch), delivery)
        if self.tracer is not None and not write.dry_run:
            self._trace(write, sender, answer, cause)
        return answer.outcome

    def record(self, write: Create | Update | Patch, sender: Sender, cause: int = 0) -> Outcome:
        """The write of a recorder goes through the API server."""
        if not isinstance(write, Create):
            return self.send(write, sender, cause)
        answer = self.api.record(self.store, write, sender, self.now, self.choices)
        self.store = answer.store
        self._announce(answer.changes)
        if self.tracer is not None and not write.dry_run:
            self._trace(write, sender, answer, cause)
        return answer.outcome

    def keep(self, event: Recorded, sender: Sender, cause: int, why: Why | None) -> None:
        """An Event that the API server lets through is stored as it is (`k8sfsm.apiserver.recorded_events`)."""
        self.store = self.store.noted(event)
        if EVENT in self.informers.subscribers:
            self._announce((event,))
        if self.tracer is not None:
            write = Create(object=event.new, why=why)
            answer = Answer(self.store, Outcome(request=write, code=201, object=event.new), (event,))
            self._trace(write, sender, answer, cause)

    def _announce(self, changes: Iterable[Change]) -> None:
        """Changes were committed: they are on their way to all who watch."""
        for delivery in self.informers.publish(changes):
            self.agenda.add(self.now + self.choices.delay(self.latencies.watch), delivery)

    def _trace(self, write: Write, sender: Sender, answer: Answer, cause: int) -> None:
        own = self.requests + len(answer.asides) + 1
        for line in line_of(write, sender, answer, self.now, cause):
            aside = line.revision in answer.asides
            self.requests += aside
            self.emit(evolve(line, request=self.requests if aside else own))
        self.requests = own

    def emit(self, line: Line) -> None:
        """Give a line to the tracer, numbered."""
        if self.tracer is not None:
            self.lines += 1
            self.tracer(evolve(line, number=self.lines))
