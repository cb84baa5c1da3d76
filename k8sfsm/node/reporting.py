"""When and what a kubelet writes to a pod's status."""

from __future__ import annotations

from collections.abc import Iterable

from k8sfsm.law import Decision, Law
from k8sfsm.node.session import Session
from k8sfsm.node.status import ReportCase, StatusCase, ended_status, generate, merged, pod_resources, settle
from k8sfsm.objects import PodStatus, evolve
from k8sfsm.request import Step

law = Law("kubelet")


def status_now(session: Session, *, over: bool = False) -> PodStatus:
    """The pod's status as the kubelet sees it now."""
    case = _case(session, over)
    return settle(generate(case), case.old, session.now)


def _case(session: Session, over: bool) -> StatusCase:
    memory = session.memory
    return StatusCase(
        pod=session.pod,
        runtime=session.seen,
        reported=memory.generated,
        now=session.now,
        over=over,
        start_errors=memory.start_errors,
        host_ips=session.host_ips,
        reads_cgroups=session.settings.reads_cgroups,
        seen_phase=memory.seen_phase,
    )


def report(session: Session, status: PodStatus, decision: Decision) -> None:
    """Take `status` as the pod's own, and send what of it differs from what was sent last."""
    session.remember(generated=status)
    if session.object_gone:
        return
    ended = session.memory.stage == "ended"
    outgoing = merged(ReportCase(session.pod, status, not ended), session.now)
    known = session.pod.status if session.memory.sent is None else session.memory.sent
    if outgoing != known:
        session.status, session.status_why = outgoing, decision.why


@law.action
def report_status(session: Session, decision: Decision) -> Iterable[Step]:
    """Report what the kubelet sees of the pod."""
    report(session, status_now(session), decision)
    session.remember(synced=session.signature())
    if session.deadline is not None and session.deadline > session.now:
        session.wake(session.deadline)
    return ()


@law.action
def restate_status(session: Session, decision: Decision) -> Iterable[Step]:
    """Report again what somebody else has changed. Source: pkg/kubelet/status/status_manager.go: needsReconcile"""
    known = session.memory.generated
    if known is not None:
        session.status, session.status_why = merged(ReportCase(session.pod, known, True), session.now), decision.why
    return ()


@law.action
def resend_status(session: Session, decision: Decision) -> Iterable[Step]:
    """Report again what the API did not take, and go on.

    Source: pkg/kubelet/status/status_manager.go: syncBatch
    """
    known = session.memory.generated
    session.remember(unsent=False)
    if known is not None and not session.object_gone:
        ended = session.memory.stage == "ended"
        session.status, session.status_why = (
            merged(ReportCase(session.pod, known, not ended), session.now),
            decision.why,
        )
    session.again = True
    return ()


@law.action
def report_end(session: Session, decision: Decision) -> Iterable[Step]:
    """Report how the pod ended: no container of it can run any more."""
    session.remember(stage="ended")
    report(session, status_now(session, over=True), decision)
    return ()


@law.action
def report_rejection(session: Session, decision: Decision) -> Iterable[Step]:
    """Report why the pod has failed: no container of it can run any more."""
    verdict = session.memory.generated
    assert verdict is not None
    session.remember(stage="ended")
    status = status_now(session, over=True)
    report(session, evolve(status, phase=verdict.phase, reason=verdict.reason, message=verdict.message), decision)
    return ()


@law.action
def report_remains(session: Session, decision: Decision) -> Iterable[Step]:
    """Report what is left of a pod that is over. Source: pkg/kubelet/kubelet.go: SyncTerminatedPod"""
    status = session.memory.generated
    if status is None or status.resources is None:
        return ()
    left = pod_resources(_case(session, True))
    if status.resources != left:
        report(session, evolve(status, resources=left), decision)
    return ()


@law.action
def report_last_status(session: Session, decision: Decision) -> Iterable[Step]:
    """Report a terminal phase, whatever is missing."""
    status = session.memory.generated
    if status is not None:
        status = settle(ended_status(session.pod, status), status, session.now)
        report(session, evolve(status, observed_generation=session.pod.metadata.generation), decision)
    return ()
