"""The Deployment controller: what one sync does. Source: pkg/controller/deployment/deployment_controller.go."""

from __future__ import annotations

from attrs import frozen

from k8sfsm.controllers.claim import Claimant, Claimed, claim
from k8sfsm.controllers.deployment import (  # noqa: F401 - they register the law's names
    finding,
    history,
    keys,
    new_replica_set,
    progress,
    recreate,
    rollback,
    rolling,
    scaling,
    status,
)
from k8sfsm.controllers.deployment.script import End, Phase, Script, SyncError, perform, plan_of
from k8sfsm.controllers.deployment.working import Working
from k8sfsm.controllers.selector import SelectorError, matcher
from k8sfsm.kinds.deployment_bounds import law
from k8sfsm.law import Decision, Law
from k8sfsm.objects import Deployment, LabelSelector, evolve
from k8sfsm.request import Key, Plan, Record, Update
from k8sfsm.view import View


@frozen
class Call:
    """A key that the controller was called for; `deployment` is None where the cache has none of that name."""

    view: View
    deployment: Deployment | None


@law.fact
def found(case: Call) -> bool:
    """The cache has the Deployment."""
    return case.deployment is not None


@law.fact
def selects_everything(case: Call) -> bool:
    """The selector is empty."""
    assert case.deployment is not None
    return case.deployment.spec.selector == LabelSelector()


@law.fact
def selector_valid(case: Call) -> bool:
    """The selector can be read."""
    return _selector_error(case) == ""


def _selector_error(case: Call) -> str:
    assert case.deployment is not None
    try:
        matcher(case.deployment.spec.selector)
    except SelectorError as error:
        return str(error)
    return ""


@law.fact
def generation_observed(case: Working) -> bool:
    """ObservedGeneration has caught up with the generation."""
    return case.deployment.status.observed_generation >= case.deployment.metadata.generation


@law.action
def warn_selecting_all(case: Working, decision: Decision) -> Phase:
    """Event: an empty selector is refused."""
    yield Record(
        regarding=case.deployment,
        type="Warning",
        reason="SelectingAll",
        message="This deployment is selecting all pods. A non-empty selector is required.",
    )


@law.action
def observe_generation(case: Working, decision: Decision) -> Phase:
    """Note that the generation was seen, if it was not."""
    yield from perform(law, law.decide("selecting-all", case), case)


@law.action
def write_observed_generation(case: Working, decision: Decision) -> Phase:
    """Write observedGeneration; whether that succeeds does not matter."""
    generation = case.deployment.metadata.generation
    case.set_status(evolve(case.deployment.status, observed_generation=generation))
    yield Update(object=case.deployment, subresource="status")


@law.action
def refuse_selector(case: Working, decision: Decision) -> Phase:
    """End the sync: the selector cannot be read."""
    yield from ()
    raise SyncError(_selector_error(Call(case.view, case.deployment)))


@law.action
def go_on_claimed(case: Working, decision: Decision) -> Phase:
    """Go on with the ReplicaSets that were claimed."""
    yield from perform(law, law.decide("claimed", case), case)


@law.action
def note_pause(case: Working, decision: Decision) -> Phase:
    """Keep the Progressing condition in step with spec.paused. Source: sync.go: checkPausedConditions."""
    yield from perform(law, law.decide("pause", case), case)
    yield from new_replica_set.save(case)


@law.action
def choose_path(case: Working, decision: Decision) -> Phase:
    """Choose between a paused Deployment, a rollback and a rollout."""
    yield from perform(law, law.decide("path", case), case)


@law.action
def refuse_strategy(case: Working, decision: Decision) -> Phase:
    """End the sync: there is no such strategy."""
    yield from ()
    raise SyncError(f"unexpected deployment strategy type: {case.deployment.spec.strategy.type}")


def _script(case: Working, decision: Decision) -> Script:
    yield from perform(law, decision, case)
    return End(case.requeue_after, limited=case.limited)


class DeploymentController:
    """Brings ReplicaSets to what Deployments ask for."""

    name = "deployment-controller"
    law: Law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """One sync of the Deployment under `key`, by what `view` shows."""
        _, namespace, name = key
        call = Call(view, view.get("Deployment", namespace, name))
        decision = law.decide("reconcile", call)
        deployment = call.deployment
        if deployment is None or not decision.outputs["claims"]:
            return plan_of(lambda: _script(Working(view, deployment or Deployment()), decision))
        claimant = Claimant(deployment, matcher(deployment.spec.selector))
        candidates = finding.oldest_first(view.list("ReplicaSet", namespace))
        return claim(claimant, candidates, lambda claimed: self._claimed(view, deployment, claimed, decision))

    def _claimed(self, view: View, deployment: Deployment, claimed: Claimed, decision: Decision) -> Plan:
        if claimed.error:
            return Plan(error=claimed.error)
        objects = tuple(claimed.objects)
        return plan_of(lambda: _script(Working(view, deployment, objects), decision))
