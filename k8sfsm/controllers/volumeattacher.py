"""The attacher of a CSI driver: has the cloud attach and detach what VolumeAttachments say.

Source: github.com/kubernetes-csi/external-attacher: pkg/controller/csi_handler.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from k8sfsm.cloud.asking import Line, Standing
from k8sfsm.cloud.state import Disk
from k8sfsm.controllers.attachdetach import attached_volume
from k8sfsm.kinds.volumes import AttachableVolume, volume_named
from k8sfsm.law import Decision, Law
from k8sfsm.objects import format_time
from k8sfsm.request import Key, Patch, Plan, Step
from k8sfsm.view import Change, View

law = Law("volumeattacher")


@frozen
class Sync:
    """One look at a VolumeAttachment; None: it is gone."""

    view: View
    attachment: Any
    line: Line

    @property
    def node(self) -> str:
        """The node that it names."""
        return str((self.attachment.extra.get("spec") or {}).get("nodeName", ""))

    @property
    def finalizer(self) -> str:
        """What keeps it until the volume is detached. Source: pkg/controller/util.go: GetFinalizerName."""
        driver = str((self.attachment.extra.get("spec") or {}).get("attacher", ""))
        return f"external-attacher/{driver.replace('.', '-').replace('/', '-')}"

    @property
    def handle(self) -> str:
        """What the cloud calls the volume."""
        volume: AttachableVolume | None = volume_named(self.view, attached_volume(self.attachment))
        return volume.handle if volume is not None else ""


@law.key
def changed_attachment(change: Change, view: View) -> tuple[Key, ...]:
    """The VolumeAttachment, unless only an error was noted in it.

    Source: github.com/kubernetes-csi/external-attacher: pkg/controller/util.go: shouldEnqueueVAChange.
    """
    old, new = change.old, change.new
    if change.type == "MODIFIED" and old is not None and new is not None and _told(old) == _told(new):
        return ()
    return (change.key,)


def _told(attachment: Any) -> tuple[Any, ...]:
    """What counts of it."""
    meta, status = attachment.metadata, attachment.extra.get("status") or {}
    return (meta.deletion_timestamp, meta.finalizers, attachment.extra.get("spec"), bool(status.get("attached")))


@law.fact
def attachment_found(case: Sync) -> bool:
    """It is there."""
    return case.attachment is not None


@law.fact
def volume_call(case: Sync) -> Standing:
    """How far a call about it is."""
    return case.line.standing


@law.fact
def attachment_deleting(case: Sync) -> bool:
    """It is being deleted."""
    return case.attachment.metadata.deletion_timestamp is not None


@law.fact
def marked_attached(case: Sync) -> bool:
    """Its status says that the volume is attached."""
    return bool((case.attachment.extra.get("status") or {}).get("attached"))


@law.fact
def attached_in_cloud(case: Sync) -> bool:
    """The cloud says that the volume is attached to the node's machine."""
    disk: Disk | None = case.line.state.get(("disk", case.handle))
    return disk is not None and case.node in disk.nodes


@law.fact
def finalizer_set(case: Sync) -> bool:
    """It is kept until the volume is detached."""
    return case.finalizer in case.attachment.metadata.finalizers


@law.action
def set_finalizer(case: Sync, decision: Decision) -> Iterable[Step]:
    """Keep it until the volume is detached."""
    held = case.attachment.metadata.finalizers
    if case.finalizer not in held:
        yield Patch(key=case.line.key, body={"metadata": {"finalizers": [*held, case.finalizer]}})


@law.action
def attach_volume(case: Sync, decision: Decision) -> Iterable[Step]:
    """Ask the cloud to attach it."""
    return case.line.ask("attach-volume", name=case.handle, to=case.node)


@law.action
def detach_volume(case: Sync, decision: Decision) -> Iterable[Step]:
    """Ask the cloud to detach it."""
    return case.line.ask("detach-volume", name=case.handle, to=case.node)


@law.action
def mark_attached(case: Sync, decision: Decision) -> Iterable[Step]:
    """Say that it is attached."""
    yield case.line.hang_up()
    body = {"status": {"attached": True, "attachError": None}}
    yield Patch(key=case.line.key, body=body, subresource="status")


@law.action
def report_error(case: Sync, decision: Decision) -> Iterable[Step]:
    """Say what the cloud has answered."""
    reply = case.line.reply
    message = f"rpc error: code = Internal desc = {reply.message if reply is not None else ''}"
    error = {"message": message, "time": format_time(case.view.now)}
    field = "detachError" if attachment_deleting(case) else "attachError"
    yield case.line.hang_up()
    attached = {"attached": marked_attached(case)}
    yield Patch(key=case.line.key, body={"status": {**attached, field: error}}, subresource="status")


@law.action
def release(case: Sync, decision: Decision) -> Iterable[Step]:
    """Let it go."""
    yield case.line.hang_up()
    left = [each for each in case.attachment.metadata.finalizers if each != case.finalizer]
    yield Patch(key=case.line.key, body={"metadata": {"finalizers": left or None}})


class VolumeAttacher:
    """Looks at VolumeAttachments."""

    name = "csi-attacher"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """One VolumeAttachment."""
        case = Sync(view, view.get(*key), Line(view, self.name, key))
        decision = law.decide("sync", case)
        ends, reply = decision.outputs["ends"], case.line.reply
        steps = law.perform(decision, case)
        error = (reply.message if reply is not None else "") if ends == "failed" else ""
        return Plan(steps=steps, error=error, unsettled=ends == "waiting")
