"""What a node's container runtime knows, as a value: the pods' sandboxes, containers and pulls, and the node's images.

The state of a node is an immutable map: pod uid -> `PodRuntime`, and `NODE` -> `NodeRuntime`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from attrs import field
from immutables import Map

from k8sfsm.node.past import NOTHING_YET, Past
from k8sfsm.request import Key
from k8sfsm.value import value

NO_ENTRIES: Final[Map[Any, Any]] = Map()
NODE: Final = ""
"""The key of what belongs to the node itself in the state of its runtime."""

ProbeKind: TypeAlias = Literal["startup", "live", "ready"]
InstanceState: TypeAlias = Literal["created", "running", "exited", "unknown"]
PullState: TypeAlias = Literal["asked", "done", "failed"]


@value
class Sandbox:
    """A pod's sandbox: `ready` until it is stopped; `attempt` counts sandboxes of the pod from 0."""

    attempt: int
    ip: str
    ready: bool
    started_at: int
    stopped_at: int = 0


@value
class Probed:
    """What a container's probe has said: the latest answer, how many equal ones in a row, and what they conclude.

    `result` changes when enough equal answers follow each other; None: nothing concluded yet.
    """

    ok: bool
    run: int
    result: bool | None
    at: int
    output: str = ""


@value(kw_only=True)
class Instance:
    """One run of a container. Times in nanoseconds; `stopped`: the kubelet ordered the end. `resources_known`: the
    runtime says what the run has been given. `memory`: bytes that it uses.

    `noticed_at`: when the kubelet is known to have noticed the end; None: at its next relist. `hook_failed`: the
    pre-stop hook did not come to a good end.
    """

    id: str
    attempt: int
    state: InstanceState
    image: str = ""
    image_id: str = ""
    wanted_image: str = ""
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    stopping_since: int | None = None
    noticed_at: int | None = None
    hook_failed: bool = False
    resources_known: bool = False
    memory: int = 0
    probes: Map[str, Probed] = NO_ENTRIES

    @property
    def stopped(self) -> bool:
        """True when the kubelet ordered the end of this run."""
        return self.stopping_since is not None


@value(kw_only=True, unsafe_hash=False)
class Image:
    """An image on the node: the name and id that the runtime reports, and its size in bytes."""

    name: str
    id: str = ""
    size: int = 0

    def __hash__(self) -> int:
        return hash(self.id)


@lru_cache(maxsize=4096)
def image_of(name: str, id: str, size: int) -> Image:
    """The image; on all nodes that have it, the same one."""
    return Image(name=name, id=id, size=size)


@value(kw_only=True)
class Pull:
    """The latest pull that a pod asked for. `started_at` is later than `asked_at` where pulls queue up."""

    state: PullState
    asked_at: int
    started_at: int = 0
    finished_at: int = 0
    message: str = ""


@value(kw_only=True)
class PodRuntime:
    """What the runtime knows about one pod. `containers`: runs by name, oldest first, the two newest of each.

    `settled_at`: when an order of the kubelet was last done; it looks at the pod then, besides its regular relist.
    `mounted`, `cleaned`: the pod's volumes are mounted; they are not any more. `removed`: the last attempt of
    containers that were removed, which their logs' names tell. `key`: of the pod, as the sandbox's labels have it.
    `load`: requests per second that reach it. `past`: the events that led to all this; None: something else did.
    """

    sandbox: Sandbox | None = None
    containers: Map[str, tuple[Instance, ...]] = NO_ENTRIES
    pulls: Map[str, Pull] = NO_ENTRIES
    settled_at: int = 0
    mounted: bool = False
    cleaned: bool = False
    removed: Map[str, int] = NO_ENTRIES
    key: Key = ("Pod", "", "")
    load: float = 0
    past: Past | None = field(default=None, eq=False, repr=False)


@value(kw_only=True)
class NodeRuntime:
    """What belongs to the node: images, until when its one pull at a time is busy, addresses in use (-> pod uid).

    `measured`: how much memory containers use is known.
    """

    images: Map[str, Image] = NO_ENTRIES
    pulling_until: int = 0
    last_address: int = 1
    addresses: Map[str, str] = NO_ENTRIES
    measured: bool = False


State: TypeAlias = Map[str, Any]


EMPTY: Final = PodRuntime(past=NOTHING_YET)
BARE: Final = NodeRuntime()


def pod_of(state: State, uid: str) -> PodRuntime:
    """What the runtime knows about a pod; an empty record for one it does not know."""
    found: PodRuntime = state.get(uid, EMPTY)
    return found


def node_of(state: State) -> NodeRuntime:
    """What belongs to the node."""
    found: NodeRuntime = state.get(NODE, BARE)
    return found


def newest(pod: PodRuntime, container: str) -> Instance | None:
    """The newest run of a container."""
    runs = pod.containers.get(container)
    return runs[-1] if runs else None
