"""Each row of the tables of `specs/check`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.node.backoff import Backoff
from k8sfsm.objects import Namespace, ObjectMeta, ServiceAccount
from k8sfsm.objects.container import Container
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
    PodStatus,
)
from k8sfsm.store import Store
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.verify.check.events import Announcement
from k8sfsm.verify.check.events import Told as ToldEvent
from k8sfsm.verify.check.judging import Known, Request, law, method_of
from k8sfsm.verify.check.kubelets import Dated, Situation
from k8sfsm.verify.check.outset import Outset
from k8sfsm.verify.check.runs import Run, Told
from k8sfsm.verify.check.undone import OpenOrder
from k8sfsm.verify.replay.compare import FieldPair

POD = {"kind": "Pod", "metadata": {"name": "p", "namespace": "a"}}
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True}
OWNED = {**POD, "metadata": {**POD["metadata"], "ownerReferences": [OWNER]}}  # type: ignore[dict-item]
MIRROR = {"kind": "Pod", "metadata": {"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}}}


def write(**changes: Any) -> RecordedWrite:
    """A granted request of the ReplicaSet controller."""
    plain: dict[str, Any] = {
        "line": Line("f", 1), "request": 1, "time": 0, "actor": "replicaset-controller", "verb": "patch",
        "key": ("Pod", "a", "p"), "code": 200, "new": Document(POD), "type": "MODIFIED",
    }  # fmt: skip
    return RecordedWrite(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "case", "verdict", "rule"),
    [
        ({}, {}, "explained-by-rule", "component"),
        ({}, {"wanted": False}, "left-out", "not-chosen"),
        ({"code": 409, "new": None, "type": None}, {}, "refused", "refused"),
        ({"actor": "user"}, {"modelled": False}, "given", "user"),
        ({"actor": "apiserver"}, {"modelled": False}, "given", "user"),
        ({"actor": "kubelet", "key": ("Node", "", "n")}, {}, "given", "node-from-outside"),
        ({"actor": "kubelet", "key": ("Lease", "", "n")}, {}, "given", "node-from-outside"),
        ({"key": ("Node", "", "n")}, {}, "explained-by-rule", "component"),
        ({"actor": "kubelet", "key": ("Event", "a", "e")}, {}, "given", "kubelet-event"),
        ({"actor": "kubelet", "new": Document(MIRROR)}, {}, "given", "static-pod"),
        ({"actor": "kubelet", "new": Document(MIRROR), "subresource": "status"}, {}, "explained-by-rule", "component"),
        ({"actor": "kubelet"}, {"scripted": True}, "given", "scripted-node"),
        ({"actor": "operator"}, {"modelled": False}, "unmodelled", "unmodelled"),
        ({"trimmed": True}, {}, "unjudged", "trimmed"),
        ({"new": None, "type": None}, {}, "unjudged", "trimmed"),
        ({"new": None, "type": None, "verb": "deletecollection"}, {}, "explained-by-rule", "component"),
        ({}, {"blind": True}, "unjudged", "trimmed-cache"),
    ],
)
def test_which_writes_need_an_explanation(changes: Any, case: Any, verdict: str, rule: str) -> None:
    request = Request(write(**changes), **{"modelled": True, "wanted": True, **case})
    decision = law.decide("judged", request)
    assert (decision.outputs["verdict"], decision.rule) == (verdict, f"Check/judged/{rule}")


@pytest.mark.parametrize(
    ("kind", "path", "left", "right", "comparison"),
    [
        ("EndpointSlice", "endpoints", [], [], "as-a-set"),
        ("Endpoints", "endpoints", [], [], "equal"),
        ("Service", "metadata.annotations.endpoints.kubernetes.io/last-change-trigger-time", "a", "b", "ignored"),
        ("Pod", "metadata.resourceVersion", "1", "2", "ignored"),
        ("Pod", "metadata.managedFields", [], {}, "ignored"),
        ("Pod", "metadata.uid", "a", "b", "ignored"),
        ("Pod", "status.startTime", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "close"),
        ("Pod", "status.phase", "Running", "Pending", "equal"),
    ],
)
def test_how_fields_are_compared(kind: str, path: str, left: Any, right: Any, comparison: str) -> None:
    assert law.decide("field", FieldPair(kind, path, left, right)).outputs["comparison"] == comparison


@pytest.mark.parametrize(
    ("actor", "method"),
    [
        ("kubelet", "containers"),
        ("node-controller", "clock"),
        ("taint-eviction-controller", "clock"),
        ("pod-garbage-collector", "clock"),
        ("replicaset-controller", "views"),
        ("kube-scheduler", "views"),
    ],
)
def test_how_rules_are_looked_for(actor: str, method: str) -> None:
    assert method_of(actor) == method


ENDED = ContainerStateTerminated(exit_code=1, reason="Error", container_id="c://one")
OLD = ContainerStatus(name="c", container_id="c://one", state=ContainerState(terminated=ENDED))
NEW = ContainerStatus(
    name="c", container_id="c://two", restart_count=1, state=ContainerState(running=ContainerStateRunning(started_at=0))
)
AGAIN = Run(Container(name="c"), "Always", OLD, NEW, None, ENDED, (Backoff(1, 0),), True)
BEGUN = Told({"one": 1, "two": 2}, {})


def run(**changes: Any) -> Run:
    """A container that was started again after its back-off."""
    return Run(**{**{name: getattr(AGAIN, name) for name in Run.__slots__ if name != "__weakref__"}, **changes})


@pytest.mark.parametrize(
    ("case", "row"),
    [
        (run(), "possible"),
        (run(told=BEGUN), "possible"),
        (run(told=Told()), "never-began"),
        (run(before=None, now=evolve(OLD), ended=None, told=BEGUN), "never-ended"),
        (run(before=None, now=OLD, ended=None, told=evolve(BEGUN, ended={"one": (2, 1)})), "possible"),
        (run(before=None, now=OLD, ended=None, told=evolve(BEGUN, ended={"one": (2, 137)})), "other-end"),
        (run(now=evolve(NEW, restart_count=0)), "miscounted"),
        (run(before=NEW, now=evolve(NEW, restart_count=5), ended=None), "miscounted"),
        (run(policy="Never"), "not-again"),
        (run(policy="OnFailure"), "possible"),
        (run(policy="OnFailure", ended=evolve(ENDED, exit_code=0)), "not-again"),
        (run(held=()), "too-soon"),
        (run(held=(), counted=False), "possible"),
    ],
)
def test_what_runs_are_possible(case: Run, row: str) -> None:
    decision = law.decide("run", case)
    assert decision.rule == f"Check/run/{row}"
    assert decision.outputs["possible"] is (row == "possible")
    assert bool(decision.outputs["rule"]) is (row != "possible") is bool(decision.outputs["says"])


def pod(phase: str = "Running", deleted: int | None = None) -> Pod:
    """A pod in a phase."""
    return Pod(metadata=ObjectMeta(name="p", deletion_timestamp=deleted), status=PodStatus(phase=phase))


@pytest.mark.parametrize(
    ("stored", "rows"),
    [
        (pod(), ["watched", "ended", "ended-again"]),
        (pod("Failed"), ["ended", "still-over"]),
        (pod(deleted=1), ["watched", "ended", "ended-again", "handed-back"]),
        (pod("Succeeded", 1), ["ended", "still-over", "handed-back"]),
    ],
)
def test_in_which_situations_a_status_can_be_made(stored: Pod, rows: list[str]) -> None:
    found = law.collect("report", Situation(stored, stored))
    assert [each.rule.rpartition("/")[2] for each in found] == rows
    told = {
        each.rule.rpartition("/")[2]: tuple(each.outputs[name] for name in ("over", "lost", "may_run", "unsent"))
        for each in found
    }
    known = {"watched": (False, False, True, False), "ended": (True, False, False, False),
             "still-over": (False, False, True, False), "ended-again": (True, False, False, True),
             "handed-back": (True, True, False, False)}  # fmt: skip
    assert told == {row: known[row] for row in rows}


@pytest.mark.parametrize(
    ("changed", "possible"), [(-SECOND - 1, False), (0, True), (SECOND, True), (9 * SECOND, False)]
)
def test_when_a_condition_can_have_changed(changed: int, possible: bool) -> None:
    assert law.decide("condition-time", Dated(changed, 0, SECOND)).outputs["possible"] is possible


class _Past:
    """What the table `basis` asks of the past: who acts, and what there is."""

    def __init__(self, *objects: Any, **actors: frozenset[str]) -> None:
        self.actors = {name.replace("_", "-"): SimpleNamespace(watched=kinds) for name, kinds in actors.items()}
        self.store = Store.starting_at(0)
        for each in objects:
            self.store, _ = self.store.put(each)


@pytest.mark.parametrize(
    ("quiet", "pause", "shown", "undone"),
    [(9, 0, True, False), (10, 0, True, True), (10, 0, False, False), (60, 120, True, False)],
)
def test_what_counts_as_left_undone(quiet: int, pause: int, shown: bool, undone: bool) -> None:
    case = OpenOrder("a", "Pod", shown, quiet * SECOND, 1, pause * SECOND)
    assert law.decide("left-undone", case).outputs["undone"] is undone


TELLS = Announcement(("Pod", "a", "p"), "u", "Normal", "Scheduled", "to n1")


@pytest.mark.parametrize(
    ("ordered", "verdict"),
    [
        (TELLS, "told"),
        (evolve(TELLS, uid="other"), "told"),
        (evolve(TELLS, message="to n2"), "near"),
        (evolve(TELLS, reason="Failed"), "other"),
        (evolve(TELLS, type="Warning"), "other"),
        (evolve(TELLS, about=("Pod", "a", "q")), "other"),
    ],
)
def test_whether_an_event_was_ordered(ordered: Announcement, verdict: str) -> None:
    assert law.decide("event", ToldEvent(TELLS, ordered)).outputs["verdict"] == verdict


def test_what_a_history_does_not_show() -> None:
    known = Known(kinds={"Pod", "Node"}, older={("Pod", "b")})
    past: Any = _Past()
    bound = write(actor="kube-scheduler", verb="bind", old=Document(POD))
    assert known.missing(bound, past) == ""
    known.kinds.discard("Node")
    assert known.missing(bound, past) == "what its component worked on is not in the history"
    assert known.missing(evolve(bound, old=None), past) == "its object is older than the history"
    known.new.add(("Pod", "a", "p"))
    assert known.missing(bound, past) == "its object is older than the history"


@pytest.mark.parametrize(
    ("outset", "actor", "says"),
    [
        (
            Outset(start=5, last={"a": 4}),
            "kube-scheduler",
            "what its component had seen and ordered before the history",
        ),
        (Outset(start=5, last={"b": 4}), "kube-scheduler", ""),
        (Outset(unwell=("n",)), "taint-eviction-controller", "times that it counts began before the history"),
        (Outset(unwell=("n",)), "kube-scheduler", ""),
    ],
)
def test_what_was_before_a_history(outset: Outset, actor: str, says: str) -> None:
    known = Known(kinds={"Pod", "Node"}, outset=outset)
    past: Any = _Past()
    assert known.missing(write(actor=actor, verb="patch", old=Document(POD)), past).startswith(says)
    assert bool(known.missing(write(actor=actor, verb="patch", old=Document(POD)), past)) is bool(says)


def test_an_event_that_tells_of_what_was_before() -> None:
    known = Known(kinds={"Pod", "Node"}, outset=Outset(start=9 * SECOND))
    past: Any = _Past()
    event = Document(
        {"kind": "Event", "metadata": {"name": "e", "namespace": "a"}, "lastTimestamp": "1970-01-01T00:00:02Z"}
    )
    told = write(actor="kube-scheduler", verb="create", key=("Event", "a", "e"), old=event, new=event)
    assert known.missing(told, past) == "it tells of what was before the history"


WATCHES = frozenset({"ReplicaSet", "Pod"})


def test_what_a_component_knew_that_is_older_than_the_history() -> None:
    past: Any = _Past(replicaset_controller=WATCHES)
    deleted = write(actor="replicaset-controller", verb="delete", key=("Pod", "a", "p"), old=Document(OWNED))
    shown = {"ReplicaSet", "Pod"}
    assert Known(kinds=shown).missing(deleted, past) == ""
    for place in (("Pod", "a"), ("ReplicaSet", "a"), ("Pod", "")):
        says = Known(kinds=shown, older={place}).missing(deleted, past)
        assert says == "its component knew objects that are older than the history"
    for place in (("Pod", "b"), ("Service", "a")):
        assert Known(kinds=shown, older={place}).missing(deleted, past) == ""


def test_which_kinds_a_component_knew_that_the_history_does_not_show() -> None:
    past: Any = _Past(replicaset_controller=WATCHES)
    deleted = write(actor="replicaset-controller", verb="delete", key=("Pod", "a", "p"), old=Document(OWNED))
    assert Known(kinds={"ReplicaSet"}).missing(deleted, past) == ""
    says = Known(kinds={"ReplicaSet"}, whole=False).missing(deleted, past)
    assert says == "its component knew kinds that are not in the history"
    assert Known(kinds={"ReplicaSet", "Pod"}, whole=False).missing(deleted, past) == ""


def test_where_a_granted_creation_shows_that_the_history_lacks_something() -> None:
    namespace, account = (
        Namespace(metadata=ObjectMeta(name="a")),
        ServiceAccount(metadata=ObjectMeta(name="default", namespace="a")),
    )
    made = write(actor="replicaset-controller", verb="create", type="ADDED", new=Document(OWNED))
    known = Known(kinds={"ReplicaSet", "Pod"})
    going = evolve(namespace, metadata=evolve(namespace.metadata, deletion_timestamp=SECOND))
    for there in ((), (namespace,), (going, account)):
        past: Any = _Past(*there, replicaset_controller=WATCHES)
        says = known.missing(made, past)
        assert says == "what became of its namespace or its account is not in the history"
    whole: Any = _Past(namespace, account, replicaset_controller=WATCHES)
    assert known.missing(made, whole) == ""
    event = evolve(made, key=("Event", "b", "e"))
    assert "namespace or its account" not in known.missing(event, whole)
