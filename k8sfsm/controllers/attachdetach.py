"""The attach/detach controller: volumes of CSI drivers go to the nodes of the Pods that want them.

Source: pkg/controller/volume/attachdetach/attach_detach_controller.go, reconciler/reconciler.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.controllers.nodelifecycle.health import ready_of
from k8sfsm.kinds.volumes import AttachableVolume, claimed_volume, volume_named, volumes_of
from k8sfsm.law import Decision, Law, constant
from k8sfsm.objects import Node, Pod, from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Key, Patch, Plan, Record, Remember, Step, regardless
from k8sfsm.view import Change, View

law = Law("attachdetach")

OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
_SHARED: Final = frozenset(("ReadWriteMany", "ReadOnlyMany"))


@frozen
class Wanting:
    """A Pod that may want its volumes."""

    pod: Pod


@frozen
class Place:
    """A volume on a node. `pods`: those that want it there, oldest first."""

    view: View
    volume: AttachableVolume
    node: str
    pods: tuple[Pod, ...]

    @property
    def attachment(self) -> Any:
        """The VolumeAttachment, or None."""
        return self.view.get("VolumeAttachment", "", self.volume.attachment(self.node))

    @property
    def node_object(self) -> Node | None:
        """The Node."""
        found: Node | None = self.view.get("Node", "", self.node)
        return found

    @property
    def since(self) -> int | None:
        """Since when (ns) the volume is to be detached."""
        found: int | None = self.view.memory.get(self.waiting_key)
        return found

    @property
    def waiting_key(self) -> tuple[str, str, str]:
        """Under which key that is remembered."""
        return ("detach", self.volume.name, self.node)

    @property
    def reported(self) -> tuple[Any, ...]:
        """The Node's volumesAttached."""
        return () if self.node_object is None else self.node_object.status.volumes_attached


# -- keys -------------------------------------------------------------------------------------------------------------


def _key(name: str) -> Key:
    return ("PersistentVolume", "", name)


@law.key
def volumes_of_pod(change: Change, view: View) -> Iterable[Key]:
    """The volumes of a Pod."""
    for each in (change.new, change.old):
        if each is not None:
            yield from (_key(volume.name) for volume in volumes_of(view, each))


@law.key
def volume_of_claim(change: Change, view: View) -> Iterable[Key]:
    """The volume that a claim is bound to."""
    name = claimed_volume(change.new or change.old)
    return (_key(name),) if name else ()


@law.key
def volume_of_attachment(change: Change, view: View) -> Iterable[Key]:
    """The volume that is attached."""
    return (_key(attached_volume(change.new or change.old)),)


@law.key
def volumes_of_node(change: Change, view: View) -> Iterable[Key]:
    """The volumes that are attached to a node."""
    name = change.key[2]
    return tuple(
        _key(attached_volume(each)) for each in view.list("VolumeAttachment") if _spec(each, "nodeName") == name
    )


def _spec(attachment: Any, field: str) -> Any:
    return (attachment.extra.get("spec") or {}).get(field)


def attached_volume(attachment: Any) -> str:
    """The name of the PersistentVolume that a VolumeAttachment is about."""
    return str((_spec(attachment, "source") or {}).get("persistentVolumeName", ""))


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def pod_placed(case: Wanting) -> bool:
    """The Pod has a node."""
    return bool(case.pod.spec.node_name)


@law.fact
def pod_ended(case: Wanting) -> bool:
    """Its phase is Succeeded or Failed."""
    return case.pod.status.phase in ("Succeeded", "Failed")


@law.fact
def pod_deleting(case: Wanting) -> bool:
    """It is being deleted."""
    return case.pod.metadata.deletion_timestamp is not None


@law.fact
def containers_running(case: Wanting) -> bool:
    """A container of it has not ended, as far as its status says."""
    return any(each.state.terminated is None for each in case.pod.status.container_statuses)


@law.fact
def volume_wanted(case: Place) -> bool:
    """A Pod on the node wants it."""
    return bool(case.pods)


@law.fact
def attachment_state(case: Place) -> Literal["none", "attaching", "attached", "refused", "detaching"]:
    """How far the VolumeAttachment is."""
    found = case.attachment
    if found is None:
        return "none"
    if found.metadata.deletion_timestamp is not None:
        return "detaching"
    status = found.extra.get("status") or {}
    if status.get("attached"):
        return "attached"
    return "refused" if status.get("attachError") else "attaching"


@law.fact
def reported_attached(case: Place) -> bool:
    """The Node's status says that it is attached; a Node that is gone has nothing left to be said."""
    return case.node_object is None or any(each.get("name") == case.volume.unique for each in case.reported)


@law.fact
def held_elsewhere(case: Place) -> bool:
    """It is attached to another node and cannot be shared."""
    return bool(law.decide("hold", case).outputs["held"])


@law.fact
def shared_volume(case: Place) -> bool:
    """Several nodes may have it at once; so may those of a volume that says nothing."""
    return not case.volume.modes or bool(_SHARED.intersection(case.volume.modes))


@law.fact
def attached_elsewhere(case: Place) -> bool:
    """It is attached to another node, or going to be."""
    return bool(other_nodes(case))


def other_nodes(case: Place) -> tuple[str, ...]:
    """The other nodes that a VolumeAttachment ties it to."""
    attachments = [each for each in case.view.list("VolumeAttachment") if attached_volume(each) == case.volume.name]
    return tuple(str(_spec(each, "nodeName")) for each in attachments if _spec(each, "nodeName") != case.node)


@law.fact
def still_mounted(case: Place) -> bool:
    """The Node's status says that it is in use there; a Node that is gone can say nothing else any more."""
    node = case.node_object
    return node is None or case.volume.unique in node.status.volumes_in_use


@law.fact
def wait_over(case: Place) -> bool:
    """The node has had time enough to unmount it."""
    return bool(law.decide("patience", case).outputs["over"])


@law.fact
def waited_long(case: Place) -> bool:
    """It has been to be detached for minutes."""
    return case.since is not None and case.view.now - case.since >= int(constant("detach_patience")) * SECOND


@law.fact
def node_well(case: Place) -> bool:
    """The Node is there and ready."""
    ready = None if case.node_object is None else ready_of(case.node_object)
    return ready is not None and ready.status == "True"


@law.fact
def node_out_of_service(case: Place) -> bool:
    """A user has marked the Node as out of service."""
    node = case.node_object
    return node is not None and any(each.key == OUT_OF_SERVICE for each in node.spec.taints)


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def create_attachment(case: Place, decision: Decision) -> Iterable[Step]:
    """Create the VolumeAttachment."""
    yield Create(
        object=from_json(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "VolumeAttachment",
                "metadata": {"name": case.volume.attachment(case.node)},
                "spec": {
                    "attacher": case.volume.driver,
                    "nodeName": case.node,
                    "source": {"persistentVolumeName": case.volume.name},
                },
            }
        )
    )


@law.action
def delete_attachment(case: Place, decision: Decision) -> Iterable[Step]:
    """Delete the VolumeAttachment."""
    yield Delete(key=("VolumeAttachment", "", case.volume.attachment(case.node)))
    yield from stop_waiting(case, decision)


def _volumes(case: Place, attached: Iterable[Any]) -> Patch:
    """Source: pkg/controller/volume/attachdetach/statusupdater/node_status_updater.go."""
    body = {"status": {"volumesAttached": list(attached) or None}}
    return Patch(key=("Node", "", case.node), body=body, subresource="status")


@law.action
def report_attached(case: Place, decision: Decision) -> Iterable[Step]:
    """Say in the Node's status that it is attached: its kubelet waits for that."""
    yield _volumes(case, (*case.reported, {"devicePath": "", "name": case.volume.unique}))


@law.action
def report_detached(case: Place, decision: Decision) -> Iterable[Step]:
    """Say in the Node's status that it must not be mounted any more."""
    if case.node_object is not None and reported_attached(case):
        yield _volumes(case, (each for each in case.reported if each.get("name") != case.volume.unique))


@law.action
def announce_attached(case: Place, decision: Decision) -> Iterable[Step]:
    """Tell the Pods."""
    text = f'AttachVolume.Attach succeeded for volume "{case.volume.name}" '
    for pod in case.pods:
        yield Record(regarding=pod, type="Normal", reason="SuccessfulAttachVolume", message=text)


@law.action
def announce_attach_failed(case: Place, decision: Decision) -> Iterable[Step]:
    """Tell the Pods what the driver has answered, once for each answer."""
    error = (case.attachment.extra.get("status") or {})["attachError"]
    if case.view.memory.get(("told", case.volume.name, case.node)) == error.get("time"):
        return
    text = f'AttachVolume.Attach failed for volume "{case.volume.name}" : {error.get("message", "")}'
    yield Remember(key=("told", case.volume.name, case.node), value=error.get("time"))
    for pod in case.pods:
        yield Record(regarding=pod, type="Warning", reason="FailedAttachVolume", message=text)


@law.action
def announce_multi_attach(case: Place, decision: Decision) -> Iterable[Step]:
    """Tell the Pods, once, who has the volume. Source: reconciler.go: reportMultiAttachError."""
    key, holders = ("taken", case.volume.name, case.node), other_nodes(case)
    if case.view.memory.get(key) == holders:
        return
    yield Remember(key=key, value=holders)
    users = [pod for name in holders for pod in wanting(case.view, case.volume, name)]
    for pod in case.pods:
        message = f'Multi-Attach error for volume "{case.volume.name}" {_who(pod, users)}'
        yield Record(regarding=pod, type="Warning", reason="FailedAttachVolume", message=message)


def _who(pod: Pod, users: list[Pod]) -> str:
    own = [each.metadata.name for each in users if each.metadata.namespace == pod.metadata.namespace]
    others = len(users) - len(own)
    if not users:
        return "Volume is already exclusively attached to one node and can't be attached to another"
    if not own:
        return f"Volume is already used by {others} pod(s) in different namespaces"
    more = f" and {others} pod(s) in different namespaces" if others else ""
    return f"Volume is already used by pod(s) {', '.join(own)}{more}"


@law.action
def wait_for_unmount(case: Place, decision: Decision) -> Iterable[Step]:
    """The node is still to unmount it."""
    if case.since is None:
        yield Remember(key=case.waiting_key, value=case.view.now)


@law.action
def stop_waiting(case: Place, decision: Decision) -> Iterable[Step]:
    """Nothing is waited for on this node."""
    for key in (case.waiting_key, ("taken", case.volume.name, case.node)):
        if key in case.view.memory:
            yield Remember(key=key, value=None)


# -- the controller ---------------------------------------------------------------------------------------------------


def wanting(view: View, volume: AttachableVolume, node: str) -> tuple[Pod, ...]:
    """The Pods on a node that want a volume."""
    return tuple(
        pod
        for pod in view.on_node(node)
        if law.decide("wanted", Wanting(pod)).outputs["wants"]
        and any(each.name == volume.name for each in volumes_of(view, pod))
    )


class AttachDetachController:
    """Looks at one volume on all nodes that it concerns."""

    name = "attachdetach-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Detach it where nobody wants it, then attach it where somebody does."""
        volume = volume_named(view, key[2])
        if volume is None:
            return Plan()
        places = [Place(view, volume, name, wanting(view, volume, name)) for name in _nodes(view, volume)]
        decisions = [(law.decide("attachment", place), place) for place in places]
        ordered = sorted(decisions, key=lambda each: bool(each[1].pods))
        plan = Plan(requeue_after=_again(decisions, view.now))
        for decision, place in reversed(ordered):
            steps = law.perform(decision, place)
            plan = regardless(steps, plan) if steps else plan
        return plan


def _nodes(view: View, volume: AttachableVolume) -> tuple[str, ...]:
    """Nodes that have the volume, or a Pod that names it."""
    attached = [each for each in view.list("VolumeAttachment") if attached_volume(each) == volume.name]
    users = [pod for pod in view.list("Pod") if any(each.name == volume.name for each in volumes_of(view, pod))]
    names = (*(str(_spec(each, "nodeName")) for each in attached), *(pod.spec.node_name for pod in users))
    return tuple(dict.fromkeys(name for name in names if name))


def _again(decisions: Iterable[tuple[Decision, Place]], now: int) -> int | None:
    """When to look again by itself (ns): where a node's patience ends."""
    patience = int(constant("detach_patience")) * SECOND
    waits = [
        max((place.since or now) + patience - now, SECOND)
        for decision, place in decisions
        if decision.outputs["ends"] == "waiting"
    ]
    return min(waits, default=None)
