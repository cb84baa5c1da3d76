"""The kubelet: one reconciler per node, for its pods and for the node itself."""

from __future__ import annotations

from typing import Any, Final

import k8sfsm.node.admission
import k8sfsm.node.answers
import k8sfsm.node.ending
import k8sfsm.node.mounting
import k8sfsm.node.outcome
import k8sfsm.node.prober
import k8sfsm.node.resetting  # noqa: F401  facts and actions of the tables
from k8sfsm.law import Law, LawError
from k8sfsm.node.alike import Mark, mark
from k8sfsm.node.looks import CHECKED, Plain, glanced, looked
from k8sfsm.node.memory import PodMemory
from k8sfsm.node.newcomers import Newcomer, Newcomers
from k8sfsm.node.registration import reconcile_node
from k8sfsm.node.session import Session, Settings
from k8sfsm.objects import Pod, PodStatus, changer_of, evolve
from k8sfsm.request import DONE, Key, Outcome, PatchStatus, Plan, Remember, Step
from k8sfsm.store import Change
from k8sfsm.value import value
from k8sfsm.view import View, asks_memory_alone

law = Law("kubelet")

GONE: Final = (404, 409)
TURNS: Final = 64
"""More turns than any look at a pod takes: a table that never rests is wrong."""


@law.key
@asks_memory_alone
def pods_of_node(change: Change, view: View) -> tuple[Key, ...]:
    """The pod itself, once it is bound to a node, unless all that is new is the status that this kubelet wrote.

    The engine hands a kubelet the pods of its own node only. Source: pkg/kubelet/config/config.go: checkAndUpdatePod
    """
    old, new = change.old, change.new
    if not new.spec.node_name and (old is None or not old.spec.node_name):
        return ()
    if old is not None and old.status is not new.status:
        known: tuple[PodMemory, ...] = view.memory.get(change.key, ())
        if known and known[-1].sent is new.status:
            return ()
    return (change.key,)


@law.key
def nothing(change: Change, view: View) -> tuple[Key, ...]:
    """No key: the kubelet reads objects of this kind when it needs them."""
    return ()


class Kubelet:
    """The kubelet of one node: a pure function from a view (with the node's runtime in it) to a plan.

    Keys are those of pods bound to the node, and the key of the node itself.
    """

    name = "kubelet"
    law = law

    def __init__(self, node: str, settings: Settings | None = None) -> None:
        self.node = node
        self.settings = settings if settings is not None else Settings(node=node)
        self.first_keys: tuple[Key, ...] = (("Node", "", node),) if self.settings.heartbeats else ()
        self._newcomers = Newcomers(self.settings)

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about a pod or the node."""
        if key[0] == "Node":
            return reconcile_node(self.settings, view, key)
        pod: Pod | None = view.snapshot("Pod").get(key)
        known: tuple[PodMemory, ...] = view.memory.get(key, ())
        if pod is not None and not (known and pod.spec is known[0].pod.spec) and pod.spec.node_name != self.node:
            pod = None  # what is remembered was bound to this node
        expected = marked = None
        if pod is not None and len(known) < 2:
            memory = known[0] if known else self._newcomers.expected(view, pod)
            if memory is not None:
                marked = mark(self._newcomers.home, view, key, pod, memory)
                plan = None if marked is None else glanced(marked)
                if plan is not None:
                    return plan
            expected = None if known else memory
        entries = list(known)
        if expected is not None and not CHECKED:
            entries.append(expected)
        elif pod is not None and not any(entry.pod.metadata.uid == pod.metadata.uid for entry in entries):
            entries.append(PodMemory(pod=pod, added_at=view.now))
            self._newcomers.met(pod, len(entries))
        if not entries:
            return DONE
        sessions = [self._session(view, key, pod, entry) for entry in entries]
        if len(sessions) == 1:
            return self._look(sessions[0], known, expected, marked)
        return _plan(known, sessions, [step for session in sessions for step in _turns(session)])

    def _look(
        self, session: Session, known: tuple[PodMemory, ...], expected: PodMemory | None, marked: Mark | None
    ) -> Plan:
        """Look at the only pod of its name. `expected`: what is expected to be remembered of one that is new."""
        begun: list[Step] = []
        if session.memory.stage == "new":
            begun, strange = _first_turn(session)
            if session.again and not begun:
                self._newcomers.took(session, strange)
            if expected is not None and (begun or session.memory != expected):
                raise LawError(f"kubelet: {session.key} is not taken as others of its template were")
            if not session.again:
                return _plan(known, [session], _rested(session, begun))
            marked = mark(self._newcomers.home, session.view, session.key, session.pod, session.memory)
        plain = Plain(lambda each: [*begun, *_turns(each)], lambda each, steps: _plan(known, [each], steps))
        return looked(session, plain, marked)

    def _session(self, view: View, key: Key, pod: Pod | None, entry: PodMemory) -> Session:
        current = pod is not None and pod.metadata.uid == entry.pod.metadata.uid
        shown = pod if pod is not None and current else entry.pod
        if entry.pod.metadata.generation != shown.metadata.generation:
            entry = evolve(entry, pod=shown, alike=None)
        return Session(
            settings=self.settings,
            view=view,
            key=key,
            pod=shown,
            object_gone=not current,
            memory=entry,
            requests=self._newcomers.requests,
        )


def _first_turn(session: Session) -> tuple[list[Step], bool]:
    """The first turn of a pod, and whether it depends on more than the node, the runtime and what is remembered."""
    watched: Any = Newcomer(session.view, session.settings.node)
    session.view = watched
    steps = _turn(session)
    session.view = watched.view
    return steps, watched.strange


def _turn(session: Session) -> list[Step]:
    session.again = False
    return list(law.perform(law.decide("pod_sync", session), session))  # type: ignore[arg-type]


def _turns(session: Session) -> list[Step]:
    """Ask the table what to do until the pod has to be waited for."""
    steps: list[Step] = []
    for _ in range(TURNS):
        steps.extend(_turn(session))
        if not session.again:
            return _rested(session, steps)
    raise LawError(f"kubelet/pod_sync comes to no rest over {session.key}")


def _rested(session: Session, steps: list[Step]) -> list[Step]:
    if session.hides_an_end:
        session.wake(session.next_notice)
    return steps


def _plan(known: tuple[PodMemory, ...], sessions: list[Session], steps: list[Step]) -> Plan:
    key = sessions[0].key
    left = [session for session in sessions if not session.forgotten]
    entries = tuple([session.memory for session in left])
    if len(entries) != len(known) or any(a is not b for a, b in zip(entries, known, strict=True)):
        steps = [*steps, Remember(key=key, value=entries or None)]
    later = _requeue(left, {entry.pod.metadata.uid: entry.wake_at for entry in known})
    writes = [write for session in left for write in _writes(session)]
    if not writes:
        return Plan(steps=tuple(steps), requeue_after=later)
    owed = tuple([session.status is not None or bool(session.writes) for session in left])
    then = Answered(key, entries, tuple([session.status for session in left]), owed, later)
    return Plan(steps=(*steps, *writes), then=then)


@value
class Answered:
    """How it goes on with a pod after writes were answered. `entries`: what is remembered; of each, the `statuses` that
    are sent, and whether there is anything `owed` to the API; `later`: when the next look is due (ns from now).
    """

    key: Key
    entries: tuple[PodMemory, ...]
    statuses: tuple[PodStatus | None, ...]
    owed: tuple[bool, ...]
    later: int | None

    def __call__(self, outcomes: tuple[Outcome, ...]) -> Plan:
        """The plan that follows; the first write is that of a status, where one is sent."""
        first, entries = outcomes[0], self.entries
        ok = first.ok
        if not ok and first.code not in GONE:
            steps = (Remember(key=self.key, value=self._unanswered() or None),)
            return Plan(steps=steps, error=first.message or str(first.code), requeue_after=self.later)
        place = 0
        for status in self.statuses:
            if status is not None:
                break
            place += 1
        else:
            return Plan(requeue_after=self.later)
        if not ok:
            return Plan(requeue_after=self.later)
        memory, stored = entries[place], first.object
        version, course = 0 if stored is None else int(stored.metadata.resource_version or 0), memory.alike
        sent = _sent(memory, status, version, None if course is None else course.reported)
        values = (*entries[:place], sent, *entries[place + 1 :]) if len(entries) > 1 else (sent,)
        return _remembered(DONE, (_entry(_NO_ENTRY, self.key, values),), self.later)

    def _unanswered(self) -> tuple[PodMemory, ...]:
        """What is left in memory of writes that the API did not take: they are to be made again.

        Source: pkg/kubelet/status/status_manager.go: syncBatch, needsUpdate
        """
        each = zip(self.entries, self.statuses, self.owed, strict=True)
        return tuple(
            evolve(entry, unsent=status is not None, returned=False, alike=None) if owed else entry
            for entry, status, owed in each
        )


_sent: Final = changer_of(PodMemory, "sent", "sent_at", "alike")
_remembered: Final = changer_of(Plan, "steps", "requeue_after")
_NO_ENTRY: Final = Remember(key=("", "", ""), value=None)
_entry: Final = changer_of(Remember, "key", "value")


def _writes(session: Session) -> list[Any]:
    if session.status is None:
        return session.writes
    uid = session.pod.metadata.uid
    patch = PatchStatus(key=session.key, uid=uid, status=session.status, why=session.status_why)
    return [patch, *session.writes]


def _requeue(sessions: list[Session], before: dict[str, int | None]) -> int | None:
    """Time (ns) until the earliest new timer; None where all that are wanted run already."""
    wanted = [
        session.memory.wake_at - session.now
        for session in sessions
        if session.memory.wake_at is not None
        and session.memory.wake_at > session.now
        and session.memory.wake_at != before.get(session.pod.metadata.uid)
    ]
    return min(wanted) if wanted else None
