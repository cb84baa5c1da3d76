"""The ReplicaSet controller: keeps as many active Pods as wanted.

A sync claims Pods, creates or deletes some, writes the status, in this order; each part goes on when the answers of
the one before are known. The status tells what the sync saw, not what it did.

Source: pkg/controller/replicaset/replica_set.go
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from k8sfsm.controllers import expectations as awaited
from k8sfsm.controllers import replicaset_events as events
from k8sfsm.controllers.claim import Claimant, Claimed, claim
from k8sfsm.controllers.replicaset_answers import Answers, Creations, PodAnswer, first_error
from k8sfsm.controllers.replicaset_flavour import REPLICA_SETS, Flavour
from k8sfsm.controllers.replicaset_pods import by_role, candidates_of, traits_of_pods
from k8sfsm.controllers.replicaset_rank import pods_to_delete, related_by_node
from k8sfsm.controllers.replicaset_status import Report, StatusAnswer, next_availability
from k8sfsm.controllers.selector import Matcher, SelectorError, matcher
from k8sfsm.law import Decision, Law, constant
from k8sfsm.objects import ObjectMeta, OwnerReference, Pod, controller_of, evolve, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Key, Outcome, Parallel, Plan, Remember, Step, Write
from k8sfsm.store import Change
from k8sfsm.value import value
from k8sfsm.view import View

law: Final = Law("replicaset")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME: Final = 253
_WRITES: Final = (Create, Delete)


@value
class Sync:
    """One sync of one owner: what it sees, and what it has come to so far.

    `matches` is None for a selector that cannot be read; `written` is what the sync has written so far.
    """

    flavour: Flavour
    view: View
    key: Key
    owner: Any
    matches: Matcher | None
    expectations_met: bool
    cache_ready: bool
    active: Sequence[Pod] = ()
    terminating: Sequence[Pod] = ()
    claim_error: str = ""
    written: awaited.Written | None = None

    @classmethod
    def of(cls, flavour: Flavour, view: View, key: Key) -> Sync:
        """A sync at its start. Expectations are looked at before Pods are."""
        owner = view.get(*key)
        met = awaited.Expectations.of(view.memory, key, view.now).met
        ready = awaited.law.decide("consistency", awaited.Consistency.of(view, key)).outputs["ready"]
        return cls(flavour, view, key, owner, _matches(flavour, owner), met, bool(ready))

    @property
    def surplus(self) -> int:
        """Active Pods beyond the wanted number; negative when Pods are missing."""
        return len(self.active) - self.flavour.replicas(self.owner)


def _matches(flavour: Flavour, owner: Any) -> Matcher | None:
    try:
        return None if owner is None else matcher(flavour.selector(owner))
    except SelectorError:
        return None


@law.fact
def cache_ready(case: Sync) -> bool:
    """The cache has everything that the controller wrote for this owner."""
    return case.cache_ready


@law.fact
def exists(case: Sync) -> bool:
    """The owner is in the cache."""
    return case.owner is not None


@law.fact
def selector_valid(case: Sync) -> bool:
    """The owner's selector can be read."""
    return case.matches is not None


@law.fact
def claim_failed(case: Sync) -> bool:
    """An adoption or a release failed."""
    return case.claim_error != ""


@law.fact
def expectations_met(case: Sync) -> bool:
    """The creations and deletions of earlier syncs are seen, or expired."""
    return case.expectations_met


@law.fact
def deleting(case: Sync) -> bool:
    """The owner is being deleted."""
    return case.owner.metadata.deletion_timestamp is not None


@law.fact
def surplus(case: Sync | Report) -> int:
    """Active Pods beyond the wanted number; negative when Pods are missing."""
    return case.surplus


@law.fact
def template_labelled(case: Sync) -> bool:
    """The template gives Pods labels."""
    return bool(case.flavour.template(case.owner).metadata.labels)


def _missing(case: Sync) -> int:
    return min(-case.surplus, int(constant("burst_replicas")))


@law.action
def expect_creations(case: Sync, decision: Decision) -> Iterable[Remember]:
    """Await the creations, before any is sent."""
    return awaited.expect_creations(case.key, _missing(case), case.view.now)


@law.action
def create_pods(case: Sync, decision: Decision) -> Iterable[Create]:
    """Create the missing Pods, at most as many as a burst allows."""
    return [Create(object=pod_from_template(case.flavour, case.owner))] * _missing(case)


@law.action
def delete_first_ranked_pods(case: Sync, decision: Decision) -> Iterator[Remember | Delete]:
    """Await the deletion of the surplus Pods that rank first, then delete them; at most as many as a burst allows."""
    number = min(case.surplus, constant("burst_replicas"))
    pods = pods_to_delete(case.view.by_chance(case.active), _related(case), number, case.view.now)
    yield from awaited.expect_deletions(case.key, map(awaited.pod_key, pods), case.view.now)
    for pod in pods:
        yield Delete(key=key_of(pod))


def _related(case: Sync) -> Any:
    """Active Pods by node of all owners that the owner's controller has; none for an owner without controller.

    Source: pkg/controller/replicaset/replica_set.go: getReplicaSetsWithSameController, getIndirectlyRelatedPods
    """
    controller = controller_of(case.owner)
    siblings = () if controller is None else case.view.owned(case.flavour.kind, controller.uid)
    selectors = [matches for matches in (_matches(case.flavour, sibling) for sibling in siblings) if matches]
    namespace = case.owner.metadata.namespace
    return related_by_node(case.view.list("Pod", namespace) if selectors else (), selectors)


def pod_from_template(flavour: Flavour, owner: Any) -> Pod:
    """A Pod as `owner` creates it; the API server makes its name.

    Source: pkg/controller/controller_utils.go: GetPodFromTemplate, getPodsPrefix
    """
    template = flavour.template(owner)
    reference = OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
    metadata = ObjectMeta(
        generate_name=_prefix(owner.metadata.name),
        namespace=owner.metadata.namespace,
        labels=template.metadata.labels,
        annotations=template.metadata.annotations,
        finalizers=template.metadata.finalizers,
        owner_references=(reference,),
    )
    return Pod(metadata=metadata, spec=template.spec)


def _prefix(name: str) -> str:
    """The name with a dash, unless no Pod name could begin so.

    Upstream tests the prefix with one letter in place of the dash and of the letter before it.
    """
    masked = f"{name[:-1]}a"
    valid = len(masked) <= _LONGEST_NAME and _SUBDOMAIN.fullmatch(masked)
    return f"{name}-" if valid else name


def _before(steps: Iterable[Step | Parallel], plan: Plan) -> Plan:
    """The plan with steps that come first."""
    return evolve(plan, steps=(*steps, *plan.steps))


class ReplicaSetController:
    """Reconciles ReplicaSets; with another `flavour`, ReplicationControllers."""

    name = "replicaset-controller"
    law = law
    flavour: Flavour = REPLICA_SETS

    def reconcile(self, view: View, key: Key) -> Plan:
        """The plan of one sync of `key`.

        Source: pkg/controller/replicaset/replica_set.go: syncReplicaSet
        """
        sync = Sync.of(self.flavour, view, key)
        consistency = awaited.Consistency.of(view, key)
        caught_up = awaited.law.decide("consistency", consistency).outputs["forget"]
        forget = awaited.forget_written(key) if caught_up else ()
        decision = law.decide("sync", sync)
        steps = (*forget, *law.perform(decision, sync))
        if not decision.outputs["goes_on"]:
            return Plan(steps=steps, error=decision.outputs["error"].format(lag=consistency.behind()[1]))
        owner, matches = sync.owner, sync.matches
        assert matches is not None
        roles = by_role(candidates_of(view, owner))
        sync = evolve(sync, terminating=roles["terminating"])
        claimant = Claimant(owner, matches)
        plan = claim(claimant, roles["active"], lambda claimed: self._manage(sync, claimed), traits_of_pods)
        return _before(steps, plan)

    def observe(self, change: Change, view: View) -> Iterable[Remember]:
        """What a watch event changes in the controller's memory."""
        return events.observe(self.flavour, change, view)

    def _manage(self, sync: Sync, claimed: Claimed) -> Plan:
        """Create or delete Pods.

        Source: pkg/controller/replicaset/replica_set.go: manageReplicas
        """
        sync = evolve(sync, active=claimed.objects, claim_error=claimed.error)
        sync, remember = self._written(sync, claimed.outcomes)
        decision = law.decide("manage", sync)
        error = decision.outputs["error"].format(claim=sync.claim_error)
        orders = law.perform(decision, sync)
        memory = [step for step in orders if isinstance(step, Remember)]
        writes = tuple([step for step in orders if isinstance(step, _WRITES)])
        steps = (*remember, *memory)
        match decision.outputs["sends"]:
            case "slowly":
                plan = self._create(sync, writes, ())
            case "together":
                plan = Plan(steps=(Parallel(writes=writes),), then=lambda outcomes: self._deleted(sync, outcomes))
            case _:
                plan = self._report(sync, error) if decision.outputs["reports"] else Plan(error=error)
        return _before(steps, plan)

    def _create(self, sync: Sync, writes: tuple[Write, ...], answered: Answers) -> Plan:
        unsent = Parallel(writes=writes[len(answered) :], slow_start=True)
        return Plan(steps=(unsent,), then=lambda outcomes: self._created(sync, writes, answered, outcomes))

    def _created(self, sync: Sync, writes: tuple[Write, ...], before: Answers, outcomes: tuple[Outcome, ...]) -> Plan:
        """Go on after creations. What was refused or never sent is not awaited.

        Source: pkg/controller/replicaset/replica_set.go: manageReplicas, slowStartBatch
        """
        sync, remember = self._written(sync, outcomes)
        records, decisions = self._judge("creation-answer", sync, outcomes)
        answered = (*before, *zip(outcomes, decisions, strict=True))
        error = first_error(answered)
        more = law.decide("slow-start", Creations(error, len(writes) - len(answered)))
        if more.outputs["goes_on"]:
            return _before((*records, *remember), self._create(sync, writes, answered))
        successes = len([decision for _, decision in answered if decision.outputs["success"]])
        given_up = awaited.give_up(sync.key, creations=len(writes) - successes)
        return _before((*records, *remember, *given_up), self._report(sync, error))

    def _deleted(self, sync: Sync, outcomes: tuple[Outcome, ...]) -> Plan:
        """Go on after deletions. What was refused is not awaited."""
        records, decisions = self._judge("deletion-answer", sync, outcomes)
        answered = tuple(zip(outcomes, decisions, strict=True))
        refused = [
            f"{outcome.request.key[1]}/{outcome.request.key[2]}"
            for outcome, decision in answered
            if isinstance(outcome.request, Delete) and not decision.outputs["awaited"]
        ]
        given_up = awaited.give_up(sync.key, deletions=refused)
        return _before((*records, *given_up), self._report(sync, first_error(answered)))

    def _judge(
        self, table: str, sync: Sync, outcomes: tuple[Outcome, ...]
    ) -> tuple[tuple[Step | Parallel, ...], tuple[Decision, ...]]:
        """What the answers mean, and the events to record about them. Answers that say the same mean the same."""
        known: dict[tuple[int, str], Decision] = {}
        steps: list[Step | Parallel] = []
        decisions: list[Decision] = []
        for outcome in outcomes:
            case, said = PodAnswer(sync.owner, outcome), (outcome.code, outcome.message)
            decision = known.get(said)
            if decision is None:
                decision = known[said] = law.decide(table, case)
            decisions.append(decision)
            steps += law.perform(decision, case)
        return tuple(steps), tuple(decisions)

    def _report(self, sync: Sync, error: str) -> Plan:
        """Write the status where it changed."""
        assert sync.matches is not None
        report = Report.of(sync.owner, self.flavour, sync.matches, sync.active, sync.terminating, error, sync.view.now)
        steps = law.perform(law.decide("status-write", report), report)
        retries = constant("replicaset_status_retries")
        if not steps:
            return self._end(report)
        return Plan(steps=steps, then=lambda outcomes: self._reported(sync, report, outcomes, retries))

    def _reported(self, sync: Sync, report: Report, outcomes: tuple[Outcome, ...], retries: int) -> Plan:
        sync, remember = self._written(sync, outcomes)
        answer = StatusAnswer(report, outcomes[-1], retries)
        decision = law.decide("status-answer", answer)
        again = law.perform(decision, answer)
        if again:
            return Plan(steps=again, then=lambda later: self._reported(sync, report, later, retries - 1))
        if decision.outputs["written"]:
            return _before(remember, self._end(report))
        return Plan(error=decision.outputs["error"].format(message=answer.outcome.message or answer.outcome.reason))

    def _end(self, report: Report) -> Plan:
        """End the sync."""
        outputs = law.decide("requeue", report).outputs
        waits: dict[str, Callable[[Report], int | None]] = {
            "never": lambda _: None,
            "next_pod": next_availability,
            "min_ready": lambda report: int(report.owner.spec.min_ready_seconds) * SECOND,
        }
        return Plan(
            error=outputs["error"].format(manage=report.manage_error), requeue_after=waits[outputs["after"]](report)
        )

    def _written(self, sync: Sync, outcomes: tuple[Outcome, ...]) -> tuple[Sync, tuple[Remember, ...]]:
        """Remember what was written, for the next sync to wait for."""
        new = [outcome for outcome in outcomes if outcome.ok and not isinstance(outcome.request, Delete)]
        if not (new and self.flavour.guards_cache):
            return sync, ()
        written = awaited.remember_written(sync.written, sync.owner.metadata.uid, new)
        return evolve(sync, written=written), (Remember(key=("wrote", sync.key), value=written),)
