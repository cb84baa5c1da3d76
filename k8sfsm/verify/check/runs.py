"""What a kubelet says of its containers' runs: whether the runtime has told so, and whether each may have begun."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Literal

from attrs import define, field, frozen

from k8sfsm.kinds.container_restarts import restarts_after
from k8sfsm.node.backoff import Backoff, backoff_key, kubelet_backoff
from k8sfsm.objects import Pod
from k8sfsm.objects.container import Container
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import ContainerState, ContainerStatus
from k8sfsm.trace.history import EnvironmentFact
from k8sfsm.verify.check.judging import law

_NOT_STARTED: Final = 128
"""The exit code of a container that could not be started."""
_BEGUN: Final = ("container-start", "container-start-error")
_FORGETS: Final = ("kubelet-killed", "kubelet-started", "node-down", "node-up")
RunKey = tuple[str, str]
"""(pod uid, container)."""


@frozen
class Told:
    """What the runtime has said of one container of a pod, by the short ids of its runs: when each began and ended
    (ns), and with which code.
    """

    began: dict[str, int] = field(factory=dict)
    ended: dict[str, tuple[int, int]] = field(factory=dict)


@define
class Run:
    """A container whose status says something new; the case of the table `check/run`.

    `before`, `now`: its statuses; `held`: the back-offs that the kubelet can have after this start (none: too soon);
    `ended`: how the run before ended; `counted`: it can be told when that was.
    """

    container: Container
    policy: str
    before: ContainerStatus | None
    now: ContainerStatus
    told: Told | None
    ended: Any = None
    held: tuple[Backoff | None, ...] = ()
    counted: bool = False


def short(identity: str) -> str:
    """The first twelve characters of a container id, without the runtime's name."""
    return identity.rpartition("//")[2][:12]


def _newest(status: ContainerStatus) -> tuple[str, ContainerState]:
    """Id and state of the newest run that a status tells of."""
    for state in (status.state, status.last_state):
        if state.running is not None:
            return status.container_id, state
        if state.terminated is not None:
            return state.terminated.container_id, state
    return "", status.state


def _runs_anew(before: ContainerStatus | None, now: ContainerStatus) -> bool:
    """Whether a container's status tells of another run than the one before, which has ended."""
    if before is None:
        return False
    identity, _ = _newest(now)
    known, earlier = _newest(before)
    if not identity or not known or identity == known:
        return False
    return earlier.terminated is not None or now.last_state.terminated is not None


@law.fact
def run_told(case: Run) -> Literal["yes", "no", "unknown"]:
    """Whether the runtime has said that the run began; unknown: what it says is not in the history."""
    identity, _ = _newest(case.now)
    if case.told is None or not identity:
        return "unknown"
    return "yes" if short(identity) in case.told.began else "no"


@law.fact
def end_told(case: Run) -> Literal["yes", "no", "other", "unknown"]:
    """Whether the runtime has said that the run ended, and with that code."""
    identity, state = _newest(case.now)
    if case.told is None or state.terminated is None or not identity or short(identity) not in case.told.began:
        return "unknown"
    known = case.told.ended.get(short(identity))
    if known is None:
        return "no"
    return "yes" if known[1] == state.terminated.exit_code else "other"


@law.fact
def runs_again(case: Run) -> bool:
    """A new run has begun after an earlier one had ended."""
    return case.ended is not None


@law.fact
def run_order(case: Run) -> Literal["kept", "counted", "miscounted"]:
    """How the number of restarts goes with the runs: unchanged with the run, one more with a new one."""
    if case.before is None:
        return "kept"
    more = case.now.restart_count - case.before.restart_count
    if not runs_again(case):
        lost = not case.now.container_id or not case.before.container_id
        return "kept" if more == 0 or (lost and more >= 0) else "miscounted"
    return "counted" if more >= 1 else "miscounted"


@law.fact
def policy_restarts(case: Run) -> bool:
    """The policy restarts a container after that end."""
    if case.ended is None:
        return True
    return restarts_after(case.container, case.policy, case.ended.exit_code, case.ended.reason)


@law.fact
def back_off_over(case: Run) -> bool:
    """The container had been down for as long as the kubelet's back-off demands."""
    return case.ended is None or not case.counted or bool(case.held)


@define
class Runs:
    """What is known of containers' runs up to now: from the runtime, where it is recorded, and from statuses."""

    told: dict[RunKey, Told] = field(factory=dict)
    entries: dict[str, dict[tuple[str, str], tuple[Backoff | None, ...]]] = field(factory=dict)
    """By pod uid and what they belong to: the back-offs that the kubelet can have in mind."""
    forgotten: dict[str, list[int]] = field(factory=dict)
    recorded: set[str] = field(factory=set)
    """uids of pods of which the runtime's own log tells."""

    def learn(self, facts: Iterable[EnvironmentFact], older: Collection[str] = ()) -> None:
        """What the runtime said, all of a history's part at once: each fact has its time. `older`: uids of pods that
        are older than the history, so that not all that the runtime said of them need be known.
        """
        for fact in facts:
            if fact.event in _FORGETS:
                self.forgotten.setdefault(fact.node, []).append(fact.time)
            if fact.source != "runtime" or not fact.uid or not fact.container or not fact.container_id:
                continue
            if fact.uid not in older:
                self.recorded.add(fact.uid)
            told = self.told.setdefault((fact.uid, fact.container), Told({}, {}))
            name = short(fact.container_id)
            if fact.event in _BEGUN:
                told.began[name] = fact.time
                if fact.event != "container-start":
                    told.ended[name] = (fact.time, _NOT_STARTED)
            elif fact.event == "container-exit":
                told.ended[name] = (fact.time, fact.code or 0)

    def doubt(self, uids: Iterable[str]) -> None:
        """Not all that the runtime said of some pods is known."""
        self.recorded.difference_update(uids)

    def judge(self, pod: Pod, old: Pod, at: int) -> tuple[str, dict[str, Any], str]:
        """(rule, facts, what is wrong) of the first run of a pod that cannot be; ("", {}, "") where all can."""
        before = {each.name: each for each in old.status.of_containers}
        spec = pod.spec
        containers = {each.name: each for each in (*spec.init_containers, *spec.containers)}
        for status in pod.status.of_containers:
            container = containers.get(status.name)
            if container is None:
                continue
            case = self._case(pod, container, before.get(status.name), status, at)
            decision = law.decide("run", case)
            if not decision.outputs["possible"]:
                rule = str(decision.outputs["rule"])
                return rule, self._facts(case), f"container {status.name}: {decision.outputs['says']}{_how(case)}"
        return "", {}, ""

    def begun_anew(self, pod: Pod, old: Pod) -> bool:
        """Whether a status tells of a run that begins after an earlier one has ended."""
        before = {each.name: each for each in old.status.of_containers}
        return any(_runs_anew(before.get(each.name), each) for each in pod.status.of_containers)

    def follow(self, pod: Pod, old: Pod, at: int) -> None:
        """A status was written: restarts in it count for the back-off."""
        before = {each.name: each for each in old.status.of_containers}
        spec = pod.spec
        containers = {each.name: each for each in (*spec.init_containers, *spec.containers)}
        for status in pod.status.of_containers:
            container = containers.get(status.name)
            if container is None:
                continue
            case = self._case(pod, container, before.get(status.name), status, at)
            if case.ended is not None:
                known = self.entries.setdefault(pod.metadata.uid, {})
                known[backoff_key(container)] = case.held if case.counted else (None,)

    def forget(self, pod: Pod) -> None:
        """A pod is gone."""
        uid = pod.metadata.uid
        self.recorded.discard(uid)
        self.entries.pop(uid, None)
        for name in [status.name for status in pod.status.of_containers]:
            self.told.pop((uid, name), None)

    def _case(
        self, pod: Pod, container: Container, before: ContainerStatus | None, now: ContainerStatus, at: int
    ) -> Run:
        uid = pod.metadata.uid
        told = self.told.get((uid, now.name), Told()) if uid in self.recorded else None
        case = Run(container, pod.spec.restart_policy, before, now, told)
        if before is None or not _runs_anew(before, now):
            return case
        identity, state = _newest(now)
        ended = case.ended = _newest(before)[1].terminated or now.last_state.terminated
        began = self._began(case, identity, state)
        finished = self._finished(case, ended)
        case.counted = (
            began is not None
            and finished is not None
            and now.restart_count == before.restart_count + 1
            and not self._restarted(pod.spec.node_name, finished, at)
        )
        if case.counted:
            assert began is not None and finished is not None
            known_ones = self.entries.get(uid, {}).get(backoff_key(container), (None,))
            case.held = tuple(_possible(case, known_ones, finished, began, self._before_that(case)))
        return case

    def _began(self, case: Run, identity: str, state: ContainerState) -> int | None:
        """The latest moment (ns) at which a run can have begun."""
        if case.told is not None and short(identity) in case.told.began:
            return case.told.began[short(identity)]
        shown = state.running or state.terminated
        at = None if shown is None else shown.started_at
        return None if at is None else at + SECOND

    def _finished(self, case: Run, ended: Any) -> int | None:
        """The earliest moment (ns) at which a run can have ended."""
        if case.told is not None and short(ended.container_id) in case.told.ended:
            return case.told.ended[short(ended.container_id)][0]
        at: int | None = ended.finished_at
        return at

    def _before_that(self, case: Run) -> int | None:
        """When (ns) the run before the one that ended last had ended."""
        earlier = None if case.before is None else case.before.last_state.terminated
        return None if earlier is None else self._finished(case, earlier)

    def _restarted(self, node: str, since: int, until: int) -> bool:
        """Whether the kubelet was restarted meanwhile: it remembers no back-off then."""
        return any(since <= at <= until for at in self.forgotten.get(node, ()))

    def _facts(self, case: Run) -> dict[str, Any]:
        return {"restarts": case.now.restart_count, "exit_code": getattr(case.ended, "exit_code", None)}


def _possible(
    case: Run, known: Iterable[Backoff | None], finished: int, began: int, earlier: int | None
) -> Iterator[Backoff | None]:
    """The back-offs after a start at `began`. A kubelet that kills a container because of a probe starts it again in
    the same sync, when the end that it knows of is that of the run before.

    Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go: doBackOff
    """
    killed = case.container.liveness_probe is not None or case.container.startup_probe is not None
    for entry in known:
        after = kubelet_backoff(entry, finished, began)
        if after is not None:
            yield after
        if killed and earlier is None:
            yield entry
        elif killed and earlier is not None:
            after = kubelet_backoff(entry, earlier, began)
            if after is not None:
                yield after


def _how(case: Run) -> str:
    """How long the container was down, where that matters."""
    if case.ended is None or not case.counted:
        return ""
    began = case.now.state.running or case.now.state.terminated
    if began is None or began.started_at is None or case.ended.finished_at is None:
        return ""
    return f" (down for about {(began.started_at - case.ended.finished_at) // SECOND} s)"
