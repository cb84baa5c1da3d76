"""The shape of a pod: all of it that a scheduling decision looks at, and how to see that two have the same one."""

from __future__ import annotations

from typing import Any

from k8sfsm.objects import Container, Pod


def _same_containers(some: tuple[Container, ...], others: tuple[Container, ...]) -> bool:
    """Are the containers equal in what is scheduled by? Token volumes have a name of their own in every pod."""
    return len(some) == len(others) and all(
        one.image == two.image
        and one.resources == two.resources
        and one.ports == two.ports
        and one.restart_policy == two.restart_policy
        for one, two in zip(some, others, strict=True)
    )


def same_shape(pod: Pod, other: Pod) -> bool:
    """Is everything equal that the decision looks at?"""
    one, two = pod.spec, other.spec
    return (
        pod.metadata.labels == other.metadata.labels
        and _same_containers(one.containers, two.containers)
        and _same_containers(one.init_containers, two.init_containers)
        and one.tolerations == two.tolerations
        and one.node_selector == two.node_selector
        and one.affinity == two.affinity
        and one.overhead == two.overhead
        and one.resources == two.resources
        and one.topology_spread_constraints == two.topology_spread_constraints
    )


def shape_of(pod: Pod) -> tuple[Any, ...]:
    """All that `same_shape` compares: where it consists of the same objects, the pods have the same shape."""
    spec = pod.spec
    parts: list[Any] = [
        pod.metadata.labels,
        spec.tolerations,
        spec.node_selector,
        spec.affinity,
        spec.overhead,
        spec.resources,
        spec.topology_spread_constraints,
        len(spec.containers),
    ]
    for each in spec.containers:
        parts += (each.image, each.resources, each.ports, each.restart_policy)
    for each in spec.init_containers:
        parts += (each.image, each.resources, each.ports, each.restart_policy)
    return tuple(parts)


def made_alike(pod: Pod, other: Pod) -> bool:
    """Have the pods the same owner, and is all that `shape_of` names the same objects? Pods of a template that come one
    after the other have, and this is the fastest way to see it.
    """
    one, two = pod.spec, other.spec
    meta, others = pod.metadata, other.metadata
    return (
        meta.owner_references is others.owner_references
        and meta.labels is others.labels
        and meta.namespace == others.namespace
        and one.tolerations is two.tolerations
        and one.node_selector is two.node_selector
        and one.affinity is two.affinity
        and one.overhead is two.overhead
        and one.resources is two.resources
        and one.topology_spread_constraints is two.topology_spread_constraints
        and len(one.containers) == len(two.containers)
        and len(one.init_containers) == len(two.init_containers)
        and all(map(_made_alike, one.containers, two.containers))
        and all(map(_made_alike, one.init_containers, two.init_containers))
    )


def _made_alike(one: Container, two: Container) -> bool:
    return (
        one.image == two.image
        and one.resources is two.resources
        and one.ports is two.ports
        and one.restart_policy == two.restart_policy
    )
