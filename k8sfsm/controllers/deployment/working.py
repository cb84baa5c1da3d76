"""What one sync works with: upstream's local copies of the Deployment and its ReplicaSets, and facts about them.

A sync never looks at the API's state again. `deployment` is the copy that the sync changes as it goes on; its
resourceVersion stays that of the cache even after a status write, so a second status write is refused with 409.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from attrs import define, field

from k8sfsm.kinds.deployment import MAX_INT32, condition_of
from k8sfsm.kinds.deployment_bounds import law, replicas_of
from k8sfsm.objects import Deployment, DeploymentStatus, ReplicaSet, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.view import View

REVISION_HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS: Final = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS: Final = "deployment.kubernetes.io/max-replicas"
ROLLBACK_TO: Final = "deprecated.deployment.rollback.to"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


@define
class Working:
    """The working copies of one sync.

    `claimed`: the ReplicaSets as cached; `new_rs`, `old_rss`: as last found; `created`: the outcome of a creation;
    `unsaved`: the status holds something that was not written yet; `scaled`: the step before changed a size;
    `requeue_after`: ns after which the key comes back by itself, `limited` by the queue's rate limit. `found`: which of
    the ReplicaSets are old and which is new, as looked up last.
    """

    view: View
    deployment: Deployment
    claimed: tuple[ReplicaSet, ...] = ()
    new_rs: ReplicaSet | None = None
    old_rss: tuple[ReplicaSet, ...] = ()
    may_create: bool = False
    unsaved: bool = False
    scaled: bool = False
    new_status: DeploymentStatus = field(factory=DeploymentStatus)
    requeue_after: int | None = None
    limited: bool = False
    found: Any = None

    @property
    def all_rss(self) -> tuple[ReplicaSet, ...]:
        """Old ReplicaSets, then the new one if there is one."""
        return self.old_rss if self.new_rs is None else (*self.old_rss, self.new_rs)

    @property
    def name(self) -> str:
        """The Deployment's name."""
        return self.deployment.metadata.name

    def annotate(self, annotations: Mapping[str, str]) -> None:
        """Change the working copy's annotations."""
        self.deployment = evolve(
            self.deployment, metadata=evolve(self.deployment.metadata, annotations=dict(annotations))
        )

    def set_status(self, status: DeploymentStatus) -> None:
        """Change the working copy's status."""
        self.deployment = evolve(self.deployment, status=status)


def wanted_pods(replica_sets: tuple[ReplicaSet, ...]) -> int:
    """The sum of spec.replicas. Source: deployment_util.go: GetReplicaCountForReplicaSets."""
    return sum(replicas_of(rs) for rs in replica_sets)


def active(replica_sets: tuple[ReplicaSet, ...]) -> tuple[ReplicaSet, ...]:
    """Those that want pods. Source: controller_utils.go: FilterActiveReplicaSets."""
    return tuple(rs for rs in replica_sets if replicas_of(rs) > 0)


def whole_second(time: int) -> int:
    """A time (ns) without its fraction of a second, as the API stores it."""
    return time - time % SECOND


class HasDeployment(Protocol):
    """A case about one Deployment."""

    @property
    def deployment(self) -> Deployment:
        """The Deployment."""


@law.fact
def has_progress_deadline(case: HasDeployment) -> bool:
    """A progress deadline is set and is not MaxInt32. Source: deployment_util.go: HasProgressDeadline."""
    return case.deployment.spec.progress_deadline_seconds not in (None, MAX_INT32)


@law.fact
def progressing_reason(case: Working) -> str | None:
    """The reason of the Progressing condition of the working copy, null without one."""
    condition = condition_of(case.deployment.status, "Progressing")
    return None if condition is None else condition.reason


@law.fact
def strategy(case: Working) -> str:
    """spec.strategy.type."""
    return case.deployment.spec.strategy.type


@law.fact
def paused(case: Working) -> bool:
    """spec.paused."""
    return case.deployment.spec.paused


@law.fact
def deleting(case: Working) -> bool:
    """The Deployment has a deletionTimestamp."""
    return case.deployment.metadata.deletion_timestamp is not None


@law.fact
def new_rs_found(case: Working) -> bool:
    """There is a ReplicaSet with the Deployment's template."""
    return case.new_rs is not None


@law.fact
def scaled(case: Working) -> bool:
    """The step before changed the size of a ReplicaSet."""
    return case.scaled


@law.fact
def unsaved(case: Working) -> bool:
    """The working copy's status or revision holds something that was not written yet."""
    return case.unsaved


def format_message(text: str, case: Working, **values: Any) -> str:
    """Fill in a message of the tables: {subject} is `ReplicaSet "x"`, or the Deployment where there is no new one."""
    kind = "Deployment" if case.new_rs is None else "ReplicaSet"
    name = case.name if case.new_rs is None else case.new_rs.metadata.name
    return text.format(subject=f'{kind} "{name}"', **values)
