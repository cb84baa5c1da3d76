"""Every transition of a Container: allowed to the kubelet, to nobody else, and only as the rows say."""

from __future__ import annotations

import pytest
from attrs import evolve

from k8sfsm.machine import Machines
from k8sfsm.objects import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
)

MACHINES = Machines.load()
ENDED = ContainerState(terminated=ContainerStateTerminated(exit_code=1))
WAITING = ContainerStatus(name="app", state=ContainerState(waiting=ContainerStateWaiting(reason="ContainerCreating")))
RUNNING = ContainerStatus(
    name="app", container_id="containerd://1", state=ContainerState(running=ContainerStateRunning(started_at=1))
)
AGAIN = evolve(RUNNING, container_id="containerd://2", restart_count=1, last_state=ENDED)
TERMINATED = evolve(RUNNING, state=ENDED)
LOOPING = evolve(
    TERMINATED, state=ContainerState(waiting=ContainerStateWaiting(reason="CrashLoopBackOff")), last_state=ENDED
)
RESET = ContainerStatus(
    name="app",
    restart_count=1,
    state=ContainerState(waiting=ContainerStateWaiting(reason="RestartingAllContainers")),
    last_state=ENDED,
)
STATES = {"Running": RUNNING, "Terminated": TERMINATED, "BackingOff": LOOPING, "Waiting": WAITING}


@pytest.mark.parametrize(("name", "status"), STATES.items())
def test_states(name, status):
    assert MACHINES.check_part("Container", status, status, "kubelet", 0).legal
    assert MACHINES.of("Container").classify(status) == {"run": name}


@pytest.mark.parametrize(
    ("old", "new", "legal"),
    [
        (None, WAITING, True),
        (None, RUNNING, True),
        (None, TERMINATED, True),
        (None, LOOPING, False),
        (WAITING, RUNNING, True),
        (WAITING, evolve(RUNNING, container_id=""), False),
        (TERMINATED, AGAIN, True),
        (LOOPING, AGAIN, True),
        (TERMINATED, RUNNING, False),
        (RUNNING, TERMINATED, True),
        (WAITING, TERMINATED, True),
        (LOOPING, TERMINATED, True),
        (TERMINATED, LOOPING, True),
        (RUNNING, LOOPING, True),
        (WAITING, LOOPING, True),
        (WAITING, evolve(LOOPING, last_state=ContainerState()), False),
        (TERMINATED, WAITING, True),
        (LOOPING, WAITING, True),
        (RUNNING, WAITING, True),
        (RUNNING, RESET, True),
        (TERMINATED, RESET, True),
        (RESET, AGAIN, True),
    ],
)
def test_transitions(old, new, legal):
    assert MACHINES.check_part("Container", old, new, "kubelet", 0).legal is legal
    assert not MACHINES.check_part("Container", old, new, "apiserver", 0).legal


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (RUNNING, RESET, "reset"),
        (TERMINATED, RESET, "reset"),
        (LOOPING, RESET, "cannot-start"),
        (RUNNING, evolve(RESET, restart_count=0), "cannot-start"),
        (RUNNING, evolve(WAITING, restart_count=1), "cannot-start"),
    ],
)
def test_what_makes_a_container_wait_again(old, new, rule):
    """With all containers of its pod, counted as a restart; or because it cannot be started."""
    moves = MACHINES.check_part("Container", old, new, "kubelet", 0).moves
    assert [move.rule for move in moves] == [f"Container/run/{rule}"]
