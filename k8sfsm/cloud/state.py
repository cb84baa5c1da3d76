"""What exists in a cloud, and the facts that change it.

The state is an immutable map in the engine's `node_states`, under `CLOUD`: (kind, name) -> thing. It changes only by
events: what a scenario says (a machine is gone), and what became of calls. A call's answer waits in the state until the
controller that asked looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field
from immutables import Map

from k8sfsm.objects import NodeAddress, evolve
from k8sfsm.request import Key
from k8sfsm.value import value

CLOUD: Final = "cloud/"
"""Where the cloud's state is kept; no node can have that name."""
State: TypeAlias = Map[Any, Any]
Topic: TypeAlias = Literal["instances", "balancers", "routes", "volumes"]
TOPICS: Final[tuple[Topic, ...]] = ("instances", "balancers", "routes", "volumes")
"""What calls are about."""


@value(kw_only=True)
class Instance:
    """A machine; `name` is its node's. `running` False: it is shut down."""

    name: str
    provider_id: str
    type: str = ""
    zone: str = ""
    region: str = ""
    addresses: tuple[NodeAddress, ...] = ()
    running: bool = True


@value(kw_only=True)
class Balancer:
    """The load balancer of the Service with the uid `name`; `hosts`: the nodes that it sends traffic to."""

    name: str
    ip: str
    hosts: tuple[str, ...] = ()


@value(kw_only=True)
class CloudRoute:
    """Packets for `cidr` go to `node`."""

    name: str
    node: str
    cidr: str


@value(kw_only=True)
class Disk:
    """A volume; `nodes`: the machines that it is attached to."""

    name: str
    nodes: tuple[str, ...] = ()


@value
class Reply:
    """What became of the call that an actor made about a key at the time `asked` (ns)."""

    asked: int
    ok: bool
    message: str = ""


@value
class Outage:
    """Calls about a topic fail until `until` (ns), with `message`."""

    until: int
    message: str


@value(kw_only=True)
class CloudEvent:
    """A fact about the cloud at time `at` (ns). `kind`: what changed, or `replied`; `arguments`: with what.

    `actor`, `pod`: who is told, and about which key; "" where nobody is. `asked`, `ok`, `message`: of a reply.
    """

    at: int
    kind: str
    arguments: Mapping[str, Any] = field(factory=dict)
    actor: str = ""
    pod: Key = ("", "", "")
    asked: int = 0
    ok: bool = True
    message: str = ""
    node: str = CLOUD

    def applied(self, state: State) -> State:
        """The state after the event."""
        if self.ok and self.kind in _CHANGES:
            state = _CHANGES[self.kind](state, self)
        if self.actor:
            state = state.set(("reply", (self.actor, self.pod)), Reply(self.asked, self.ok, self.message))
        return state


def things(state: State, kind: str) -> Iterator[Any]:
    """All things of a kind, by name."""
    for key in sorted(key for key in state if key[0] == kind):
        yield state[key]


def outage(state: State, topic: str, now: int) -> str:
    """Why calls about a topic fail now; "" where they do not."""
    found = state.get(("outage", topic))
    return found.message if found is not None and now < found.until else ""


def _put(kind: str, thing: Callable[[State, Mapping[str, Any]], Any]) -> Callable[[State, CloudEvent], State]:
    def change(state: State, event: CloudEvent) -> State:
        made = thing(state, event.arguments)
        return state.set((kind, made.name), made)

    return change


def _drop(kind: str) -> Callable[[State, CloudEvent], State]:
    def change(state: State, event: CloudEvent) -> State:
        key = (kind, event.arguments["name"])
        return state.delete(key) if key in state else state

    return change


def _balanced(state: State, given: Mapping[str, Any]) -> Balancer:
    """Balancers get the addresses 203.0.113.1, .2... and keep them."""
    known: Balancer | None = state.get(("balancer", given["name"]))
    if known is not None:
        return evolve(known, hosts=given["hosts"])
    used = {each.ip for each in things(state, "balancer")}
    number = next(each for each in range(1, 255) if f"203.0.113.{each}" not in used)
    return Balancer(name=given["name"], ip=f"203.0.113.{number}", hosts=given["hosts"])


def _attached(state: State, given: Mapping[str, Any]) -> Disk:
    known: Disk = state.get(("disk", given["name"])) or Disk(name=given["name"])
    return evolve(known, nodes=(*(each for each in known.nodes if each != given["to"]), given["to"]))


def _detached(state: State, given: Mapping[str, Any]) -> Disk:
    known: Disk = state.get(("disk", given["name"])) or Disk(name=given["name"])
    return evolve(known, nodes=tuple(each for each in known.nodes if each != given["to"]))


def _running(running: bool) -> Callable[[State, CloudEvent], State]:
    def change(state: State, event: CloudEvent) -> State:
        key = ("instance", event.arguments["name"])
        return state.set(key, evolve(state[key], running=running)) if key in state else state

    return change


def _outage(state: State, event: CloudEvent) -> State:
    given = event.arguments
    return state.set(("outage", given["topic"]), Outage(given["until"], given["message"]))


_CHANGES: Final[Mapping[str, Callable[[State, CloudEvent], State]]] = {
    "instance-made": _put("instance", lambda state, given: given["instance"]),
    "instance-gone": _drop("instance"),
    "instance-shut-down": _running(False),
    "instance-started": _running(True),
    "balancer-ensured": _put("balancer", _balanced),
    "balancer-deleted": _drop("balancer"),
    "route-created": _put("route", lambda state, given: CloudRoute(**given)),
    "route-deleted": _drop("route"),
    "volume-attached": _put("disk", _attached),
    "volume-detached": _put("disk", _detached),
    "outage": _outage,
}
