"""Answers of probes that a kubelet reports while a pod's worker is busy: at once, without looking at anything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8sfsm.law import Decision, Law
from k8sfsm.node.conditions import ConditionCase, containers_ready_condition, ready_condition
from k8sfsm.node.container_status import probe_result
from k8sfsm.node.prober import ProbeCase, probes_of
from k8sfsm.node.reporting import report
from k8sfsm.node.session import Session
from k8sfsm.node.status import settle
from k8sfsm.objects import evolve
from k8sfsm.objects.pod import ContainerStatus, PodCondition, PodStatus
from k8sfsm.request import Step

law = Law("kubelet")


@law.fact
def answer_is_new(case: ProbeCase) -> bool:
    """The probe has come to a result that the reported status of this run of the container does not show."""
    shown, result = _shown(case), probe_result(case.run, case.kind)
    if shown is None or shown.state.running is None or result is None:
        return False
    return result != bool(shown.ready if case.kind == "ready" else shown.started)


def _shown(case: ProbeCase) -> ContainerStatus | None:
    """What was last reported of the container, if it was this run of it."""
    known = case.session.memory.generated
    if known is None or case.run is None:
        return None
    every = (*known.init_container_statuses, *known.container_statuses)
    return next((each for each in every if each.container_id == case.run.id), None)


@law.action
def report_answers(session: Session, decision: Decision) -> Iterable[Step]:
    """Report new results of probes.

    Source: pkg/kubelet/status/status_manager.go: SetContainerReadiness, SetContainerStartup
    """
    known = session.memory.generated
    changes = dict(_changes(session)) if known is not None else {}
    if known is None or not changes:
        return ()
    inits = tuple(changes.get(each.name, each) for each in known.init_container_statuses)
    regular = tuple(changes.get(each.name, each) for each in known.container_statuses)
    status = evolve(known, init_container_statuses=inits, container_statuses=regular)
    status = evolve(status, conditions=tuple(_readiness(session, status)))
    report(session, settle(status, known, session.now), decision)
    return ()


def _changes(session: Session) -> Iterator[tuple[str, ContainerStatus]]:
    """The statuses of containers whose probes say something new."""
    for container in session.containers:
        before: ContainerStatus | None = None
        for kind, probe in probes_of(container):
            case = ProbeCase(session, container, kind, probe, session.run(container.name))
            field = law.decide("answer", case).outputs["field"]
            if field == "none":
                continue
            before = _shown(case) if before is None else before
            assert before is not None
            before = evolve(before, **{field: probe_result(case.run, kind)})
        if before is not None:
            yield container.name, before


def _readiness(session: Session, status: PodStatus) -> Iterator[PodCondition]:
    """The conditions of a status, those about readiness anew."""
    statuses = {each.name: each for each in (*status.init_container_statuses, *status.container_statuses)}
    case = ConditionCase(session.pod, status.phase, statuses, status.conditions)
    containers = containers_ready_condition(case)
    anew = {"ContainersReady": containers, "Ready": ready_condition(case, containers)}
    for each in status.conditions:
        yield anew.get(each.type, each)
