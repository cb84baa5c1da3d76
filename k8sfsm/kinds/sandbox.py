"""Facts and guards of the Sandbox's machine, and what its namespaces hold.

Source: pkg/kubelet/kuberuntime/util/util.go: NamespacesForPod.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from k8sfsm.law import Law, Transition
from k8sfsm.objects import Pod

law = Law("sandbox")

NamespaceKind: TypeAlias = Literal["network", "ipc", "uts", "pid", "mount"]
Mode: TypeAlias = Literal["NODE", "POD", "CONTAINER", "TARGET"]


class SandboxState(Protocol):
    """What the runtime knows of a sandbox."""

    @property
    def ready(self) -> bool:
        """It has not been stopped."""

    @property
    def attempt(self) -> int:
        """How many sandboxes the pod had before."""


@law.fact
def sandbox_ready(sandbox: SandboxState) -> bool:
    """The sandbox has not been stopped."""
    return sandbox.ready


@law.guard
def first_attempt(write: Transition) -> bool:
    """It is the pod's first sandbox."""
    return bool(write.new.attempt == 0)


@law.guard
def same_attempt(write: Transition) -> bool:
    """It is still the same sandbox."""
    return bool(write.new.attempt == write.old.attempt)


@law.guard
def next_attempt(write: Transition) -> bool:
    """It is the next sandbox of the pod."""
    return bool(write.new.attempt == write.old.attempt + 1)


@frozen
class Namespace:
    """One namespace of one of a pod's containers. `target`: the container that an ephemeral one debugs."""

    pod: Pod
    kind: NamespaceKind
    target: str = ""


@frozen
class Processes:
    """The mode of a process namespace."""

    mode: Mode


@law.fact
def namespace_kind(namespace: Namespace) -> NamespaceKind:
    """What the namespace is for."""
    return namespace.kind


@law.fact
def of_node(namespace: Namespace) -> bool:
    """The pod asks for the node's own namespace. The host name goes with the network."""
    spec = namespace.pod.spec
    asked = {"network": spec.host_network, "uts": spec.host_network, "ipc": spec.host_ipc, "pid": spec.host_pid}
    return bool(asked.get(namespace.kind, False))


@law.fact
def processes_shared(namespace: Namespace) -> bool:
    """The pod's containers see each other's processes."""
    return bool(namespace.pod.spec.share_process_namespace)


@law.fact
def targeted(namespace: Namespace) -> bool:
    """The container is ephemeral and debugs another one."""
    return bool(namespace.target)


@law.fact
def process_mode(processes: Processes) -> Mode:
    """Whose process namespace it is."""
    return processes.mode


def mode_of(pod: Pod, kind: NamespaceKind, target: str = "") -> Mode:
    """Whose namespace of that kind a container of the pod uses."""
    mode: Mode = law.decide("namespace-mode", Namespace(pod, kind, target)).outputs["mode"]
    return mode


def reaper(pod: Pod, target: str = "") -> str:
    """Who reaps the orphaned processes of a container."""
    return str(law.decide("process-one", Processes(mode_of(pod, "pid", target))).outputs["reaper"])
