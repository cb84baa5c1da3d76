"""What `kubectl rollout status` says of a Deployment, DaemonSet or StatefulSet, read off the object's JSON form.

Source: staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from k8sfsm.kinds.deployment import REVISION
from k8sfsm.kinds.deployment_bounds import law
from k8sfsm.objects.gotext import quote
from k8sfsm.objects.requirement import parse_int64

_COUNTS: Final = (
    "replicas", "updatedReplicas", "availableReplicas", "readyReplicas", "currentReplicas", "observedGeneration",
    "updatedNumberScheduled", "desiredNumberScheduled", "numberAvailable",
)  # fmt: skip


@frozen
class Watched:
    """An object as kubectl sees it; `asked`: the revision that the user asked for, 0 for none."""

    document: Mapping[str, Any]
    asked: int

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of the status; 0 where they are absent."""
        status = self.document.get("status") or {}
        return {name: status.get(name) or 0 for name in _COUNTS}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec."""
        return self.document.get("spec") or {}

    @property
    def wanted(self) -> int | None:
        """spec.replicas."""
        return self.spec.get("replicas")

    @property
    def noted(self) -> str | None:
        """The text of the revision annotation."""
        annotations = self.document["metadata"].get("annotations") or {}
        return annotations.get(REVISION)

    @property
    def running(self) -> int | None:
        """The revision; 0 without one, None where it is no number."""
        return 0 if self.noted is None else parse_int64(self.noted)

    @property
    def partition_goal(self) -> int:
        """Pods above the partition; 0 where nothing is partitioned."""
        partition = (self._rolling or {}).get("partition")
        return 0 if self.wanted is None or partition is None else self.wanted - partition

    @property
    def _rolling(self) -> Mapping[str, Any] | None:
        return (self.spec.get("updateStrategy") or {}).get("rollingUpdate")


@frozen
class Said:
    """The answer: a line for the user, whether it is the last one, and the error that ends the command."""

    message: str
    done: bool
    error: str


@law.fact
def revision_asked(case: Watched) -> bool:
    """The user asked for a revision."""
    return case.asked > 0


@law.fact
def revision_read(case: Watched) -> bool:
    """The revision annotation is absent or a number."""
    return case.running is not None


@law.fact
def asked_revision_runs(case: Watched) -> bool:
    """The object has the revision that was asked for."""
    return case.running == case.asked


@law.fact
def told_generation_current(case: Watched) -> bool:
    """The status is about the latest generation."""
    return (case.document["metadata"].get("generation") or 0) <= case.counts["observedGeneration"]


@law.fact
def ever_observed(case: Watched) -> bool:
    """The status has an observedGeneration."""
    return case.counts["observedGeneration"] != 0


@law.fact
def told_reason(case: Watched) -> str | None:
    """The reason of the Progressing condition, null without one."""
    conditions = (case.document.get("status") or {}).get("conditions") or ()
    return next((found.get("reason", "") for found in conditions if found["type"] == "Progressing"), None)


@law.fact
def updated_short(case: Watched) -> int:
    """Pods that are not of the new template yet; 0 where spec.replicas is not set."""
    return 0 if case.wanted is None else case.wanted - case.counts["updatedReplicas"]


@law.fact
def old_left(case: Watched) -> int:
    """Pods of an old template."""
    return case.counts["replicas"] - case.counts["updatedReplicas"]


@law.fact
def available_short(case: Watched) -> int:
    """New pods that are not available."""
    return case.counts["updatedReplicas"] - case.counts["availableReplicas"]


@law.fact
def rolls_by_itself(case: Watched) -> bool:
    """The update strategy is RollingUpdate."""
    return bool((case.spec.get("updateStrategy") or {}).get("type") == "RollingUpdate")


@law.fact
def scheduled_short(case: Watched) -> int:
    """Nodes without a new pod."""
    return case.counts["desiredNumberScheduled"] - case.counts["updatedNumberScheduled"]


@law.fact
def ready_short(case: Watched) -> int:
    """Nodes without an available pod."""
    return case.counts["desiredNumberScheduled"] - case.counts["numberAvailable"]


@law.fact
def unready(case: Watched) -> int:
    """Pods that are wanted and not ready; 0 where spec.replicas is not set."""
    return 0 if case.wanted is None else case.wanted - case.counts["readyReplicas"]


@law.fact
def partitioned(case: Watched) -> bool:
    """The strategy has a rollingUpdate block."""
    return case._rolling is not None


@law.fact
def partition_short(case: Watched) -> int:
    """Pods above the partition that are not new yet."""
    return case.partition_goal - case.counts["updatedReplicas"]


@law.fact
def revisions_agree(case: Watched) -> bool:
    """The update revision is the current one."""
    status = case.document.get("status") or {}
    return bool(status.get("updateRevision", "") == status.get("currentRevision", ""))


def rollout_status(document: Mapping[str, Any], asked: int) -> Said:
    """What kubectl says of an object in JSON form. Raises LawError for a kind that has no rollouts."""
    case = Watched(document, asked)
    outputs = law.decide(f"{document['kind'].lower()}-rollout-status", case).outputs
    status, noted = document.get("status") or {}, case.noted or ""
    values = {
        **case.counts,
        "name": document["metadata"]["name"],
        "asked": asked,
        "running": case.running,
        "noted": quote(noted),
        "problem": "value out of range" if re.fullmatch("[+-]?[0-9]+", noted) else "invalid syntax",
        "wanted": case.wanted,
        "old": old_left(case),
        "unready": unready(case),
        "partition_goal": case.partition_goal,
        "updateRevision": status.get("updateRevision", ""),
        "currentRevision": status.get("currentRevision", ""),
    }
    return Said(outputs["message"].format(**values), outputs["done"], outputs["error"].format(**values))
