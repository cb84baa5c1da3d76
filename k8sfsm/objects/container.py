# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Containers as a Pod's spec describes them.

Source: staging/src/k8s.io/api/core/v1/types.go: Container, Probe, Lifecycle.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from k8sfsm.objects.base import JSON, NOTHING, IntOrString, Struct, written
from k8sfsm.objects.quantity import Quantity


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ResourceRequirements(Struct):
    """Resources that a container (or a pod) is limited to and asks for."""

    limits: Mapping[str, Quantity] = NOTHING
    requests: Mapping[str, Quantity] = NOTHING
    claims: tuple[JSON, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerPort(Struct):
    """A port that a container exposes."""

    name: str = ""
    host_port: int = 0
    container_port: int = written(0)
    protocol: str = ""
    host_ip: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ExecAction(Struct):
    """A command run in the container; exit code 0 is success."""

    command: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class HTTPGetAction(Struct):
    """An HTTP GET; status 200 to 399 is success."""

    path: str = ""
    port: IntOrString = written(0)
    host: str = ""
    scheme: str = ""
    http_headers: tuple[JSON, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class TCPSocketAction(Struct):
    """A TCP connection; success when it opens."""

    port: IntOrString = written(0)
    host: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class GRPCAction(Struct):
    """A call of the gRPC health service."""

    port: int = written(0)
    service: str | None = written(None)


@frozen(kw_only=True, weakref_slot=False, repr=False)
class SleepAction(Struct):
    """A pause, in seconds."""

    seconds: int = written(0)


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Probe(Struct):
    """A periodic question to a container: one of `exec`, `http_get`, `tcp_socket`, `grpc`. Times in seconds."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 0
    period_seconds: int = 0
    success_threshold: int = 0
    failure_threshold: int = 0
    termination_grace_period_seconds: int | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class LifecycleHandler(Struct):
    """What a lifecycle hook does: one of its actions."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Lifecycle(Struct):
    """Hooks around a container's run, and the signal that stops it."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerRestartRuleOnExitCodes(Struct):
    """Exit codes that a restart rule is about; operator: In or NotIn."""

    operator: str = written("")
    values: tuple[int, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerRestartRule(Struct):
    """What follows an exit: `action` Restart or RestartAllContainers."""

    action: str = ""
    exit_codes: ContainerRestartRuleOnExitCodes | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerResizePolicy(Struct):
    """Whether the container restarts when a resource is resized."""

    resource_name: str = written("")
    restart_policy: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Container(Struct):
    """One container of a Pod. An init container with `restart_policy` Always is a sidecar."""

    name: str = written("")
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env_from: tuple[JSON, ...] = ()
    env: tuple[JSON, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[ContainerResizePolicy, ...] = ()
    restart_policy: str | None = None
    restart_policy_rules: tuple[ContainerRestartRule, ...] = ()
    volume_mounts: tuple[JSON, ...] = ()
    volume_devices: tuple[JSON, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    image_pull_policy: str = ""
    security_context: JSON | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EphemeralContainer(Container):
    """A container added to a running Pod for debugging."""

    target_container_name: str = ""
