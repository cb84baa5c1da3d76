"""How a kubelet takes a pod down and hands it back to the API server."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define

from k8sfsm.law import Decision, Law
from k8sfsm.node.memory import Work, eviction_key
from k8sfsm.node.reporting import report, status_now
from k8sfsm.node.runtime_state import newest
from k8sfsm.node.session import Session, runs_now
from k8sfsm.node.starting import stop_call
from k8sfsm.objects import Container, PodCondition, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import Delete, Remember, Step

law = Law("kubelet")


@define
class StopCase:
    """A running container of a pod that is being taken down."""

    session: Session
    container: Container


@law.fact
def told_to_stop(case: StopCase) -> bool:
    """The order to stop was given."""
    return case.container.name in case.session.memory.stopping


@law.fact
def is_sidecar_container(case: StopCase) -> bool:
    """The container is a sidecar."""
    return case.session.is_init(case.container.name) and case.container.restart_policy == "Always"


@law.fact
def others_before_it(case: StopCase) -> bool:
    """A regular container or a later sidecar still runs."""
    spec = case.session.pod.spec
    names = [each.name for each in spec.init_containers]
    later = names[names.index(case.container.name) + 1 :]
    waits_for = (*later, *(each.name for each in spec.containers))
    return any(runs_now(case.session, name) for name in waits_for)


@law.action
def begin_ending(session: Session, decision: Decision) -> Iterable[Step]:
    """Drop what was under way, report once more, and start to stop everything."""
    session.remember(work=Work(), stage="ending", stopping=(), ending_since=session.now, grace=_grace(session))
    session.remember(seen_phase=session.pod.status.phase)
    law.perform(law.decide("farewell", session), session)
    return law.perform(law.decide("kill", session), session) or _again(session)  # type: ignore[return-value]


@law.fact
def evicted_now(session: Session) -> bool:
    """The kubelet evicts the pod."""
    return session.eviction is not None


@law.action
def report_still(session: Session, decision: Decision) -> Iterable[Step]:
    """Report the pod as it is."""
    report(session, status_now(session), decision)
    return ()


@law.action
def report_eviction(session: Session, decision: Decision) -> Iterable[Step]:
    """Report that the pod fails, and why."""
    eviction = session.eviction
    assert eviction is not None
    target = PodCondition(
        type=DISRUPTION_TARGET,
        observed_generation=session.pod.metadata.generation,
        status="True",
        last_transition_time=session.now - session.now % SECOND,
        reason="TerminationByKubelet",
        message=eviction.message,
    )
    status = status_now(session)
    others = tuple(each for each in status.conditions if each.type != DISRUPTION_TARGET)
    failed = evolve(status, phase="Failed", reason="Evicted", message=eviction.message, conditions=(*others, target))
    report(session, failed, decision)
    return ()


def _again(session: Session) -> Iterable[Step]:
    session.again = True
    return ()


def _grace(session: Session) -> int:
    """Seconds between SIGTERM and SIGKILL. Source: pkg/kubelet/pod_workers.go: calculateEffectiveGracePeriod"""
    pod = session.pod
    if session.eviction is not None:
        return session.eviction.grace
    given = pod.metadata.deletion_grace_period_seconds
    if pod.metadata.deletion_timestamp is not None and given is not None:
        return given
    if session.object_gone:
        return 0
    own = pod.spec.termination_grace_period_seconds
    return int(law.constant("default_pod_grace")) if own is None else own


@law.action
def record_kills(session: Session, decision: Decision) -> Iterable[Step]:
    """Say which containers are being stopped."""
    return [
        session.record("Normal", "Killing", f"Stopping container {each.name}", each.name)
        for each in session.containers
        if runs_now(session, each.name)
    ]


@law.action
def stop_in_turn(session: Session, decision: Decision) -> Iterable[Step]:
    """Tell the containers whose turn it is to stop."""
    spent = (session.now - session.memory.ending_since) // SECOND
    steps = []
    for each in session.containers:
        if runs_now(session, each.name) and law.decide("stop_turn", StopCase(session, each)).outputs["stop"]:
            steps.append(stop_call(session, each.name, max(session.memory.grace - spent, 0)))
            session.remember(stopping=(*session.memory.stopping, each.name))
    return steps


@law.action
def record_failed_hooks(session: Session, decision: Decision) -> Iterable[Step]:
    """Say which pre-stop hooks failed, or were cut off by the end of the grace period."""
    steps = []
    for each in session.containers:
        run, known = newest(session.runtime, each.name), session.memory.noted
        if run is None or not run.hook_failed or known.get((each.name, "hook")) == run.attempt:
            continue
        session.remember(noted=known.set((each.name, "hook"), run.attempt))
        steps.append(session.record("Warning", "FailedPreStopHook", "PreStopHook failed", each.name))
    return steps


@law.action
def stop_sandbox(session: Session, decision: Decision) -> Iterable[Step]:
    """Stop the sandbox, once."""
    if session.memory.returned or "" in session.memory.stopping:
        return ()
    session.remember(stopping=(*session.memory.stopping, ""))
    return (session.call("stop-sandbox"),)


@law.action
def clean_up(session: Session, decision: Decision) -> Iterable[Step]:
    """Release what the pod holds on the node: volumes, cgroups."""
    return (session.call("clean-up-pod"),)


@law.action
def delete_object(session: Session, decision: Decision) -> Iterable[Step]:
    """Ask the API server to remove the pod for good. Source: pkg/kubelet/status/status_manager.go: syncPod"""
    session.remember(returned=True)
    session.writes.append(Delete(key=session.key, uid=session.pod.metadata.uid, grace_seconds=0, why=decision.why))
    return ()


@law.action
def forget_pod(session: Session, decision: Decision) -> Iterable[Step]:
    """The pod is gone everywhere."""
    session.forgotten = True
    forget = Remember(key=eviction_key(session.pod.metadata.uid), value=None)
    return (session.call("remove-pod"), *(() if session.eviction is None else (forget,)))
