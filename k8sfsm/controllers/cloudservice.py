"""The service controller: load balancers of the cloud for Services that ask for one.

Source: staging/src/k8s.io/cloud-provider/controllers/service/controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from k8sfsm.cloud.asking import Line, Standing
from k8sfsm.cloud.state import Balancer
from k8sfsm.controllers.cloudservice_changes import FINALIZER, Changed, change_message, law, wants
from k8sfsm.law import Decision, constant
from k8sfsm.objects import Node, Service, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Patch, Plan, Record, Remember, Step
from k8sfsm.view import Change, View

HOSTS: Final = "Hosts"
"""The kind of keys that ask for a look at the nodes of a Service's load balancer."""
EXCLUDED: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
SCALED_DOWN: Final = "ToBeDeletedByClusterAutoscaler"
_SEEN: Final = "seen"
_RETRY: Final = "retry"


@frozen
class Sync:
    """One look at a Service (None: it is gone) and its load balancer."""

    view: View
    service: Service | None
    line: Line

    @property
    def found(self) -> Service:
        """The Service, which is there."""
        assert self.service is not None
        return self.service

    @property
    def balancer(self) -> Balancer | None:
        """Its load balancer."""
        return None if self.service is None else self.line.state.get(("balancer", self.service.metadata.uid))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The nodes that load balancers send traffic to."""
        return tuple(node.metadata.name for node in self.view.list("Node") if is_host(node))


def is_host(node: Node) -> bool:
    """Whether load balancers send traffic to a node."""
    return bool(law.decide("host", node).outputs["host"])


@law.key
def balanced_services(change: Change, view: View) -> Iterable[Key]:
    """The Services with a load balancer, where the nodes that these send traffic to may have changed."""
    old, new = change.old, change.new
    if change.type == "MODIFIED" and old is not None and new is not None and _balanced_alike(old, new):
        return
    for service in view.list("Service"):
        if wants(service):
            yield (HOSTS, service.metadata.namespace, service.metadata.name)


def _balanced_alike(old: Node, new: Node) -> bool:
    """Source: shouldSyncUpdatedNode."""
    return (is_host(old), old.spec.provider_id) == (is_host(new), new.spec.provider_id)


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def node_leaving(node: Node) -> bool:
    """The Node is being deleted."""
    return node.metadata.deletion_timestamp is not None


@law.fact
def node_excluded(node: Node) -> bool:
    """A label keeps load balancers away."""
    return EXCLUDED in node.metadata.labels


@law.fact
def scaled_down(node: Node) -> bool:
    """The cluster autoscaler has marked it."""
    return any(each.key == SCALED_DOWN for each in node.spec.taints)


@law.fact
def service_found(case: Sync) -> bool:
    """The Service is there."""
    return case.service is not None


@law.fact
def balancer_call(case: Sync) -> Standing:
    """How far a call about the load balancer is."""
    return case.line.standing


@law.fact
def cleanup_needed(case: Sync | Changed) -> bool:
    """The Service has the finalizer, and is being deleted or has another type."""
    service = case.new if isinstance(case, Changed) else case.found
    if FINALIZER not in service.metadata.finalizers:
        return False
    return service.metadata.deletion_timestamp is not None or service.spec.type != "LoadBalancer"


@law.fact
def balanced_now(case: Sync | Changed) -> bool:
    """The Service wants a load balancer of the cloud."""
    return wants(case.new if isinstance(case, Changed) else case.found)


@law.fact
def balancer_there(case: Sync) -> bool:
    """The cloud has a load balancer for it."""
    return case.balancer is not None


@law.fact
def asked_for_this(case: Sync) -> bool:
    """What the cloud was asked for is what the Service still says."""
    asked = case.line.asked
    return asked is not None and asked.arguments.get("spec") == case.found.spec


@law.fact
def hosts_current(case: Sync) -> bool:
    """The load balancer knows the nodes."""
    return case.balancer is not None and case.balancer.hosts == case.hosts


@law.fact
def any_host(case: Sync) -> bool:
    """There is a node to send traffic to."""
    return bool(case.hosts)


# -- actions ----------------------------------------------------------------------------------------------------------


def _told(case: Sync, reason: str, message: str, *, warning: bool = False) -> Record:
    return Record(regarding=case.found, type="Warning" if warning else "Normal", reason=reason, message=message)


@law.action
def announce_ensuring(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that the cloud is asked."""
    yield _told(case, "EnsuringLoadBalancer", "Ensuring load balancer")


@law.action
def announce_no_hosts(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell where there is no node to send traffic to."""
    if not any_host(case):
        yield from announce_unavailable(case, decision)


@law.action
def announce_unavailable(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that there is no node to send traffic to."""
    yield _told(case, "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer", warning=True)
    yield case.line.hang_up()


@law.action
def announce_ensured(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that the load balancer is there."""
    yield _told(case, "EnsuredLoadBalancer", "Ensured load balancer")
    yield case.line.hang_up()


@law.action
def announce_deleting(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that the cloud is asked to delete it."""
    yield _told(case, "DeletingLoadBalancer", "Deleting load balancer")


@law.action
def announce_deleted(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that it is gone."""
    yield _told(case, "DeletedLoadBalancer", "Deleted load balancer")
    yield case.line.hang_up()


@law.action
def announce_failed(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell what the cloud has answered."""
    yield _told(case, "SyncLoadBalancerFailed", f"Error syncing load balancer: {failure(case)}", warning=True)
    yield case.line.hang_up()


def failure(case: Sync) -> str:
    """Why a call has failed."""
    asked, reply = case.line.asked, case.line.reply
    what = "delete" if asked is not None and asked.verb == "delete-balancer" else "ensure"
    return f"failed to {what} load balancer: {reply.message if reply is not None else ''}"


@law.action
def announce_updated(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that the load balancer knows the nodes."""
    yield _told(case, "UpdatedLoadBalancer", "Updated load balancer with new hosts")
    yield case.line.hang_up()


@law.action
def announce_update_failed(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell what the cloud has answered."""
    reply, names = case.line.reply, " ".join(f"{name}:{{}}" for name in sorted(case.hosts))
    text = f"Error updating load balancer with new hosts map[{names}]: {reply.message if reply is not None else ''}"
    yield _told(case, "UpdateLoadBalancerFailed", text, warning=True)
    yield case.line.hang_up()


def _finalizers(case: Sync, finalizers: Iterable[str]) -> Patch:
    body = {"metadata": {"finalizers": list(finalizers) or None}}
    return Patch(key=key_of(case.found), body=body, subresource="status")


@law.action
def add_finalizer(case: Sync, decision: Decision) -> Iterable[Step]:
    """Keep the Service until its load balancer is deleted."""
    held = case.found.metadata.finalizers
    if FINALIZER not in held:
        yield _finalizers(case, (*held, FINALIZER))


@law.action
def remove_finalizer(case: Sync, decision: Decision) -> Iterable[Step]:
    """Let the Service go."""
    yield _finalizers(case, (each for each in case.found.metadata.finalizers if each != FINALIZER))


@law.action
def ensure_balancer(case: Sync, decision: Decision) -> Iterable[Step]:
    """Ask the cloud for the load balancer that the Service describes."""
    uid = case.found.metadata.uid
    return case.line.ask("ensure-balancer", name=uid, hosts=case.hosts, spec=case.found.spec)


@law.action
def update_balancer(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell the cloud which nodes there are."""
    return case.line.ask("update-balancer", name=case.found.metadata.uid, hosts=case.hosts)


@law.action
def delete_balancer(case: Sync, decision: Decision) -> Iterable[Step]:
    """Ask the cloud to delete it."""
    return case.line.ask("delete-balancer", name=case.found.metadata.uid)


@law.action
def write_status(case: Sync, decision: Decision) -> Iterable[Step]:
    """Write the load balancer's address."""
    balancer, held = case.balancer, case.found.status.load_balancer.ingress
    if balancer is not None and tuple(each.ip for each in held) != (balancer.ip,):
        yield _status(case, [{"ip": balancer.ip}])


@law.action
def clear_status(case: Sync, decision: Decision) -> Iterable[Step]:
    """Take the address out of the status, unless the Service went with its finalizer."""
    deleted = case.found.metadata.deletion_timestamp is not None
    if case.found.status.load_balancer.ingress and not deleted:
        yield _status(case, None)


def _status(case: Sync, ingress: Any) -> Patch:
    return Patch(key=key_of(case.found), body={"status": {"loadBalancer": {"ingress": ingress}}}, subresource="status")


# -- the controller ---------------------------------------------------------------------------------------------------


class CloudServiceController:
    """Looks at Services, and at the nodes of their load balancers."""

    name = "service-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """A Service, or the nodes of its load balancer."""
        kind, namespace, name = key
        case = Sync(view, view.get("Service", namespace, name), Line(view, self.name, key))
        return _hosts(case) if kind == HOSTS else _service(case, key)


def _hosts(case: Sync) -> Plan:
    decision = law.decide("hosts", case)
    steps, ends = law.perform(decision, case), decision.outputs["ends"]
    if ends == "later":
        return Plan(steps=steps, requeue_after=int(constant("cloud_host_sync_period")) * SECOND)
    return Plan(steps=steps, unsettled=ends == "waiting")


def _service(case: Sync, key: Key) -> Plan:
    steps: list[Any] = []
    looks = case.line.standing != "none" or bool(case.view.memory.get((_RETRY, key)))
    if case.service is not None:
        changed = Changed(case.view.memory.get((_SEEN, key)), case.service)
        found = law.decide("change", changed)
        looks = looks or bool(found.outputs["looked_at"])
        steps.append(Remember(key=(_SEEN, key), value=case.service))
        if found.outputs["event"]:
            event = found.outputs["event"]
            steps.append(_told(case, event, change_message(changed, event)))
    if not looks:
        return Plan(steps=tuple(steps))
    decision = law.decide("sync", case)
    ends = decision.outputs["ends"]
    # A write that fails ends the steps: then, too, the Service is to be looked at again.
    steps += (Remember(key=(_RETRY, key), value=True), *law.perform(decision, case))
    if ends != "failed":
        steps.append(Remember(key=(_RETRY, key), value=None))
    error = failure(case) if ends == "failed" else ""
    return Plan(steps=tuple(steps), error=error, unsettled=ends == "waiting")
