"""The world around a story's cluster: its cloud, and the clients of its Services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from immutables import Map

from k8sfsm.cloud.scripted import CloudLatencies, WithCloud
from k8sfsm.cloud.state import CLOUD, CloudEvent, Instance, State
from k8sfsm.controllers.attachdetach import AttachDetachController
from k8sfsm.controllers.cloudnode import OLD_LABELS, CloudNodeController
from k8sfsm.controllers.cloudnodelifecycle import CloudNodeLifecycleController
from k8sfsm.controllers.cloudroute import CloudRouteController
from k8sfsm.controllers.cloudservice import CloudServiceController
from k8sfsm.controllers.nodeipam import NodeIPAMController
from k8sfsm.controllers.volumeattacher import VolumeAttacher
from k8sfsm.engine.action import Action, Happen, Start, Stop
from k8sfsm.engine.cluster import Component, Controller
from k8sfsm.law import constant
from k8sfsm.network.traffic import Clients, Rate
from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.runtime import Runtime
from k8sfsm.objects import Node, NodeAddress, NodeCondition, evolve, parse_duration
from k8sfsm.scenario.model import Story
from k8sfsm.scenario.model_outside import CloudSetting, InstanceSetting

CLOUD_MANAGER: Final = "cloud-controller-manager"
_HAPPENS: Final = {"gone": "instance-gone", "shutdown": "instance-shut-down", "started": "instance-started"}


def runtime_of(story: Story, machines: Runtime) -> Runtime:
    """Who answers calls: the machines' container runtimes, and the cloud where there is one."""
    if story.cloud is None:
        return machines
    topics = {topic: parse_duration(getattr(story.cloud, topic)) for topic in ("balancers", "routes", "volumes")}
    return WithCloud(machines=machines, latencies=CloudLatencies(**topics))


def components_of(story: Story, start: int) -> tuple[Component, ...]:
    """Components beside the usual ones: clients where the story says what they ask, the cloud's controllers."""
    return (*_clients(story, start), *(_managers() if story.cloud is not None else ()))


def controllers_of(story: Story) -> tuple[Controller, ...]:
    """Controllers of the controller manager that only some stories need: for nodes that join later, for volumes."""
    networks = (NodeIPAMController(),) if any(node.joins for node in story.nodes) else ()
    return (*networks, *((AttachDetachController(),) if story.cloud is not None else ()))


def _clients(story: Story, start: int) -> tuple[Component, ...]:
    if not story.load:
        return ()
    rates = [
        Rate(start + each.due, ("Service", each.part.namespace or "default", each.part.service), each.part.rate)
        for each in story.load
    ]
    return (Component(name=Clients.name, controllers=(Clients(rates),)),)


def _managers() -> tuple[Component, ...]:
    controllers = (
        CloudNodeController(),
        CloudNodeLifecycleController(),
        CloudRouteController(),
        CloudServiceController(),
    )
    qps, burst = constant("manager_client_qps"), constant("manager_client_burst")
    return (
        Component(name=CLOUD_MANAGER, controllers=controllers, qps=qps, burst=burst, outside=CLOUD),
        Component(name=VolumeAttacher.name, controllers=(VolumeAttacher(),), outside=CLOUD),
    )


# -- the cloud --------------------------------------------------------------------------------------------------------


def cloud_at_start(story: Story) -> State:
    """The machines, and a route for every node that is registered."""
    state: State = Map()
    if story.cloud is None:
        return state
    for setting in _instances(story, story.cloud):
        state = state.set(("instance", setting.name), _instance(story.cloud, setting))
    return state


def _instances(story: Story, cloud: CloudSetting) -> tuple[InstanceSetting, ...]:
    if cloud.instances is not None:
        return cloud.instances
    return tuple(InstanceSetting(name=node.name, zone=node.zone) for node in story.nodes)


def _instance(cloud: CloudSetting, setting: InstanceSetting) -> Instance:
    given = (("InternalIP", setting.address), ("ExternalIP", setting.external))
    return Instance(
        name=setting.name,
        provider_id=f"{cloud.provider}://{setting.id or setting.name}",
        type=setting.type,
        zone=setting.zone,
        region=setting.region,
        addresses=tuple(NodeAddress(type=kind, address=address) for kind, address in given if address),
    )


def with_route(state: State, node: Node) -> State:
    """The cloud with the routes of a node that has long been there."""
    for cidr in node.spec.pod_cidrs:
        given = {"name": f"{node.metadata.name}/{cidr}", "node": node.metadata.name, "cidr": cidr}
        state = CloudEvent(at=0, kind="route-created", arguments=given).applied(state)
    return state


def known_to_cloud(state: State, node: Node, now: int) -> Node:
    """A node that has long been there, as the cloud's controllers have left it."""
    instance: Instance | None = state.get(("instance", node.metadata.name))
    if instance is None:
        return node
    told = (instance.zone, instance.region, instance.type)
    labels = {name: value for names, value in zip(OLD_LABELS, told, strict=True) if value for name in names}
    hostname = tuple(each for each in node.status.addresses if each.type == "Hostname")
    condition = NodeCondition(
        type="NetworkUnavailable",
        status="False",
        reason="RouteCreated",
        message="RouteController created a route",
        last_heartbeat_time=now,
        last_transition_time=now,
    )
    status = evolve(
        node.status,
        conditions=(condition, *node.status.conditions),
        addresses=(*instance.addresses, *hostname) if instance.addresses else node.status.addresses,
    )
    return evolve(
        node,
        metadata=evolve(node.metadata, labels={**node.metadata.labels, **labels}),
        spec=evolve(node.spec, provider_id=instance.provider_id),
        status=status,
    )


def cloud_actions(cloud: CloudSetting, start: int) -> Iterator[tuple[int, Action]]:
    """What happens in the cloud, and when (ns): outages, and machines that come and go with their kubelets."""
    for outage in cloud.outages:
        at = start + outage.at_
        given = {"topic": outage.calls, "until": at + outage.for_, "message": outage.message}
        yield at, Happen(CloudEvent(at=at, kind="outage", arguments=given))
    for machine in cloud.machines:
        at = start + machine.at_
        verb = next(each for each in _HAPPENS if getattr(machine, each))
        name = getattr(machine, verb)
        yield at, Happen(CloudEvent(at=at, kind=_HAPPENS[verb], arguments={"name": name}))
        kubelet = f"{Kubelet.name}/{name}"
        yield at, Start(kubelet) if verb == "started" else Stop(kubelet)
