"""Volumes of Pods that have to be attached to a node: claims that are bound to volumes of a CSI driver."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from k8sfsm.objects import Pod
from k8sfsm.value import value
from k8sfsm.view import View


@value(kw_only=True)
class AttachableVolume:
    """A PersistentVolume of a CSI driver. `label`: what the Pod calls it, "" outside Pods."""

    name: str
    driver: str
    handle: str
    modes: tuple[str, ...] = ()
    label: str = ""

    @property
    def unique(self) -> str:
        """What it is called in a Node's status. Source: pkg/volume/util/util.go: GetUniqueVolumeNameFromSpec."""
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"

    def attachment(self, node: str) -> str:
        """The name of its VolumeAttachment. Source: pkg/volume/csi/csi_attacher.go: getAttachmentName."""
        return f"csi-{sha256(f'{self.handle}{self.driver}{node}'.encode()).hexdigest()}"


def volume_named(view: View, name: str, label: str = "") -> AttachableVolume | None:
    """The PersistentVolume of that name, where a CSI driver makes it."""
    found = view.get("PersistentVolume", "", name)
    spec = {} if found is None else found.extra.get("spec") or {}
    csi = spec.get("csi")
    if not csi:
        return None
    return AttachableVolume(
        name=name,
        driver=str(csi.get("driver", "")),
        handle=str(csi.get("volumeHandle", "")),
        modes=tuple(spec.get("accessModes") or ()),
        label=label,
    )


def claimed_volume(claim: Any) -> str:
    """The PersistentVolume that a claim is bound to; "" where it is to none."""
    return str((claim.extra.get("spec") or {}).get("volumeName", "")) if claim is not None else ""


def volumes_of(view: View, pod: Pod) -> Iterator[AttachableVolume]:
    """The volumes of a Pod that have to be attached, in its order."""
    for each in pod.spec.volumes:
        claim = each.get("persistentVolumeClaim") or {}
        if claim:
            bound = view.get("PersistentVolumeClaim", pod.metadata.namespace, str(claim.get("claimName", "")))
            found = volume_named(view, claimed_volume(bound), str(each.get("name", "")))
            if found is not None:
                yield found
