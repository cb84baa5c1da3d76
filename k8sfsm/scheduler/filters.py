"""Facts of the filters: may a pod run on a node?

Each node is judged by the table `filter`, whose first row that holds gives the plugin, the code and the reasons.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.kinds.pod_resources import PODS, PodRequest, scheduler_request
from k8sfsm.objects import Pod, Taint
from k8sfsm.scheduler.cluster import (
    ANY_ADDRESS,
    Cluster,
    HostPort,
    NodeInfo,
    allocatable,
    counted_resources,
    host_ports,
)
from k8sfsm.scheduler.inter_pod import HardAffinity
from k8sfsm.scheduler.node_selector import match_required, names_asked_for
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.spread import HardSpread
from k8sfsm.scheduler.tolerations import first_untolerated, tolerated

Code: TypeAlias = Literal["Unschedulable", "UnschedulableAndUnresolvable"]
UNSCHEDULABLE: Final = "Unschedulable"
UNRESOLVABLE: Final = "UnschedulableAndUnresolvable"
_CORDON: Final = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class Wanted:
    """A pod to be placed in a cluster, with what its filters need to know once (PreFilter)."""

    def __init__(self, pod: Pod, cluster: Cluster) -> None:
        self.pod = pod
        self.cluster = cluster

    @cached_property
    def request(self) -> PodRequest:
        """What the pod requests."""
        return scheduler_request(self.pod, incoming=True)

    @cached_property
    def ports(self) -> tuple[HostPort, ...]:
        """Host ports that the pod needs."""
        return host_ports(self.pod)

    @cached_property
    def names(self) -> tuple[str, ...] | None:
        """Names of the nodes to which the pod's affinity narrows the search; None: any."""
        return names_asked_for(self.pod.spec.affinity)

    @cached_property
    def spread(self) -> HardSpread:
        """The pod's DoNotSchedule constraints."""
        return HardSpread(self.pod, self.cluster)

    @cached_property
    def affinity(self) -> HardAffinity:
        """Required terms between pods."""
        return HardAffinity(self.pod, self.cluster)


@law.fact
def named_nodes(wanted: Wanted) -> int | None:
    """How many node names the pod's required affinity asks for; None where it asks for none."""
    return None if wanted.names is None else len(wanted.names)


class Candidate:
    """One node for one pod: the case of the table `filter`."""

    def __init__(self, wanted: Wanted, info: NodeInfo) -> None:
        self.wanted = wanted
        self.info = info

    @cached_property
    def shortages(self) -> tuple[Shortage, ...]:
        """Every resource that the node is short of."""
        return shortages(self.wanted.request, self.info)


@frozen
class Shortage:
    """A resource that does not suffice, as the table `fit` puts it."""

    code: Code
    reason: str


@frozen
class Fit:
    """One resource of a node against a request: the case of the table `fit`."""

    resource: str
    requested: int
    used: int
    allocatable: int


@law.fact
def is_pod_slot(fit: Fit) -> bool:
    """The resource is the number of pods."""
    return fit.resource == PODS


@law.fact
def is_requested(fit: Fit) -> bool:
    """The pod requests any of it."""
    return fit.requested > 0


@law.fact
def beyond_node(fit: Fit) -> bool:
    """The request exceeds what the node has for pods, even when empty."""
    return fit.requested > fit.allocatable


@law.fact
def beyond_free(fit: Fit) -> bool:
    """The request exceeds what the other pods leave over."""
    return fit.requested > fit.allocatable - fit.used


def shortages(request: PodRequest, info: NodeInfo) -> tuple[Shortage, ...]:
    """What the node is short of for the request (plugins/noderesources/fit.go: fitsRequest)."""
    found = []
    for resource in counted_resources(request):
        requested = 1 if resource == PODS else request.of(resource)
        fit = Fit(resource, requested, info.used.get(resource, 0), allocatable(info.node, resource))
        outputs = law.decide("fit", fit).outputs
        if outputs["code"] != "Success":
            found.append(Shortage(outputs["code"], outputs["reason"].format(resource=resource)))
    return tuple(found)


@law.fact
def cordoned(candidate: Candidate) -> bool:
    """The node is marked unschedulable and the pod does not tolerate that."""
    return candidate.info.node.spec.unschedulable and not tolerated(_CORDON, candidate.wanted.pod.spec.tolerations)


@law.fact
def other_node_named(candidate: Candidate) -> bool:
    """The pod names another node."""
    return candidate.wanted.pod.spec.node_name not in ("", candidate.info.name)


@law.fact
def untolerated_taint(candidate: Candidate) -> bool:
    """The node has a NoSchedule or NoExecute taint that the pod does not tolerate."""
    return first_untolerated(candidate.info.node.spec.taints, candidate.wanted.pod.spec.tolerations) is not None


@law.fact
def node_matches(candidate: Candidate) -> bool:
    """The node has what the pod's nodeSelector and required node affinity ask for."""
    spec = candidate.wanted.pod.spec
    return match_required(spec.node_selector, spec.affinity, candidate.info.node).matches


def ports_conflict(wanted: HostPort, taken: HostPort) -> bool:
    """Whether two host ports cannot both be had (pkg/scheduler/framework/types.go: HostPortInfo.CheckConflict)."""
    same_port = (wanted[0], wanted[2]) == (taken[0], taken[2])
    return same_port and (ANY_ADDRESS in (wanted[1], taken[1]) or wanted[1] == taken[1])


@law.fact
def ports_taken(candidate: Candidate) -> bool:
    """A pod on the node has a host port that this one needs."""
    wanted = candidate.wanted.ports
    return any(ports_conflict(port, taken) for port in wanted for taken in candidate.info.ports) if wanted else False


@law.fact
def shortage(candidate: Candidate) -> Literal["none", "now", "ever"]:
    """The node is short of a resource: as long as other pods have it, or even when it is empty."""
    codes = [each.code for each in candidate.shortages]
    return "ever" if UNRESOLVABLE in codes else "now" if UNSCHEDULABLE in codes else "none"


@law.fact
def spread_verdict(candidate: Candidate) -> Literal["even", "label-missing", "skewed"]:
    """What the pod's DoNotSchedule constraints say about the node."""
    return candidate.wanted.spread.verdict(candidate.info)


@law.fact
def near_enough(candidate: Candidate) -> bool:
    """The pods that it must be near to are in the node's domains."""
    return candidate.wanted.affinity.near_enough(candidate.info)


@law.fact
def far_enough(candidate: Candidate) -> bool:
    """No pod that it must be apart from is in the node's domains."""
    return candidate.wanted.affinity.far_enough(candidate.info)


@law.fact
def welcome(candidate: Candidate) -> bool:
    """No pod in the node's domains must be apart from this one."""
    return candidate.wanted.affinity.welcome(candidate.info)


@frozen(kw_only=True)
class Refusal:
    """Why a node cannot take a pod. `plugin` is "" where the search was narrowed before the filters."""

    plugin: str
    code: Code
    reasons: tuple[str, ...]
    rule: str


def judge(wanted: Wanted, info: NodeInfo) -> Refusal | None:
    """The filters' answer about one node; None: the pod may run there (runtime/framework.go: RunFilterPlugins)."""
    candidate = Candidate(wanted, info)
    decision = law.decide("filter", candidate)
    outputs = decision.outputs
    if outputs["code"] == "Success":
        return None
    reasons = (outputs["reason"],) if outputs["reason"] else tuple(each.reason for each in candidate.shortages)
    return Refusal(plugin=outputs["plugin"], code=outputs["code"], reasons=reasons, rule=decision.rule)
