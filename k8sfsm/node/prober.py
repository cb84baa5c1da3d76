"""Asking containers whether they have started, are alive and are ready, and dealing with their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from attrs import define

from k8sfsm.law import Decision, Law
from k8sfsm.node.container_status import probe_result
from k8sfsm.node.runtime_state import Instance
from k8sfsm.node.session import Session
from k8sfsm.objects import Container, Probe
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Step

law = Law("kubelet")

_WORK: Final = {"ask": (True, True), "wait": (False, True), "rest": (False, False)}
"""Whether a worker asks now, and whether it goes on ticking."""
_WORDS: Final = {"startup": "Startup", "live": "Liveness", "ready": "Readiness"}


@define
class ProbeCase:
    """One probe of one container, and the container's run."""

    session: Session
    container: Container
    kind: Literal["startup", "live", "ready"]
    probe: Probe
    run: Instance | None


@law.fact
def probed_state(case: ProbeCase) -> Literal["none", "created", "running", "exited", "unknown"]:
    """The state of the container's newest run."""
    return "none" if case.run is None else case.run.state


@law.fact
def pod_marked_deleted(case: ProbeCase) -> bool:
    """The pod has a deletionTimestamp."""
    return case.session.pod.metadata.deletion_timestamp is not None


@law.fact
def probe_kind(case: ProbeCase) -> Literal["startup", "live", "ready"]:
    """Which of the container's probes it is."""
    return case.kind


@law.fact
def past_initial_delay(case: ProbeCase) -> bool:
    """The container has run for initialDelaySeconds."""
    started = (case.run.started_at if case.run is not None else None) or 0
    return (case.session.now - started) // SECOND >= case.probe.initial_delay_seconds


@law.fact
def container_started(case: ProbeCase) -> bool:
    """The container has no startup probe, or it has succeeded."""
    return case.container.startup_probe is None or probe_result(case.run, "startup") is True


@law.fact
def probe_concluded(case: ProbeCase) -> bool:
    """A startup probe has come to a result, a liveness probe to failure: nothing is asked until the next run."""
    result = probe_result(case.run, case.kind)
    return result is not None if case.kind == "startup" else result is False


def probes_of(container: Container) -> Iterator[tuple[Literal["startup", "live", "ready"], Probe]]:
    """The container's probes, in the order in which their workers are made."""
    if container.startup_probe is not None:
        yield "startup", container.startup_probe
    if container.readiness_probe is not None:
        yield "ready", container.readiness_probe
    if container.liveness_probe is not None:
        yield "live", container.liveness_probe


@law.action
def watch_probes(session: Session, decision: Decision) -> Iterable[Step]:
    """Deal with new answers, ask what is due, and look again when the next probe or relist is due."""
    if session.hides_an_end:
        session.wake(session.next_notice)
    steps: list[Step] = []
    for container in session.containers:
        for kind, probe in probes_of(container):
            case = ProbeCase(session, container, kind, probe, session.run(container.name))
            steps.extend(_note(case))
            if session.settings.probing:
                steps.extend(_ask(case))
    return steps


def _note(case: ProbeCase) -> Iterator[Step]:
    """An event about an answer that was not dealt with yet."""
    session, name = case.session, case.container.name
    answer = case.run.probes.get(case.kind) if case.run is not None else None
    if answer is None or session.memory.noted.get((name, case.kind), 0) >= answer.at:
        return
    session.remember(noted=session.memory.noted.set((name, case.kind), answer.at))
    if not answer.ok:
        text = f"{_WORDS[case.kind]} probe failed: {answer.output}"
        yield session.record("Warning", "Unhealthy", text, name)


def _ask(case: ProbeCase) -> Iterator[Step]:
    """Ask if the worker's tick has come; a container that has just started is asked at once whether it is ready."""
    session, name = case.session, case.container.name
    asks, ticks = _WORK[law.decide("probe", case).outputs["does"]]
    period = (case.probe.period_seconds or 10) * SECOND
    tick = session.latest_round(session.memory.added_at, period)
    if ticks:
        session.wake(tick + period)
    asked = session.memory.asked.get((name, case.kind), 0)
    run = case.run
    if run is None or not asks or (tick <= max(asked, run.started_at or 0) and not _just_started(case, asked)):
        return
    session.remember(asked=session.memory.asked.set((name, case.kind), session.now))
    yield session.call("probe", name, kind=case.kind, attempt=run.attempt, spec=case.container)


def _just_started(case: ProbeCase, asked: int) -> bool:
    if case.kind != "ready" or case.run is None:
        return False
    passed = case.run.probes.get("startup")
    since = max(case.run.started_at or 0, passed.at if passed is not None and passed.result else 0)
    return asked < since
