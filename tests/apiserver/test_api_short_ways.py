"""The short ways of reports and bindings give what the way of every write gives."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World
from api_world import pod as manifest
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.apiserver import ApiServer, Sender, alike
from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.binding import BindCase
from k8sfsm.apiserver.binding import bound as bound_pod
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.short_ways import SHORT_WAYS
from k8sfsm.engine.choices import Seeded
from k8sfsm.machine import Machines
from k8sfsm.objects import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Namespace,
    Node,
    ObjectMeta,
    Pod,
    PodCondition,
    PodSchedulingGate,
    PodSpec,
    PodStatus,
    evolve,
    from_json,
)
from k8sfsm.request import Bind, Create, PatchStatus
from k8sfsm.store import Store

NOW = 1_700_000_000_123_456_789
KUBELET = Sender("kubelet", "system:node:n", "n", ("system:nodes",))
OTHERS = Sender("kubelet", "system:node:m", "m", ("system:nodes",))
SCHEDULER = Sender("kube-scheduler", "system:kube-scheduler")
STRANGER = Sender("user", "jane")
KEY = ("Pod", "a", "p")

ENDED = ContainerState(terminated=ContainerStateTerminated(exit_code=1))
STATUSES = {
    "started": PodStatus(phase="Pending", start_time=NOW, host_ip="10.0.0.1"),
    "running": PodStatus(
        phase="Running", start_time=NOW, conditions=(PodCondition(type="Ready", status="True"),), pod_ip="10.1.0.1"
    ),
    "ended": PodStatus(phase="Running", start_time=NOW, container_statuses=(ContainerStatus(name="c", state=ENDED),)),
    "unqualified": PodStatus(phase="Pending", start_time=NOW, conditions=(PodCondition(type="/", status="True"),)),
    "succeeded": PodStatus(phase="Succeeded", start_time=NOW),
    "empty": PodStatus(phase="Pending"),
    "other class": PodStatus(phase="Pending", start_time=NOW, qos_class="Guaranteed"),
}


def pod(status: str, node: str, deleted: bool, tracked: bool) -> Pod:
    meta = ObjectMeta(
        name="p",
        namespace="a",
        uid="u",
        deletion_timestamp=NOW if deleted else None,
        extra={"managedFields": []} if tracked else {},
    )
    return Pod(metadata=meta, spec=PodSpec(node_name=node), status=STATUSES[status])


def store_with(obj: Pod) -> Store:
    store = Store.starting_at(5)
    labels = {"topology.kubernetes.io/zone": "z"}
    for each in (Namespace(metadata=ObjectMeta(name="a")), Node(metadata=ObjectMeta(name="n", labels=labels)), obj):
        store, _ = store.put(each)
    return store


def knowing_server(options: Options) -> ApiServer:
    """A server whose gate has seen what kubelets and the scheduler do."""
    server = ApiServer(Machines.load(), options)
    server.handle(store_with(pod("empty", "n", False, False)), report("started", "p", ""), KUBELET, NOW, Seeded(1))
    server.handle(
        store_with(pod("empty", "", False, False)), Bind(key=KEY, uid="", node="n"), SCHEDULER, NOW, Seeded(1)
    )
    return server


def report(status: str, name: str, uid: str, dry_run: bool = False) -> PatchStatus:
    return PatchStatus(key=("Pod", "a", name), uid=uid, status=STATUSES[status], dry_run=dry_run)


@pytest.fixture(scope="module", params=[False, True])
def server(request: Any) -> ApiServer:
    return knowing_server(Options(rbac=True, managed_fields=request.param))


@given(
    before=st.sampled_from(list(STATUSES)),
    after=st.sampled_from(list(STATUSES)),
    node=st.sampled_from(["", "n"]),
    deleted=st.booleans(),
    tracked=st.booleans(),
    dry_run=st.booleans(),
    binds=st.booleans(),
    name=st.sampled_from(["p", "p", "p", "q"]),
    uid=st.sampled_from(["u", "u", "", "other"]),
    sender=st.sampled_from([KUBELET, KUBELET, OTHERS, SCHEDULER, STRANGER]),
)
def test_both_ways_give_the_same_answer(
    server: ApiServer,
    before: str,
    after: str,
    node: str,
    deleted: bool,
    tracked: bool,
    dry_run: bool,
    binds: bool,
    name: str,
    uid: str,
    sender: Sender,
) -> None:
    store = store_with(pod(before, node, deleted, tracked))
    bind = Bind(key=("Pod", "a", name), uid=uid, node="n", dry_run=dry_run)
    write = bind if binds else report(after, name, uid, dry_run)
    short = server.handle(store, write, sender, NOW, Seeded(1))
    plain = server.handle_plainly(store, write, sender, NOW, Seeded(1))
    assert (short.outcome, short.changes, short.moves, short.asides) == (
        plain.outcome,
        plain.changes,
        plain.moves,
        plain.asides,
    )
    assert short.store.snapshot == plain.store.snapshot


def test_usual_writes_go_the_short_way() -> None:
    server = knowing_server(Options(rbac=True))
    store = store_with(pod("started", "n", False, False))
    assert SHORT_WAYS[PatchStatus](server, store, report("running", "p", "u"), KUBELET, NOW, Seeded(1)) is not None
    store = store_with(pod("empty", "", False, False))
    assert SHORT_WAYS[Bind](server, store, Bind(key=KEY, uid="u", node="n"), SCHEDULER, NOW, Seeded(1)) is not None


class Stubborn(Seeded):
    """Chance that gives all pods the same suffix."""

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        return "again" if kind == "Pod" else super().suffix(kind, namespace, base)


def test_a_pod_that_is_like_others_is_answered_alike_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "_CHECKED", False)
    world, maker, write = World(), Sender("replicaset-controller"), Create(object=from_json(manifest("")))
    plain_server = ApiServer(Machines.load())
    monkeypatch.setattr(plain_server, "is_like_others", lambda new: False)
    codes, short = [], 0
    for number, chance in enumerate((Seeded, Seeded, Seeded, Seeded, Stubborn, Stubborn)):
        short += SHORT_WAYS[Create](world.api, world.store, write, maker, NOW, chance(number)) is not None
        answer = world.api.handle(world.store, write, maker, NOW, chance(number))
        plain = plain_server.handle(world.store, write, maker, NOW, chance(number))
        assert (answer.outcome, answer.changes, answer.moves) == (plain.outcome, plain.changes, plain.moves)
        assert answer.store.snapshot == plain.store.snapshot
        world.store = answer.store
        codes.append(answer.outcome.code)
    assert codes == [201, 201, 201, 201, 201, 409] and short == 3
    tried = evolve(write, dry_run=True)
    assert SHORT_WAYS[Create](world.api, world.store, tried, maker, NOW, Seeded(9)) is None


@pytest.mark.parametrize("deleted", [None, NOW])
@pytest.mark.parametrize("node", ["", "m"])
@pytest.mark.parametrize(
    "gates", [(), (PodSchedulingGate(name="g"),), (PodSchedulingGate(name="g", extra={"a": []}),) * 2]
)
def test_a_binding_is_refused_as_the_table_says(deleted: int | None, node: str, gates: Any) -> None:
    meta = ObjectMeta(name="p", namespace="a", deletion_timestamp=deleted, finalizers=("f",), labels={"a": "b"})
    pod = Pod(metadata=meta, spec=PodSpec(node_name=node, scheduling_gates=gates, priority=3))
    refusal = law.decide("bind", BindCase(pod)).outputs["refusal"]
    if not refusal:
        assert bound_pod(pod, "n", None, 0, "7").spec == evolve(pod.spec, node_name="n")
        return
    with pytest.raises(Refusal) as raised:
        bound_pod(pod, "n", None, 0, "7")
    assert raised.value.message.endswith(refusal.format(name="p", node=node))
