"""The Endpoints controller: one Endpoints object for each Service with a selector.

Source: pkg/controller/endpoint/endpoints_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final, Literal

from attrs import frozen

from k8sfsm.controllers.endpoints_members import Members
from k8sfsm.controllers.endpoints_pods import is_headless, services_of_pod
from k8sfsm.controllers.endpoints_service import ask_about_services
from k8sfsm.controllers.endpoints_subsets import Load, Offer, capacity, law, repack, truncate, within_capacity
from k8sfsm.controllers.endpoints_trigger import ReadinessTimes, Seen, annotated, trigger_time
from k8sfsm.controllers.following import Memo, pods_of
from k8sfsm.law import Decision
from k8sfsm.objects import EndpointAddress, Endpoints, EndpointSubset, ObjectMeta, Service, evolve
from k8sfsm.request import DONE, Create, Delete, Key, Outcome, Plan, Record, Remember, Step, Update
from k8sfsm.value import value
from k8sfsm.view import Change, View

MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"
HEADLESS: Final = "service.kubernetes.io/headless"
OVER_CAPACITY: Final = "endpoints.kubernetes.io/over-capacity"
LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
NAME: Final = "endpoint-controller"

law.key(services_of_pod)
ask_about_services(law)


@value
class Sync:
    """The case of `sync`: a key of the queue and the Service that it names."""

    key: Key
    service: Service | None


@frozen(slots=False)
class Writing:
    """The case of `write`: what is stored for a Service, and what it should be."""

    service: Service
    stored: Endpoints | None
    offers: tuple[Offer, ...]
    time: int | None
    replaced: str

    @cached_property
    def wanted(self) -> Endpoints:
        """The object to write."""
        meta = self.service.metadata
        subsets, truncated = truncate(self.offers)
        stored = self.stored or Endpoints(metadata=ObjectMeta(name=meta.name, namespace=meta.namespace))
        annotations = annotated(stored.metadata.annotations, self.time)
        annotations.pop(OVER_CAPACITY, None)
        if truncated:
            annotations[OVER_CAPACITY] = "truncated"
        labels = {name: value for name, value in meta.labels.items() if name != HEADLESS}
        if is_headless(self.service):
            labels[HEADLESS] = ""
        labels[MANAGED_BY] = NAME
        return evolve(stored, metadata=evolve(stored.metadata, labels=labels, annotations=annotations), subsets=subsets)


@value
class Deletion:
    """The case of `deletion`: the answer to deleting the Endpoints of a Service that is gone."""

    key: Key
    outcome: Outcome


@value
class Answer:
    """The case of `answer`: the answer to a write."""

    writing: Writing
    outcome: Outcome


@value
class EndpointsEvent:
    """The case of `endpoints-event`: a change of an Endpoints object."""

    change: Change


def _seen_key(key: Key) -> tuple[str, str, str]:
    return ("trigger", key[1], key[2])


def _replaced_key(key: Key) -> tuple[str, str, str]:
    return ("replaced", key[1], key[2])


# -- facts: write ----------------------------------------------------------------------------------------------------


@law.fact
def endpoints_exist(writing: Writing) -> bool:
    """There is an Endpoints object."""
    return writing.stored is not None


@law.fact
def stale(writing: Writing) -> bool:
    """The cache still shows the version that this controller has replaced."""
    return writing.stored is not None and writing.replaced == writing.stored.metadata.resource_version


@law.fact
def subsets_equal(writing: Writing) -> bool:
    """The stored subsets are the wanted ones, as they are or repacked; pods' resourceVersions do not count."""
    if writing.stored is None:
        return False
    stored, wanted = writing.stored.subsets, tuple([offer.subset for offer in writing.offers])
    alike = [(offer.ready, offer.unready) for offer in map(Offer.of, stored)] == [
        (offer.ready, offer.unready) for offer in writing.offers
    ]  # subsets of other sizes cannot be equal
    if alike and (stored == wanted or _without_versions(stored) == wanted):
        return True
    load = Load.of(stored)
    most = max((offer.ready + offer.unready for offer in writing.offers), default=0)
    # Repacking spreads addresses but makes none: a wanted subset with more of them than are stored cannot come of it.
    return most <= load.ready + load.unready and _without_versions(repack(stored)) == wanted


def _without_versions(subsets: tuple[EndpointSubset, ...]) -> tuple[EndpointSubset, ...]:
    listed = (address for s in subsets for part in (s.addresses, s.not_ready_addresses) for address in part)
    if not any(address.target_ref is not None and address.target_ref.resource_version for address in listed):
        return subsets
    return tuple(
        evolve(
            subset,
            addresses=tuple(map(_without_version, subset.addresses)),
            not_ready_addresses=tuple(map(_without_version, subset.not_ready_addresses)),
        )
        for subset in subsets
    )


def _without_version(address: EndpointAddress) -> EndpointAddress:
    if address.target_ref is None:
        return address
    return evolve(address, target_ref=evolve(address.target_ref, resource_version=""))


@law.fact
def labels_right(writing: Writing) -> bool:
    """The stored labels are the Service's and the controller's mark; the headless label is not looked at."""
    if writing.stored is None:
        return False
    return _compared(writing.stored.metadata.labels) == {**_compared(writing.service.metadata.labels), MANAGED_BY: NAME}


def _compared(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != HEADLESS}


@law.fact
def annotation_right(writing: Writing) -> bool:
    """What is stored is within the capacity and not marked as truncated."""
    if writing.stored is None:
        return False
    return _fits(writing.stored) and OVER_CAPACITY not in writing.stored.metadata.annotations


# -- facts: answers --------------------------------------------------------------------------------------------------


@law.fact
def succeeded(case: Deletion | Answer) -> bool:
    """The API server accepted the write."""
    return case.outcome.ok


@law.fact
def code(case: Deletion | Answer) -> int:
    """The HTTP status of the answer."""
    return case.outcome.code


@law.fact
def creating(answer: Answer) -> bool:
    """The write was a creation."""
    return answer.writing.stored is None


@law.fact
def namespace_ending(answer: Answer) -> bool:
    """The write was refused because its namespace is being deleted."""
    return namespace_is_ending(answer.outcome)


def namespace_is_ending(outcome: Outcome) -> bool:
    """Was a creation refused because its namespace is being deleted?"""
    return outcome.code == 403 and "because it is being terminated" in outcome.message


@law.fact
def version_moved(answer: Answer) -> bool:
    """The update made a new version; a write that changes nothing does not."""
    stored, written = answer.writing.stored, answer.outcome.object
    if stored is None or written is None:
        return False
    return bool(written.metadata.resource_version != stored.metadata.resource_version)


# -- facts: watch ----------------------------------------------------------------------------------------------------


@law.fact
def event(case: EndpointsEvent) -> Literal["ADDED", "MODIFIED", "DELETED"]:
    """What the watch says happened."""
    return case.change.type


@law.fact
def listed(case: EndpointsEvent) -> bool:
    """The object was there when the controller started, and did not come to be just now."""
    return bool(str(case.change.revision) != case.change.new.metadata.resource_version)


@law.fact
def elects_leader(case: EndpointsEvent) -> bool:
    """The object serves the election of a leader."""
    return LEADER in case.change.new.metadata.annotations


# -- actions ---------------------------------------------------------------------------------------------------------


@law.action
def delete_endpoints(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Delete the Endpoints of the Service's name, whether there are any or not."""
    return (Delete(key=("Endpoints", sync.key[1], sync.key[2])),)


@law.action
def forget_service(case: Deletion, decision: Decision) -> Iterable[Step]:
    """Forget what is remembered of the Service."""
    return (Remember(key=_seen_key(case.key), value=None), Remember(key=_replaced_key(case.key), value=None))


@law.action
def create_endpoints(writing: Writing, decision: Decision) -> Iterable[Step]:
    """Create the wanted Endpoints."""
    return (Create(object=writing.wanted),)


@law.action
def update_endpoints(writing: Writing, decision: Decision) -> Iterable[Step]:
    """Replace the stored Endpoints by the wanted ones."""
    return (Update(object=writing.wanted),)


@law.action
def remember_replaced(answer: Answer, decision: Decision) -> Iterable[Step]:
    """Remember the version that was replaced: seeing it again means that the cache is old."""
    stored = answer.writing.stored
    assert stored is not None
    meta = stored.metadata
    key = _replaced_key(("Service", meta.namespace, meta.name))
    return (Remember(key=key, value=meta.resource_version),)


@law.action
def record_failed_create(answer: Answer, decision: Decision) -> Iterable[Step]:
    """Event FailedToCreateEndpoint."""
    return (_failure(answer, "FailedToCreateEndpoint", "Failed to create endpoint for service"),)


@law.action
def record_failed_update(answer: Answer, decision: Decision) -> Iterable[Step]:
    """Event FailedToUpdateEndpoint."""
    return (_failure(answer, "FailedToUpdateEndpoint", "Failed to update endpoint"),)


def _failure(answer: Answer, reason: str, text: str) -> Record:
    meta = answer.writing.service.metadata
    message = f"{text} {meta.namespace}/{meta.name}: {answer.outcome.message}"
    return Record(regarding=answer.writing.wanted, type="Warning", reason=reason, message=message)


# -- keys ------------------------------------------------------------------------------------------------------------


@law.key
def service_of_endpoints(change: Change, view: View) -> tuple[Key, ...]:
    """The Service of the same name, where the table `endpoints-event` says so."""
    if not law.decide("endpoints-event", EndpointsEvent(change)).outputs["queue"]:
        return ()
    return (("Service", change.key[1], change.key[2]),)


# -- the controller --------------------------------------------------------------------------------------------------


class _Followed:
    """What is computed once for a version of a Service."""

    def __init__(self, service: Service) -> None:
        self.members = Members(service)
        self.times = ReadinessTimes(service)


class EndpointController:
    """Reconciles Services: keys are ("Service", namespace, name)."""

    name = NAME
    law = law

    def __init__(self) -> None:
        self._followed: Memo[_Followed] = Memo(1024)

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about the Endpoints of one Service."""
        service: Service | None = view.get("Service", key[1], key[2])
        sync = Sync(key, service)
        decision = law.decide("sync", sync)
        if decision.outputs["publish"] and service is not None:
            return self._publish(view, key, service)
        steps = law.perform(decision, sync)
        return Plan(steps=steps, then=lambda outcomes: _after_deletion(key, outcomes)) if steps else DONE

    def _publish(self, view: View, key: Key, service: Service) -> Plan:
        followed = self._followed.of(service, _Followed)
        listed = pods_of(view, key[1])
        before: Seen | None = view.memory.get(_seen_key(key))
        time, remember = trigger_time(followed.times.look(listed, before), _seen_key(key))
        stored = view.get("Endpoints", key[1], key[2])
        # Nobody looks at more addresses than there is room for, unless somebody else has stored more to compare with.
        most = capacity() if stored is None or _fits(stored) else None
        writing = Writing(
            service=service,
            stored=stored,
            offers=followed.members.subsets(listed, most),
            time=time,
            replaced=view.memory.get(_replaced_key(key), ""),
        )
        decision = law.decide("write", writing)
        if decision.outputs["error"]:
            return Plan(steps=remember, error=_stale_text(writing))
        writes = law.perform(decision, writing)
        if not writes:
            return Plan(steps=remember)
        return Plan(steps=(*remember, *writes), then=lambda outcomes: _after_write(writing, outcomes))


def _fits(endpoints: Endpoints) -> bool:
    return within_capacity(Load.of(endpoints.subsets))


def _stale_text(writing: Writing) -> str:
    meta = writing.service.metadata
    return (
        f"endpoints informer cache is out of date, resource version {writing.replaced} already processed"
        f" for endpoints {meta.namespace}/{meta.name}"
    )


def _after_deletion(key: Key, outcomes: tuple[Outcome, ...]) -> Plan:
    case = Deletion(key, outcomes[-1])
    decision = law.decide("deletion", case)
    error = case.outcome.message if decision.outputs["failed"] else ""
    return Plan(steps=law.perform(decision, case), error=error)


def _after_write(writing: Writing, outcomes: tuple[Outcome, ...]) -> Plan:
    answer = Answer(writing, outcomes[-1])
    decision = law.decide("answer", answer)
    error = answer.outcome.message if decision.outputs["failed"] else ""
    return Plan(steps=law.perform(decision, answer), error=error)
