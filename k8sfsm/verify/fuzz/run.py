"""One run of a campaign: a story in which chance orders what happens at once and adds faults, judged at every step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, evolve, field, frozen

from k8sfsm.apiserver import Answer, ApiServer
from k8sfsm.engine.action import Fault, Lag, Part
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.offer import KINDS
from k8sfsm.engine.policy import Random
from k8sfsm.law import LawError, amended
from k8sfsm.objects import format_duration
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.model import Promise, Story
from k8sfsm.scenario.output import final_objects
from k8sfsm.scenario.play import Play
from k8sfsm.scenario.switches import amendments_of
from k8sfsm.verify.invariants import Violation, check_convergence
from k8sfsm.verify.watch import REFUSED, Watch
from k8sfsm.view import View

RATE: Final = 30
"""One step in so many is a fault, as long as some are allowed."""
AFTER: Final = 30 * SECOND
"""How long after the last command of the story faults may still come."""
QUIET: Final = 400 * SECOND
"""Nothing but heartbeats and probes for so long: longer than any usual timer. Then all is over."""
LONGEST: Final = 3600 * SECOND
"""A story that goes on for so long after its last command does not come to rest."""
RESTLESS: Final = 40
"""Pods made since the faults ended: more than a cluster makes that comes to rest."""
_HURRY: Final = SECOND // 2
"""How long what was decided before a user's command may still be under way."""
_MISTAKES: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What Python raises where a table orders what cannot be done."""
_BACKGROUND: Final = ("Lease", "Event", "Node")


@frozen
class Drawn:
    """A fault that happened: at the step `step` of the run, at `at` (ns since the start)."""

    step: int
    at: int
    fault: Fault

    def __str__(self) -> str:
        parts = "; ".join(_shown(part, delay) for delay, part in self.fault.parts)
        return f"{format_duration(self.at)} {self.fault.kind}: {parts}"


def _shown(part: Any, delay: int) -> str:
    return f"{part}" + (f" after {format_duration(delay)}" if delay else "")


@frozen(kw_only=True)
class Chance:
    """What chance decides in a run. `allow`: kind of fault -> how many may be drawn. `faults` given: these happen, no
    others. `calm`: actions that are due together happen in order, and nothing takes longer or shorter than usual.
    `plain`: nothing is left to chance, the story is played as it stands, and must come as it expects.
    """

    seed: int = 0
    allow: Mapping[str, int] = field(factory=dict)
    faults: tuple[Drawn, ...] | None = None
    calm: bool = False
    plain: bool = False

    @classmethod
    def none(cls) -> Chance:
        """No chance at all."""
        return cls(faults=(), calm=True, plain=True)


@frozen(kw_only=True)
class Failure:
    """A run that broke something. `lines`: what happened; `initial`: the objects at the start; `at`: when (ns)."""

    story: Story
    chance: Chance
    violations: tuple[Violation, ...]
    lines: tuple[Line, ...]
    initial: tuple[Any, ...]
    at: int
    steps: int

    @property
    def invariant(self) -> str:
        """What was broken first."""
        return self.violations[0].invariant


@frozen(kw_only=True)
class Result:
    """What came of a run. `drawn`: the faults that chance added; `judged`: whether convergence could be judged."""

    steps: int
    drawn: tuple[Drawn, ...]
    judged: bool
    failure: Failure | None


class Broken(Exception):
    """Something is broken; `violations` says what."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(map(str, self.violations)))


class WatchedServer(ApiServer):
    """Notes the writes of controllers that are refused as no write of theirs may be, and when users write."""

    def __init__(self, server: ApiServer) -> None:
        super().__init__(server.machines, server.options)
        self.refused: list[Violation] = []
        self.user_at = 0

    def handle(self, store: Any, write: Any, sender: Any, now: int, chance: Any) -> Answer:
        """The answer of the server; what it is about is noted."""
        answer = super().handle(store, write, sender, now, chance)
        if sender.actor == "user":
            self.user_at = now
        elif answer.outcome.reason in REFUSED:
            says = f"{sender.actor}: {answer.outcome.message}"
            self.refused.append(Violation(f"apiserver/{answer.outcome.reason}", says))
        return answer


@define
class _Judge:
    """Sets the pace of an engine: draws what happens, and looks at what came of it.

    `lags`: from when to when (ns) the story itself makes views stale.
    """

    chance: Chance
    policy: Random
    server: WatchedServer
    watch: Watch
    promises: tuple[Promise, ...]
    until: int
    first: int
    drawn: list[Drawn] = field(factory=list)
    lags: tuple[tuple[int, int], ...] = ()

    def __call__(self, engine: Engine) -> None:
        """One step."""
        fault = self._fault(engine)
        if fault is not None:
            self._strike(engine, fault)
        elif self.chance.calm:
            engine.step()
        else:
            engine.step_of(self.policy.index)
        self.look(engine)

    def _fault(self, engine: Engine) -> Fault | None:
        if self.chance.faults is not None:
            left = self.chance.faults[len(self.drawn) :]
            return left[0].fault if left and self._due(left[0], engine) else None
        return self.policy.fault(engine) if engine.now < self.until else None

    def _due(self, drawn: Drawn, engine: Engine) -> bool:
        """Steps tell when a run is repeated; in a calm one, which makes others, the clock does."""
        return engine.now - START >= drawn.at if self.chance.calm else engine.steps - self.first >= drawn.step

    def _strike(self, engine: Engine, fault: Fault) -> None:
        self.drawn.append(Drawn(engine.steps - self.first, engine.now - START, fault))
        for delay, part in fault.parts:
            length = part.duration if isinstance(part, Lag) else 0
            if length or isinstance(part, Part):
                self._blind(engine.now + delay + length + SECOND)
        engine.step(fault)

    def _blind(self, until: int) -> None:
        self.watch.blind_until = max(self.watch.blind_until, until)

    def look(self, engine: Engine) -> None:
        """Judge what the step has changed. Raises Broken."""
        if not self.watch.is_new(engine) and not self.server.refused:
            return
        self._blind(self.server.user_at + _HURRY)
        for begins, ends in self.lags:
            if begins <= engine.now:
                self._blind(ends)
        found = [*self.watch.look(engine), *self.server.refused]
        if self.promises:
            found += promises_broken(self.promises, engine, always=True)
        if found:
            raise Broken(found)


def promises_broken(promises: Iterable[Promise], engine: Engine, always: bool) -> list[Violation]:
    """Properties of the story that do not hold now: those that hold `always`, or those of its end."""
    found = []
    for promise in promises:
        if promise.always is not always or (always and engine.now - START < promise.since):
            continue
        finding = promise.test(engine.store, engine.now)
        if not finding.holds:
            kind = "always" if always else "finally"
            found.append(Violation(f"property {kind}: {promise.text}", f"found {finding.found}"))
    return found


def chosen_faults(seed: int, allow: Mapping[str, int]) -> dict[str, int]:
    """A few kinds of the allowed faults for one run, so that runs differ and findings are clear."""
    draw = Seeded(seed ^ 0x5DEECE66D)
    kinds = [kind for kind in KINDS if allow.get(kind, 0) > 0]
    chosen: dict[str, int] = {}
    for _ in range(min(len(kinds), draw.index(6))):
        kind = kinds.pop(draw.index(len(kinds)))
        chosen[kind] = 1 + draw.index(allow[kind])
    return chosen


def run_once(story: Story, chance: Chance, traced: bool = False) -> Result:
    """Play a story once as `chance` says. A failure has its lines where `traced`."""
    seed = story.cluster.seed if chance.plain else chance.seed
    try:
        play = Play.of(evolve(story, cluster=evolve(story.cluster, seed=seed), properties=()))
    except LawError as error:  # the cluster does not even start
        chance, found = evolve(chance, faults=()), _violations(error)
        none = Failure(story=story, chance=chance, violations=found, lines=(), initial=(), at=START, steps=0)
        return Result(steps=0, drawn=(), judged=False, failure=none)
    engine, policy = play.engine, Random(chance.seed, RATE)
    if not traced and not chance.plain:
        engine.tracer = None
    if not chance.calm:
        engine.choices = policy.choices
    server = WatchedServer(engine.api)
    engine.api = server
    engine.allowance = {} if chance.faults is not None else chosen_faults(chance.seed, chance.allow)
    last = max((timed.due for timed in (*story.actions, *story.faults)), default=0)
    until = START + last + AFTER
    judge = _Judge(chance, policy, server, Watch(engine), story.properties, until, engine.steps, lags=_lags(engine))
    engine.pace = judge
    initial = final_objects(engine.store) if traced or chance.plain else ()
    judged = False
    try:
        with amended(amendments_of(story)):
            judged = _play_as_it_stands(play, judge) if chance.plain else _play(play, judge, until)
        failure = None
    except (Broken, LawError, *_MISTAKES) as error:
        failure = Failure(
            story=story,
            chance=evolve(chance, faults=tuple(judge.drawn)),
            violations=_violations(error),
            lines=tuple(play.lines),
            initial=initial,
            at=engine.now,
            steps=engine.steps - judge.first,
        )
    return Result(steps=engine.steps - judge.first, drawn=tuple(judge.drawn), judged=judged, failure=failure)


def _lags(engine: Engine) -> tuple[tuple[int, int], ...]:
    return tuple((at, at + each.duration + SECOND) for at, each in engine.pending() if isinstance(each, Lag))


def _violations(error: Exception) -> tuple[Violation, ...]:
    """What an error says is broken: what was judged so, a table without a rule for a case, or what Python raised."""
    if isinstance(error, Broken):
        return error.violations
    name = "law" if isinstance(error, LawError) else "error"
    return (Violation(name, str(error) if name == "law" else f"{type(error).__name__}: {error}"),)


def _play(play: Play, judge: _Judge, until: int) -> bool:
    """The story, then what comes of it. Says whether it came to rest. Raises Broken."""
    engine = play.engine
    play.give(play.story.manifests)
    judge.look(engine)
    for timed in play.story.actions:
        play.advance(START + timed.due)
        play.do(timed)
        judge.look(engine)
    play.advance(
        max(until, *(START + drawn.at + delay for drawn in judge.drawn for delay, _ in drawn.fault.parts), until)
    )
    return _come_to_rest(play, judge)


def _play_as_it_stands(play: Play, judge: _Judge) -> bool:
    """As `_play`, with what the story expects."""
    play.run()
    misses = [Violation("story", miss.text) for miss in play.misses]
    try:
        rested = _come_to_rest(play, judge, play.ending in ("at rest", "quiet"))
    except Broken as broken:
        raise Broken([*broken.violations, *misses]) from broken
    if misses:
        raise Broken(misses)
    return rested


def _come_to_rest(play: Play, judge: _Judge, rested: bool = False) -> bool:
    """Go on until all is over, and judge what it came to."""
    engine = play.engine
    rested = rested or _settle(engine)
    view = View(engine.now, engine.store.snapshot, store=engine.store)
    found = list(check_convergence(view)) if rested else []
    found += promises_broken(judge.promises, engine, always=False)
    if found:
        raise Broken(found)
    return rested


def _settle(engine: Engine) -> bool:
    """Go on until nothing happens any more; says whether that came. Raises Broken where Pods come and go for ever."""
    end, seen, changed, made = engine.now + LONGEST, engine.store.revision, engine.now, 0
    faults_end = engine.now + LONGEST // 4
    while engine.now < end:
        if engine.at_rest or engine.now - changed > QUIET:
            return True
        engine.run(until=engine.now + 10 * SECOND, stop=lambda each: each.at_rest)
        for change in engine.store.changes(max(seen, engine.store.history.base)):
            if change.key[0] not in _BACKGROUND:
                changed = engine.now
                made += change.key[0] == "Pod" and change.type == "ADDED" and engine.now > faults_end
        seen = engine.store.revision
        if made > RESTLESS:
            raise Broken([Violation("never-rests", f"{made} Pods were made since all faults ended, and more come")])
    return False
