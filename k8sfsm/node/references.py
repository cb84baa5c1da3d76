"""What a pod refers to and cannot start without: in the environment of its containers, and in its volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8sfsm.kinds.volumes import AttachableVolume, volumes_of
from k8sfsm.node.runtime_state import pod_of
from k8sfsm.node.session import Settings
from k8sfsm.objects import Container, Pod, PodSpec
from k8sfsm.view import View

_TOKEN_VOLUME: Final = "kube-api-access-"
"""Volumes of service account tokens: what they are made of is in every namespace."""


def missing_reference(view: View, pod: Pod, container: Container) -> tuple[str, str] | None:
    """Kind and name of the first object that the container's environment needs and that is missing."""
    for kind, name in environment_references(container):
        if view.get(kind, pod.metadata.namespace, name) is None:
            return kind, name
    return None


def missing_volume(view: View, pod: Pod) -> tuple[str, str, str] | None:
    """The first volume that cannot be mounted, with the kind and name of the object that it lacks."""
    for volume, kind, name in volume_references(pod):
        if view.get(kind, pod.metadata.namespace, name) is None:
            return volume, kind, name
    return None


def unattached_volume(view: View, pod: Pod, settings: Settings) -> AttachableVolume | None:
    """The first volume of the pod that its Node's status does not say to be in use and attached.

    None, too, where nobody attaches volumes. Source: pkg/volume/util/operationexecutor/operation_generator.go:
    GenerateVerifyControllerAttachedVolumeFunc.
    """
    if not settings.cloud:
        return None
    node = view.get("Node", "", settings.node)
    in_use = () if node is None else node.status.volumes_in_use
    attached = () if node is None else tuple(each.get("name") for each in node.status.volumes_attached)
    for volume in volumes_of(view, pod):
        if volume.unique not in in_use or volume.unique not in attached:
            return volume
    return None


def volumes_in_use(view: View, settings: Settings) -> tuple[str, ...]:
    """The volumes that a kubelet says it uses: of pods that want them, or have them mounted still.

    Source: pkg/kubelet/volumemanager/volume_manager.go: GetVolumesInUse.
    """
    if not settings.cloud:
        return ()
    users = [pod for pod in view.on_node(settings.node) if _uses_volumes(view, pod)]
    return tuple(dict.fromkeys(volume.unique for pod in users for volume in volumes_of(view, pod)))


def _uses_volumes(view: View, pod: Pod) -> bool:
    runtime = pod_of(view.runtime, pod.metadata.uid)
    return runtime.mounted or not (runtime.cleaned or pod.status.phase in ("Succeeded", "Failed"))


def token_volume(spec: PodSpec) -> Mapping[str, Any] | None:
    """The volume with the token of the pod's account that the API server added, if there is one."""
    for each in spec.volumes:
        if str(each.get("name", "")).startswith(_TOKEN_VOLUME):
            return each
    return None


def environment_references(container: Container) -> Iterator[tuple[str, str]]:
    """Kind and name of each object without which the container cannot be made."""
    for source in container.env_from:
        yield from _named(source, "configMapRef", "secretRef")
    for variable in container.env:
        yield from _named(variable.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")


def volume_references(pod: Pod) -> Iterator[tuple[str, str, str]]:
    """Volume, and kind and name of each object without which it cannot be mounted."""
    for volume in pod.spec.volumes:
        label = str(volume.get("name", ""))
        if label.startswith(_TOKEN_VOLUME):
            continue
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            for kind, name in _named(source, "configMap", "secret"):
                yield label, kind, name


def _named(source: Mapping[str, Any], config_map: str, secret: str) -> Iterator[tuple[str, str]]:
    for field, kind in ((config_map, "ConfigMap"), (secret, "Secret")):
        reference = source.get(field)
        if reference and not reference.get("optional"):
            yield kind, reference.get("name") or reference.get("secretName", "")
