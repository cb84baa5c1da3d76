"""What a kubelet remembers of a pod between two looks at it. It is lost when the kubelet restarts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field
from immutables import Map

from k8sfsm.node.backoff import Backoff
from k8sfsm.node.container_status import StartError
from k8sfsm.node.runtime_state import NO_ENTRIES
from k8sfsm.objects import Pod, PodStatus
from k8sfsm.value import value

Stage: TypeAlias = Literal["new", "syncing", "ending", "ended"]
Doing: TypeAlias = Literal[
    "none", "volumes", "mount", "sandbox", "pull", "start", "stop", "reset", "remove", "kill-pod"
]


@value(kw_only=True)
class Work:
    """The sync that a pod's worker is busy with: what it waits for, and which containers are to be started next.

    `began`, `since` (ns): when the sync began and when the order was given; `attempt`: of the sandbox or run ordered;
    `delay` (ns): from `since` to the next try to mount; `failed`: something could not be started.
    """

    doing: Doing = "none"
    name: str = ""
    queue: tuple[str, ...] = ()
    since: int = 0
    attempt: int = 0
    began: int = 0
    delay: int = 0
    failed: bool = False


@value
class PullBackoff:
    """After a failed pull: the delay (ns) until the next one, counted from `since`, and what the last error was."""

    delay: int
    since: int
    message: str


@value
class Eviction:
    """The kubelet evicts a pod: the seconds that it gets, and what is said about it."""

    grace: int
    message: str


EVICTION: Final = "eviction"


def eviction_key(uid: str) -> tuple[str, str]:
    """Under which key the kubelet remembers that it evicts the pod with that uid."""
    return (EVICTION, uid)


@value
class PressureMemory:
    """What the eviction rounds remember. `looked_at`, `short_at`, `evicted_at` (ns): when the last round was, when
    memory was last short, and when the pod `evicted` (its uid) was told to go. `wake_at`: when a look is to come.
    """

    looked_at: int = 0
    short_at: int | None = None
    evicted: str = ""
    evicted_at: int = 0
    wake_at: int = 0


@value(kw_only=True)
class PodMemory:
    """A pod in the kubelet's memory.

    `generated`: the last status the kubelet came to; `sent`: what of it went to the API, stored at revision
    `sent_at`. `synced`: what the last sync saw. `held_until`, `resync_at`, `wake_at`: no sync before, a sync
    at the latest, and the earliest timer that is running (ns). `noted`: probe answers that were dealt with.
    `over_at`: when a pod whose containers have all ended is taken down; `returned`: its deletion was asked for.
    `unsent`: the API did not take the status.
    `rejected`: it was not admitted again, as its `generated` status says.
    `stopping`: containers that were ordered to stop since `ending_since`; `grace`: seconds that they get; `seen_phase`:
    the phase that the API had then.
    `alike`: what the memory has in common with those of other pods (`k8sfsm.node.alike`); None: nothing is known.
    `own`: the parts of the pod's spec that no other pod has.
    """

    pod: Pod
    added_at: int
    stage: Stage = "new"
    generated: PodStatus | None = None
    sent: PodStatus | None = None
    sent_at: int = 0
    synced: Any = None
    work: Work = Work()
    start_errors: Map[str, StartError] = NO_ENTRIES
    backoffs: Map[tuple[str, str], Backoff] = NO_ENTRIES
    pull_backoffs: Map[str, PullBackoff] = NO_ENTRIES
    held_until: int = 0
    resync_at: int | None = None
    wake_at: int | None = None
    over_at: int | None = None
    returned: bool = False
    unsent: bool = False
    rejected: bool = False
    noted: Map[tuple[str, str], int] = NO_ENTRIES
    asked: Map[tuple[str, str], int] = NO_ENTRIES
    stopping: tuple[str, ...] = ()
    ending_since: int = 0
    grace: int = 0
    seen_phase: str = ""
    alike: Any = field(default=None, eq=False, repr=False)
    own: tuple[Any, ...] = field(default=(), eq=False, repr=False)


def remembered(memory: Mapping[Any, Any]) -> Iterator[PodMemory]:
    """The pods in a kubelet's memory."""
    for entries in memory.values():
        if isinstance(entries, tuple):
            yield from entries
