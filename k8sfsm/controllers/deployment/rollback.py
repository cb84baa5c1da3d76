"""The legacy rollback that an annotation asks for. Source: pkg/controller/deployment/rollback.go."""

from __future__ import annotations

from attrs import frozen

from k8sfsm.controllers.deployment.revision import NOT_COPIED, last_revision, revision_of
from k8sfsm.controllers.deployment.script import Phase, perform, send
from k8sfsm.controllers.deployment.working import ROLLBACK_TO, Working
from k8sfsm.kinds.deployment import POD_TEMPLATE_HASH, same_template
from k8sfsm.kinds.deployment_bounds import law
from k8sfsm.law import Decision
from k8sfsm.objects import ReplicaSet, evolve
from k8sfsm.objects.requirement import parse_int64
from k8sfsm.request import Record, Update


def requested(case: Working) -> int | None:
    """The revision that the annotation asks for; None where there is none, or it is no number."""
    return parse_int64(case.deployment.metadata.annotations.get(ROLLBACK_TO, ""))


@law.fact
def rollback_requested(case: Working) -> bool:
    """The rollback annotation is there and holds a number."""
    return requested(case) is not None


@frozen
class Rollback:
    """A rollback; `revision`: the one that was asked for, 0 for the last."""

    working: Working
    revision: int

    @property
    def target(self) -> ReplicaSet | None:
        """The first ReplicaSet of that revision."""
        return next((rs for rs in self.working.all_rss if revision_of(rs) == self.revision), None)


@law.fact
def requested_revision(case: Rollback) -> int:
    """The revision that was asked for; 0: the last."""
    return case.revision


@law.fact
def known_last_revision(case: Rollback) -> int:
    """The second highest revision, 0 where there is none."""
    return last_revision(case.working.all_rss)


@law.action
def roll_back(case: Working, decision: Decision) -> Phase:
    """Find out which revision is meant."""
    asked = Rollback(case, requested(case) or 0)
    yield from perform(law, law.decide("rollback", asked), asked)


@law.action
def roll_back_to_last(case: Rollback, decision: Decision) -> Phase:
    """Roll back to the second highest revision."""
    yield from _to(Rollback(case.working, known_last_revision(case)))


@law.action
def roll_back_to_requested(case: Rollback, decision: Decision) -> Phase:
    """Roll back to the revision that was asked for."""
    yield from _to(case)


def _to(case: Rollback) -> Phase:
    yield from perform(law, law.decide("rollback-target", case), case)


@law.fact
def target_found(case: Rollback) -> bool:
    """A ReplicaSet has the revision."""
    return case.target is not None


@law.fact
def target_differs(case: Rollback) -> bool:
    """Its template is not the Deployment's."""
    assert case.target is not None
    return not same_template(case.target.spec.template, case.working.deployment.spec.template)


@law.action
def copy_target(case: Rollback, decision: Decision) -> Phase:
    """Give the Deployment the template and annotations of the ReplicaSet (in memory)."""
    assert case.target is not None
    working, target = case.working, case.target
    template = target.spec.template
    labels = {name: value for name, value in template.metadata.labels.items() if name != POD_TEMPLATE_HASH}
    plain = evolve(template, metadata=evolve(template.metadata, labels=labels))
    working.deployment = evolve(working.deployment, spec=evolve(working.deployment.spec, template=plain))
    kept = {name: text for name, text in working.deployment.metadata.annotations.items() if name in NOT_COPIED}
    copied = {name: text for name, text in target.metadata.annotations.items() if name not in NOT_COPIED}
    working.annotate({**kept, **copied})
    yield from ()


@law.action
def clear_rollback(case: Rollback, decision: Decision) -> Phase:
    """Write the Deployment without the rollback annotation."""
    working = case.working
    rest = {name: text for name, text in working.deployment.metadata.annotations.items() if name != ROLLBACK_TO}
    working.annotate(rest)
    yield from send(Update(object=working.deployment))


@law.action
def report_rollback(case: Rollback, decision: Decision) -> Phase:
    """Event: what became of the rollback, as the rule words it."""
    outputs = decision.outputs
    text = outputs["message"].format(deployment=case.working.name, revision=case.revision)
    yield Record(regarding=case.working.deployment, type=outputs["type"], reason=outputs["reason"], message=text)
