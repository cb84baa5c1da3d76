"""Laws on what controllers count: their statuses sum up a state that was there shortly before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8sfsm.law import constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.case import Written, law
from k8sfsm.trace.ledger import OF_PODS, OF_SETS, Tally
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import metadata


@law.invariant
def counts_pods(case: Written) -> str:
    """The status of a ReplicaSet counts its pods as they were at one moment shortly before."""
    status = _status(case, "replicaset-controller", "ReplicaSet")
    if status is None:
        return ""
    told = tuple(int(status.get(name) or 0) for name in OF_PODS)
    since = _since(case)
    owner = case.write.uid
    for tally in case.past.ledger.recent(owner, since):
        if (told[0], told[2]) == (tally[0], tally[2]) and told[1] <= told[0] and _terminating(status, tally[3]):
            return _available(case, status)
    now = case.past.ledger.sum_of(owner)
    return f"the status counts {_said(OF_PODS, told)}; its pods are {_said(OF_PODS, now)}, and lately never so many"


def _terminating(status: Json, count: int) -> bool:
    """Before v1.35, or with the feature off, terminating pods are not counted."""
    return "terminatingReplicas" not in status or status["terminatingReplicas"] == count


def _available(case: Written, status: Json) -> str:
    ready, available = (int(status.get(name) or 0) for name in ("readyReplicas", "availableReplicas"))
    labelled, all_ = (int(status.get(name) or 0) for name in ("fullyLabeledReplicas", "replicas"))
    assert case.write.new is not None
    if labelled != all_ and not _labels_may_lack(case):
        return f"{labelled} of {all_} pods are counted as fully labelled"
    patient = (case.write.new.json.get("spec") or {}).get("minReadySeconds")
    wrong = available > ready or (not patient and available != ready)
    return f"{available} pods are counted as available, and {ready} as ready" if wrong else ""


def _labels_may_lack(case: Written) -> bool:
    """Whether some pod of the set may lack a label of its template: pods that were adopted."""
    assert case.write.new is not None
    template = ((case.write.new.json.get("spec") or {}).get("template") or {}).get("metadata") or {}
    wanted = (template.get("labels") or {}).items()
    for key in case.past.ledger.parts.get(case.write.uid, {}):
        pod = case.past.objects.get(key)
        if pod is not None and not wanted <= (metadata(pod.json).get("labels") or {}).items():
            return True
    return False


@law.invariant
def counts_sets(case: Written) -> str:
    """The status of a Deployment sums up its ReplicaSets as they were at one moment shortly before."""
    status = _status(case, "deployment-controller", "Deployment")
    if status is None:
        return ""
    told = tuple(int(status.get(name) or 0) for name in OF_SETS[:4])
    for tally in case.past.ledger.recent(case.write.uid, _since(case)):
        if told[:3] == tally[:3] and _terminating(status, tally[3]):
            return _updated(case, status)
    now = _said(OF_SETS[:4], case.past.ledger.sum_of(case.write.uid))
    return f"the status counts {_said(OF_SETS[:4], told)}; its ReplicaSets have {now}, and lately never so"


def _updated(case: Written, status: Json) -> str:
    names = ("replicas", "availableReplicas", "updatedReplicas", "unavailableReplicas")
    all_, available, updated, missing = (int(status.get(name) or 0) for name in names)
    if updated > all_:
        return f"{updated} pods are counted as updated, of {all_}"
    ledger, owner, since = case.past.ledger, case.write.uid, _since(case)
    if updated not in {0, *ledger.recent_singles(owner, since)}:
        return f"{updated} pods are counted as updated, and no ReplicaSet had so many"
    asked = [tally[4] for tally in ledger.recent(owner, since)]
    if missing in (max(0, count - available) for count in asked):
        return ""
    return f"{missing} pods are counted as unavailable, and {available} of {asked[0]} as available"


def _status(case: Written, actor: str, kind: str) -> Json | None:
    """The status that a controller wrote, where its parts are all known."""
    write = case.write
    if (write.key[0], write.actor, write.subresource) != (kind, actor, "status") or write.type is None:
        return None
    if write.new is None or write.trimmed or write.derived or write.uid in case.past.ledger.unsure:
        return None
    status = write.new.json.get("status")
    return status if isinstance(status, Mapping) else None  # type: ignore[return-value]


def _since(case: Written) -> int:
    return case.write.time - int(constant("trace_cache_lag") * SECOND)


def _said(names: tuple[str, ...], tally: Tally) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(names, tally, strict=False))


@law.invariant
def observed_not_ahead(case: Written) -> str:
    """A status has observed no generation that the object has not, and none less than before."""
    new = case.write.new
    if new is None or case.write.type is None or case.write.trimmed:
        return ""
    generation = metadata(new.json).get("generation")
    status = new.json.get("status")
    for path, observed in _observed(status) if status else ():
        if isinstance(generation, int) and observed > generation:
            return f"{path} is {observed}, and the generation is {generation}"
    if case.pair is None:
        return ""
    before, after = ((obj.get("status") or {}).get("observedGeneration") or 0 for obj in case.pair)
    return f"status.observedGeneration {before} becomes {after}" if after < before else ""


def _observed(status: Any) -> Iterator[tuple[str, int]]:
    parts = [("status", status or {})]
    conditions = (status or {}).get("conditions") or () if isinstance(status, dict) else ()
    parts += [(f"status.conditions[{number}]", condition) for number, condition in enumerate(conditions)]
    for path, part in parts:
        if isinstance(part.get("observedGeneration"), int):
            yield f"{path}.observedGeneration", part["observedGeneration"]
