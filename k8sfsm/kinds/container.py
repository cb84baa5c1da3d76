"""Facts and guards of the Container's machine. A container is a part of a Pod: its status is what they are about."""

from __future__ import annotations

from k8sfsm.law import Law, Transition
from k8sfsm.objects import ContainerStatus

law = Law("container")


@law.fact
def is_running(status: ContainerStatus) -> bool:
    """The newest run goes on."""
    return status.state.running is not None


@law.fact
def has_ended(status: ContainerStatus) -> bool:
    """The newest run is over, and the status says how it ended."""
    return status.state.terminated is not None


@law.fact
def crash_looping(status: ContainerStatus) -> bool:
    """The container waits out its crash-loop back-off."""
    return status.state.waiting is not None and status.state.waiting.reason == "CrashLoopBackOff"


@law.guard
def has_id(write: Transition) -> bool:
    """A container that runs has an id."""
    return bool(write.new.container_id)


@law.guard
def counts_restart(write: Transition) -> bool:
    """A new run counts as a restart."""
    return bool(write.new.restart_count > write.old.restart_count)


@law.guard
def is_reset(write: Transition) -> bool:
    """All containers of the Pod are started anew."""
    waiting = write.new.state.waiting
    return waiting is not None and waiting.reason == "RestartingAllContainers"


@law.guard
def ran_before(write: Transition) -> bool:
    """The status says how the last run ended."""
    return write.new.last_state.terminated is not None
