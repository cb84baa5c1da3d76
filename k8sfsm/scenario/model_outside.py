"""The parts of a scenario that are around its cluster: a cloud, and what clients ask for."""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from k8sfsm.spec.mistakes import NOWHERE, Position


@frozen(kw_only=True)
class InstanceSetting:
    """A machine of the cloud; `name` is its node's. Without `address` it has the one that its node has."""

    name: str
    id: str = ""
    type: str = "standard-4"
    zone: str = ""
    region: str = "region-1"
    address: str = ""
    external: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Outage:
    """The cloud refuses `calls` `for` a time, with `message`: all about `instances`, `balancers`, `routes` or
    `volumes`, or those of one verb (`create-route`).
    """

    calls: Literal[
        "instances",
        "balancers",
        "routes",
        "volumes",
        "ensure-balancer",
        "update-balancer",
        "delete-balancer",
        "create-route",
        "delete-route",
        "attach-volume",
        "detach-volume",
    ]
    for_: Any
    at_: Any = "0s"
    message: str = "the cloud is out of order"
    at: Position = NOWHERE


@frozen(kw_only=True)
class Machine:
    """What happens to a machine: it is `gone`, `shutdown`, or `started` again; its kubelet stops and starts with it."""

    at_: Any = "0s"
    gone: str = ""
    shutdown: str = ""
    started: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class CloudSetting:
    """A cloud around the cluster, with its controller manager. Without `instances` every node has a machine.

    `balancers`, `routes`, `volumes`: how long a call about one takes.
    """

    provider: str = "example"
    balancers: str = "20s"
    routes: str = "1s"
    volumes: str = "2s"
    instances: tuple[InstanceSetting, ...] | None = None
    outages: tuple[Outage, ...] = ()
    machines: tuple[Machine, ...] = ()
    at: Position = NOWHERE


@frozen(kw_only=True)
class LoadSetting:
    """From `at` on, clients on all nodes alike send `rate` requests per second to a Service."""

    service: str
    rate: float
    at_: Any = "0s"
    namespace: str = ""
    at: Position = NOWHERE
