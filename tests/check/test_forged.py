"""Forged histories are caught, each with what is wrong and where."""

from __future__ import annotations

import pytest
from attrs import evolve

from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.check.check import check
from k8sfsm.verify.check.report import KINDS, Found, Report
from tests.check.forging import ROOT, Json, changed, forged, inserted, position, recording, without


def everything(report: Report) -> list[str]:
    """All findings."""
    return [str(each) for kind in KINDS for each in getattr(report, kind)]


def found(report: Report, *, kind: str, at: RecordedWrite | None, says: str) -> Found:
    """The finding of a kind that concerns a write and says something."""
    line = "" if at is None else str(at.line)
    fitting = [each for each in getattr(report, kind) if line in each.line and says in str(each)]
    assert fitting, [
        str(each) for name in ("unexplained", "illegal", "violated", "undone") for each in getattr(report, name)
    ]
    return fitting[0]


@pytest.mark.parametrize(
    "name",
    [
        "07-pause-resume",
        "12-readiness-flip",
        "13a-restart-policies",
        "15b-headless-manual",  # a slice that is written over loses what the new one does not say
        "16c-pod-affinity",  # a pod that finds no room because of one whose binding is still on its way
        "16f-preemption",  # a victim is marked before the pod that displaces it
        "17-drain-pdb",
        "23d-zone-full",
        "25-component-outage",  # nodes that joined just before are announced as the log begins
        "random-5",  # pods that are ranked in no total order
        "random-7",  # a kubelet that sends only the last of its statuses
    ],
)
def test_sound_histories_have_no_findings(name: str) -> None:
    report = check(recording(name))
    assert report.ok, [
        str(each) for kind in ("unexplained", "illegal", "violated", "undone") for each in getattr(report, kind)
    ]
    assert report.counts["explained"] > 90


def test_replicas_beyond_max_surge() -> None:
    history = recording("07-pause-resume")
    at = position(
        history, lambda w: w.actor == "deployment-controller" and w.key[0] == "ReplicaSet" and w.verb == "update"
    )
    report = check(forged(history, at, lambda obj: obj["spec"].update(replicas=40)))
    finding = found(report, kind="unexplained", at=history.writes[at], says="spec.replicas: recorded 40")
    assert finding.nearest.startswith("Deployment/")
    found(report, kind="violated", at=history.writes[at], says="40 pods are wanted, at most 5 allowed")


def test_a_pod_bound_to_a_cordoned_node() -> None:
    history = recording("17-drain-pdb")
    cordon = position(history, lambda w: w.key[0] == "Node" and w.actor == "user")
    at = position(evolve(history, writes=history.writes[cordon:]), lambda w: w.verb == "bind") + cordon
    report = check(forged(history, at, lambda obj: obj["spec"].update(nodeName="node-1")))
    finding = found(report, kind="unexplained", at=history.writes[at], says="spec.nodeName")
    assert finding.actor == "kube-scheduler" and "'node-1'" in finding.what


def test_a_pod_bound_to_a_full_node() -> None:
    history = recording("02-scale")
    at = position(history, lambda w: w.verb == "bind")
    wanted = history.writes[at].new
    assert wanted is not None
    node = wanted.json["spec"]["nodeName"]

    def fill(document: Document) -> Document:
        if document.key != ("Node", "", node):
            return document
        return changed(document, lambda obj: obj["status"]["allocatable"].update(pods="0"))

    full = evolve(history, initial=tuple(fill(document) for document in history.initial), final=None)
    full = evolve(full, writes=tuple(w for w in full.writes if w.key[0] != "Node"))
    finding = found(check(full), kind="unexplained", at=history.writes[at], says="spec.nodeName")
    assert repr(node) in finding.what


def test_a_ready_endpoint_for_an_unready_pod() -> None:
    history = recording("12-readiness-flip")

    def unready(write: RecordedWrite) -> bool:
        if write.key[0] != "EndpointSlice" or write.new is None or write.actor == "user":
            return False
        return any(not each["conditions"].get("ready") for each in write.new.json.get("endpoints") or ())

    def lie(obj: Json) -> None:
        for each in obj["endpoints"]:
            each["conditions"].update(ready=True, serving=True)

    at = position(history, unready)
    report = check(forged(history, at, lie))
    finding = found(report, kind="unexplained", at=history.writes[at], says="endpoints")
    assert finding.actor == "endpointslice-controller"


def test_a_pod_that_has_succeeded_runs_again() -> None:
    history = recording("13a-restart-policies")
    over = position(history, lambda w: w.new is not None and w.new.json.get("status", {}).get("phase") == "Succeeded")
    write = history.writes[over]
    again = evolve(
        write,
        old=write.new,
        new=changed(write.new, lambda obj: obj["status"].update(phase="Running")),
        revision=None,
        derived=True,
    )
    report = check(inserted(history, over + 1, again))
    finding = found(report, kind="illegal", at=write, says="Succeeded -> Running by kubelet")
    assert finding.cause == "Pod/lifecycle: Succeeded -> Running"
    found(report, kind="unexplained", at=write, says="status.phase: recorded 'Running', the rule orders 'Succeeded'")


def test_the_wrong_victim() -> None:
    history = read_history(ROOT / "examples/recordings/03-rolling-default")
    deletion = position(history, lambda w: w.verb == "delete" and w.actor == "replicaset-controller")
    victim = history.writes[deletion]
    others = {w.key: w for w in history.writes[:deletion] if w.key[0] == "Pod" and w.new is not None}
    bystander = next(
        key for key, w in others.items() if key != victim.key and _owner(w) == _owner(victim) and w.verb != "delete"
    )
    alive = others[bystander].new
    assert alive is not None and victim.new is not None
    mark = {name: victim.new.json["metadata"][name] for name in ("deletionTimestamp", "deletionGracePeriodSeconds")}
    killed = evolve(
        victim,
        key=bystander,
        old=alive,
        new=changed(alive, lambda obj: obj["metadata"].update(mark)),
        revision=None,
        derived=True,
    )
    report = check(inserted(history, deletion, killed))
    finding = found(report, kind="unexplained", at=victim, says=f"Pod 03-rolling-default/{bystander[2]}")
    assert "orders delete Pod" in finding.what or finding.nearest == "ReplicaSet/manage/delete-surplus", finding


def _owner(write: RecordedWrite) -> str:
    assert write.new is not None
    return str(write.new.json["metadata"]["ownerReferences"][0]["uid"])


def test_a_rollout_that_goes_on_while_paused() -> None:
    history = recording("07-pause-resume")
    pause = position(history, lambda w: w.actor == "user" and w.key[0] == "Deployment" and w.verb == "patch")
    resume = position(history, lambda w: w.actor == "user" and w.key[0] == "Deployment" and w.verb == "patch", -1)
    went_on = [w for w in history.writes[resume:] if w.actor == "deployment-controller" and w.key[0] == "ReplicaSet"]
    early = went_on[0]
    moment = history.writes[resume - 1].time
    report = check(inserted(history, resume, evolve(early, time=moment, received=moment, revision=None, derived=True)))
    assert pause < resume
    finding = found(report, kind="unexplained", at=early, says="no rule of deployment-controller orders this")
    assert finding.at == moment


def test_a_missing_replacement() -> None:
    history = read_history(ROOT / "examples/recordings/03-rolling-default")
    keys = {w.key: w for w in history.writes if w.key[0] == "Pod" and w.type == "ADDED"}
    gone = [key for key in keys if not any(w.key == key and w.verb == "delete" for w in history.writes)][-1]
    events = [w.key for w in history.writes if w.key[0] == "Event" and w.new and gone[2] in str(w.new.json)]
    late = evolve(without(history, gone, *events), end=(history.end or 0) + 60_000_000_000)
    finding = found(check(late), kind="undone", at=None, says="replicaset-controller has not done what")
    assert finding.cause == "ReplicaSet/manage/create-missing"


def test_an_eviction_while_all_zones_are_down() -> None:
    history = recording("23d-zone-full")
    evictions = [w for w in history.writes if w.actor == "taint-eviction-controller" and w.verb == "delete"]
    last = history.writes.index(evictions[-1])
    tainted = position(history, lambda w: w.actor == "node-controller" and w.key[0] == "Node" and w.verb == "patch", -1)
    assert evictions and tainted
    down = _all_down(history)
    alive = {w.key: w for w in history.writes[:down] if w.key[0] == "Pod" and w.new is not None}
    spared = next(w for key, w in alive.items() if not any(e.key == key for e in evictions) and w.type != "DELETED")
    assert spared.new is not None and evictions[0].new is not None
    meta = evictions[0].new.json["metadata"]
    mark = {name: meta[name] for name in ("deletionTimestamp", "deletionGracePeriodSeconds")}
    moment = history.writes[down].time
    forgery = evolve(
        evictions[0],
        key=spared.key,
        old=spared.new,
        new=changed(spared.new, lambda obj: obj["metadata"].update(mark)),
        time=moment,
        received=moment,
        revision=None,
        derived=True,
    )
    report = check(inserted(history, down + 1, forgery))
    finding = found(
        report, kind="unexplained", at=evictions[0], says="no rule of taint-eviction-controller orders this"
    )
    assert finding.key == spared.key and last


def _all_down(history: Recording) -> int:
    """Where the last node was found lost."""
    lost = [
        w for w in history.writes if w.actor == "node-controller" and w.key[0] == "Node" and w.subresource == "status"
    ]
    return history.writes.index(lost[-1])


def test_a_restart_before_the_back_off_ended() -> None:
    history = recording("13a-restart-policies")

    def restarted(write: RecordedWrite) -> bool:
        statuses = [] if write.new is None else write.new.json.get("status", {}).get("containerStatuses", [])
        return write.actor == "kubelet" and any(
            each["restartCount"] >= 2 and "running" in each["state"] for each in statuses
        )

    at = position(history, restarted)
    write = history.writes[at]
    assert write.new is not None
    status = write.new.json["status"]["containerStatuses"][0]
    ended = status["lastState"]["terminated"]["finishedAt"]
    identity = status["containerID"].rpartition("//")[2][:12]

    def hurry(obj: Json) -> None:
        obj["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = ended

    ends = {fact.container_id[-64:][:12]: fact.time for fact in history.environment if fact.event == "container-exit"}
    facts = tuple(
        evolve(fact, time=min(fact.time, max(ends.values(), default=fact.time), write.time - 9_000_000_000))
        if identity in fact.container_id and fact.event == "container-start"
        else fact
        for fact in history.environment
    )
    report = check(forged(evolve(history, environment=facts), at, hurry))
    finding = found(report, kind="unexplained", at=write, says="started again before its back-off ended")
    assert finding.nearest == "kubelet/crash_loop/too-soon"


def test_a_start_that_the_runtime_does_not_know() -> None:
    history = recording("13a-restart-policies")
    at = position(history, lambda w: w.actor == "kubelet" and w.new is not None and _running(w.new.json))
    write = history.writes[at]
    facts = tuple(f for f in history.environment if f.uid != write.uid or f.event != "container-start")
    report = check(evolve(history, environment=facts))
    found(report, kind="unexplained", at=write, says="the runtime has not started this run")


def _running(pod: Json) -> bool:
    return any("running" in each["state"] for each in pod.get("status", {}).get("containerStatuses", []))


def test_an_event_that_no_rule_orders() -> None:
    history = recording("02-scale")
    at = position(history, lambda w: w.key[0] == "Event" and w.actor == "replicaset-controller")
    report = check(forged(history, at, lambda obj: obj.update(reason="FailedCreate", type="Warning")))
    found(report, kind="unexplained", at=history.writes[at], says="no rule tells FailedCreate of ReplicaSet")


def test_a_forged_count() -> None:
    history = recording("02-scale")
    at = position(history, lambda w: w.key[0] == "ReplicaSet" and w.subresource == "status")
    report = check(forged(history, at, lambda obj: obj["status"].update(replicas=9)))
    found(report, kind="unexplained", at=history.writes[at], says="status.replicas: recorded 9")
