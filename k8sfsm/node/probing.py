"""How a scripted container answers probes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from k8sfsm.node.runtime_state import PodRuntime
from k8sfsm.objects import Container, Probe


class Healths(Protocol):
    """What a script says about probes. Times in seconds from the start; None: never."""

    @property
    def ready_after(self) -> float | None:
        """When it is ready."""

    @property
    def started_after(self) -> float | None:
        """When it has started up."""

    @property
    def live_until(self) -> float | None:
        """When it stops being alive."""

    @property
    def ready_up_to(self) -> float | None:
        """With how many requests per second it is still ready; None: any number."""

    @property
    def alive_up_to(self) -> float | None:
        """With how many it still answers its liveness probe."""


def probes_of(container: Container) -> Iterator[tuple[str, Probe]]:
    """The container's probes by kind: startup, live, ready."""
    found = (("startup", container.startup_probe), ("live", container.liveness_probe))
    yield from ((kind, probe) for kind, probe in (*found, ("ready", container.readiness_probe)) if probe is not None)


_PATHS: Final[Mapping[str, str]] = {"/readyz": "ready", "/healthz": "live", "/startupz": "startup", "/": ""}


def asks(probe: Any, kind: str) -> str:
    """What a probe asks of a scripted container: ready, live, startup, or nothing in particular."""
    if probe.exec is not None and len(probe.exec.command) > 1 and probe.exec.command[0] == "probe":
        return str(probe.exec.command[1])
    if probe.http_get is not None:
        return _PATHS.get(probe.http_get.path, kind)
    return kind


def is_healthy(script: Healths, asked: str, age: float, load: float = 0) -> bool:
    """Whether a container answers well that has run for `age` seconds, and gets `load` requests per second."""
    if asked == "ready":
        return script.ready_after is not None and age >= script.ready_after and _bears(script.ready_up_to, load)
    if asked == "startup":
        return script.started_after is not None and age >= script.started_after
    if asked != "live":
        return True
    return (script.live_until is None or age < script.live_until) and _bears(script.alive_up_to, load)


def _bears(most: float | None, load: float) -> bool:
    return most is None or load <= most


def ip_of(pod: PodRuntime) -> str:
    """The address of a pod's sandbox."""
    return pod.sandbox.ip if pod.sandbox is not None else ""


def complaint(probe: Any, asked: str, refused: bool, ip: str) -> str:
    """The text of a bad answer; `refused`: nobody listens at the port."""
    if probe.exec is not None:
        return f"{asked}: not ok\n"
    if not refused:
        return "HTTP probe failed with statuscode: 503"
    if probe.http_get is None:
        return f"dial tcp {ip}:{probe.tcp_socket.port}: connect: connection refused"
    at = f"{ip}:{probe.http_get.port}"
    return f'Get "http://{at}{probe.http_get.path}": dial tcp {at}: connect: connection refused'
