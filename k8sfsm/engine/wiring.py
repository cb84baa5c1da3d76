"""From a controller's spec to what the engine needs to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import evolve

from k8sfsm.apiserver import Sender
from k8sfsm.apiserver.rbac.users import account_of, is_component
from k8sfsm.engine.cluster import Component, Controller, EventSource, Watch, Wiring
from k8sfsm.engine.queue import QueueSettings
from k8sfsm.objects.durations import MILLISECOND, SECOND


def wire(component: Component) -> tuple[Wiring, ...]:
    """The wirings of a component's controllers. Raises SpecError or LawError where a spec is wrong."""
    return tuple(_wiring(component, controller) for controller in component.controllers)


def _wiring(component: Component, controller: Controller) -> Wiring:
    spec = controller.law.controller()
    queue = spec.queue
    settings = QueueSettings(
        workers=queue.workers,
        base_delay=round(queue.base_delay_ms * MILLISECOND),
        max_delay=round(queue.max_delay_s * SECOND),
        max_retries=queue.max_retries,
        retry_qps=queue.retry_qps,
        retry_burst=queue.retry_burst,
    )
    name = f"{controller.name}/{component.node}" if component.node else controller.name
    actor = getattr(controller, "acts_as", controller.name)
    return Wiring(
        actor=name,
        controller=controller,
        component=component,
        sender=evolve(sender_of(controller.name, component.node), actor=actor),
        source=EventSource(event_component(controller.name), component.node),
        settings=settings,
        watches=_watches(controller, spec.watches),
        observe=getattr(controller, "observe", None),
        first_keys=getattr(controller, "first_keys", ()),
        rank=getattr(controller, "rank", None),
    )


def sender_of(actor: str, node: str = "") -> Sender:
    """Who an actor is to the API server. A controller that Kubernetes does not have needs no role."""
    return Sender(actor=actor, account=account_of(actor, node), node=node, trusted=not is_component(actor))


def _watches(controller: Controller, declared: Iterable[Any]) -> tuple[Watch, ...]:
    """One entry per kind, with the keys of all its rows joined."""
    functions: dict[str, list[Callable[..., Iterable[Any]]]] = {}
    for watch in declared:
        functions.setdefault(watch.kind, []).append(controller.law.function("key", watch.key))
    return tuple(Watch(kind=kind, keys=_joined(tuple(found))) for kind, found in functions.items())


def _joined(functions: tuple[Callable[..., Iterable[Any]], ...]) -> Callable[..., Iterable[Any]]:
    if len(functions) == 1:
        return functions[0]

    def keys(change: Any, view: Any) -> Iterable[Any]:
        for function in functions:
            yield from function(change, view)

    return keys


def event_component(actor: str) -> str:
    """The component that an actor's Events name as their source.

    Source: pkg/controller/endpointslice/endpointslice_controller.go: NewController; the others' constructors
    """
    return EVENT_COMPONENTS.get(actor, actor)


EVENT_COMPONENTS: Final = {
    "disruption-controller": "controllermanager",
    "route-controller": "route_controller",
    "kube-scheduler": "default-scheduler",
    "endpointslice-controller": "endpoint-slice-controller",
    "endpointslicemirroring-controller": "endpoint-slice-mirroring-controller",
    "garbage-collector": "garbage-collector-controller",
}
"""Actor -> the component that its Events name, where that is another word."""
