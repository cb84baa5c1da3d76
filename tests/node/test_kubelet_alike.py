"""Pods that are alike: what is cast is what the tables say, and what only looks alike is not cast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from immutables import Map

from benchmarks.rollout import START, cluster_nodes, manifests
from k8sfsm.engine.cluster import Latencies
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.standard import standard_engine
from k8sfsm.law import LawError
from k8sfsm.mould import Mould, Shapeless
from k8sfsm.node import alike, kubelet, looks, newcomers
from k8sfsm.node.alike import Question
from k8sfsm.node.past import Past
from k8sfsm.node.runtime import RuntimeEvent, apply, powered_off
from k8sfsm.node.runtime_state import PodRuntime, Sandbox, State, pod_of
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.node.session import Session
from k8sfsm.objects import ContainerStatus, Pod, PodStatus, from_json, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create

NOW = START + 5


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No look is known before a test, and none of its looks afterwards."""
    monkeypatch.setattr(looks, "_LOOKS", {})
    monkeypatch.setattr(looks, "_GLANCES", {})
    monkeypatch.setattr(looks, "_SHAPES", {})
    monkeypatch.setattr(newcomers, "_KNOWN", {})
    monkeypatch.setattr(alike, "_TEMPLATES", {})
    monkeypatch.setattr(alike, "_BIRTHS", {})
    yield


def rolled_out(pods: int, until: int = 20, nodes: int = 2, **container: Any) -> Engine:
    names, latencies = [f"node-{number}" for number in range(nodes)], Latencies(watch=1_000_000)
    engine = standard_engine(
        names, ScriptedRuntime(), store=cluster_nodes(nodes), now=START, limited=False, latencies=latencies
    )
    for manifest in manifests(pods):
        if manifest["kind"] == "Deployment":
            manifest["spec"]["template"]["spec"]["containers"][0].update(container)  # type: ignore[index]
        assert engine.submit(Create(object=from_json(manifest))).ok
    engine.run(until=START + until * SECOND)
    return engine


def pods_of(engine: Engine) -> list[dict[str, Any]]:
    return [to_json(pod) for pod in engine.store.snapshot.series("in", "Pod", "bench")]


def _wrong(self: Mould, value: Any, parts: Sequence[Any], *_: Sequence[Any]) -> None:
    """A mould that casts something else."""
    self.bound = lambda moments, *bindings: lambda parts: None


def casts() -> list[Any]:
    return [look for look in looks._LOOKS.values() if look.form is not None]


@pytest.mark.parametrize(
    "container",
    [
        {},
        {"image": "Not/Valid:1"},
        {"image": "busybox:1", "command": ["exit", "1"]},
        {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}}, "livenessProbe": {"tcpSocket": {"port": 80}}},
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "missing", "key": "a"}}}]},
    ],
)
def test_casts_are_what_the_tables_say(container: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    cast = pods_of(rolled_out(12, **container))
    assert looks._LOOKS
    monkeypatch.setattr(kubelet, "mark", lambda *look: None)
    assert cast == pods_of(rolled_out(12, **container))


def test_most_looks_are_cast() -> None:
    rolled_out(40)
    assert sum(look.compared for look in casts()) > 100


def test_what_reads_other_objects_is_not_cast() -> None:
    rolled_out(12, env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "missing", "key": "a"}}}])
    assert any(look.hopeless for look in looks._LOOKS.values())


def test_a_trusted_cast_that_the_tables_contradict_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "COMPARED", 0)
    monkeypatch.setattr(Mould, "__init__", _wrong)
    with pytest.raises(LawError, match="is not alike with others"):
        rolled_out(12)


def test_a_first_cast_that_the_tables_contradict_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mould, "__init__", _wrong)
    engine = rolled_out(12)
    assert all(pod["status"]["phase"] == "Running" for pod in pods_of(engine))
    assert any(look.hopeless for look in looks._LOOKS.values())
    assert not any(look.compared for look in looks._LOOKS.values())


def test_looks_at_two_templates_are_not_alike() -> None:
    first = rolled_out(6)
    known = len(alike._TEMPLATES)
    rolled_out(6, image="other:2")
    assert len(alike._TEMPLATES) == 2 * known
    assert pods_of(first)


def test_looks_at_other_times_are_cast_from_moulds_of_their_shape() -> None:
    rolled_out(60)
    assert len(looks._SHAPES) < len(casts()) / 2
    assert {look.form for look in casts()} == set(looks._SHAPES.values())


def question(*ages: int, kind: str = "a") -> Question:
    return Question(kind, ages, "shape", (), ())


def test_what_lies_between_two_looks_that_came_out_the_same_does_so_too() -> None:
    form = looks.Form(Mould("", ()))
    assert not form.covers(question(0, -5, -9))
    form.holds(question(0, -5, -9))
    assert form.covers(question(0, -5, -9)) and not form.covers(question(0, -6, -9))
    form.holds(question(0, -8, -20))
    assert form.covers(question(0, -6, -10)) and form.covers(question(0, -8, -12))
    assert not form.covers(question(0, -9, -20)), "longer ago than it was compared"
    assert not form.covers(question(0, -8, -9)), "closer together than they were compared"
    assert not form.covers(question(0, -6, -10, kind="b"))


def test_looks_between_others_are_cast_at_once() -> None:
    rolled_out(100, nodes=12)
    covered = [look for look in casts() if look.met == 0]
    assert covered and all(look.form is not None and look.form.spans for look in covered)


def test_ticks_of_probes_say_nothing_about_other_times(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: set[int] = set()
    held: set[int] = set()
    latest_round, holds = Session.latest_round, looks.Form.holds

    def noted(session: Session, begin: int, period: int) -> int:
        rounds.add(session.now)
        return latest_round(session, begin, period)

    def noted_too(form: looks.Form, asked: Question) -> None:
        held.add(asked.times[0])
        holds(form, asked)

    monkeypatch.setattr(Session, "latest_round", noted)
    monkeypatch.setattr(looks.Form, "holds", noted_too)
    rolled_out(12, until=6, livenessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1})
    assert rounds and held and not rounds & held


def test_a_form_that_is_trusted_wrongly_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rolled_out(12)
    looks._LOOKS.clear()
    for form in looks._SHAPES.values():
        monkeypatch.setattr(form.mould, "bound", lambda moments, *bindings: lambda parts: None)
    monkeypatch.setattr(looks.Form, "covers", lambda self, asked: True)
    with pytest.raises(LawError, match="is not alike with others"):
        rolled_out(12)


def test_looks_that_find_nothing_new_are_cast_too() -> None:
    engine = rolled_out(20, until=6, livenessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1})
    assert not any(look.hopeless for look in looks._LOOKS.values())
    assert sum(look.compared for look in casts()) > 60
    assert all(pod["status"]["phase"] == "Running" for pod in pods_of(engine))


# -- the past of what a runtime knows ---------------------------------------------------------------------------------


def event(kind: str, uid: str = "uid-1", at: int = NOW, **fields: Any) -> RuntimeEvent:
    return RuntimeEvent(at=at, node="node-1", uid=uid, kind=kind, **fields)


def past_after(*events: RuntimeEvent) -> Past | None:
    state: State = Map()
    for each in events:
        state = apply(state, each)
    return pod_of(state, events[-1].uid).past


START_APP = {"container": "app", "image": "web:1", "image_id": "id"}


def test_pods_with_the_same_events_have_the_same_past() -> None:
    first = past_after(event("volumes-mounted"), event("container-start", id="a", **START_APP))
    second = past_after(event("volumes-mounted", "uid-2"), event("container-start", "uid-2", id="b", **START_APP))
    assert first is not None and first is second


@pytest.mark.parametrize("other", [{"at": NOW + 1}, {"attempt": 1}, {"image_id": "other"}, {"kind": "container-exit"}])
def test_pods_with_other_events_have_another_past(other: dict[str, Any]) -> None:
    begun = event("container-start", id="a", **START_APP)
    kind = other.get("kind", "container-start")
    changed = event(kind, **{"id": "a", **START_APP, **{k: v for k, v in other.items() if k != "kind"}})
    assert past_after(begun) is not past_after(begun, changed)
    assert past_after(changed) is not past_after(begun)


def test_of_a_machine_that_went_off_the_past_is_not_known() -> None:
    state = powered_off(apply(Map(), event("volumes-mounted")), NOW + 1)
    assert pod_of(state, "uid-1").past is None
    assert pod_of(apply(state, event("volumes-mounted")), "uid-1").past is None
    assert pod_of(apply(Map(), event("volumes-mounted")), "uid-1").past is not None


def pulled(*uids: str, past: bool = True) -> list[PodRuntime]:
    """What is known of pods that pulled two images at the same moments. `past`: it is told from what came before."""
    state: State = Map()
    for uid in uids:
        state = apply(state, event("volumes-mounted", uid))
    if not past:
        state = powered_off(state, NOW)
    for number, kind in enumerate(("pull-start", "pull-queued", "pull-done", "pull-failed", "pull-start")):
        for uid in uids:
            image = f"web:{number % 2}"
            state = apply(state, event(kind, uid, NOW + number, image=image, begins=NOW + 2 * number, image_id="id"))
    return [pod_of(state, uid) for uid in uids]


def test_pods_of_the_same_past_share_what_became_of_their_pulls() -> None:
    first, second = pulled("uid-1", "uid-2")
    assert first.pulls is second.pulls and len(first.pulls) == 2
    assert first.pulls == pulled("uid-3", past=False)[0].pulls


# -- moulds -----------------------------------------------------------------------------------------------------------


def test_parts_are_found_and_replaced() -> None:
    pod = Pod()
    value = [("web-1", pod, 7), {"a": "10.0.0.1", "b": ("x",)}, Map({"k": "web-1"}), None]
    cast = Mould(value, ("web-1", "10.0.0.1", pod)).bound(())
    other = Pod(status=PodStatus(phase="Running"))
    made = cast(("web-2", "10.0.0.2", other))
    assert made == [("web-2", other, 7), {"a": "10.0.0.2", "b": ("x",)}, Map({"k": "web-2"}), None]
    assert made[1]["b"] is value[1]["b"]  # type: ignore[index,call-overload]


def test_structs_keep_what_has_no_part_in_it() -> None:
    status = ContainerStatus(name="app", container_id="id-1", resources=None)
    made = Mould(PodStatus(container_statuses=(status, status)), ("id-1",)).bound(())(("id-2",))
    assert [each.container_id for each in made.container_statuses] == ["id-2", "id-2"]
    assert made.container_statuses[0] is made.container_statuses[1]


def test_moments_are_replaced_or_moved_along() -> None:
    value = [NOW, START, NOW + 30, 17]
    assert Mould(value, (), (NOW, START)).bound((NOW + 9, START + 2))(()) == [NOW + 9, START + 2, NOW + 39, 17]


def test_what_has_moments_alone_is_shared() -> None:
    value = ["web-1", Sandbox(0, "10.0.0.1", True, NOW)]
    bound = Mould(value, ("web-1",), (NOW,)).bound
    cast = bound((NOW + 1,))
    first, second, third = cast(("web-2",)), cast(("web-3",)), bound((NOW + 2,))(("web-4",))
    assert first[1] is second[1]
    assert (first[1].started_at, third[1].started_at) == (NOW + 1, NOW + 2)


def test_groups_are_parts_and_so_is_what_is_in_them() -> None:
    group, other = ("node-1", "10.0.0.1"), ("node-2", "10.0.0.2")
    value = ["10.0.0.1", group, {"a": "web-1", "b": "10.0.0.1"}, ()]
    made = Mould(value, ("web-1", group, ()), groups=(1, 2)).bound(())(("web-2", other, ("more",)))
    assert made == ["10.0.0.2", other, {"a": "web-2", "b": "10.0.0.2"}, ()]
    assert made[1] is other


def test_what_is_bound_is_in_all_casts() -> None:
    left, right = Pod(), Pod(status=PodStatus(phase="Running"))
    bound = Mould(["web-1", [left, NOW]], ("web-1",), (NOW,), (left,)).bound
    cast = bound((NOW + 1,), right)
    assert cast(("web-2",)) == ["web-2", [right, NOW + 1]]
    assert cast(("web-2",))[1] is cast(("web-3",))[1]


def test_an_empty_string_and_a_small_number_are_no_parts() -> None:
    assert Mould(["", 3, "a"], ("", 3, "a")).bound(())(("x", 4, "b")) == ["", 3, "b"]


@pytest.mark.parametrize(
    "value, why",
    [
        (["the pod web-1 is gone"], "a piece"),
        ([{"web-1": 1}], "a part is a key"),
        ([object()], "no mould for object"),
        ([NOW], "is no part"),
    ],
)
def test_where_a_part_cannot_be_replaced_there_is_no_mould(value: list[Any], why: str) -> None:
    with pytest.raises(Shapeless, match=why):
        Mould(value, ("web-1",))
