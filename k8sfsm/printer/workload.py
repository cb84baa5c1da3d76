"""The rows of Deployments, ReplicaSets and ReplicationControllers.

Source: pkg/printers/internalversion/printers.go: printDeployment, printReplicaSet, printReplicationController.
"""

from __future__ import annotations

from k8sfsm.objects import Deployment, ReplicaSet, ReplicationController, Selector, SelectorError, format_label_selector
from k8sfsm.objects.pod import PodTemplateSpec
from k8sfsm.printer.cells import age, containers_and_images, labels_text


def deployment_row(deployment: Deployment, now: int) -> list[object]:
    """The cells of a Deployment, those of `-o wide` included; `now`: ns."""
    spec, status = deployment.spec, deployment.status
    try:
        selector = str(Selector.of(spec.selector))
    except SelectorError:
        selector = ""
    return [
        deployment.metadata.name,
        f"{status.ready_replicas}/{spec.replicas or 0}",
        status.updated_replicas,
        status.available_replicas,
        age(deployment, now),
        *containers_and_images(spec.template),
        selector,
    ]


def replicaset_row(replicas: ReplicaSet, now: int) -> list[object]:
    """The cells of a ReplicaSet, those of `-o wide` included; `now`: ns."""
    spec, status = replicas.spec, replicas.status
    return [
        replicas.metadata.name,
        spec.replicas or 0,
        status.replicas,
        status.ready_replicas,
        age(replicas, now),
        *containers_and_images(spec.template),
        format_label_selector(spec.selector),
    ]


def replicationcontroller_row(controller: ReplicationController, now: int) -> list[object]:
    """The cells of a ReplicationController, those of `-o wide` included; `now`: ns."""
    spec, status = controller.spec, controller.status
    return [
        controller.metadata.name,
        spec.replicas or 0,
        status.replicas,
        status.ready_replicas,
        age(controller, now),
        *containers_and_images(spec.template or PodTemplateSpec()),
        labels_text(spec.selector),
    ]
