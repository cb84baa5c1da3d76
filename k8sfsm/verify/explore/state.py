"""States of a story and their successors: whatever may happen next, in every order.

Requests and news take no time here; what nodes do takes as long as usual. The clock goes on when nothing is left to be
done at its moment, and what happens at one moment happens in every order. Five things are not put off:

- what changes is seen at once, and what somebody decides is written at once: nobody acts on what is no longer so. Where
  a stale view is among the faults that are allowed, one who sees, or a write that was decided, is late: it comes any
  time after, whatever else happens in between. In a `fine` search every write takes its turn;
- what happens in a container runtime is noticed at once, and a kubelet works at once, but what it reports takes its
  turn (in a `fine` search its looks do, too);
- a fault happens before anything else of its moment: a container's end is not noticed before the kubelet's next relist;
- a look that comes to nothing (no write, nothing remembered) is done first: it commutes with everything else, because
  whatever would change its outcome puts its key into the queue again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import define, evolve

from k8sfsm.engine.action import Act, Deliver, Happen, Send
from k8sfsm.engine.engine import Engine
from k8sfsm.law import LawError
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.model import Timed
from k8sfsm.scenario.play import Play
from k8sfsm.verify.fuzz.run import WatchedServer, promises_broken
from k8sfsm.verify.invariants import Violation, check_convergence
from k8sfsm.verify.watch import Watch
from k8sfsm.view import View

STALE: Final = "stale-view"
_BY_ROUNDS: Final = ("Node", "PodGC")
"""Kinds that are as they should be only after a round of a controller. Heartbeats and rounds do not go on here."""


@define
class State:
    """A state of a story. `held`: news and writes that are late; `done`: commands that the user has given; `fine`:
    every write takes its turn; `turns`: how many more times something may come out of turn (None: any number); `fresh`:
    the first state of its moment, in which faults strike.

    `says`: what happened last; `broken`: what that broke.
    """

    play: Play
    engine: Engine
    watch: Watch
    held: frozenset[Any] = frozenset()
    done: int = 0
    fine: bool = False
    turns: int | None = None
    fresh: bool = True
    says: str = ""
    broken: tuple[Violation, ...] = ()
    lines: list[Any] | None = None

    # -- what may happen ----------------------------------------------------------------------------------------------

    def successors(self) -> Iterator[State]:
        """All states that may come next, in a stable order; none where all is over."""
        if self.engine.at_rest and self.next_command is None:
            return
        if self._user_is_next():
            yield from self._commanded()
            return
        found: list[State] = []
        for number, action in enumerate(self._in_turn()):
            if number and self.turns == 0:
                break
            after = self._after(action, str(action))
            if isinstance(action, Act) and self._came_to_nothing(after[0], action):
                yield after[0]
                return
            for state in after:
                state.turns = self.turns if not number or self.turns is None else self.turns - 1
            found += after
        if self.fresh:
            for fault in self.engine.offers():
                if fault.kind != STALE:
                    found += self._after(fault, str(fault.parts[0][1]), fresh=True)
        yield from found

    def _in_turn(self) -> tuple[Any, ...]:
        """What is due now, or next, in order; what is late comes last."""
        due = self.engine.due()
        return (*(each for each in due if each not in self.held), *(each for each in due if each in self.held))

    @property
    def next_command(self) -> Timed | None:
        """The user's next command."""
        actions = self.play.story.actions
        return actions[self.done] if self.done < len(actions) else None

    def _user_is_next(self) -> bool:
        command, due = self.next_command, self.engine.next_due()
        return command is not None and (self.engine.at_rest or due is None or due > START + command.due)

    def _came_to_nothing(self, after: State, action: Act) -> bool:
        old, new = self.engine, after.engine
        actor = new.actors[action.actor]
        return (
            new.store is old.store
            and actor.memory == old.actors[action.actor].memory
            and not actor.works_on(action.key)
            and new.node_states is old.node_states
            and not after.broken
        )

    # -- making it happen ---------------------------------------------------------------------------------------------

    def _child(self, says: str) -> State:
        engine = self.engine.fork()
        watch = Watch(engine)
        watch.checked, watch.blind_until = self.watch.checked, self.watch.blind_until
        child = evolve(self, engine=engine, watch=watch, says=says, broken=(), play=self.play)
        if self.lines is not None:
            child.lines = list(self.lines)
            engine.tracer = child.lines.append
        return child

    def _after(self, action: Any, says: str, fresh: bool = False) -> list[State]:
        child = self._child(says)
        try:
            child.engine.step(action)
        except LawError as error:
            child.broken = (Violation("law", str(error)),)
            return [child]
        if action in self.held:
            child.held -= {action}
            child._blind()
        child.fresh = fresh or child.engine.now > self.engine.now
        return child._settled()

    def _commanded(self) -> Iterator[State]:
        """The user's next command is given. A drain is one attempt at it: what comes of it may need another."""
        command = self.next_command
        assert command is not None
        child = self._child(f"user at {command.due // SECOND}s")
        child.engine.now = max(child.engine.now, START + command.due)
        child.done += 1
        child.fresh = True
        own = evolve(self.play, engine=child.engine, told=[], misses=[], pending=[], kept=[], drains=[])
        own.do(command)
        yield from child._settled()

    def _settled(self) -> list[State]:
        """The state when all is done that is not put off; and the states in which something of that is late."""
        found: list[State] = []
        while (action := self._at_once()) is not None:
            if isinstance(action, Deliver | Send) and self.engine.allowance.get(STALE, 0) > 0:
                found += self._late(action)
            try:
                self.engine.step(action)
            except LawError as error:
                self.broken = (Violation("law", str(error)),)
                break
        self._judge()
        return [self, *found]

    def _late(self, action: Deliver | Send) -> list[State]:
        """The states that come where news or a write are late."""
        who = action.component if isinstance(action, Deliver) else action.actor
        what = f"does not see {action.kind}" if isinstance(action, Deliver) else f"is late with {'/'.join(action.key)}"
        twin = self._child(f"{self.says}; {who} {what}")
        left = twin.engine.allowance.get(STALE, 0) - 1
        twin.engine.allowance = {**twin.engine.allowance, STALE: left}
        twin.held |= {action}
        twin._blind()
        return twin._settled()

    def _blind(self) -> None:
        self.watch.blind_until = max(self.watch.blind_until, self.engine.now + SECOND)

    def _at_once(self) -> Any:
        """The next thing that is not put off."""
        if self.engine.next_due() != self.engine.now:
            return None
        return next((action for action in self.engine.due() if self._is_prompt(action)), None)

    def _is_prompt(self, action: Any) -> bool:
        """Whether something is not put off."""
        if isinstance(action, Act | Send) and not self.fine:
            working = bool(self.engine.actors[action.actor].wiring.component.node)
            return working is isinstance(action, Act) and action not in self.held
        return isinstance(action, Happen) or (isinstance(action, Deliver) and action not in self.held)

    def _judge(self) -> None:
        """What was broken on the way here, or is at the end."""
        engine = self.engine
        server = engine.api
        found = list(self.broken) + list(self.watch.look(engine))
        if isinstance(server, WatchedServer) and server.refused:
            found += server.refused
            server.refused = []
        found += promises_broken(self.play.story.properties, engine, always=True)
        self.broken = tuple(found)

    def over(self) -> tuple[Violation, ...]:
        """What is not as it should be where nothing is left to do."""
        engine = self.engine
        view = View(engine.now, engine.store.snapshot, store=engine.store)
        found = (each for each in check_convergence(view) if each.invariant.partition("/")[0] not in _BY_ROUNDS)
        return (*found, *promises_broken(self.play.story.properties, engine, always=False))


def first_state(play: Play, started: bool, fine: bool = False, turns: int | None = None) -> State:
    """The state from which a story is explored. `started`: what is applied at first has come to rest already."""
    engine = play.engine
    engine.api = WatchedServer(engine.api)
    engine.keeps_events = False
    play.give(play.story.manifests)
    if started:
        until = START + play.story.actions[0].due if play.story.actions else engine.now
        engine.run(until=until)
    engine.stop_heartbeats()
    engine.tracer = None
    state = State(play, engine, Watch(engine), fine=fine, turns=turns)
    state._judge()
    return state
