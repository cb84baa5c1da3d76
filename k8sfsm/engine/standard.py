"""A cluster as it comes: the controller manager, the scheduler, a kubelet per node."""

from __future__ import annotations

from collections.abc import Iterable

from k8sfsm.apiserver import ApiServer, Options
from k8sfsm.controllers.clusterroleaggregation import ClusterRoleAggregationController
from k8sfsm.controllers.crdnames import CrdController
from k8sfsm.controllers.deployment import DeploymentController
from k8sfsm.controllers.disruption import DisruptionController
from k8sfsm.controllers.endpoints import EndpointController
from k8sfsm.controllers.endpointslice import EndpointSliceController
from k8sfsm.controllers.endpointslicemirroring import EndpointSliceMirroringController
from k8sfsm.controllers.eventexpiry import EventExpiry
from k8sfsm.controllers.garbagecollector import GarbageCollector
from k8sfsm.controllers.namespace import NamespaceController
from k8sfsm.controllers.nodelifecycle import NodeLifecycleController, known_nodes
from k8sfsm.controllers.podgc import PodGarbageCollector
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.controllers.replicationcontroller import ReplicationController
from k8sfsm.controllers.resourcequota import ResourceQuotaController
from k8sfsm.controllers.serviceaccount import ServiceAccountController
from k8sfsm.controllers.serviceaccounttoken import TokenController
from k8sfsm.controllers.tainteviction import TaintEvictionController
from k8sfsm.engine.choices import Choices
from k8sfsm.engine.cluster import API_SERVER, MANAGER, SCHEDULER, Cluster, Component, Controller, Latencies
from k8sfsm.engine.engine import Engine, Tracer
from k8sfsm.law import constant
from k8sfsm.machine import Machines
from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.registration import STARTED
from k8sfsm.node.runtime import Runtime
from k8sfsm.node.session import Settings
from k8sfsm.objects import Node, evolve
from k8sfsm.request import Remember
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
        EndpointSliceMirroringController(),
        ServiceAccountController(),
        NamespaceController(),
        GarbageCollector(),
        NodeLifecycleController(),
        TaintEvictionController(),
        PodGarbageCollector(),
        DisruptionController(),
        ResourceQuotaController(),
        ClusterRoleAggregationController(),
        TokenController(),
        CrdController(),
    )


def control_plane(
    *,
    limited: bool = True,
    scheduler: Scheduler | None = None,
    instead: tuple[Controller, ...] = (),
    besides: tuple[Controller, ...] = (),
    without: tuple[str, ...] = (),
) -> tuple[Component, ...]:
    """The controller manager and the scheduler. `limited`: with their clients' default rate limits.

    `scheduler`, and the controllers of `instead`, take the places of the standard ones of their names; those called
    as in `without` are left out. `besides`: controllers of the controller manager that not every cluster has.
    """
    others = {controller.name: controller for controller in instead}
    manager = Component(
        name=MANAGER,
        controllers=(
            *(others.get(each.name, each) for each in manager_controllers() if each.name not in without),
            *besides,
        ),
        qps=constant("manager_client_qps") if limited else 0,
        burst=constant("manager_client_burst") if limited else 0,
    )
    placing = Component(
        name=SCHEDULER,
        controllers=(scheduler or Scheduler(),),
        qps=constant("scheduler_client_qps") if limited else 0,
        burst=constant("scheduler_client_burst") if limited else 0,
    )
    return manager, placing


def kubelet_of(node: str, settings: Settings | None = None) -> Component:
    """The kubelet of a node. `settings` of another node serve as a pattern."""
    own = evolve(settings, node=node) if settings is not None else None
    return Component(
        name=f"kubelet/{node}",
        controllers=(Kubelet(node, own),),
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
    kubelets: Settings | None = None,
    scheduler: Scheduler | None = None,
    instead: tuple[Controller, ...] = (),
    besides: tuple[Controller, ...] = (),
    others: tuple[Component, ...] = (),
    without: tuple[str, ...] = (),
) -> Engine:
    """An engine with a control plane and a kubelet for each of `nodes`. `now`: ns; `store`: what exists at the start.

    `kubelets`: the pattern of the kubelets' settings. `scheduler`, `instead`, `besides`, `without`: see
    `control_plane`. `others`: further components. Nodes that exist at the start are nothing new to anybody.
    """
    components = (
        *control_plane(limited=limited, scheduler=scheduler, instead=instead, besides=besides, without=without),
        Component(name=API_SERVER, controllers=(EventExpiry(),)),
        *(kubelet_of(node, kubelets) for node in nodes),
        *others,
    )
    engine = Engine(
        Cluster(components=components, latencies=latencies or Latencies()),
        ApiServer(Machines.load(), options),
        runtime,
        store=store,
        now=now,
        choices=choices,
        tracer=tracer,
    )
    _settle(engine)
    return engine


def _settle(engine: Engine) -> None:
    """Let controllers and kubelets know the nodes that exist: they have seen them come."""
    nodes: tuple[Node, ...] = tuple(engine.store.snapshot.series("in", "Node", ""))
    if not nodes:
        return
    for step in known_nodes(nodes) if NodeLifecycleController.name in engine.actors else ():
        engine.own(NodeLifecycleController.name).remember(step)
    for node in nodes:
        kubelet = f"{Kubelet.name}/{node.metadata.name}"
        if kubelet in engine.actors:
            engine.own(kubelet).remember(Remember(key=STARTED, value=True))
