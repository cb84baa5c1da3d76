"""Vectors of the ReplicaSet controller: plays the API server for its plans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import evolve, field, mutable

from k8sfsm.controllers.claim import Claimant, Claimed, claim
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.controllers.replicaset_flavour import REPLICA_SETS
from k8sfsm.controllers.replicaset_pods import role_of, traits_of_pods
from k8sfsm.controllers.replicaset_rank import RankedPod, Ranking, law, pods_to_delete, related_by_node
from k8sfsm.controllers.replicaset_status import Report
from k8sfsm.controllers.selector import Matcher, matcher
from k8sfsm.engine.run import Batch, Run, failure_of
from k8sfsm.kinds.pod_readiness import is_pod_available, is_pod_ready
from k8sfsm.objects import Pod, from_json, key_of, parse_time, to_json
from k8sfsm.request import Create, Delete, Outcome, Parallel, Patch, Plan, Record, Remember, Update, Write
from k8sfsm.verify.vectors import same, target
from k8sfsm.view import View

Api = Callable[[Write], Outcome]


@mutable
class Played:
    """What a plan came to."""

    error: str = ""
    requeue_after: int | None = None
    outcomes: list[Outcome] = field(factory=list)
    records: list[Record] = field(factory=list)
    remembered: list[Remember] = field(factory=list)

    def sent(self, kind: type[Any]) -> Iterator[Any]:
        """The writes of one type that were sent."""
        return (outcome.request for outcome in self.outcomes if isinstance(outcome.request, kind))


def play(plan: Plan, api: Api) -> Played:
    """Carry out a plan with the API server's answers, as the engine does."""
    played = Played()
    run = Run.of(("", "", ""), 0, plan)
    while True:
        if run.batch is not None and run.batch.left == 0:
            run = evolve(run, batch=None if run.batch.over else run.batch.next())
        if run.batch is None and not run.steps:
            if run.plan.then is None:
                played.error = run.plan.error or failure_of(run.outcomes)
                played.requeue_after = run.plan.requeue_after
                return played
            run = Run.of(run.key, run.cause, run.plan.then(run.outcomes))
            continue
        step = None if run.batch is not None else run.steps[0]
        if isinstance(step, Parallel):
            run = evolve(run, steps=run.steps[1:], batch=Batch.of(step))
        elif step is None or isinstance(step, Create | Update | Patch | Delete):
            outcome = api(run.next_write)
            played.outcomes.append(outcome)
            run = run.answered(outcome)
        else:
            played.records.extend([step] if isinstance(step, Record) else ())
            played.remembered.extend([step] if isinstance(step, Remember) else ())
            run = evolve(run, steps=run.steps[1:])


def _pods(documents: Sequence[Any] | None) -> tuple[Pod, ...]:
    return tuple(from_json(document) for document in documents or ())


def _nothing_else(expected: Any, got: Any, *names: str) -> bool:
    return same(*({name: value for name, value in out.items() if name not in names} for out in (expected, got)))


def _same_order(expected: Any, got: Any) -> bool:
    """Orders are compared only where the real comparison is a strict order; `less` and ranks always.

    Where all Pods are deleted they are taken as they come, so that is compared too.
    """
    left_out = ["strict", "activePodsStrict"]
    deletes_all = len(expected["podsToDelete"] or ()) == len(expected["less"])
    if not expected["strict"]:
        left_out += ["order"] if deletes_all else ["order", "podsToDelete"]
    if not expected["activePodsStrict"]:
        left_out.append("activePodsOrder")
    return _nothing_else(expected, got, *left_out)


def _same_claim(expected: Any, got: Any) -> bool:
    """Patches are given as text: compared as documents."""
    patches = [{**patch, "patch": json.loads(patch["patch"])} for patch in expected["patches"] or ()]
    return same({**expected, "patches": patches}, got)


@target("replicaset_delete_order", compare=_same_order)
def replicaset_delete_order(given: dict[str, Any]) -> Any:
    """getPodsRankedByRelatedPodsOnSameNode, ActivePodsWithRanks.Less, ActivePods.Less, getPodsToDelete."""
    now, pods = parse_time(given["now"]), _pods(given["pods"])
    related = related_by_node(_pods(given["relatedPods"]), [lambda labels: True])
    items = [RankedPod.of(pod, related.get(pod.spec.node_name, 0)) for pod in pods]
    ranking = Ranking(now)
    less = [[int(a is not b and law.compare("deletion-rank", a, b, ranking) < 0) for b in items] for a in items]
    return {
        "ranks": {item.pod.metadata.name: item.rank for item in items},
        "less": less,
        "order": [item.pod.metadata.name for item in law.order("deletion-rank", items, ranking)],
        "activePodsOrder": [item.pod.metadata.name for item in law.order("active-pods", items, ranking)],
        "podsToDelete": [pod.metadata.name for pod in pods_to_delete(pods, related, given["diff"], now)],
    }


@target("replicaset_status")
def replicaset_status(given: dict[str, Any]) -> Any:
    """calculateStatus, IsPodActive, IsPodReady, IsPodAvailable, IsPodTerminating."""
    now, owner = parse_time(given["now"]), from_json(given["replicaSet"])
    active, terminating = _pods(given["activePods"]), _pods(given["terminatingPods"])
    matches: Matcher = matcher(owner.spec.selector)
    report = Report.of(owner, REPLICA_SETS, matches, active, terminating, given["manageReplicasError"] or "", now)
    listed = (*active, *terminating)
    pods = {
        pod.metadata.name: {
            "active": role_of(traits) == "active",
            "terminating": role_of(traits) == "terminating",
            "ready": is_pod_ready(pod),
            "available": is_pod_available(pod, owner.spec.min_ready_seconds, now),
        }
        for pod, traits in zip(listed, traits_of_pods(listed), strict=True)
    }
    # calculateStatus leaves the generation to the write that follows.
    status = evolve(report.status, observed_generation=owner.status.observed_generation)
    return {"status": to_json(status), "pods": pods}


@target("replicaset_slowstart")
def replicaset_slowstart(given: dict[str, Any]) -> Any:
    """slowStartBatch: the engine's batches."""
    size, fails = given["initialBatchSize"], given["failFromCall"]
    writes = tuple(Create(object=None) for _ in range(given["count"]))
    batch = Batch(writes, min(size, len(writes)), size, slow_start=True)
    calls = successes = 0
    while not batch.over:
        if batch.left == 0:
            batch = batch.next()
            continue
        failed = 0 <= fails <= calls
        batch = batch.sent(Outcome(request=batch.waiting[0], code=500 if failed else 201))
        calls += 1
        successes += not failed
    return {"calls": calls, "successes": successes, "error": "fail" if calls > successes else None}


@target("replicaset_claim", compare=_same_claim)
def replicaset_claim(given: dict[str, Any]) -> Any:
    """PodControllerRefManager.ClaimPods."""
    owner, pods = from_json(given["replicaSet"]), _pods(given["pods"])
    result: list[Claimed] = []
    live = owner
    if given["liveIsBeingDeleted"]:
        live = evolve(owner, metadata=evolve(owner.metadata, deletion_timestamp=parse_time("2026-01-15T11:59:59Z")))

    def api(write: Write) -> Outcome:
        if isinstance(write, Patch) and write.key[0] == "Pod":
            return Outcome(request=write, code=200)
        if given["liveIsGone"]:
            return Outcome(request=write, code=404, message="original gone")
        return Outcome(request=write, code=200, object=live)

    def then(claimed: Claimed) -> Plan:
        result.append(claimed)
        return Plan()

    played = play(claim(Claimant(owner, matcher(owner.spec.selector)), pods, then, traits_of_pods), api)
    patches = [patch for patch in played.sent(Patch) if patch.key[0] == "Pod"]
    return {
        "claimed": [pod.metadata.name for pod in result[0].objects],
        "patches": [{"pod": patch.key[2], "patch": patch.body} for patch in patches],
        "error": result[0].error or None,
        "liveChecks": sum(1 for patch in played.sent(Patch) if patch.key[0] != "Pod"),
    }


@target("replicaset_sync")
def replicaset_sync(given: dict[str, Any]) -> Any:
    """ReplicaSetController.syncReplicaSet, with expectations that are met."""
    owner, pods = from_json(given["replicaSet"]), _pods(given["pods"])
    calls = 0

    def api(write: Write) -> Outcome:
        nonlocal calls
        if isinstance(write, Create):
            calls += 1
            if 0 <= given["failCreateFromCall"] < calls:
                return Outcome(request=write, code=403, message="exceeded quota")
            return Outcome(request=write, code=201, object=write.object)
        if isinstance(write, Delete) and given["failDeletes"]:
            return Outcome(request=write, code=500, message="cannot delete")
        stored = owner if isinstance(write, Patch) and write.key[0] == owner.kind else getattr(write, "object", None)
        return Outcome(request=write, code=200, object=stored)

    view = View.of((owner, *pods), now=parse_time(given["now"]))
    played = play(ReplicaSetController().reconcile(view, key_of(owner)), api)
    patches = [patch for patch in played.sent(Patch) if patch.key[0] == "Pod"]
    adopted = {patch.key[2]: "$patch" not in patch.body["metadata"]["ownerReferences"][0] for patch in patches}
    created = list(played.sent(Create))
    updates = [to_json(update.object)["status"] for update in played.sent(Update)]
    return {
        "adopted": sorted(name for name, is_adoption in adopted.items() if is_adoption),
        "released": sorted(name for name, is_adoption in adopted.items() if not is_adoption),
        "createCalls": len(created),
        "createdPod": _template_of(created[0].object) if created else None,
        "deleted": sorted(delete.key[2] for delete in played.sent(Delete)),
        "statusUpdate": updates[0] if updates else None,
        "eventCounts": dict(Counter(f"{record.type} {record.reason}" for record in played.records)),
        "error": played.error or None,
    }


def _template_of(pod: Pod) -> Any:
    """A new Pod without what the client's call adds."""
    document = to_json(evolve(pod, metadata=evolve(pod.metadata, namespace="")))
    return {name: value for name, value in document.items() if name not in ("apiVersion", "kind")}


@target("pod_ready_available")
def pod_ready_available(given: dict[str, Any]) -> Any:
    """IsPodReady, IsPodAvailable."""
    pod = from_json(given["pod"])
    available = is_pod_available(pod, given["minReadySeconds"], parse_time(given["now"]))
    return {"ready": is_pod_ready(pod), "available": available}
