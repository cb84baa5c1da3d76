"""A cloud that does what a scenario says: how long its calls take, and when they fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

from k8sfsm.cloud.state import CLOUD, CloudEvent, State, Topic, outage
from k8sfsm.node.runtime import Runtime
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Call

VERBS: Final[Mapping[str, tuple[Topic, str]]] = {
    "ensure-balancer": ("balancers", "balancer-ensured"),
    "update-balancer": ("balancers", "balancer-ensured"),
    "delete-balancer": ("balancers", "balancer-deleted"),
    "create-route": ("routes", "route-created"),
    "delete-route": ("routes", "route-deleted"),
    "attach-volume": ("volumes", "volume-attached"),
    "detach-volume": ("volumes", "volume-detached"),
}
"""What a call is about, and what a good one changes."""


@frozen(kw_only=True)
class CloudLatencies:
    """How long calls take, by topic (ns)."""

    balancers: int = 20 * SECOND
    routes: int = SECOND
    volumes: int = 2 * SECOND


@frozen(kw_only=True)
class WithCloud:
    """Answers calls to the cloud; those of kubelets go to the `machines`."""

    machines: Runtime
    latencies: CloudLatencies = field(factory=CloudLatencies)

    def answer(self, call: Call, now: int, state: State) -> Iterable[Any]:
        """The facts that follow from `call`."""
        return self._answer(call, now, state) if call.node == CLOUD else self.machines.answer(call, now, state)

    def _answer(self, call: Call, now: int, state: State) -> Iterator[tuple[int, CloudEvent]]:
        topic, kind = VERBS[call.verb]
        due = now + int(getattr(self.latencies, topic))
        message = outage(state, topic, now) or outage(state, call.verb, now)
        yield (
            due,
            CloudEvent(
                at=due,
                kind="refused" if message else kind,
                arguments=call.arguments["given"],
                actor=call.uid,
                pod=call.pod,
                asked=call.arguments["asked"],
                ok=not message,
                message=message,
            ),
        )
