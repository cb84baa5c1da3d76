"""How a kubelet removes all containers of a pod to start them anew, in the pod's sandbox.

Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go: SyncPod, getContainersToReset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from attrs import frozen

from k8sfsm.kinds.container_restarts import action_after
from k8sfsm.law import Decision, Law
from k8sfsm.node.container_status import Place
from k8sfsm.node.memory import Work
from k8sfsm.node.restarts import is_restarting
from k8sfsm.node.runtime_state import Instance, newest
from k8sfsm.node.session import Session
from k8sfsm.node.starting import stop_call
from k8sfsm.objects import Container, evolve
from k8sfsm.request import Step

law = Law("kubelet")


@frozen
class Reset:
    """A container of a pod whose containers are all restarted, and its newest run."""

    container: Container
    place: Place
    run: Instance | None


@law.fact
def restarting_all(session: Session) -> bool:
    """All containers of the pod are to be started anew."""
    generated = session.memory.generated
    return generated is not None and is_restarting(generated)


@law.fact
def reset_state(reset: Reset) -> Literal["none", "created", "running", "exited", "unknown"]:
    """The state of the container's newest run; none: the runtime has no run of it."""
    return "none" if reset.run is None else reset.run.state


@law.fact
def asked_for_all(reset: Reset) -> bool:
    """The container's end is what restarts all."""
    return reset.run is not None and action_after(reset.container, reset.run.exit_code) == "RestartAllContainers"


@law.fact
def container_place(reset: Reset) -> Place:
    """In which list of the pod's spec it is."""
    return reset.place


_TURNS: Final = ("others", "other-inits", "sources", "source-inits")


def _verdict(session: Session, name: str) -> Mapping[str, str]:
    case = Reset(session.container(name), session.place(name), newest(session.runtime, name))
    return law.decide("reset", case).outputs


def _turn(session: Session, container: Container) -> int:
    return _TURNS.index(_verdict(session, container.name)["turn"])


@law.action
def reset_containers(session: Session, decision: Decision) -> Iterable[Step]:
    """Kill and remove the containers one after the other."""
    queue = tuple(each.name for each in sorted(session.containers, key=lambda each: _turn(session, each)))
    session.remember(work=Work(queue=queue, began=session.now), resync_at=None)
    return reset_next(session, decision)


@law.action
def reset_next(session: Session, decision: Decision) -> Iterable[Step]:
    """Go on with the next container; after the last one look at the pod again, which then has none."""
    work = session.memory.work
    while work.queue:
        name, work = work.queue[0], evolve(work, queue=work.queue[1:])
        session.remember(work=evolve(work, doing="none"))
        steps = _ACTS[_verdict(session, name)["act"]](session, name)
        if steps:
            return steps
    session.remember(work=Work(), stopping=())
    session.again = True
    return ()


def _kill(session: Session, name: str) -> tuple[Step, ...]:
    session.remember(work=evolve(session.memory.work, doing="reset", name=name, since=session.now), stopping=(name,))
    return (session.record("Normal", "Killing", "killing", name), stop_call(session, name, 0))


def _remove(session: Session, name: str) -> tuple[Step, ...]:
    session.remember(work=evolve(session.memory.work, doing="remove", name=name, since=session.now), stopping=())
    return (session.call("remove-container", name),)


@law.action
def reset_killed(session: Session, decision: Decision) -> Iterable[Step]:
    """The container has ended: remove it, or leave it as it is."""
    name = session.memory.work.name
    return _ACTS[_verdict(session, name)["act"]](session, name) or reset_next(session, decision)


_ACTS: Final[Mapping[str, Callable[[Session, str], tuple[Step, ...]]]] = {
    "kill": _kill,
    "remove": _remove,
    "leave": lambda session, name: (),
}
