"""How a pod looks up a name: whom it asks, with which search domains, and in which order.

Source: pkg/kubelet/network/dns/dns.go: GetPodDNS; resolv.conf(5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from k8sfsm.network.dns import Answer, Status, Zone, law
from k8sfsm.objects import Pod
from k8sfsm.value import value

Asks = Literal["cluster", "node", "none"]


@value
class Resolver:
    """A pod's resolv.conf. `asks`: the cluster's DNS, the node's resolver, or only `nameservers`.

    `dots`: names with so many dots are tried as they are first.
    """

    asks: Asks
    searches: tuple[str, ...] = ()
    dots: int = 1
    nameservers: tuple[str, ...] = ()


@value
class Lookup:
    """A look-up of a name: the names that were `tried` with their answers, and what it came to."""

    tried: tuple[Answer, ...]
    status: Status

    @property
    def answer(self) -> Answer:
        """The answer that counts: the last one."""
        return self.tried[-1]


@value
class Wanted:
    """A name that is looked up: the case of `order`."""

    name: str
    dots: int


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def dns_policy(pod: Pod) -> Literal["", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]:
    """The pod's DNS policy."""
    return pod.spec.dns_policy  # type: ignore[return-value]


@law.fact
def on_node_network(pod: Pod) -> bool:
    """The pod uses its node's network."""
    return pod.spec.host_network


@law.fact
def asked(asks: Asks) -> Asks:
    """Whom the pod asks (table `policy`)."""
    return asks


@law.fact
def absolute(wanted: Wanted) -> bool:
    """The name ends with a dot."""
    return wanted.name.endswith(".")


@law.fact
def dotted(wanted: Wanted) -> bool:
    """The name has as many dots as make it one to be tried as it is."""
    return wanted.name.count(".") >= wanted.dots


# -- the resolver ----------------------------------------------------------------------------------------------------


def resolver_of(pod: Pod, domain: str) -> Resolver:
    """What the kubelet writes into the pod's resolv.conf. `domain`: the cluster's."""
    asks: Asks = law.decide("policy", pod).outputs["asks"]
    outputs = law.decide("resolver", asks).outputs
    within = (f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain)
    searches = {"cluster": within, "node": (), "none": ()}[outputs["searches"]]
    config: Mapping[str, Any] = pod.spec.dns_config or {}
    options = {option.get("name"): option.get("value") for option in config.get("options") or ()}
    dots = options.get("ndots", outputs["dots"])
    return Resolver(
        asks=asks,
        searches=tuple(dict.fromkeys((*searches, *(each.rstrip(".") for each in config.get("searches") or ())))),
        dots=int(dots) if str(dots).isdigit() else outputs["dots"],
        nameservers=tuple(config.get("nameservers") or ()),
    )


def names_tried(name: str, resolver: Resolver) -> tuple[str, ...]:
    """The names that a resolver asks for in turn, each with a dot at the end."""
    tries = law.decide("order", Wanted(name, resolver.dots)).outputs["tries"]
    whole = f"{name.rstrip('.')}."
    searched = tuple(f"{name}.{domain}." for domain in resolver.searches)
    orders = {"as-it-is": (whole,), "as-it-is-first": (whole, *searched), "searches-first": (*searched, whole)}
    return tuple(dict.fromkeys(orders[tries]))


def look_up(zone: Zone, name: str, kind: str = "", resolver: Resolver | None = None) -> Lookup:
    """Look a name up. `kind`: type of records, "": any; `resolver`: a pod's; without one the name is taken as it is."""
    names = (name,) if resolver is None else names_tried(name, resolver)
    answers: list[Answer] = []
    for each in names:
        if resolver is not None and resolver.asks != "cluster":
            answers.append(Answer(each, "FORWARDED", (), law.decide("resolver", resolver.asks).rule))
        else:
            answers.append(zone.ask(each, kind))
        if answers[-1].records:
            return Lookup(tuple(answers), answers[-1].status)
    found = {answer.status for answer in answers}
    ranked: tuple[Status, ...] = ("FORWARDED", "NODATA", "NXDOMAIN")
    return Lookup(tuple(answers), next(status for status in ranked if status in found))
