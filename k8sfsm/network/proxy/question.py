"""What a person asks about a packet, in names: understood with the help of what exists in the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import field, frozen

from k8sfsm.network.proxy.address import address, contains, network
from k8sfsm.network.proxy.backends import BACKENDS, Rendered, render
from k8sfsm.network.proxy.differences import Expectation
from k8sfsm.network.proxy.node import Place, ProxyNode, ProxySettings
from k8sfsm.network.proxy.packet import Origin, Packet, Walk
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.tracker import portals_of
from k8sfsm.objects import Service
from k8sfsm.spec.mistakes import did_you_mean
from k8sfsm.view import View

_FORMS = "expected SERVICE:PORT, NAMESPACE/SERVICE:PORT, NODE-IP:NODE-PORT or IP:PORT"
_WIDEST = 16
"""A cluster's CIDR is taken to be this wide at least, where it has to be told by the nodes' podCIDRs."""


class QuestionError(ValueError):
    """A question that has no answer. The text is one line."""


@frozen(kw_only=True)
class Question:
    """A packet as people name it. `sender`: ``pod/NAME``, ``pod/NAMESPACE/NAME``, ``node/NAME`` or an address outside;
    `to`: see the error texts; `node`: whose proxy is asked ("": the sender's); `cluster_cidr`: None to tell it by the
    nodes.
    """

    sender: str
    to: str
    namespace: str = ""
    node: str = ""
    backend: str = "iptables"
    protocol: str = ""
    cluster_cidr: str | None = None
    seen: str = ""


@frozen(kw_only=True)
class Answer:
    """The way of a packet. `names`: endpoint -> the pod that has its address; `rule`: what makes this back end
    different from the others here, or ``kube-proxy/difference/none``.
    """

    question: Question
    packet: Packet
    place: Place
    rendered: Rendered
    way: Walk
    rule: str
    sticky: int = 0
    service: str = ""
    names: dict[str, str] = field(factory=dict)


def nodes_of(view: View) -> dict[str, ProxyNode]:
    """The nodes of a cluster, by name; where there are no Node objects, those that the pods name."""
    found = {node.metadata.name: ProxyNode.of(node) for node in view.list("Node")}
    for pod in () if found else view.list("Pod"):
        if pod.spec.node_name and pod.status.host_ip:
            found.setdefault(pod.spec.node_name, ProxyNode(pod.spec.node_name, (pod.status.host_ip,)))
    return found


def cluster_cidr(view: View) -> str:
    """A network that holds the podCIDRs of all nodes, 16 bits wide or wider; "" where no node has one."""
    cidrs = [network(node.spec.pod_cidr) for node in view.list("Node") if node.spec.pod_cidr]
    first = next((cidr for cidr in cidrs if cidr is not None), None)
    if first is None:
        return ""
    found = first.supernet(new_prefix=min(_WIDEST, first.prefixlen))
    while found.prefixlen and not all(contains(str(found), str(cidr.network_address)) for cidr in cidrs if cidr):
        found = found.supernet()
    return str(found)


def place_of(view: View, node: str, settings: ProxySettings) -> Place:
    """The proxy of a node. Raises QuestionError where there is no such node."""
    nodes = nodes_of(view)
    if not nodes:
        raise QuestionError("the state has no nodes (and no running pods), expected a Node or a pod with a hostIP")
    if node and node not in nodes:
        raise QuestionError(f"no node {node}, {did_you_mean(node, nodes)}")
    return Place(nodes[node or next(iter(nodes))], settings)


def settings_for(view: View, cidr: str | None, backend: str, node: ProxyNode) -> ProxySettings:
    """The usual settings of a back end on a node; nftables serves node ports on the node's own address alone."""
    own = node.addresses[:1] if backend == "nftables" else ()
    return ProxySettings.for_cidr(cluster_cidr(view) if cidr is None else cidr, node_port_addresses=own)


def ask(view: View, question: Question) -> Answer:
    """Walk the packet that a question describes. Raises QuestionError where it cannot be understood."""
    if question.backend not in BACKENDS:
        raise QuestionError(f"no back end {question.backend}, {did_you_mean(question.backend, BACKENDS)}")
    source, origin, at, spaces = _sender(view, question)
    destination, port, protocol = _destination(view, question, spaces)
    node = _node_asked(view, question, at, destination)
    place = place_of(view, node, ProxySettings())
    place = Place(place.node, settings_for(view, question.cluster_cidr, question.backend, place.node))
    packet = Packet(
        source=source or _own(place),
        destination=destination,
        port=port,
        protocol=protocol,
        origin=origin,
        seen=question.seen,
    )
    portals = portals_of(_proxied(view), place)
    rendered = render(question.backend, portals, place)
    expected = Expectation(question.backend, packet, portals, place)
    entered = expected.visit
    return Answer(
        question=question,
        packet=packet,
        place=place,
        rendered=rendered,
        way=rendered.walk(packet),
        rule=expected.rule,
        sticky=0 if entered is None else entered.info.sticky_seconds,
        service="" if entered is None else f"{entered.info.name} by its {entered.entrance}",
        names=dict(_pod_names(view)),
    )


def rules_on(view: View, node: str, backend: str, cidr: str | None) -> Rendered:
    """What a back end has on a node of a cluster. Raises QuestionError where there is no such node."""
    place = place_of(view, node, ProxySettings())
    place = Place(place.node, settings_for(view, cidr, backend, place.node))
    return render(backend, portals_of(_proxied(view), place), place)


def dangling(view: View, backends: Iterable[str] = BACKENDS) -> Iterator[str]:
    """What refers to nothing in the rules of any node."""
    for name in nodes_of(view):
        for backend in backends:
            for says in rules_on(view, name, backend, None).dangling():
                yield f"node {name}: {backend}: {says}"


def portals_on(view: View, place: Place) -> tuple[Portal, ...]:
    """The portals of a node of a cluster."""
    return portals_of(_proxied(view), place)


def _proxied(view: View) -> Iterator[Any]:
    yield from view.list("Service")
    yield from view.list("EndpointSlice")


def _pod_names(view: View) -> Iterator[tuple[str, str]]:
    for pod in view.list("Pod"):
        if pod.status.pod_ip and not pod.spec.host_network:
            yield pod.status.pod_ip, f"{pod.metadata.namespace}/{pod.metadata.name}"


def _own(place: Place) -> str:
    ips = place.node.of_family(place.settings.family)
    if not ips:
        raise QuestionError(f"node {place.node.name} has no {place.settings.family} address")
    return ips[0]


def _sender(view: View, question: Question) -> tuple[str, Origin, str, str]:
    """(source, origin, node, namespace) of the sender."""
    kind, _, name = question.sender.partition("/")
    if kind in ("pod", "pods", "po") and name:
        pod = _named(view, "Pod", name, question.namespace or "default")
        if not pod.spec.node_name or not pod.status.pod_ip:
            raise QuestionError(f"pod {name} has no address yet, expected a pod that runs")
        origin: Origin = "node" if pod.spec.host_network else "pod"
        return pod.status.pod_ip, origin, pod.spec.node_name, pod.metadata.namespace
    if kind in ("node", "nodes", "no") and name:
        nodes = nodes_of(view)
        if name not in nodes:
            raise QuestionError(f"no node {name}, {did_you_mean(name, nodes)}")
        return "", "node", name, "default"
    if address(question.sender) is None:
        raise QuestionError(f"--from {question.sender}: expected pod/NAME, node/NAME or an IP address")
    for found in nodes_of(view).values():
        if question.sender in found.addresses:
            return question.sender, "node", found.name, "default"
    for pod in view.list("Pod"):
        if pod.status.pod_ip == question.sender and pod.spec.node_name and not pod.spec.host_network:
            return question.sender, "pod", pod.spec.node_name, pod.metadata.namespace
    return question.sender, "outside", "", "default"


def _named(view: View, kind: str, name: str, namespace: str) -> Any:
    """The object that people call NAME or NAMESPACE/NAME. Raises QuestionError where there is none."""
    space, _, own = name.rpartition("/")
    found = view.get(kind, space or namespace, own)
    if found is None:
        known = [f"{each.metadata.namespace}/{each.metadata.name}" for each in view.list(kind)]
        wanted = f"{space or namespace}/{own}"
        raise QuestionError(f"no {'pod' if kind == 'Pod' else kind} {wanted}, {did_you_mean(wanted, known)}")
    return found


def _destination(view: View, question: Question, namespace: str) -> tuple[str, int, str]:
    """(address, port, protocol in lower case) of the destination."""
    host, _, port = question.to.rpartition(":")
    host = host.strip("[]")
    protocol = (question.protocol or "tcp").lower()
    if not host or not port:
        raise QuestionError(f"--to {question.to}: {_FORMS}")
    if address(host) is not None:
        return host, _number(port, question.to), protocol
    kind, _, name = host.partition("/")
    if kind in ("node", "nodes", "no"):
        nodes = nodes_of(view)
        if name not in nodes or not nodes[name].addresses:
            raise QuestionError(f"no node {name} with an address, {did_you_mean(name, nodes)}")
        return nodes[name].addresses[0], _number(port, question.to), protocol
    wanted = name if kind in ("service", "services", "svc") else host
    return _of_service(
        _named(view, "Service", wanted, question.namespace or namespace), port, question.protocol.lower()
    )


def _number(text: str, whole: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise QuestionError(f"--to {whole}: {text} is no port, expected a number from 1 to 65535")
    return int(text)


def _of_service(service: Service, port: str, protocol: str) -> tuple[str, int, str]:
    name = f"Service {service.metadata.namespace}/{service.metadata.name}"
    if service.spec.type == "ExternalName":
        raise QuestionError(f"{name} is an alias for {service.spec.external_name}, expected one with a cluster IP")
    if service.spec.cluster_ip in ("", "None"):
        raise QuestionError(f"{name} is headless, expected one with a cluster IP (clients connect to its pods)")
    for found in service.spec.ports:
        if port in (found.name, str(found.port)) and protocol in ("", (found.protocol or "TCP").lower()):
            return service.spec.cluster_ip, found.port, (found.protocol or "TCP").lower()
    known = [each.name or str(each.port) for each in service.spec.ports]
    if port.isdigit():
        return service.spec.cluster_ip, _number(port, port), protocol or "tcp"
    raise QuestionError(f"{name} has no port {port}, {did_you_mean(port, known)}")


def _node_asked(view: View, question: Question, at: str, destination: str) -> str:
    """Whose proxy is asked: the node named, the sender's, that with the destination's address, or the first."""
    if question.node and at and question.node != at:
        raise QuestionError(f"--node {question.node}: {question.sender} is on {at}, and its packets meet that proxy")
    holder = [name for name, node in nodes_of(view).items() if destination in node.addresses]
    return question.node or at or (holder[0] if holder else "")
