"""Plays a story: the cluster, the user's commands, the faults, and whether all came as expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from attrs import define, field, frozen

from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.law import amended
from k8sfsm.objects import evolve, format_duration
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.scenario.cluster import START, engine_of
from k8sfsm.scenario.draining import Drain
from k8sfsm.scenario.expect import FigureTest, Finding
from k8sfsm.scenario.faults import actions_of
from k8sfsm.scenario.figures import Told as LinesTold
from k8sfsm.scenario.figures import Value
from k8sfsm.scenario.invariants import breaches
from k8sfsm.scenario.model import Manifest, Promise, Story, Timed, Wanted
from k8sfsm.scenario.model_actions import VERBS, Action
from k8sfsm.scenario.order import DEFAULT_NAMESPACE
from k8sfsm.scenario.switches import amendments_of
from k8sfsm.scenario.user import Reply, User, drain_options
from k8sfsm.scenario.verbs import in_namespace
from k8sfsm.spec.mistakes import Mistake, SpecError

QUIET: Final = 660 * SECOND
"""A story is over where only probes and heartbeats go on for so long: longer than the usual progress deadline."""
LONGEST: Final = 3600 * SECOND
"""A story without `until` that does not come to rest (a crash loop) is over after this."""
_UNCHANGED: Final = ("Lease", "Event", "Node")


@frozen
class Told:
    """A command and what became of it. `at`: ns; `refusal_wanted`: the refusal was expected."""

    at: int
    command: str
    reply: Reply
    place: str = ""
    refusal_wanted: bool = False


@frozen
class Miss:
    """Something that did not come as expected: one line for people, with the place of what was expected."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@define
class Play:
    """A story under way. After `run`: `engine` at the end, all `lines`, what the user was `told`, and the `misses`.

    `ending`: why it ended (``at rest``, ``until``, ``quiet``, ``longest``). `made`: namespaces that were added.
    """

    story: Story
    engine: Engine
    lines: list[Line]
    made: tuple[str, ...] = ()
    told: list[Told] = field(factory=list)
    misses: list[Miss] = field(factory=list)
    ending: str = ""
    _drains: list[tuple[Drain, Action]] = field(factory=list)
    _pending: list[Wanted] = field(factory=list)
    _kept: list[Promise] = field(factory=list)
    _checked: int = 0
    _look_at: int = 0
    _first: Mapping[Key, Any] = field(factory=dict)

    @classmethod
    def of(cls, story: Story, prompt: bool = False) -> Play:
        """The story at its start. Raises SpecError where it names components that its cluster does not have.

        `prompt`: in a cluster in which nothing takes time but timers.
        """
        lines: list[Line] = []
        made = missing_namespaces(story)
        expect = tuple(each for each in story.expect if all(on is (name not in story.off) for name, on in each.when))
        with amended(amendments_of(story)):
            engine = engine_of(story, tracer=lines.append, namespaces=made, prompt=prompt)
        play = cls(evolve(story, expect=expect), engine, lines, made)
        play._first = dict(engine.store.snapshot.items())
        play._schedule_faults()
        return play

    @property
    def user(self) -> User:
        """The user of the story, for commands from Python."""
        return User(self.engine)

    def run(self) -> Play:
        """Play the story to its end."""
        with amended(amendments_of(self.story)):
            return self._run()

    def _run(self) -> Play:
        self._pending = [wanted for wanted in self.story.expect if wanted.early]
        self._kept = [promise for promise in self.story.properties if promise.always]
        self.give(self.story.manifests)
        for due, moment in self._moments():
            self.advance(START + due)
            if isinstance(moment, Timed):
                self.do(moment)
            else:
                self._expect(moment)
        self._finish()
        return self

    def figures(self) -> dict[str, Value]:
        """The story's figures by name, as far as it has gone."""
        told = LinesTold(tuple(self.lines), self._first, START, self.engine.now)
        return {figure.name: figure.of(told) for figure in self.story.figures}

    # -- commands -----------------------------------------------------------------------------------------------------

    def give(self, manifests: Iterable[Manifest], verb: str = "apply", action: Action | None = None) -> None:
        """Apply or create manifests one after the other."""
        account, refused = (action.user, action.refused) if action is not None else ("user", None)
        user = User(self.engine, account)
        for manifest in manifests:
            document = manifest.document
            name = document["metadata"].get("name") or document["metadata"].get("generateName", "")
            how = verb if action is not None or document["metadata"].get("name") else "create"
            chosen = self.story.server_side if action is None else action.server_side
            if how == "apply" and chosen is not None:
                reply = user.apply(document, server_side=True, manager=chosen.manager, force=chosen.force)
            else:
                reply = getattr(user, how)(document)
            self._tell(f"{how} {document.get('kind')}/{name}", reply, str(manifest.place), refused)

    def do(self, timed: Timed) -> None:
        """A verb of the user."""
        action: Action = timed.part
        verb = next(name for name in VERBS if getattr(action, name) is not None)
        if timed.manifests:
            self.give(timed.manifests, verb, action)
            return
        asked = getattr(action, verb)
        names = [part.name for part in attrs.fields(type(asked)) if part.name != "at"]
        options = {name: _json(getattr(asked, name)) for name in names}
        user = User(self.engine, action.user, options.pop("namespace", "") or DEFAULT_NAMESPACE)
        target = options.pop("object", None) or options.pop("node")
        if "set" in options:
            options["marks"] = options.pop("set")
        if verb == "drain":
            self._drains.append((user.begin_drain(target, drain_options(**options)), action))
            self.advance(self.engine.now)
            return
        reply = getattr(user, verb)(target, **options)
        self._tell(f"{verb} {target}", reply, str(action.at), action.refused)

    def _tell(self, command: str, reply: Reply, place: str, refused: str | None) -> None:
        """Note what a command came to, and move on by the time that the request took."""
        self._note(command, reply, place, refused)
        if self.engine.latencies.request:
            self.advance(self.engine.now + 2 * self.engine.latencies.request)

    def _note(self, command: str, reply: Reply, place: str, refused: str | None) -> None:
        wanted = refused is not None and reply.refused and refused in reply.text
        self.told.append(Told(self.engine.now, command, reply, place, wanted))
        if refused is not None and not wanted:
            self.misses.append(Miss(place, f"expected {command} to be refused with '{refused}', found: {reply.text}"))
        elif reply.refused and not wanted:
            self.misses.append(Miss(place, f"{command} was refused: {reply.text}"))

    # -- time ---------------------------------------------------------------------------------------------------------

    def _moments(self) -> list[tuple[int, Timed | Wanted]]:
        """What is due at a time (ns since the start), in order; at one time commands come before expectations."""
        asked = [each for each in self.story.expect if each.deadline is not None and not each.early]
        moments: list[tuple[int, Timed | Wanted]] = [(timed.due, timed) for timed in self.story.actions]
        moments += [(wanted.deadline or 0, wanted) for wanted in asked]
        return sorted(moments, key=lambda each: each[0])

    def advance(self, until: int | None) -> None:
        """Let the cluster run until a time (ns); None: until it is at rest, or a limit is reached."""
        if until is not None and until < self.engine.now:
            return
        last = START + LONGEST if until is None else until
        while self._drains and (due := min(drain.due for drain, _ in self._drains)) <= last:
            self.engine.run(until=max(due, self.engine.now), stop=self._watch)
            self._carry_on()
        self.engine.run(until=until, stop=self._stop if until is None else self._watch)

    def _carry_on(self) -> None:
        """Drains that are due do what comes next; those that are over are told of."""
        for drain, _ in self._drains:
            if drain.due <= self.engine.now:
                drain.step()
        for drain, action in self._drains:
            if drain.over:
                reply = Reply(drain.text, refused=drain.failed, outcomes=tuple(drain.outcomes))
                self._note(f"drain {drain.node}", reply, str(action.at), action.refused)
        self._drains = [each for each in self._drains if not each[0].over]

    def _finish(self) -> None:
        """The end: the last expectations."""
        last = [START + wanted.deadline for wanted in self._pending if wanted.deadline is not None]
        if self.story.until is not None:
            self.advance(START + self.story.until)
            self.ending = "until"
        else:
            self.advance(None)
            self.ending = self.ending or "at rest"
            for deadline in sorted(last):
                if self._pending:
                    self.advance(deadline)
        for drain, action in self._drains:
            command = f"drain {drain.node} (still waiting)"
            self.told.append(Told(self.engine.now, command, Reply(drain.text), str(action.at)))
        self._watch(self.engine)
        for breach in breaches(self.story.invariants, self.lines):
            when = format_duration(breach.line.at - START)
            self.misses.append(Miss(str(breach.invariant.at), f"{breach.text} at {when}"))
        for wanted in self._pending:
            self._miss(wanted, wanted.test(self.engine.store, self.engine.now).found)
        figures = self.figures()
        for wanted in self.story.expect:
            if isinstance(wanted.test, FigureTest):
                self._judge(wanted, wanted.test.of(figures[wanted.test.name]))
            elif wanted.deadline is None:
                self._expect(wanted)
        for promise in self.story.properties:
            if not promise.always:
                self._promise(promise)

    def _stop(self, engine: Engine) -> bool:
        """Whether a cluster that does not come to rest has gone on for long enough."""
        self._watch(engine)
        changes = (line.at for line in reversed(self.lines) if line.change and line.key[0] not in _UNCHANGED)
        if engine.now - START > LONGEST:
            self.ending = "longest"
        elif engine.now >= self._look_at:
            self._look_at = engine.now - engine.now % SECOND + SECOND
            if engine.now - next(changes, START) > QUIET and not self._pending:
                self.ending = "quiet"
        return bool(self.ending)

    def _watch(self, engine: Engine) -> bool:
        """Look whether expectations with a deadline have come true."""
        if not (self._pending or self._kept) or engine.store.revision == self._checked:
            return False
        self._checked = engine.store.revision
        due = engine.now - START
        self._kept = [promise for promise in self._kept if due < promise.since or self._promise(promise)]
        self._pending = [
            wanted
            for wanted in self._pending
            if due > (wanted.deadline or 0) or not wanted.test(engine.store, engine.now).holds
        ]
        return False

    # -- findings -----------------------------------------------------------------------------------------------------

    def _expect(self, wanted: Wanted) -> None:
        self._judge(wanted, wanted.test(self.engine.store, self.engine.now))

    def _judge(self, wanted: Wanted, finding: Finding) -> None:
        if not finding.holds:
            self._miss(wanted, finding.found)

    def _miss(self, wanted: Wanted, found: str) -> None:
        when = (
            "at the end"
            if wanted.deadline is None
            else f"{'by' if wanted.early else 'at'} {format_duration(wanted.deadline)}"
        )
        self.misses.append(Miss(str(wanted.at), f"expected {wanted.text} {when}, found {found}"))

    def _promise(self, promise: Promise) -> bool:
        """Whether a property holds; where it does not, that is a finding."""
        found = promise.test(self.engine.store, self.engine.now)
        if not found.holds:
            since = format_duration(self.engine.now - START)
            when = f"always, after {since} found" if promise.always else "at the end, found"
            self.misses.append(Miss(str(promise.at), f"expected {promise.text} {when} {found.found}"))
        return bool(found.holds)

    # -- faults -------------------------------------------------------------------------------------------------------

    def _schedule_faults(self) -> None:
        mistakes: list[Mistake] = []
        for timed in self.story.faults:
            try:
                for after, action in actions_of(timed.part, self.engine):
                    self.engine.schedule(action, START + timed.due + after)
            except LookupError as error:
                mistakes.append(Mistake(timed.part.at, str(error.args[0])))
        if mistakes:
            raise SpecError(mistakes)


def _json(value: Any) -> Any:
    """A value of a scenario file as plain JSON."""
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, list) else value


def missing_namespaces(story: Story) -> tuple[str, ...]:
    """Namespaces that manifests of the story are in and that nothing in it creates, in order."""
    given = [*story.manifests, *(manifest for timed in story.actions for manifest in timed.manifests)]
    documents = [in_namespace(manifest.document) for manifest in given]
    own = {document["metadata"].get("name") for document in documents if document.get("kind") == "Namespace"}
    wanted = dict.fromkeys(document["metadata"].get("namespace", "") for document in documents)
    usual = {"", "default", "kube-system", "kube-public", "kube-node-lease"}
    return tuple(str(name) for name in wanted if name not in own | usual)


def play(story: Story) -> Play:
    """Play a story to its end."""
    return Play.of(story).run()
