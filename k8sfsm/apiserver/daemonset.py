"""The generation of a DaemonSet's Pod template, which v1 of the API shows as an annotation.

Source: pkg/registry/apps/daemonset/strategy.go: PrepareForCreate, PrepareForUpdate;
pkg/apis/apps/v1/conversion.go: Convert_apps_DaemonSetSpec_To_v1_DaemonSetSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sfsm.apiserver.deletion import law
from k8sfsm.objects import ObjectMeta, Unmodelled, evolve
from k8sfsm.value import value

TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"

NO_STATUS: Final[Mapping[str, Any]] = {
    "currentNumberScheduled": 0,
    "numberMisscheduled": 0,
    "desiredNumberScheduled": 0,
    "numberReady": 0,
}
"""The status of a new DaemonSet: the numbers that are written even where they are 0."""


@value
class TemplateCase:
    """The generation that a template has (0: none yet), and whether a write changes the template."""

    generation: int
    changes: bool


@law.fact
def template_generation(case: TemplateCase) -> int:
    """The generation of the template before the write."""
    return case.generation


@law.fact
def template_changes(case: TemplateCase) -> bool:
    """The write changes the template."""
    return case.changes


def with_template_generation(metadata: ObjectMeta, old: Unmodelled | None, new: Unmodelled) -> ObjectMeta:
    """The metadata with the generation of the template after a write; `old` None: the DaemonSet is created."""
    source = new if old is None else old
    text = source.metadata.annotations.get(TEMPLATE_GENERATION, "0")
    before = int(text) if text.isdigit() else 0
    case = TemplateCase(before, old is not None and _template(old) != _template(new))
    after = {"first": 1, "next": before + 1, "kept": before}[law.decide("template-generation", case).outputs["becomes"]]
    return evolve(metadata, annotations={**metadata.annotations, TEMPLATE_GENERATION: str(after)})


def _template(obj: Unmodelled) -> Any:
    spec: Mapping[str, Any] = obj.extra.get("spec") or {}
    return spec.get("template")
