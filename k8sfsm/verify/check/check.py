"""Check: every write of a history judged by the law."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from attrs import define, evolve, field, frozen
from immutables import Map

from k8sfsm.apiserver import ApiServer, Options
from k8sfsm.law import constant
from k8sfsm.machine import Machines
from k8sfsm.objects import ObjectError
from k8sfsm.request import Key
from k8sfsm.store import Change, Store
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.trace.integrity import check_integrity
from k8sfsm.verify.check.course import Course
from k8sfsm.verify.check.explaining import Explaining, Explanation, Nearest
from k8sfsm.verify.check.judging import BY_THE_CLOCK, KUBELET, Request, law, method_of
from k8sfsm.verify.check.kubelets import Kubelets
from k8sfsm.verify.check.past import SECOND, Actor, Past
from k8sfsm.verify.check.runs import Runs
from k8sfsm.verify.check.timed import Timed
from k8sfsm.verify.invariants import check_safety, check_transition
from k8sfsm.verify.replay.choices import RecordedChoices
from k8sfsm.verify.replay.kubelets import hollow_nodes
from k8sfsm.verify.replay.predict import extra_bundles

Progress = Callable[[int, int], None]
_BY_RULE: Final = "explained-by-rule"
_FOR_EVER: Final = 1 << 63
_AHEAD: Final = 64
"""So many writes ahead are looked at."""


@frozen(kw_only=True)
class Found:
    """A finding. `cause`: what findings are grouped by; `line`: where it is recorded; `nearest`: the closest rule."""

    what: str
    cause: str
    key: Key
    line: str
    actor: str = ""
    at: int = 0
    nearest: str = ""
    facts: dict[str, Any] = field(factory=dict)

    def __str__(self) -> str:
        kind, namespace, name = self.key
        place = f"{self.line}: " if self.line else ""
        near = f" (nearest rule {self.nearest})" if self.nearest else ""
        thing = f"{kind} {namespace + '/' if namespace else ''}{name}: " if kind else ""
        return f"{place}{thing}{self.what}{near}"


@frozen(kw_only=True)
class Judged:
    """A request and its verdict; `why` where a rule explains it, `revisions`: its changes' places in the history."""

    write: RecordedWrite
    verdict: str
    why: Explanation | None = None
    revisions: tuple[int, ...] = ()


@define
class Report:
    """What a check came to."""

    recording: Recording
    judged: list[Judged] = field(factory=list)
    unexplained: list[Found] = field(factory=list)
    illegal: list[Found] = field(factory=list)
    violated: list[Found] = field(factory=list)
    undone: list[Found] = field(factory=list)

    @property
    def counts(self) -> Counter[str]:
        """How many requests got each verdict."""
        return Counter(each.verdict for each in self.judged)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not (self.unexplained or self.illegal or self.violated or self.undone)


def check(recording: Recording, actors: Collection[str] = (), progress: Progress | None = None) -> Report:
    """Judge a history. `actors`: only the writes of these need explanations; none: those of all that have rules."""
    report = Report(recording)
    for finding in check_integrity(recording):
        place = f"{finding.file}:{finding.line}" if finding.file else ""
        report.violated.append(Found(what=finding.message, cause=finding.rule, key=finding.key, line=place))
    _Check(recording, report, actors).run(progress)
    return report


class _Check:
    def __init__(self, recording: Recording, report: Report, actors: Collection[str]) -> None:
        choices = RecordedChoices(recording)
        store = Store.starting_at(0)
        for document in recording.initial:
            store, _ = store.put(document.typed)
        store = Store(store.snapshot, Store.starting_at(store.revision).history)
        self.recording, self.report, self.actors = recording, report, actors
        self.past = Past(store, choices.node, choices.tie)
        for actor in self.past.actors.values():
            _list_all(self.past, actor)
        options = Options(extra_root_bundles=extra_bundles(recording))
        self.machines = Machines.load()
        self.explaining = Explaining(self.past, ApiServer(self.machines, options))
        self.groups: dict[int, list[RecordedWrite]] = defaultdict(list)
        for write in recording.writes:
            self.groups[write.request].append(write)
        self.told: set[str] = {str(each) for each in check_safety(self._now(recording.start or 0))}
        runs = Runs()
        runs.learn(recording.environment)
        self.kubelets = Kubelets(self.past, runs)
        self.timed = Timed.beside(recording, self.explaining.api)
        self.waiting: deque[tuple[int, RecordedWrite]] = deque()
        self.scripted = hollow_nodes(recording)
        self.trimmed: set[tuple[str, str]] = set()

    def _now(self, at: int) -> Any:
        actor = next(iter(self.past.actors.values()))
        return evolve(self.past.view(actor, self.past.moments[-1], at), snapshots=self.past.store.snapshot)

    def run(self, progress: Progress | None) -> None:
        """All writes, in order."""
        total, seen, revisions = len(self.recording.writes), set[int](), dict[int, list[int]]()
        for number, write in enumerate(self.recording.writes):
            if progress is not None and number % 64 == 0:
                progress(number, total)
            if write.request not in seen:
                seen.add(write.request)
                self.past.coming = self.recording.writes[number + 1 : number + _AHEAD]
                self._judge(self.groups[write.request])
            self.timed.take(write)
            self._by_the_clock(write.time - constant("check_clock_lag") * SECOND)
            if write.type is not None and write.new is not None:
                self._commit(write)
                revisions.setdefault(write.request, []).append(self.past.store.revision)
        self.timed.until(self.recording.end or 0)
        self._by_the_clock(_FOR_EVER)
        self.report.judged = [
            evolve(each, revisions=tuple(revisions.get(each.write.request, ()))) for each in self.report.judged
        ]
        self._left_undone()

    def _judge(self, writes: Sequence[RecordedWrite]) -> None:
        write = writes[0]
        if write.key[0] == "Event":
            return
        actor = self.past.actors.get(write.actor)
        verdict = str(law.decide("judged", self._request(write, actor)).outputs["verdict"])
        why: Explanation | Nearest | None = None
        if verdict == _BY_RULE and method_of(write.actor) == BY_THE_CLOCK:
            self.waiting.append((len(self.report.judged), write))
        elif verdict == _BY_RULE:
            why = self.kubelets.explain(write) if actor is None else self.explaining.explain(actor, writes)
            verdict = "explained" if isinstance(why, Explanation) else "unexplained"
        elif verdict == "refused" and actor is not None:
            self.explaining.refused(actor, write)
        known = why if isinstance(why, Explanation) else None
        self.report.judged.append(Judged(write=write, verdict=verdict, why=known))
        if isinstance(why, Nearest):
            self.report.unexplained.append(_unexplained(write, why))

    def _request(self, write: RecordedWrite, actor: Actor | None) -> Request:
        blind = actor is not None and any((kind, write.key[1]) in self.trimmed for kind in actor.watched)
        return Request(
            write,
            modelled=actor is not None or write.actor == KUBELET,
            wanted=not self.actors or write.actor in self.actors,
            scripted=write.actor == KUBELET and write.node in self.scripted,
            blind=blind,
        )

    def _by_the_clock(self, until: int) -> None:
        """Judge what controllers with rounds and timers did up to a time (ns)."""
        while self.waiting and self.waiting[0][1].time <= until:
            place, write = self.waiting.popleft()
            why = self.timed.explain(write)
            if isinstance(why, Explanation):
                self.report.judged[place] = Judged(write=write, verdict="explained", why=why)
            else:
                self.report.judged[place] = Judged(write=write, verdict="unexplained")
                self.report.unexplained.append(_unexplained(write, why))

    def _commit(self, write: RecordedWrite) -> None:
        assert write.new is not None
        if write.trimmed:
            self.trimmed.add(write.key[:2])
        try:
            obj = write.new.typed
        except ObjectError:
            return
        old = self.past.store.snapshot.get(write.key)
        if write.type == "DELETED" and old is None:
            return
        gone = write.type == "DELETED"
        checked = (
            self.machines.check(old, None if gone else obj, write.actor, write.time) if not write.trimmed else None
        )
        for each in checked.illegal if checked is not None else ():
            what = str(each)
            self.report.illegal.append(
                Found(what=what, cause=f"{each.kind}/{each.region}: {each.old} -> {each.new}", key=write.key,
                      line=str(write.line), actor=write.actor, at=write.time, nearest=each.nearest)
            )  # fmt: skip
        store = self.past.store
        store, change = store.remove(write.key, write.time) if gone else store.put(obj, write.time)
        if write.actor == KUBELET and change.key[0] == "Pod":
            self.kubelets.follow(write)
        self.past.take(store, change, write.actor)
        self._keep(change, write)

    def _keep(self, change: Change, write: RecordedWrite) -> None:
        if write.trimmed or change.key[0] in ("Event", "Lease"):
            return
        view = self._now(write.time)
        for each in (*check_transition(change, view), *check_safety(view)):
            if str(each) not in self.told:
                self.told.add(str(each))
                self.report.violated.append(
                    Found(what=each.says, cause=each.invariant, key=write.key, line=str(write.line), actor=write.actor,
                          at=write.time)
                )  # fmt: skip

    def _left_undone(self) -> None:
        """What rules order at the end, on the state as it is, although nothing has happened for a while."""
        end = self.recording.end or 0
        limit = constant("check_undone_after") * SECOND
        dates = {moment.revision: moment.at for moment in self.past.moments}
        newest = self.past.moments[-1]
        for name, actor in self.past.actors.items():
            if self.actors and name not in self.actors:
                continue
            for key, woken in actor.woken.items():
                since = dates.get(woken[-1], 0)
                if end - since < limit:
                    continue
                view = evolve(self.past.view(actor, newest, end), memory=Map())
                course = Course.of(key, newest.revision, actor.wiring.controller.reconcile(view, key))
                self._note_undone(name, key, course, end)

    def _note_undone(self, name: str, key: Key, course: Course | None, end: int) -> None:
        order = course.next_writes[0] if course is not None else None
        if order is None or order.why is None:
            return
        store = self.past.store
        sender = self.past.actors[name].wiring.sender
        chance = RecordedChoices(self.recording)
        answer = self.explaining.api.handle(store, order, sender, end, chance)
        if not answer.changes:
            return
        what = f"{name} has not done what {order.why.rule} orders: {type(order).__name__}"
        self.report.undone.append(
            Found(what=what, cause=order.why.rule, key=key, line="", actor=name, at=end, facts=dict(order.why.facts))
        )


def _list_all(past: Past, actor: Any) -> None:
    """At its start a component is woken by everything that exists."""
    store = past.store
    for key, (_, obj) in store.snapshot.objects.items():
        watch = next((each for each in actor.wiring.watches if each.kind == key[0]), None)
        if watch is None:
            continue
        change = Change(store.revision, "ADDED", key, None, obj, 0)
        for found in watch.keys(change, past.view(actor, past.moments[-1], 0)):
            actor.woken.setdefault(found[0] if len(found) == 2 else found, deque([store.revision], maxlen=64))


def _unexplained(write: RecordedWrite, why: Nearest) -> Found:
    what = f"no rule of {write.actor} orders this {write.verb} {write.subresource}".rstrip()
    if why.differs:
        what += f"; {why.differs}"
    path = why.differs.partition(":")[0]
    return Found(
        what=what, cause=f"{write.actor} {write.verb} {write.key[0]} {write.subresource} {path}".strip(), key=write.key,
        line=str(write.line), actor=write.actor, at=write.time, nearest=why.rule, facts=why.facts or {},
    )  # fmt: skip


def grouped(found: Iterable[Found]) -> dict[str, list[Found]]:
    """Findings by cause, in order of first appearance."""
    groups: dict[str, list[Found]] = {}
    for each in found:
        groups.setdefault(each.cause, []).append(each)
    return groups
