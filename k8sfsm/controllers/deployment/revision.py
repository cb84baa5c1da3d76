"""Revision numbers and the annotations that a Deployment and its ReplicaSets share.

Source: pkg/controller/deployment/util/deployment_util.go: SetNewReplicaSetAnnotations, SetDeploymentRevision,
MaxRevision, LastRevision, Revision, SetReplicasAnnotations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from k8sfsm.controllers.deployment.working import (
    DESIRED_REPLICAS,
    LAST_APPLIED,
    MAX_REPLICAS,
    REVISION_HISTORY,
    ROLLBACK_TO,
)
from k8sfsm.kinds.deployment import MAX_INT32, REVISION
from k8sfsm.kinds.deployment_bounds import law, max_surge, replicas_of
from k8sfsm.objects import Deployment, ReplicaSet, evolve
from k8sfsm.objects.requirement import parse_int64

NOT_COPIED: Final = frozenset({LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK_TO})
"""Annotations that are not copied between a Deployment and its ReplicaSets. Source: annotationsToSkip."""
_NATURAL: Final = re.compile(r"[0-9]+", re.ASCII)


def revision_of(rs: ReplicaSet) -> int | None:
    """The revision of a ReplicaSet: 0 where it has none, None where it is no number."""
    text = rs.metadata.annotations.get(REVISION)
    return 0 if text is None else parse_int64(text)


def max_revision(replica_sets: Iterable[ReplicaSet]) -> int:
    """The highest revision, 0 where there is none; unreadable ones are passed over."""
    return max((0, *(revision_of(rs) or 0 for rs in replica_sets)))


def last_revision(replica_sets: Iterable[ReplicaSet]) -> int:
    """The second highest revision, 0 where there is none."""
    highest = second = 0
    for rs in replica_sets:
        revision = revision_of(rs)
        if revision is None:
            continue
        if revision >= highest:
            highest, second = revision, highest
        elif revision > second:
            second = revision
    return second


def count_of(rs: ReplicaSet, annotation: str) -> int | None:
    """A number of replicas noted on a ReplicaSet; None where it is missing or no int32 from 0 up."""
    text = rs.metadata.annotations.get(annotation)
    if text is None or _NATURAL.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number <= MAX_INT32 else None


def scale_notes(deployment: Deployment) -> dict[str, str]:
    """The annotations that note on a ReplicaSet for which size of the Deployment it was last scaled."""
    replicas = replicas_of(deployment)
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(replicas + max_surge(deployment))}


def scale_notes_outdated(rs: ReplicaSet, deployment: Deployment) -> bool:
    """Whether the ReplicaSet lacks the Deployment's scale notes."""
    annotations = rs.metadata.annotations
    return any(annotations.get(name, "") != value for name, value in scale_notes(deployment).items())


def with_annotations(rs: ReplicaSet, annotations: Mapping[str, str]) -> ReplicaSet:
    """The ReplicaSet with these annotations."""
    if rs.metadata.annotations == annotations:
        return rs
    return evolve(rs, metadata=evolve(rs.metadata, annotations=dict(annotations)))


@frozen
class Revised:
    """A ReplicaSet whose revision is looked at: its noted text, None without one, and the wanted revision."""

    noted: str | None
    wanted: int


@law.fact
def revision_readable(case: Revised) -> bool:
    """The noted revision is a number, or empty, which counts as 0."""
    return not case.noted or parse_int64(case.noted) is not None


@law.fact
def revision_noted(case: Revised) -> bool:
    """The ReplicaSet has a revision annotation, even an empty one."""
    return case.noted is not None


@law.fact
def revision_behind(case: Revised) -> bool:
    """The noted revision is lower than the wanted one."""
    return (parse_int64(case.noted or "0") or 0) < case.wanted


@frozen
class Annotated:
    """New annotations of a ReplicaSet, and whether they are to be written."""

    annotations: Mapping[str, str]
    changed: bool


def annotations_for_new(
    deployment: Deployment, rs: ReplicaSet, revision: int, *, exists: bool, history_limit: int
) -> Annotated:
    """The annotations that the new ReplicaSet is to have.

    `exists`: it is in the API already. `history_limit`: longest revision-history, in characters.
    """
    noted = dict(rs.metadata.annotations)
    copied = {name: text for name, text in deployment.metadata.annotations.items() if name not in NOT_COPIED}
    changed = any(noted.get(name) != text for name, text in copied.items())
    noted.update(copied)
    old = noted.get(REVISION)
    decision = law.decide("revision", Revised(old, revision))
    if decision.outputs["abandon"]:
        return Annotated(noted, False)
    if decision.outputs["raise"]:
        noted[REVISION] = str(revision)
    if decision.outputs["keep_history"]:
        noted[REVISION_HISTORY] = _history(noted.get(REVISION_HISTORY, ""), old or "", history_limit)
    changed = changed or decision.outputs["raise"]
    if exists:
        return Annotated(noted, changed)
    notes = scale_notes(deployment)
    changed = changed or any(noted.get(name) != text for name, text in notes.items())
    return Annotated({**noted, **notes}, changed)


def _history(history: str, revision: str, limit: int) -> str:
    """`revision` appended to a comma separated history; the oldest entries go where it would be too long."""
    entries = history.split(",")
    if not entries[0]:
        return revision
    length = len(history.encode()) + len(revision.encode()) + 1
    start = 0
    while length > limit and start < len(entries):
        length -= len(entries[start].encode()) + 1
        start += 1
    return ",".join([*entries[start:], revision]) if length <= limit else history
