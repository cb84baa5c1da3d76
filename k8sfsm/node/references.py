"""What a pod refers to and cannot start without: in the environment of its containers, and in its volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

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


def token_volume(spec: PodSpec) -> Mapping[str, Any] | None:
    """The volume with the token of the pod's account that the API server added, if there is one."""
    return next((each for each in spec.volumes if str(each.get("name", "")).startswith(_TOKEN_VOLUME)), None)


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
