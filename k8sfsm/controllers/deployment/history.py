"""Old ReplicaSets beyond spec.revisionHistoryLimit are deleted. Source: sync.go: cleanupDeployment."""

from __future__ import annotations

from attrs import frozen

from k8sfsm.controllers.deployment.script import Phase, SyncError, perform
from k8sfsm.controllers.deployment.working import Working
from k8sfsm.kinds.deployment import MAX_INT32, is_complete
from k8sfsm.kinds.deployment_bounds import law, replicas_of
from k8sfsm.law import Decision
from k8sfsm.objects import ReplicaSet, key_of
from k8sfsm.request import Delete, Outcome


@law.fact
def has_history_limit(case: Working) -> bool:
    """A history limit is set and is not MaxInt32. Source: deployment_util.go: HasRevisionHistoryLimit."""
    return case.deployment.spec.revision_history_limit not in (None, MAX_INT32)


def _alive(case: Working) -> tuple[ReplicaSet, ...]:
    return tuple(rs for rs in case.old_rss if rs.metadata.deletion_timestamp is None)


@law.fact
def history_surplus(case: Working) -> int:
    """Old ReplicaSets that are not being deleted, beyond the limit."""
    return len(_alive(case)) - (case.deployment.spec.revision_history_limit or 0)


@law.fact
def complete(case: Working) -> bool:
    """By the working copy's own status the rollout is complete."""
    return is_complete(case.deployment, case.deployment.status)


@law.action
def end_rollout(case: Working, decision: Decision) -> Phase:
    """Finish a sync in which nothing is left to scale."""
    yield from perform(law, law.decide("rollout-end", case), case)


@law.action
def clean_up_history(case: Working, decision: Decision) -> Phase:
    """Delete old ReplicaSets beyond the history limit."""
    yield from perform(law, law.decide("history", case), case)


@law.fact
def has_pods(rs: ReplicaSet) -> bool:
    """The ReplicaSet's status counts pods."""
    return rs.status.replicas != 0


@law.fact
def wants_none(rs: ReplicaSet) -> bool:
    """spec.replicas is 0."""
    return replicas_of(rs) == 0


@law.fact
def spec_observed(rs: ReplicaSet) -> bool:
    """The ReplicaSet controller has seen the latest spec."""
    return rs.metadata.generation <= rs.status.observed_generation


@law.action
def delete_oldest(case: Working, decision: Decision) -> Phase:
    """Look at the surplus, lowest revision first; one that is in use is kept and not made up for by a later one."""
    ordered = law.order("lowest-revision-first", _alive(case), case)
    for rs in ordered[: history_surplus(case)]:
        yield from perform(law, law.decide("cleanup-history", rs), rs)


@frozen
class Deletion:
    """The answer to a deletion."""

    outcome: Outcome


@law.fact
def deletion_code(case: Deletion) -> int:
    """The HTTP status of the answer."""
    return case.outcome.code


@law.action
def delete_replica_set(rs: ReplicaSet, decision: Decision) -> Phase:
    """Delete an old ReplicaSet with the default options (its pods go in the background)."""
    outcome = yield Delete(key=key_of(rs))
    assert outcome is not None
    answer = Deletion(outcome)
    yield from perform(law, law.decide("history-deleted", answer), answer)


@law.action
def fail_deletion(case: Deletion, decision: Decision) -> Phase:
    """End the sync with the error of the deletion."""
    yield from ()
    raise SyncError(case.outcome.message or case.outcome.reason)
