"""The sandbox: its life, and what the pod's containers share through it."""

from __future__ import annotations

import pytest
from attrs import evolve

from k8sfsm.kinds.sandbox import mode_of, reaper
from k8sfsm.machine import Machines
from k8sfsm.node.runtime_state import Sandbox
from tests.node.harness import pod_named

FIRST = Sandbox(0, "10.244.0.2", True, 0)
STOPPED = evolve(FIRST, ready=False)
SECOND = Sandbox(1, "10.244.0.3", True, 5)


@pytest.mark.parametrize(
    ("old", "new", "actor", "legal"),
    [
        (None, FIRST, "kubelet", True),
        (None, SECOND, "kubelet", False),
        (None, FIRST, "user", False),
        (FIRST, STOPPED, "kubelet", True),
        (FIRST, STOPPED, "user", False),
        (FIRST, evolve(SECOND, ready=False), "kubelet", False),
        (STOPPED, SECOND, "kubelet", True),
        (STOPPED, SECOND, "user", False),
        (STOPPED, FIRST, "kubelet", False),
        (STOPPED, None, "kubelet", True),
        (STOPPED, None, "user", False),
        (FIRST, None, "kubelet", False),
    ],
)
def test_life(old, new, actor, legal):
    assert Machines.load().check_part("Sandbox", old, new, actor, 0).legal is legal


MODES = {"network": "POD", "ipc": "POD", "uts": "POD", "pid": "CONTAINER", "mount": "CONTAINER"}


def modes(**spec):
    return {kind: mode_of(pod_named("a", [], **spec), kind) for kind in MODES}


def test_namespaces():
    assert modes() == MODES
    assert modes(host_network=True) == MODES | {"network": "NODE", "uts": "NODE"}
    assert modes(host_ipc=True) == MODES | {"ipc": "NODE"}
    assert modes(host_pid=True, share_process_namespace=False) == MODES | {"pid": "NODE"}
    assert modes(share_process_namespace=True) == MODES | {"pid": "POD"}


@pytest.mark.parametrize(
    ("spec", "target", "who"),
    [
        ({}, "", "first process of the container"),
        ({}, "app", "first process of the target container"),
        ({"share_process_namespace": True}, "app", "pause"),
        ({"share_process_namespace": True}, "", "pause"),
        ({"host_pid": True}, "", "init of the node"),
    ],
)
def test_orphans_are_reaped(spec, target, who):
    assert reaper(pod_named("a", [], **spec), target) == who
