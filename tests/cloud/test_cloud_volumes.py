"""The attach/detach controller, and the attacher that asks the cloud."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from worlds import NOW, SECOND, answered, asked, cloud, node, sent, told, view

from k8sfsm.cloud.asking import Line
from k8sfsm.cloud.state import Disk
from k8sfsm.controllers.attachdetach import (
    AttachDetachController,
    Place,
    Wanting,
    law,
    volume_of_attachment,
    volume_of_claim,
    volumes_of_node,
    volumes_of_pod,
    wanting,
)
from k8sfsm.controllers.volumeattacher import Sync, VolumeAttacher, changed_attachment
from k8sfsm.controllers.volumeattacher import law as attacher_law
from k8sfsm.kinds.volumes import volume_named
from k8sfsm.node.references import unattached_volume, volumes_in_use
from k8sfsm.node.runtime_state import PodRuntime
from k8sfsm.node.session import Settings
from k8sfsm.objects import Pod, Taint, from_json
from k8sfsm.request import Create, Delete, Patch, Plan, Remember
from k8sfsm.view import Change, View

KEY = ("PersistentVolume", "", "pv")
UNIQUE = "kubernetes.io/csi/d.example.com^disk-1"
DRIVER = "d.example.com"
FINALIZER = "external-attacher/d-example-com"


def volume(*modes: str, csi: bool = True) -> Any:
    spec: dict[str, Any] = {"accessModes": list(modes) or ["ReadWriteOnce"]}
    if csi:
        spec["csi"] = {"driver": DRIVER, "volumeHandle": "disk-1"}
    return from_json({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec})


CLAIM = from_json(
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {"volumeName": "pv"},
    }
)


def pod(name: str = "a", on: str = "node-1", phase: str = "Running", **more: Any) -> Pod:
    """`deleting`: it is being deleted; `running`: its container runs; `namespace`."""
    meta: dict[str, Any] = {"name": name, "namespace": more.get("namespace", "default"), "uid": f"uid-{name}"}
    if more.get("deleting"):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    state = {"running": {}} if more.get("running", True) else {"terminated": {"exitCode": 0}}
    found: Pod = from_json(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "spec": {
                "nodeName": on,
                "containers": [{"name": "c"}],
                "volumes": [
                    {"name": "own", "emptyDir": {}},
                    {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
                ],
            },
            "status": {"phase": phase, "containerStatuses": [{"name": "c", "state": state}]},
        }
    )
    return found


def attachment(on: str = "node-1", **more: Any) -> Any:
    """`attached`, `error` (its time), `deleting`, `finalizers`."""
    volume_of = volume_named(view(volume()), "pv")
    assert volume_of is not None
    meta: dict[str, Any] = {"name": volume_of.attachment(on), "finalizers": list(more.get("finalizers", ()))}
    if more.get("deleting"):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status: dict[str, Any] = {"attached": more.get("attached", False)}
    if "error" in more:
        status["attachError"] = {"message": "no", "time": more["error"]}
    spec = {"attacher": DRIVER, "nodeName": on, "source": {"persistentVolumeName": "pv"}}
    document = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": meta}
    return from_json({**document, "spec": spec, "status": status})


NAME = attachment().metadata.name
ATTACHED = attachment(attached=True)
HERE = node(attached=[UNIQUE])
WANTED = [
    (pod(on=""), "unplaced", False),
    (pod(phase="Succeeded"), "ended", False),
    (pod(phase="Failed"), "ended", False),
    (pod(deleting=True, running=False), "stopped", False),
    (pod(deleting=True), "wants", True),
    (pod(running=False), "wants", True),
    (pod(phase="Pending"), "wants", True),
]


@pytest.mark.parametrize(("found", "rule", "wants"), WANTED)
def test_which_pods_want_their_volumes(found: Pod, rule: str, wants: bool) -> None:
    decision = law.decide("wanted", Wanting(found))
    assert (decision.rule, decision.outputs["wants"]) == (f"AttachDetach/wanted/{rule}", wants)


WAITING = {("detach", "pv", "node-1"): NOW - 360 * SECOND + 1}
OVER = {("detach", "pv", "node-1"): NOW - 360 * SECOND}
OUT = Taint(key="node.kubernetes.io/out-of-service", value="x", effect="NoExecute")
USED = node(in_use=[UNIQUE], attached=[UNIQUE])
LOST = node("node-1", "Unknown", in_use=[UNIQUE], attached=[UNIQUE])
TAKE = ("report_detached", "delete_attachment")
PLACES: list[tuple[Any, Any, str, tuple[str, ...], str]] = [
    ((pod(), attachment("node-2")), {}, "taken", ("announce_multi_attach",), "later"),
    ((pod(), node()), {}, "attach", ("create_attachment",), "settled"),
    ((pod(), node(), volume("ReadWriteMany"), attachment("node-2")), {}, "attach", ("create_attachment",), "settled"),
    ((pod(), node(), volume("ReadOnlyMany"), attachment("node-2")), {}, "attach", ("create_attachment",), "settled"),
    ((pod(), node(), attachment()), {}, "attaching", (), "settled"),
    ((pod(), node(), attachment(attached=True, deleting=True)), {}, "attaching", (), "settled"),
    ((pod(), node(), attachment(error="t")), {}, "refused", ("announce_attach_failed",), "settled"),
    (
        (pod(), node(), ATTACHED),
        {},
        "attached",
        ("stop_waiting", "report_attached", "announce_attached"),
        "settled",
    ),
    ((pod(), HERE, ATTACHED), {}, "in-use", ("stop_waiting",), "settled"),
    ((pod(), ATTACHED), {}, "in-use", ("stop_waiting",), "settled"),
    ((node(),), {}, "unattached", ("stop_waiting",), "settled"),
    ((HERE, attachment(deleting=True)), {}, "detaching", (), "settled"),
    ((node("node-1", "Unknown", OUT, in_use=[UNIQUE]), ATTACHED), {}, "forced", TAKE, "settled"),
    ((LOST, ATTACHED), OVER, "given-up", TAKE, "settled"),
    ((ATTACHED,), OVER, "given-up", TAKE, "settled"),
    ((LOST, ATTACHED), WAITING, "mounted", ("wait_for_unmount",), "waiting"),
    ((USED, ATTACHED), OVER, "mounted", ("wait_for_unmount",), "waiting"),
    ((LOST, ATTACHED), {}, "mounted", ("wait_for_unmount",), "waiting"),
    ((ATTACHED,), {}, "mounted", ("wait_for_unmount",), "waiting"),
    ((HERE, ATTACHED), {}, "detach", TAKE, "settled"),
    ((HERE, attachment()), {}, "detach", TAKE, "settled"),
]


def place(*objects: Any, memory: Any = None) -> Place:
    seen = view(volume(), CLAIM, *objects, memory=memory)
    found = volume_named(seen, "pv")
    assert found is not None
    return Place(seen, found, "node-1", wanting(seen, found, "node-1"))


@pytest.mark.parametrize(("objects", "memory", "rule", "actions", "ends"), PLACES)
def test_what_becomes_of_a_volume_on_a_node(
    objects: Any, memory: Any, rule: str, actions: tuple[str, ...], ends: str
) -> None:
    decision = law.decide("attachment", place(*objects, memory=memory))
    found = (decision.rule, decision.actions, decision.outputs["ends"])
    assert found == (f"AttachDetach/attachment/{rule}", actions, ends)


def test_who_may_share_a_volume() -> None:
    shared = from_json({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}})
    assert volume_named(view(shared), "pv") is None and volume_named(view(volume(csi=False)), "pv") is None
    holds = [(place(attachment(on)), on == "node-2") for on in ("node-1", "node-2")]
    for case, held in holds:
        decision = law.decide("hold", case)
        assert decision.outputs["held"] is held
        assert decision.rule == f"AttachDetach/hold/{'exclusive' if held else 'free'}"
    modeless = evolve(holds[1][0], volume=evolve(holds[1][0].volume, modes=()))
    assert law.decide("hold", modeless).rule == "AttachDetach/hold/shared"


PATIENCE = [
    (LOST, WAITING, "waiting", False),
    (LOST, {}, "waiting", False),
    (USED, OVER, "well", False),
    (LOST, OVER, "lost", True),
    (node("node-1", "False"), OVER, "lost", True),
]


@pytest.mark.parametrize(("found", "memory", "rule", "over"), PATIENCE)
def test_how_long_a_node_has(found: Any, memory: Any, rule: str, over: bool) -> None:
    decision = law.decide("patience", place(found, memory=memory))
    assert (decision.rule, decision.outputs["over"]) == (f"AttachDetach/patience/{rule}", over)


# -- whole looks ------------------------------------------------------------------------------------------------------


def everything(*objects: Any, memory: Any = None) -> tuple[list[Any], Plan]:
    """All steps of a look at the volume, and the last part of the plan."""
    plan = AttachDetachController().reconcile(view(volume(), CLAIM, *objects, memory=memory), KEY)
    steps = [*plan.steps]
    while plan.then is not None:
        plan = plan.then(())
        steps += plan.steps
    return steps, plan


def test_a_volume_is_detached_before_it_is_attached_elsewhere() -> None:
    steps, _ = everything(pod(on="node-2"), node(), node("node-2"), ATTACHED, volume("ReadWriteMany"))
    delete, create = sent(steps)
    assert isinstance(delete, Delete) and delete.key == ("VolumeAttachment", "", NAME)
    assert isinstance(create, Create) and create.object.extra["spec"] == attachment("node-2").extra["spec"]


def test_the_node_is_told_and_the_pods_too() -> None:
    steps, _ = everything(pod(), pod("b"), node(attached=["other"]), ATTACHED)
    (patch,) = sent(steps)
    attached = [{"name": "other", "devicePath": ""}, {"devicePath": "", "name": UNIQUE}]
    assert patch.body == {"status": {"volumesAttached": attached}} and patch.subresource == "status"
    assert told(steps) == ["SuccessfulAttachVolume"] * 2
    steps, _ = everything(node(attached=[UNIQUE]), ATTACHED)
    patch, delete = sent(steps)
    assert patch.body == {"status": {"volumesAttached": None}} and isinstance(delete, Delete)


def test_multi_attach_is_told_once() -> None:
    def message(*others: Any, memory: Any = None) -> list[str]:
        steps, _ = everything(pod(), node(), attachment("node-2"), *others, memory=memory)
        return [step.message for step in steps if step.__class__.__name__ == "Record"]

    start = 'Multi-Attach error for volume "pv" Volume is already '
    nobody = "exclusively attached to one node and can't be attached to another"
    foreign = evolve(CLAIM, metadata=evolve(CLAIM.metadata, namespace="x"))
    own, theirs = pod("b", "node-2"), pod("c", "node-2", namespace="x")
    assert message() == [start + nobody]
    assert message(own) == [start + "used by pod(s) b"]
    assert message(foreign, theirs) == [start + "used by 1 pod(s) in different namespaces"]
    both = message(own, foreign, theirs)
    assert both == [start + "used by pod(s) b and 1 pod(s) in different namespaces"]
    assert message(memory={("taken", "pv", "node-1"): ("node-2",)}) == []


def test_an_error_is_told_once() -> None:
    steps, _ = everything(pod(), node(), attachment(error="t1"))
    assert told(steps) == ["FailedAttachVolume"]
    (remember,) = [step for step in steps if isinstance(step, Remember)]
    assert everything(pod(), node(), attachment(error="t1"), memory={remember.key: "t1"})[0] == []
    assert told(everything(pod(), node(), attachment(error="t2"), memory={remember.key: "t1"})[0])


def test_patience_begins_once_and_ends_by_itself() -> None:
    steps, last = everything(LOST, ATTACHED)
    assert [(step.key, step.value) for step in steps] == [(("detach", "pv", "node-1"), NOW)]
    assert last.requeue_after == 360 * SECOND
    steps, last = everything(LOST, ATTACHED, memory={("detach", "pv", "node-1"): NOW - 100 * SECOND})
    assert steps == [] and last.requeue_after == 260 * SECOND
    steps, last = everything(pod(), USED, ATTACHED, memory=OVER)
    assert [(step.key, step.value) for step in steps] == [(("detach", "pv", "node-1"), None)]
    assert last.requeue_after is None


def test_what_makes_it_look() -> None:
    seen = view(volume(), CLAIM, ATTACHED, pod())

    def change(new: Any, old: Any = None) -> Change:
        return Change(1, "MODIFIED", ("X", "", new.metadata.name), old, new)

    assert set(volumes_of_pod(change(pod()), seen)) == {KEY}
    assert list(volume_of_claim(change(CLAIM), seen)) == [KEY]
    assert list(volume_of_attachment(change(ATTACHED), seen)) == [KEY]
    assert list(volumes_of_node(change(node()), seen)) == [KEY]
    assert list(volumes_of_node(change(node("node-2")), seen)) == []
    assert AttachDetachController().reconcile(view(), KEY) == Plan()


# -- the attacher -----------------------------------------------------------------------------------------------------

AKEY = ("VolumeAttachment", "", NAME)
ME = "csi-attacher"
DISK = Disk(name="disk-1", nodes=("node-1",))
HELD = {"finalizers": [FINALIZER]}
SYNCS: list[tuple[Any, Any, Any, str, tuple[str, ...], str]] = [
    (None, {}, {}, "gone", (), "settled"),
    (attachment(), {}, asked(AKEY), "under-way", (), "waiting"),
    (attachment(), answered(cloud(), ME, AKEY, ok=False), asked(AKEY), "failed", ("report_error",), "failed"),
    (attachment(deleting=True), cloud(DISK), {}, "released", (), "settled"),
    (attachment(deleting=True, **HELD), cloud(), {}, "detached", ("release",), "settled"),
    (attachment(deleting=True, **HELD), cloud(evolve(DISK, nodes=("x",))), {}, "detached", ("release",), "settled"),
    (attachment(deleting=True, attached=True, **HELD), cloud(DISK), {}, "detach", ("detach_volume",), "waiting"),
    (attachment(attached=True, **HELD), cloud(), {}, "attached", (), "settled"),
    (attachment(**HELD), cloud(DISK), {}, "report", ("mark_attached",), "settled"),
    (attachment(), cloud(), {}, "attach", ("set_finalizer", "attach_volume"), "waiting"),
]


@pytest.mark.parametrize(("found", "state", "memory", "rule", "actions", "ends"), SYNCS)
def test_what_the_attacher_does(found: Any, state: Any, memory: Any, rule: str, actions: Any, ends: str) -> None:
    seen = attacher_view(found, state, memory)
    decision = attacher_law.decide("sync", Sync(seen, found, Line(seen, ME, AKEY)))
    got = (decision.rule, decision.actions, decision.outputs["ends"])
    assert got == (f"VolumeAttacher/sync/{rule}", actions, ends)


def attacher_view(found: Any, state: Any, memory: Any) -> View:
    return view(volume(), *(() if found is None else (found,)), state=state, memory=memory)


def attach(found: Any, state: Any = None, memory: Any = None) -> Plan:
    return VolumeAttacher().reconcile(attacher_view(found, state, memory), AKEY)


def test_the_attacher_asks_and_reports() -> None:
    plan = attach(attachment(finalizers=["own"]))
    patch, call = sent(plan.steps)
    assert patch.body == {"metadata": {"finalizers": ["own", FINALIZER]}} and plan.unsettled
    assert (call.verb, call.arguments["given"]) == ("attach-volume", {"name": "disk-1", "to": "node-1"})
    plan = attach(attachment(**HELD), answered(cloud(DISK), ME, AKEY), asked(AKEY))
    (patch,) = sent(plan.steps)
    assert patch.body == {"status": {"attached": True, "attachError": None}} and patch.subresource == "status"
    (call,) = sent(attach(attachment(deleting=True, **HELD), cloud(DISK)).steps)
    assert (call.verb, call.arguments["given"]) == ("detach-volume", {"name": "disk-1", "to": "node-1"})
    (patch,) = sent(attach(attachment(deleting=True, finalizers=["own", FINALIZER]), cloud()).steps)
    assert isinstance(patch, Patch) and patch.body == {"metadata": {"finalizers": ["own"]}}


def test_the_attacher_reports_errors_and_tries_again() -> None:
    refused = answered(cloud(), ME, AKEY, ok=False)
    plan = attach(attachment(), refused, asked(AKEY))
    (patch,) = sent(plan.steps)
    assert patch.body["status"]["attachError"]["message"] == "rpc error: code = Internal desc = no"
    assert plan.error == "no"
    plan = attach(attachment(deleting=True, attached=True, **HELD), refused, asked(AKEY))
    (patch,) = sent(plan.steps)
    assert "detachError" in patch.body["status"] and patch.body["status"]["attached"] is True


def test_errors_do_not_make_it_look_again() -> None:
    def keys(old: Any, new: Any) -> Any:
        return changed_attachment(Change(1, "MODIFIED", AKEY, old, new), view())

    assert keys(attachment(), attachment(error="t")) == ()
    assert keys(attachment(), ATTACHED) == (AKEY,)
    assert keys(attachment(), attachment(deleting=True)) == (AKEY,)
    assert keys(None, attachment()) == (AKEY,)


# -- kubelets ---------------------------------------------------------------------------------------------------------


def test_kubelets_wait_for_volumes_that_are_in_use_and_attached() -> None:
    mine = Settings(node="node-1", cloud=True)

    def waits(found: Any, settings: Settings = mine) -> bool:
        return unattached_volume(view(volume(), CLAIM, found), pod(), settings) is not None

    assert [waits(node()), waits(node(in_use=[UNIQUE])), waits(HERE), waits(USED)] == [True, True, True, False]
    assert not waits(node(), Settings(node="node-1"))


def test_kubelets_say_which_volumes_they_use() -> None:
    mine = Settings(node="node-1", cloud=True)

    def used(found: Pod, **runtime: Any) -> tuple[str, ...]:
        state = {f"uid-{found.metadata.name}": PodRuntime(**runtime)} if runtime else {}
        return volumes_in_use(view(volume(), CLAIM, found, state=state), mine)

    assert used(pod()) == (UNIQUE,) and used(pod(phase="Failed")) == ()
    assert used(pod(phase="Failed"), mounted=True) == (UNIQUE,) and used(pod(), cleaned=True) == ()
    assert volumes_in_use(view(volume(), CLAIM, pod()), Settings(node="node-1")) == ()
