"""The requests that clients send to Services: how many reach each Pod.

Clients stand on all nodes alike. Of each node kube-proxy chooses the endpoints, and every one of these gets the same
share. A Pod's container runtime is told how many requests per second reach the Pod; what that does to its containers
is a matter of their scripts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.law import Decision, Law
from k8sfsm.network.proxy.endpoints import SERVICE_NAME, ProxyEndpoint, endpoints_of
from k8sfsm.network.proxy.node import Place, ProxyNode, ProxySettings
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.services import ports_of
from k8sfsm.objects import Node, Service, key_of
from k8sfsm.request import Call, Key, Plan, Remember, Step
from k8sfsm.value import value
from k8sfsm.view import Change, View

law = Law("traffic")

ALL: Final[Key] = ("Traffic", "", "all")
LOADS: Final = "loads"
"""Under which key the clients remember what they told last."""


@value
class Rate:
    """From `at` (ns since the epoch) on, a Service gets so many requests per second."""

    at: int
    service: Key
    rate: float


@frozen
class Requests:
    """The requests of one node's clients to a port of a Service; None: there is no such Service."""

    portal: Portal | None

    @property
    def chosen(self) -> tuple[ProxyEndpoint, ...]:
        """The endpoints that kube-proxy chooses from on the node."""
        return () if self.portal is None else self.portal.chosen(self.portal.internal[1])


@frozen
class News:
    """How many requests per second reach a Pod, and how many did when it was last told."""

    pod: Any
    load: float
    before: float


@law.key
def all_services(change: Change, view: View) -> tuple[Key, ...]:
    """Look at everything."""
    return (ALL,)


@law.fact
def proxy_verdict(case: Requests) -> Literal["deliver", "reject", "drop", "unknown"]:
    """What kube-proxy does with packets to the Service's cluster IP; unknown: there is no such Service."""
    return "unknown" if case.portal is None else case.portal.internal[0]


@law.fact
def load_changed(case: News) -> bool:
    """The Pod was told something else last."""
    return case.load != case.before


@law.action
def tell_load(case: News, decision: Decision) -> Iterable[Step]:
    """Tell the container runtime of the Pod's node."""
    meta = case.pod.metadata
    yield Call(
        node=case.pod.spec.node_name, verb="load", pod=key_of(case.pod), uid=meta.uid, arguments={"load": case.load}
    )


class Clients:
    """The clients of a story. `rates`: what they ask for and from when on, in order of time."""

    name = "clients"
    law = law
    first_keys: tuple[Key, ...] = (ALL,)

    def __init__(self, rates: Iterable[Rate]) -> None:
        self.rates = tuple(rates)

    def reconcile(self, view: View, key: Key) -> Plan:
        """Who is asked how much now, and when that will change by itself."""
        loads: dict[str, float] = {}
        for service, rate in self._current(view.now).items():
            for address, share in _shares(view, service, rate).items():
                loads[address] = loads.get(address, 0) + share
        told: dict[str, float] = view.memory.get(LOADS, {})
        steps: list[Any] = []
        now: dict[str, float] = {}
        for pod in view.list("Pod"):
            uid, load = pod.metadata.uid, round(loads.get(pod.status.pod_ip, 0), 6) if pod.status.pod_ip else 0
            case = News(pod, load, told.get(uid, 0))
            steps.extend(law.perform(law.decide("news", case), case))
            if load:
                now[uid] = load
        later = [each.at - view.now for each in self.rates if each.at > view.now]
        return Plan(steps=(*steps, Remember(key=LOADS, value=now)), requeue_after=min(later, default=None))

    def _current(self, now: int) -> dict[Key, float]:
        """The rate of each Service."""
        return {each.service: each.rate for each in self.rates if each.at <= now}


def _shares(view: View, key: Key, rate: float) -> dict[str, float]:
    """Requests per second that reach each address of a Service."""
    _, namespace, name = key
    service: Service | None = view.get(*key)
    infos = ports_of(service) if service is not None else ()
    endpoints = endpoints_of(each for each in view.list("EndpointSlice", namespace) if _of_service(each, name))
    nodes: tuple[Node, ...] = view.list("Node")
    shares: dict[str, float] = {}
    for node in nodes:
        place = Place(ProxyNode.of(node), ProxySettings())
        portal = Portal(infos[0], endpoints.get(infos[0].key, ()), place) if infos else None
        case = Requests(portal)
        if law.decide("requests", case).outputs["go"] == "nowhere":
            continue
        for each in case.chosen:
            shares[each.ip] = shares.get(each.ip, 0) + rate / len(nodes) / len(case.chosen)
    return shares


def _of_service(obj: Any, name: str) -> bool:
    return bool(obj.metadata.labels.get(SERVICE_NAME) == name)
