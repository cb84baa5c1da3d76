"""Check: every write of a history judged by the law. Histories come whole or in portions."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any, Final

from attrs import define, evolve, field

from k8sfsm.apiserver import ApiServer, Options
from k8sfsm.controllers.replicaset_pods import forget_pods
from k8sfsm.engine.collecting import seldom_collected
from k8sfsm.law import constant
from k8sfsm.machine import Machines
from k8sfsm.objects import ObjectError
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.store import Store
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.trace.integrity import Integrity
from k8sfsm.trace.lacking import notes_of_lacks
from k8sfsm.verify.check.breaches import Breaches
from k8sfsm.verify.check.doubts import is_bare
from k8sfsm.verify.check.events import Announced
from k8sfsm.verify.check.explaining import Explaining
from k8sfsm.verify.check.heard import Heard
from k8sfsm.verify.check.judge import BY_RULE, Judge
from k8sfsm.verify.check.judging import KUBELET, Known
from k8sfsm.verify.check.kubelets import Kubelets
from k8sfsm.verify.check.lacks import Lacks, is_gap, is_uncounted
from k8sfsm.verify.check.matching import Granting
from k8sfsm.verify.check.past import Past
from k8sfsm.verify.check.renewals import Renewals, without_renewals
from k8sfsm.verify.check.report import Found, Judged, Report, grouped
from k8sfsm.verify.check.runs import Runs
from k8sfsm.verify.check.timed import Timed
from k8sfsm.verify.check.undone import Undone
from k8sfsm.verify.check.verdicts import Explanation
from k8sfsm.verify.replay.choices import RecordedChoices
from k8sfsm.verify.replay.kubelets import hollow_nodes
from k8sfsm.verify.replay.predict import extra_bundles

__all__ = ["Found", "Judged", "Report", "check", "check_portions", "grouped"]

Progress = Callable[[int, int], None]
"""Called with the number of writes judged, and how many there are (of the portion at hand)."""
_FOR_EVER: Final = 1 << 63
_AHEAD: Final = 64
"""So many writes ahead are looked at."""
_EVENT: Final = "Event"
_LEASE: Final = "Lease"


def check(recording: Recording, actors: Collection[str] = (), progress: Progress | None = None) -> Report:
    """Judge a history. `actors`: only the writes of these need explanations; none: those of all that have rules.

    The report keeps every judged request, so that causes can be followed.
    """
    return check_portions([recording], actors, progress, keep=True)


def check_portions(
    portions: Iterable[Recording],
    actors: Collection[str] = (),
    progress: Progress | None = None,
    *,
    keep: bool = False,
) -> Report:
    """Judge a history that comes in portions, with no more than one in memory unless `keep` keeps what was judged."""
    with seldom_collected():
        waiting = iter(portions)
        first, second = next(waiting), next(waiting, None)
        checking = _Check(first, actors, keep, whole=second is None)
        done = 0
        waiting = chain((first,) if second is None else (first, second), waiting)
        del first, second  # a portion that was judged is not kept
        for recording in waiting:
            checking.portion(recording, progress, done)
            done += len(recording.writes)
        checking.end()
        holes = checking.lacks.holes(recording)
        if not holes:
            return checking.report
        notes = (*recording.notes, *notes_of_lacks((), (), holes))
        again = evolve(recording, holes=tuple(sorted({*recording.holes, *holes})), notes=notes)
        checking = _Check(again, actors, keep, whole=True)
        checking.portion(again, progress, done)
        checking.end()
        return checking.report


@define
class _Check:
    """A check under way: the law's parts, each with what it remembers of the history so far."""

    recording: Recording
    actors: Collection[str]
    keep: bool
    whole: bool
    report: Report = field(init=False)
    past: Past = field(init=False)
    machines: Machines = field(init=False)
    explaining: Explaining = field(init=False)
    kubelets: Kubelets = field(init=False)
    timed: Timed = field(init=False)
    undone: Undone = field(init=False)
    integrity: Integrity = field(init=False)
    choices: RecordedChoices = field(init=False)
    breaches: Breaches = field(init=False)
    judge: Judge = field(init=False)
    known: Known = field(factory=Known)
    waiting: deque[tuple[RecordedWrite, tuple[int, ...]]] = field(factory=deque)
    """Requests of controllers that act by the clock, and Events, until what was ordered by then is known."""
    renewals: Renewals = field(factory=Renewals)
    heard: Heard = field(factory=Heard)
    refused: dict[tuple[str, Any], int] = field(factory=dict)
    guessed: set[Key] = field(factory=set)
    """Objects whose state was worked out from others that a log which began late may not have."""
    lacks: Lacks = field(factory=Lacks)
    bundles: tuple[tuple[str, str], ...] = ()
    begun: bool = False

    def __attrs_post_init__(self) -> None:
        recording = self.recording
        self.report = Report(source=recording.source)
        self.choices = RecordedChoices(recording)
        store = Store.starting_at(0)
        for document in recording.initial:
            if document.key[0] != _EVENT:  # their changes are not followed
                store, _ = store.put(document.typed)
        store = Store(store.snapshot, Store.starting_at(store.revision).history)
        self.past = Past(store, self.choices.node, self.choices.tie)
        self.machines = Machines.load()
        self.bundles = extra_bundles(recording)
        api = ApiServer(self.machines, Options(extra_root_bundles=self.bundles, quota=False))
        self.explaining = Explaining(self.past, Granting(api.machines, api.options), Announced())
        self.kubelets = Kubelets(self.past, Runs())
        self.timed = Timed.beside(recording, api, whole=self.whole)
        self.judge = Judge(self.past, self.known, self.explaining, self.kubelets, self.timed, self.report, self.actors)
        self.undone = Undone(self.past, api)
        self.integrity = Integrity.before(recording)
        self.breaches = Breaches(self.report, self.machines, self.past, dump=not recording.writes)
        start = recording.start or 0
        dumped = int(constant("check_undone_after")) * SECOND if not recording.writes else 0
        for actor in self.past.actors.values():
            self.past.list_all(actor, start - dumped)
        self._open(start)
        self.breaches.at_start(start)

    # -- portions -----------------------------------------------------------------------------------------------------

    def portion(self, recording: Recording, progress: Progress | None, done: int) -> None:
        """Judge the next portion of the history."""
        self.recording = recording
        if self.begun:
            self._go_on(recording)
        self.begun = True
        self.known.take(recording)
        self.judge.scripted |= hollow_nodes(recording)
        self.heard.learn(recording.environment)
        self.kubelets.runs.learn(recording.environment, self.known.outset.uids)
        if self.keep:
            self.report.environment += recording.environment
        for note in recording.notes:
            self.report.note(note)
        for problem in recording.problems:
            self.report.add("violated", Found(what=problem, cause="trace/readable", key=("", "", ""), line=""))
        self._writes(recording, progress, done)

    def _go_on(self, recording: Recording) -> None:
        """What shows for the first time was there before; what is long past is forgotten."""
        forget_pods()
        self.judge.doubts.forget(recording)
        self.choices = RecordedChoices(without_renewals(recording))
        bundles = extra_bundles(recording)
        if bundles and bundles != self.bundles:
            self.bundles = bundles
            api = ApiServer(self.machines, Options(extra_root_bundles=bundles, quota=False))
            self.undone.api = self.timed.engine.api = api
            self.explaining.api = Granting(api.machines, api.options)
        self.past.choose_node, self.past.tie_break = self.choices.node, self.choices.tie
        self.timed.go_on(recording, self.choices)
        self.integrity.go_on(recording)
        self.integrity.past.forget()
        for document in recording.initial:
            if document.key[0] != _EVENT and self.past.store.snapshot.get(document.key) is None:
                self.past.appear(document.typed, recording.writes[0].time if recording.writes else 0)
        self.breaches.in_state(recording.writes[0].time if recording.writes else 0, finished=False)

    def _writes(self, recording: Recording, progress: Progress | None, done: int) -> None:
        groups: dict[int, list[RecordedWrite]] = defaultdict(list)
        for write in recording.writes:
            if write.like is None:
                groups[write.request].append(write)
        judged: dict[int, tuple[str, Explanation | None]] = {}
        made: dict[int, list[int]] = defaultdict(list)
        holes = deque(recording.holes)
        for number, write in enumerate(recording.writes):
            while holes and holes[0][1] <= write.time:
                holes.popleft()
                self._cross()
            if progress is not None and number % 64 == 0:
                progress(done + number, done + len(recording.writes))
            lease = write.key[0] == _LEASE
            if lease and self._renews(write):
                continue
            sound = self._sound(write)
            group = groups.get(write.request) or [write]
            if write.request not in judged:
                self.past.coming = recording.writes[number + 1 : number + _AHEAD]
                likeness = self.integrity.likeness if sound else None
                judged[write.request] = self.judge.verdict(group, likeness)
            self._follow(write)
            if write.type is not None and write.new is not None and self._commit(write):
                made[write.request].append(self.past.store.revision)
            if write is group[-1]:
                self._put_down(group[0], *judged[write.request], tuple(made[write.request]))
            if lease:
                self.heard.take(write)
                self.renewals.judged(write, judged[write.request][0]) if sound else self.renewals.doubted(write.key)

    def _renews(self, write: RecordedWrite) -> bool:
        """Whether a write renewed a lease as it had been renewed before, in its order: then it is judged with that."""
        verdict = self.renewals.verdict(write)
        if not verdict or write.key in self.guessed or self.known.unsure(write):
            return False
        if not self.integrity.past.takes_renewal(write, self.renewals.revision(write.key)):
            return False
        self._renew(write, verdict)
        self.heard.take(write)
        return True

    def _sound(self, write: RecordedWrite) -> bool:
        """Whether a write keeps the laws of histories, where all is known that they look at; else it is told."""
        bare = is_bare(write)
        if bare:
            self.known.hidden(write)
        if write.type == "ADDED" and write.old is not None and write.seen is None and not write.derived:
            self.known.torn(write)
        if write.trimmed and self.known.is_torn(write):
            self.known.torn(write)
        if bare or write.key in self.guessed or self.known.unsure(write):
            self.integrity.past.take(write)
            return False
        sound = True
        for finding in self.integrity.of(write):
            sound = False
            self.lacks.note(finding, write, self.known)
            gap = is_gap(finding, write, self.known)
            if gap:
                self._torn(write)
            tells = gap and (self.known.bare or not self.known.whole)
            if not tells and not is_uncounted(finding, write, self.known):
                self.breaches.broken(finding, write)
        return sound

    def _cross(self) -> None:
        """The history lacks writes from here on, and goes on after them."""
        self.integrity.past.gapped = True
        self.known.cross(self.integrity.past.objects)
        objects = self.past.store.snapshot.objects
        self.kubelets.runs.doubt(obj.metadata.uid for key, (_, obj) in objects.items() if key[0] == "Pod")

    def _torn(self, write: RecordedWrite) -> None:
        """The log lacks writes before this one: what seemed wrong since the object's last one that it has may come of
        those.
        """
        if not self.known.whole and not self.known.unsure(write):
            self.report.note("1 objects change although the log has no write of that, so that not all can be judged")
        since = self.known.written.get(write.key, 0)
        self.known.torn(write)
        if not self.known.whole:
            self.report.withdraw(since, write.time, write.key[1], "the log lacks writes of about that time")

    def _renew(self, write: RecordedWrite, verdict: str) -> None:
        """A lease was renewed as it had been before."""
        self._follow(write)
        store = self.past.store
        stored = store.snapshot.get(write.key)
        if stored is None:
            self._commit(write)
        else:
            self.past.store, _ = store.put(self.renewals.renewed(write, stored, store.next_version), write.time)
        self._put_down(write, verdict, None, (self.past.store.revision,))

    def _follow(self, write: RecordedWrite) -> None:
        """Time passes: what was due before a write has come."""
        self.timed.take(write)
        if self.waiting:
            self.timed.until(write.time)
            self._by_the_clock(write.time - int(constant("check_clock_lag")) * SECOND)
        if self.undone.is_due(write.time):
            for found in self.undone.looked(write.time, self.choices, self.known.shows):
                self.report.add("undone", found)

    def end(self) -> None:
        """The history is over."""
        end = self.recording.end or 0
        self.timed.until(end)
        self._by_the_clock(_FOR_EVER)
        self.breaches.in_state(end, finished=not self.recording.writes and not self.begun)
        for found in self.undone.rest(end, self.choices, self.known.shows):
            self.report.add("undone", found)
        for found in self._silent(end):
            self.report.add("undone", found)
        late = end - int(constant("check_clock_lag") + constant("check_undone_after")) * SECOND
        for found in self.timed.left(late, self.past.store.snapshot) if self.known.follows_nodes else ():
            self.report.add("undone", found)
        for finding in self.integrity.at_end(self.recording) if self.known.whole else ():
            self.breaches.broken(finding, None)

    def _silent(self, end: int) -> Iterator[Found]:
        """What kubelets owe, where the history would show that they did it."""
        if self.known.gaps or self.known.bare or self.known.slim or not self.recording.writes:
            return
        for found in self.heard.left(self.past.store.snapshot, end, self.judge.scripted):
            if found.key[:2] not in self.known.trimmed:
                yield found

    # -- one request --------------------------------------------------------------------------------------------------

    def _put_down(self, write: RecordedWrite, verdict: str, why: Explanation | None, made: tuple[int, ...]) -> None:
        """Note a request's verdict."""
        if verdict == BY_RULE:
            self.waiting.append((write, made))
            return
        self.report.counts[verdict] += 1
        if verdict == "unmodelled":
            self.report.others[write.actor] += 1
        self._answered(write, why)
        if self.keep:
            self.report.judged.append(Judged(write=write, verdict=verdict, why=why, revisions=made))

    def _answered(self, write: RecordedWrite, why: Explanation | None) -> None:
        """Keep count of refusals, and of what was tried again."""
        if write.ok and why is None and not self.refused:
            return
        route = (write.actor, (write.verb, write.subresource, write.key))
        if write.ok:
            self.report.retried += self.refused.pop(route, 0)
            reports = write.subresource == "status" or write.key[0] == _EVENT  # a sync that failed reports, too
            if why is not None and why.key and not reports:
                self.undone.answered(write.actor, why.key, True, write.time)
            return
        self.report.refusals[f"{write.code} {write.reason}".strip()] += 1
        if write.actor in self.past.actors:
            self.refused[route] = self.refused.get(route, 0) + 1
            for key in self.explaining.keys_of(self.past.actors[write.actor], write):
                self.undone.answered(write.actor, key, False, write.time)

    def _by_the_clock(self, until: int) -> None:
        """Judge what controllers with rounds and timers did up to a time (ns), and late Events."""
        while self.waiting and self.waiting[0][0].time <= until:
            write, made = self.waiting.popleft()
            self._put_down(write, *self.judge.late_verdict(write), made)

    # -- one change ---------------------------------------------------------------------------------------------------

    def _commit(self, write: RecordedWrite) -> bool:
        """Take a recorded change over; says whether it could be."""
        assert write.new is not None
        unsure, gapped = self.known.unsure(write), write.key in self.known.gapped
        self.known.changed(write)
        if write.derived and write.type != "DELETED" and (self.known.older or self._bound_unseen(write)):
            self.guessed.add(write.key)
        else:
            self.guessed.discard(write.key)
        if write.key[0] == _EVENT:
            return False
        try:
            obj = write.new.typed
        except ObjectError:
            return False
        old = self.past.store.snapshot.get(write.key)
        gone = write.type == "DELETED"
        if (gone and old is None) or (not gone and self.known.is_torn(write)):
            return False
        if not write.trimmed and (gapped or not unsure):
            self.breaches.legal(write, old, None if gone else obj, sure=not unsure)
        if write.actor == KUBELET and write.key[0] == "Pod":
            self.kubelets.follow(write)
        store = self.past.store
        store, change = store.remove(write.key, write.time) if gone else store.put(obj, write.time)
        for name, key in self.past.take(store, change, write.actor):
            self.undone.woken(name, key, write.time)
        if gone and write.key[0] == "Pod":
            self.kubelets.runs.forget(obj)
        if not write.trimmed and write.key[0] != "Lease":
            self.breaches.keeps(change, write, blind=bool(self.known.older))
        return True

    def _bound_unseen(self, write: RecordedWrite) -> bool:
        """Whether a pod was bound to a node that the history does not show: a pod gets labels of its node."""
        if write.verb != "bind" or write.new is None:
            return False
        node = str((write.new.json.get("spec") or {}).get("nodeName", ""))
        return self.past.store.snapshot.get(("Node", "", node)) is None

    def _open(self, start: int) -> None:
        for name, actor in self.past.actors.items():
            for key in actor.stirred:
                self.undone.woken(name, key, start)
