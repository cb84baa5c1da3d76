"""Vectors of the scheduler: its decision, the numbers in it, tolerations and node affinity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8sfsm.kinds.pod_cgroup import cpu_quota, cpu_shares, law, oom_score_adj, pod_cgroup
from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.kinds.pod_resources import CPU, MEMORY, NON_MISSING, pod_limits, pod_requests, resource_request
from k8sfsm.objects import (
    Affinity,
    Node,
    Pod,
    PreferredSchedulingTerm,
    Quantity,
    Taint,
    Toleration,
    from_json,
    part_from_json,
    to_json,
)
from k8sfsm.scheduler.cluster import Cluster
from k8sfsm.scheduler.filters import Refusal
from k8sfsm.scheduler.node_selector import match_required, preferred_error, preferred_score
from k8sfsm.scheduler.plain import Placement, decide, num_feasible_to_find
from k8sfsm.scheduler.preemption import NO_CLAIMS_TO_FREE, potential_nodes, preempt
from k8sfsm.scheduler.tolerations import first_untolerated, tolerates
from k8sfsm.verify.vectors import target
from k8sfsm.view import View

_KINDS = {
    "nodes": "Node",
    "pods": "Pod",
    "services": "Service",
    "namespaces": "Namespace",
    "podDisruptionBudgets": "PodDisruptionBudget",
}


@target("scheduler_num_feasible")
def scheduler_num_feasible(given: dict[str, Any]) -> Any:
    """schedule_one.go: numFeasibleNodesToFind."""
    found = num_feasible_to_find(given["numAllNodes"], given["percentageOfNodesToScore"], given["profilePercentage"])
    return {"numNodes": found}


def cluster_objects(given: dict[str, Any]) -> Iterator[Any]:
    """The objects of a scheduler vector's cluster, in the vector's order; without apiVersion they are core/v1."""
    for group, kind in _KINDS.items():
        for document in given.get(group) or ():
            yield from_json({"apiVersion": "v1", **document}, kind)


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {"feasible": False, "code": refusal.code, "plugin": refusal.plugin, "reasons": list(refusal.reasons)}


def _nodes(placement: Placement) -> dict[str, Any]:
    feasible = {
        name: {"feasible": True, "scores": dict(placement.scores[name]), "total": placement.totals[name]}
        for name in placement.feasible
    }
    return {**feasible, **{name: _refused(refusal) for name, refusal in placement.refusals.items()}}


@target("scheduler_decision")
def scheduler_decision(given: dict[str, Any]) -> Any:
    """schedule_one.go: findNodesThatFitPod and prioritizeNodes with the default profile."""
    pod = from_json(given["pod"])
    placement = decide(View.of(cluster_objects(given)), pod)
    return {
        "bestNodes": sorted(placement.best),
        "error": None,
        "nodes": _nodes(placement),
        "fitError": placement.message or None,
        "preFilterMessage": placement.prefilter_message,
        "unschedulablePlugins": list(placement.plugins),
    }


@target("toleration_taint")
def toleration_taint(given: dict[str, Any]) -> Any:
    """ToleratesTaint for every pair, and the first taints that nothing tolerates."""
    taints = [part_from_json(Taint, taint) for taint in given["taints"] or ()]
    tolerations = [part_from_json(Toleration, toleration) for toleration in given["tolerations"] or ()]
    hard = first_untolerated(taints, tolerations)
    execute = first_untolerated(taints, tolerations, ("NoExecute",))
    return {
        "tolerates": [[tolerates(toleration, taint) for toleration in tolerations] for taint in taints],
        "firstUntoleratedHard": None if hard is None else to_json(hard),
        "firstUntoleratedNoExecute": None if execute is None else to_json(execute),
    }


@target("node_affinity")
def node_affinity(given: dict[str, Any]) -> Any:
    """Required and preferred node affinity of a pod on one node."""
    node = part_from_json(Node, {"metadata": given["node"]})
    affinity = part_from_json(Affinity, given["affinity"]) if given["affinity"] else None
    required = match_required(given["nodeSelector"] or {}, affinity, node)
    terms = [part_from_json(PreferredSchedulingTerm, term) for term in given["preferredTerms"] or ()]
    out: dict[str, Any] = {"requiredMatch": required.matches, "requiredError": required.error or None}
    if error := preferred_error(terms):
        return {**out, "preferredError": error}
    return {**out, "preferredScore": preferred_score(terms, node)}


def _texts(amounts: Mapping[str, Quantity]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


@target("pod_resources")
def pod_resources(given: dict[str, Any]) -> Any:
    """Effective requests and limits, quality of service, and what the kernel is told."""
    pod: Pod = from_json(given["pod"])
    cgroup = pod_cgroup(pod)
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    capacity = given["nodeMemoryCapacityBytes"]
    return {
        "requests": _texts(pod_requests(pod)),
        "limits": _texts(pod_limits(pod)),
        "requestsNoOverhead": _texts(pod_requests(pod, overhead=False)),
        "requestsContainersOnly": _texts(pod_requests(pod, pod_level=False)),
        "requestsNonMissing": _texts(pod_requests(pod, non_missing=NON_MISSING)),
        "cpuRequestMilli": resource_request(pod, CPU).milli_value,
        "memoryRequestBytes": resource_request(pod, MEMORY).value,
        "qosClass": qos_class(pod),
        "oomScoreAdj": {each.name: oom_score_adj(pod, each, capacity) for each in containers},
        "podCgroup": {
            "cpuShares": cgroup.cpu_shares,
            "cpuQuota": cgroup.cpu_quota,
            "cpuPeriod": cgroup.cpu_period,
            "memory": cgroup.memory,
        },
    }


@target("cgroup_cpu")
def cgroup_cpu(given: dict[str, Any]) -> Any:
    """helpers_linux.go: MilliCPUToShares, MilliCPUToQuota with the default period."""
    milli = given["milliCPU"]
    period = law.constant("cpu_quota_period")
    return {"shares": cpu_shares(milli), "quotaUs": cpu_quota(milli, period), "periodUs": period}


@target("scheduler_preemption")
def scheduler_preemption(given: dict[str, Any]) -> Any:
    """default_preemption.go: PodEligibleToPreemptOthers; preemption.go: DryRunPreemption, SelectCandidate."""
    pod = from_json(given["pod"])
    view = View.of(cluster_objects(given))
    cluster = Cluster.of(view)
    placement = decide(view, pod, cluster)
    found = preempt(pod, cluster, placement)
    message = found.message.removeprefix(f"{NO_CLAIMS_TO_FREE}, ")
    return {
        "eligible": not found.ineligible,
        "ineligibleReason": found.ineligible,
        "fitError": placement.message,
        "potentialNodes": [] if found.ineligible else sorted(potential_nodes(placement)),
        "candidates": {
            each.node: {
                "victims": [victim.metadata.name for victim in each.victims],
                "numPDBViolations": each.violations,
            }
            for each in found.candidates
        },
        "bestNodes": sorted(each.node for each in found.best),
        "postFilterMessage": None if found.ineligible or found.candidates else message,
    }
