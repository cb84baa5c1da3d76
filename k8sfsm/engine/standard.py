"""A cluster as it comes: the controller manager, the scheduler, a kubelet per node."""

from __future__ import annotations

from collections.abc import Iterable

from k8sfsm.apiserver import ApiServer, Options
from k8sfsm.controllers.deployment import DeploymentController
from k8sfsm.controllers.endpoints import EndpointController
from k8sfsm.controllers.endpointslice import EndpointSliceController
from k8sfsm.controllers.garbagecollector import GarbageCollector
from k8sfsm.controllers.namespace import NamespaceController
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.controllers.replicationcontroller import ReplicationController
from k8sfsm.controllers.serviceaccount import ServiceAccountController
from k8sfsm.engine.choices import Choices
from k8sfsm.engine.cluster import MANAGER, SCHEDULER, Cluster, Component, Controller, Latencies
from k8sfsm.engine.engine import Engine, Tracer
from k8sfsm.law import constant
from k8sfsm.machine import Machines
from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.runtime import Runtime
from k8sfsm.scheduler.scheduler import Scheduler
from k8sfsm.store import Store


def manager_controllers() -> tuple[Controller, ...]:
    """The controllers of the controller manager that the model has."""
    return (
        DeploymentController(),
        ReplicaSetController(),
        ReplicationController(),
        EndpointController(),
        EndpointSliceController(),
        ServiceAccountController(),
        NamespaceController(),
        GarbageCollector(),
    )


def control_plane(*, limited: bool = True) -> tuple[Component, ...]:
    """The controller manager and the scheduler. `limited`: with their clients' default rate limits."""
    manager = Component(
        name=MANAGER,
        controllers=manager_controllers(),
        qps=constant("manager_client_qps") if limited else 0,
        burst=constant("manager_client_burst") if limited else 0,
    )
    scheduler = Component(
        name=SCHEDULER,
        controllers=(Scheduler(),),
        qps=constant("scheduler_client_qps") if limited else 0,
        burst=constant("scheduler_client_burst") if limited else 0,
    )
    return manager, scheduler


def kubelet_of(node: str) -> Component:
    """The kubelet of a node."""
    return Component(
        name=f"kubelet/{node}",
        controllers=(Kubelet(node),),
        qps=constant("kubelet_client_qps"),
        burst=constant("kubelet_client_burst"),
        node=node,
    )


def standard_engine(
    nodes: Iterable[str],
    runtime: Runtime,
    *,
    store: Store | None = None,
    now: int = 0,
    choices: Choices | None = None,
    tracer: Tracer | None = None,
    options: Options | None = None,
    limited: bool = True,
    latencies: Latencies | None = None,
) -> Engine:
    """An engine with a control plane and a kubelet for each of `nodes`. `now`: ns; `store`: what exists at the start."""
    components = (*control_plane(limited=limited), *map(kubelet_of, nodes))
    return Engine(
        Cluster(components=components, latencies=latencies or Latencies()),
        ApiServer(Machines.load(), options),
        runtime,
        store=store,
        now=now,
        choices=choices,
        tracer=tracer,
    )
