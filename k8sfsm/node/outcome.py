"""What has come of the order that a pod's worker waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from k8sfsm.law import Law
from k8sfsm.node.memory import Work
from k8sfsm.node.references import missing_volume, unattached_volume
from k8sfsm.node.runtime_state import newest
from k8sfsm.node.session import Session, anything_running, runs_now

law = Law("kubelet")

Outcome: TypeAlias = Literal["none", "waiting", "done", "failed"]


@law.fact
def outcome(session: Session) -> Outcome:
    """What has come of the work under way; none: nothing is under way."""
    work = session.memory.work
    return _OUTCOMES[work.doing](session, work)


def _no_outcome(session: Session, work: Work) -> Outcome:
    return "none"


def _mount_outcome(session: Session, work: Work) -> Outcome:
    return "done" if session.runtime.mounted else "waiting"


def _volumes_outcome(session: Session, work: Work) -> Outcome:
    if session.now < work.since + work.delay:
        return "waiting"
    missing = missing_volume(session.view, session.pod) is not None
    return "failed" if missing or unattached_volume(session.view, session.pod, session.settings) is not None else "done"


def _sandbox_outcome(session: Session, work: Work) -> Outcome:
    sandbox = session.runtime.sandbox
    made = sandbox is not None and sandbox.ready and sandbox.attempt == work.attempt
    return "done" if made else "waiting"


def _pull_outcome(session: Session, work: Work) -> Outcome:
    pull = session.runtime.pulls.get(session.container(work.name).image)
    if pull is None or pull.state == "asked" or pull.finished_at < work.since:
        return "waiting"
    return "done" if pull.state == "done" else "failed"


def _start_outcome(session: Session, work: Work) -> Outcome:
    run = newest(session.runtime, work.name)
    if run is None or run.attempt != work.attempt:
        return "waiting"
    return "done" if run.started_at else "failed"


def _stop_outcome(session: Session, work: Work) -> Outcome:
    return "waiting" if any(runs_now(session, name) for name in session.memory.stopping) else "done"


def _remove_outcome(session: Session, work: Work) -> Outcome:
    return "done" if newest(session.runtime, work.name) is None else "waiting"


def _kill_outcome(session: Session, work: Work) -> Outcome:
    return "waiting" if anything_running(session) else "done"


_OUTCOMES: Final[Mapping[str, Callable[[Session, Work], Outcome]]] = {
    "none": _no_outcome,
    "volumes": _volumes_outcome,
    "mount": _mount_outcome,
    "sandbox": _sandbox_outcome,
    "pull": _pull_outcome,
    "start": _start_outcome,
    "stop": _stop_outcome,
    "reset": _stop_outcome,
    "remove": _remove_outcome,
    "kill-pod": _kill_outcome,
}
