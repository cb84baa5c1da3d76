"""What is seen of a pod follows from the pod alone, whoever looked before."""

from __future__ import annotations

import random
from typing import Any

from attrs import evolve
from replicaset_objects import LABELS, NOW, meta, reference, replica_set

from k8sfsm.controllers.pod_sights import forget_sights, sight_of
from k8sfsm.kinds.pod_readiness import is_pod_ready, ready_condition
from k8sfsm.objects import Container, ContainerPort, Pod, PodCondition, PodIP, PodSpec, PodStatus, controller_of
from k8sfsm.objects import evolve as evolve_quickly

OWNER = replica_set(2)
ONE_PORT = (Container(name="app", ports=(ContainerPort(container_port=8080),)),)


def _pod(number: int, chance: random.Random) -> Pod:
    conditions = [
        PodCondition(type=type, status=status, last_transition_time=NOW + chance.randrange(2))
        for type, status in (("DisruptionTarget", "True"), ("Ready", chance.choice(("True", "False"))))
        if chance.random() < 0.5
    ]
    address = chance.choice(("", "10.0.0.1", "10.0.0.2", "fd00::1"))
    return Pod(
        metadata=meta(
            f"pod-{number}",
            labels=chance.choice((LABELS, dict(LABELS), {"app": "other"})),
            owner_references=chance.choice(((), (reference(OWNER),))),
            deletion_timestamp=chance.choice((None, None, NOW)),
        ),
        spec=PodSpec(
            node_name=chance.choice(("", "node-1", "node-2")),
            containers=chance.choice(((), ONE_PORT)),
            init_containers=chance.choice(((), ONE_PORT)),
            hostname=chance.choice(("", "one")),
        ),
        status=PodStatus(
            phase=chance.choice(("Pending", "Running")),
            conditions=tuple(conditions),
            pod_ip=address,
            pod_ips=(PodIP(ip=address),) if address else (),
        ),
    )


def _asked(pod: Pod) -> tuple[Any, ...]:
    """All that a sight tells, read from the pod itself."""
    condition = ready_condition(pod)
    return (
        pod.metadata.namespace,
        tuple(pod.metadata.owner_references),
        dict(pod.metadata.labels),
        frozenset(pod.metadata.labels.items()),
        controller_of(pod) is not None,
        pod.metadata.deletion_timestamp is not None,
        any(each.type == "DisruptionTarget" for each in pod.status.conditions),
        pod.spec.node_name != "",
        pod.status.phase,
        is_pod_ready(pod),
        None if condition is None else (condition.status, condition.last_transition_time),
    )


def _told(pod: Pod) -> tuple[Any, ...]:
    sight = sight_of(pod)
    return (
        sight.namespace,
        tuple(sight.references),
        dict(sight.labels),
        sight.content,
        sight.owned,
        sight.deleting,
        sight.targeted,
        sight.placed,
        sight.phase,
        sight.ready == "True",
        None if sight.ready is None else (sight.ready, sight.since),
    )


def _published(pod: Pod) -> tuple[Any, ...]:
    """What pods of one look have in common, beyond what a sight tells."""
    families = [":" in each.ip for each in pod.status.pod_ips]
    ports = [id(each.ports) for each in (*pod.spec.containers, *pod.spec.init_containers)]
    return (families, ports, len(pod.spec.containers), pod.spec.hostname, pod.spec.subdomain)


def test_what_is_seen_of_a_pod_is_what_it_is() -> None:
    chance = random.Random(9)
    looks: dict[int, Any] = {}
    pods = [_pod(number, chance) for number in range(1500)]
    for pod in pods:
        assert _told(pod) == _asked(pod)
        assert sight_of(pod) is sight_of(pod)
        assert looks.setdefault(id(sight_of(pod).look), _published(pod)) == _published(pod)
        alike = evolve(pod, metadata=evolve(pod.metadata, name="other", uid="other", labels=dict(pod.metadata.labels)))
        assert sight_of(alike) is sight_of(pod)


def test_a_copy_is_looked_at_anew() -> None:
    pod = _pod(1, random.Random(1))
    for change in (evolve, evolve_quickly):
        sight_of(pod)
        other = change(pod, status=evolve(pod.status, phase="Failed"))
        assert (sight_of(other).phase, sight_of(pod).phase) == ("Failed", pod.status.phase)
        assert other != pod
        assert change(other, status=pod.status) == pod


def test_what_is_forgotten_is_seen_again() -> None:
    chance = random.Random(2)
    pods = [_pod(number, chance) for number in range(20)]
    told = [_told(pod) for pod in pods]
    forget_sights()
    assert [_told(evolve(pod)) for pod in pods] == told == [_told(pod) for pod in pods]
