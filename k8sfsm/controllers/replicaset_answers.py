"""What the API server's answers to creations and deletions of Pods mean, and the events to record about them.

Source: pkg/controller/controller_utils.go: createPods, DeletePod
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from k8sfsm.controllers.replicaset_status import StatusAnswer
from k8sfsm.law import Decision, Law
from k8sfsm.request import Delete, Outcome, Record
from k8sfsm.value import value

law: Final = Law("replicaset")
Answers: TypeAlias = tuple[tuple[Outcome, Decision], ...]
"""The API server's answers to creations or deletions, and what each of them means."""


@value
class PodAnswer:
    """The API server's answer to the creation or deletion of a Pod."""

    owner: Any
    outcome: Outcome

    @property
    def message(self) -> str:
        """The error's text."""
        return self.outcome.message or self.outcome.reason


@law.fact
def granted(case: PodAnswer | StatusAnswer) -> bool:
    """The request succeeded."""
    return case.outcome.ok


@law.fact
def answer_code(case: PodAnswer) -> int:
    """The HTTP status."""
    return case.outcome.code


@law.fact
def namespace_terminating(case: PodAnswer) -> bool:
    """The request was refused because its namespace is being terminated.

    Upstream looks at the cause NamespaceTerminating of the error, which goes with this text.
    Source: staging/src/k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go: Admit
    """
    return case.outcome.code == 403 and case.outcome.message.endswith("because it is being terminated")


@law.action
def record_created(case: PodAnswer, decision: Decision) -> Iterable[Record]:
    """Tell that a Pod was created."""
    name = case.outcome.object.metadata.name
    return (Record(regarding=case.owner, type="Normal", reason="SuccessfulCreate", message=f"Created pod: {name}"),)


@law.action
def record_creation_failed(case: PodAnswer, decision: Decision) -> Iterator[Record]:
    """Tell why a Pod could not be created."""
    yield Record(regarding=case.owner, type="Warning", reason="FailedCreate", message=f"Error creating: {case.message}")


@law.action
def record_deleted(case: PodAnswer, decision: Decision) -> Iterator[Record]:
    """Tell that a Pod was deleted."""
    yield Record(
        regarding=case.owner, type="Normal", reason="SuccessfulDelete", message=f"Deleted pod: {_deleted(case.outcome)}"
    )


@law.action
def record_deletion_failed(case: PodAnswer, decision: Decision) -> Iterator[Record]:
    """Tell why a Pod could not be deleted."""
    yield Record(regarding=case.owner, type="Warning", reason="FailedDelete", message=f"Error deleting: {case.message}")


def _deleted(outcome: Outcome) -> str:
    assert isinstance(outcome.request, Delete)
    return outcome.request.key[2]


@value
class Creations:
    """Creations that were answered, and how many are left that were not sent."""

    error: str
    left: int


@law.fact
def creation_failed(case: Creations) -> bool:
    """One of the answers was an error."""
    return case.error != ""


@law.fact
def unsent(case: Creations) -> int:
    """Creations that were not sent."""
    return case.left


def first_error(answers: Answers) -> str:
    """The first error among the answers, as upstream tells it; "" for none."""
    for outcome, decision in answers:
        if decision.outputs["error"]:
            text: str = decision.outputs["error"]
            return text.format(message=outcome.message or outcome.reason)
    return ""
