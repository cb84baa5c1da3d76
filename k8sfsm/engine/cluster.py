"""What a cluster consists of: its components, their controllers, and how long things take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from attrs import field, frozen

from k8sfsm.apiserver import Sender
from k8sfsm.engine.queue import QueueSettings
from k8sfsm.objects.durations import MILLISECOND
from k8sfsm.request import Key, Plan, Remember
from k8sfsm.store import Change
from k8sfsm.view import View, needs_no_view

MANAGER: Final = "kube-controller-manager"
SCHEDULER: Final = "kube-scheduler"
API_SERVER: Final = "kube-apiserver"


class Controller(Protocol):
    """An actor that reconciles keys: a pure function from a view to a plan."""

    name: str
    law: Any

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about `key`, as seen in `view`."""


class Observer(Protocol):
    """A controller whose memory changes with what its informers see (expectations, assumed pods)."""

    def observe(self, change: Change, view: View) -> Iterable[Remember]:
        """What the change does to the controller's memory."""


@frozen(kw_only=True)
class Component:
    """A process with one set of informers: the controller manager, the scheduler, a kubelet.

    `qps`, `burst`: the client's rate limit, for each of its controllers (0: none). `node`: the node whose pods alone
    the component watches. `outside`: the part of the world that it sees besides, where that is not its node's runtime.
    """

    name: str
    controllers: tuple[Controller, ...]
    qps: float = 0
    burst: int = 0
    node: str = ""
    outside: str = ""


@frozen(kw_only=True)
class Latencies:
    """How long the parts of a real cluster take to react, in nanoseconds.

    `request`: from a decision to its write, and from one write of a plan to the next. `watch`: from a write to the
    informers; 0, because an informer hears of a write about when its sender gets the answer, and acts after that.
    """

    request: int = 4 * MILLISECOND
    watch: int = 0


@frozen(kw_only=True)
class Watch:
    """One kind that a controller watches, and how a change leads to keys of its queue.

    `needs_no_view`: that is a function that asks the actor's memory alone.
    """

    kind: str
    keys: Any
    needs_no_view: bool = field(init=False)

    @needs_no_view.default
    def _asks_memory_alone(self) -> bool:
        return needs_no_view(self.keys)


@frozen
class EventSource:
    """Who an Event says it comes from."""

    component: str
    host: str = ""


@frozen(kw_only=True)
class Wiring:
    """What the engine needs to know of a controller, read from its spec once.

    `actor`: the controller's name, with its node's behind it where it belongs to one. `source`: the component that its
    Events name. `first_keys`: what it looks at when it starts, whatever its informers list. `rank`: the function
    (view, key) -> Rank by which keys have their turn; None: in the order in which they come. `place`: the part of the
    world that it sees besides the API ("": none).
    """

    actor: str
    controller: Controller
    component: Component
    sender: Sender
    source: EventSource
    settings: QueueSettings
    watches: tuple[Watch, ...]
    observe: Any = None
    first_keys: tuple[Key, ...] = ()
    rank: Any = None
    place: str = field(init=False)

    @place.default
    def _place_of_component(self) -> str:
        return self.component.node or self.component.outside


@frozen(kw_only=True)
class Cluster:
    """Components and timing; shared by all forks of an engine."""

    components: tuple[Component, ...]
    latencies: Latencies = field(factory=Latencies)
