"""The placement of a pod as a person asks for it: by name, in a dump, a scenario or a history."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from k8sfsm.objects import Pod
from k8sfsm.scenario.state import STANDARD_INPUT, State, read_state
from k8sfsm.scheduler.placement import PlacementReport, placement_of
from k8sfsm.trace.errors import TraceError
from k8sfsm.trace.history import Recording
from k8sfsm.trace.reading import read_history
from k8sfsm.view import View

_KINDS: Final = ("pod", "pods", "po")


class NoSuchPodError(LookupError):
    """Nothing that is called so; the message says what there is."""


def is_pod_name(name: str) -> bool:
    """Does a person mean a pod: pod/NAME or pod/NAMESPACE/NAME?"""
    parts = name.split("/")
    return parts[0].lower() in _KINDS and len(parts) in (2, 3) and all(parts)


def placement_in(path: str | Path, name: str, at: int | None = None) -> tuple[PlacementReport, State]:
    """The scheduler's decision about a pod, and the state it is made in. `name`: pod/NAME or pod/NAMESPACE/NAME.

    `path`: whatever `read_state` reads; `at`: ns after its start. Without it, of a history in which the pod was bound:
    the moment before that; else the end. Errors: those of `read_state`; NoSuchPodError; ValueError, see `placement_of`.
    """
    if at is None:
        at = _before_binding(path, name)
    state = read_state(path, at)
    return placement_of(state.view, _pod(state.view, name)), state


def _pod(view: View, name: str) -> Pod:
    parts = name.split("/")
    pods: tuple[Pod, ...] = view.list("Pod", parts[1] if len(parts) == 3 else "")
    found = [pod for pod in pods if pod.metadata.name == parts[-1]]
    if len(found) == 1:
        return found[0]
    if found:
        spaces = ", ".join(pod.metadata.namespace for pod in found)
        raise NoSuchPodError(f"'{name}' is in the namespaces {spaces}, expected pod/NAMESPACE/NAME")
    known = ", ".join(pod.metadata.name for pod in pods[:5]) + (", ..." if len(pods) > 5 else "")
    raise NoSuchPodError(f"no pod '{parts[-1]}' there, expected {f'one of: {known}' if known else 'a state with pods'}")


def _before_binding(path: str | Path, name: str) -> int | None:
    """When (ns after the start) the pod was about to be bound; None where that is not known."""
    if str(path) == STANDARD_INPUT:
        return None
    try:
        recording = read_history(Path(path))
    except TraceError:
        return None
    return _binding(recording, name.split("/"))


def _binding(recording: Recording, parts: list[str]) -> int | None:
    start = recording.start or 0
    for write in recording.writes:
        called = parts[-1] == write.key[2] and (len(parts) == 2 or parts[1] == write.key[1])
        if called and write.verb == "bind" and write.ok:
            return write.time - start - 1
    return None
