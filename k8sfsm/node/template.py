"""The templates that a kubelet sees pods come from: what pods have in common when they are admitted.

Pods of one template differ in name, uid, node and the name of their token volume, and in the moments that their
statuses tell. A kubelet looks at no label of a pod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from k8sfsm.node.runtime_state import Image
from k8sfsm.objects import Container, Pod, PodCondition, PodSpec, PodStatus
from k8sfsm.objects.sameness import same_but, same_in

_same_spec: Final = same_but(PodSpec, "node_name", "volumes", "containers", "init_containers", "ephemeral_containers")
_same_container: Final = same_but(Container, "volume_mounts")
_same_status: Final = same_but(PodStatus, "conditions")
_same_condition: Final = same_but(PodCondition, "last_transition_time")
_same_metadata: Final = same_in("owner_references", "annotations", "finalizers", "extra")


class Template:
    """Pods that are alike when they are admitted. `containers`, `images`: their names, and those of their images.
    `stamps`: the whole seconds that the status of the latest one has.

    The latest one is kept for the next ones to be compared with: they share most of what they hold with that one, so
    that this takes no time.
    """

    __slots__ = ("_containers", "_found", "_images", "_pod", "_token", "containers", "images", "stamps")

    def __init__(self, pod: Pod, containers: Sequence[Container], token: str) -> None:
        self.containers = tuple(each.name for each in containers)
        self.images = tuple(each.image for each in containers)
        self._pod, self._containers, self._token = pod, containers, token
        self.stamps = _stamps(pod.status)
        self._images: Mapping[str, Image] | None = None
        self._found: tuple[Image | None, ...] = ()

    def found_in(self, images: Mapping[str, Image]) -> tuple[Image | None, ...]:
        """The pods' images, among those that a node has."""
        if images is not self._images:
            self._images, self._found = images, tuple(map(images.get, self.images))
        return self._found

    def stamps_of(self, pod: Pod, containers: Sequence[Container], token: str) -> tuple[int, ...] | None:
        """The whole seconds that a pod's status has, if it is one of these; None: it is another one.

        `token`: the name of its token volume.
        """
        known, status = self._pod, pod.status
        if not self._has(pod, containers, token):
            return None
        if status is not known.status:
            if not _tells_the_same(status, known.status):
                return None
            self.stamps = _stamps(status)
        self._pod, self._containers, self._token = pod, containers, token
        return self.stamps

    def _has(self, pod: Pod, containers: Sequence[Container], token: str) -> bool:
        """Whether the pod is what these are, but for what is its own, and for its status."""
        known, meta, spec = self._pod, pod.metadata, pod.spec
        if len(containers) != len(self._containers) or not _same_spec(spec, known.spec):
            return False
        created, before = meta.creation_timestamp, known.metadata.creation_timestamp
        if (created is None) != (before is None) or not _same_metadata(meta, known.metadata):
            return False
        if not _same_items(spec.volumes, token, known.spec.volumes, self._token):
            return False
        for each, other in zip(containers, self._containers):  # noqa: B905  as many of both
            if not _same_container(each, other):
                return False
            if not _same_items(each.volume_mounts, token, other.volume_mounts, self._token):
                return False
        return True


def _same_items(
    items: Sequence[Mapping[str, Any]], name: str, others: Sequence[Mapping[str, Any]], other_name: str
) -> bool:
    """Whether the items are the same, those that have the token volume's name in all but that name."""
    if len(items) != len(others):
        return False
    for item, other in zip(items, others):  # noqa: B905  as many of both; to have that checked takes as long as the rest
        called = item.get("name")
        if called == name:
            if {**item, "name": other_name} != other:
                return False
        elif called == other_name or item != other:
            return False
    return True


def _tells_the_same(status: PodStatus, known: PodStatus) -> bool:
    """Whether two statuses say the same, but for whole seconds."""
    if not _same_status(status, known) or len(status.conditions) != len(known.conditions):
        return False
    pairs = zip(status.conditions, known.conditions, strict=True)
    return all(_same_condition(each, other) and _same_kind(each, other) for each, other in pairs)


def _same_kind(one: PodCondition, other: PodCondition) -> bool:
    """Both have changed at some time, or neither."""
    moment, known = one.last_transition_time, other.last_transition_time
    return moment == known or bool(moment and known)


def _stamps(status: PodStatus) -> tuple[int, ...]:
    """The whole seconds that are in a status."""
    return tuple([each.last_transition_time for each in status.conditions if each.last_transition_time])
