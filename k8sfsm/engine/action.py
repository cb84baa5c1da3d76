"""The moves of the engine, as values."""

from __future__ import annotations

from typing import Any, TypeAlias

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


Action: TypeAlias = Deliver | Act | Send | Enqueue | Happen | Submit | Lag | Crash | Stop | Start
