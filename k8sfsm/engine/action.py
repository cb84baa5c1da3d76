"""The moves of the engine, as values."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from k8sfsm.request import Key, Write
from k8sfsm.value import value


@value
class Deliver:
    """An informer catches up with the store: `component` sees what changed in `kind`."""

    component: str
    kind: str


@value
class Act:
    """A worker of `actor` takes `key` from its queue and decides."""

    actor: str
    key: Key


@value
class Send:
    """The next write of the plan that `actor` carries out for `key` reaches the API server."""

    actor: str
    key: Key


@value
class Enqueue:
    """A timer of `actor` puts `key` into its queue. `periodic`: a heartbeat, which a cluster at rest has too.

    `retry`: when (ns) a key that failed is to be tried again; 0 for other timers.
    """

    actor: str
    key: Key
    periodic: bool = False
    retry: int = 0


@value
class Happen:
    """The environment does something: a container starts, exits, answers a probe..."""

    event: Any


@value
class Submit:
    """Somebody outside the cluster's components (a user) sends a request."""

    write: Write
    actor: str = "user"
    account: str = "user"


@value
class Lag:
    """Fault: the informer of `component` for `kind` sees nothing new for `duration` nanoseconds."""

    component: str
    kind: str
    duration: int


@value
class Crash:
    """Fault: `actor` loses its memory, queue and plans, and starts again."""

    actor: str


@value
class Stop:
    """Fault: a component stops. Nothing it does happens until it is started again."""

    component: str


@value
class Start:
    """A stopped component starts again, with empty memory, and lists everything anew."""

    component: str


@value
class Tell:
    """Fault: the informer of `component` tells its controllers of every object of `kind` once more."""

    component: str
    kind: str


@value
class Compact:
    """Fault: etcd forgets its history. Informers to whom something is still on its way get 410 Gone and list anew.

    Source: staging/src/k8s.io/client-go/tools/cache/reflector.go: watchHandler, list; delta_fifo.go: Replace.
    """


Answered: TypeAlias = Literal["conflict", "timeout", "lost"]
"""How a request may go wrong: 409, or 504 before it was done, or 504 though it was done."""


@value
class Disturb:
    """Fault: the next request of `actor` goes wrong. Only an update can meet a conflict: that waits for one."""

    actor: str
    how: Answered


@value
class Part:
    """Fault: `component` and the API server do not reach each other; the component itself goes on."""

    component: str


@value
class Join:
    """A component reaches the API server again; what it missed is on its way to it."""

    component: str


@value
class Fail:
    """Fault: the machine of a node is off: its kubelet and every container on it."""

    node: str


@value
class Boot:
    """The machine of a node is on again. Nothing runs on it until its kubelet starts it."""

    node: str


@value
class Skew:
    """Fault: the clock of a component is `offset` nanoseconds fast, from a start of the component on."""

    component: str
    offset: int


@value
class Kill:
    """Fault: a running container ends; `oom`: because the kernel had no memory for it, else of itself."""

    pod: Key
    container: str
    oom: bool = False


@value
class Cut:
    """Fault: for `duration` nanoseconds the node `node` gets no image from any registry."""

    node: str
    duration: int


@value
class Flap:
    """Fault: for `duration` nanoseconds every other answer to a readiness probe of `pod` is bad."""

    pod: Key
    duration: int


@value
class Strike:
    """Fault: what `how` says (kill, oom, flap) happens to all Pods whose names match `pods`, as they are then.

    `container`: only to that ("": to all); `duration`: of the flapping, in nanoseconds.
    """

    pods: str
    how: Literal["kill", "oom", "flap"]
    container: str = ""
    duration: int = 0


@value
class Fault:
    """Something that goes wrong of itself, of a kind of `k8sfsm.engine.offer`: actions, each so long (ns) after now."""

    kind: str
    parts: tuple[tuple[int, Any], ...]


Action: TypeAlias = (
    Deliver
    | Act
    | Send
    | Enqueue
    | Happen
    | Submit
    | Lag
    | Crash
    | Stop
    | Start
    | Tell
    | Compact
    | Disturb
    | Part
    | Join
    | Fail
    | Boot
    | Skew
    | Kill
    | Cut
    | Flap
    | Strike
    | Fault
)
