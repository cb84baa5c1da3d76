"""Cells that rows of several kinds have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from k8sfsm.objects import PodTemplateSpec, human_duration

NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"
_SHOWN: Final = 3


def age(obj: Any, now: int) -> str:
    """How long ago the object was created; `now`: ns. Source: printers.go: translateTimestampSince."""
    created = obj.metadata.creation_timestamp
    return UNKNOWN if created is None else human_duration(now - created)


def containers_and_images(template: PodTemplateSpec) -> tuple[str, str]:
    """Names and images of a template's containers. Source: printers.go: layoutContainerCells."""
    containers = template.spec.containers
    return ",".join(each.name for each in containers), ",".join(each.image for each in containers)


def labels_text(labels: Any) -> str:
    """Labels in order. Source: apimachinery/pkg/labels: FormatLabels."""
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels)) or NONE


def shortened(texts: Sequence[str], nothing: str) -> str:
    """The first three texts, and how many more there are. Source: printers.go: listWithMoreString."""
    shown = ",".join(texts[:_SHOWN])
    return f"{shown} + {len(texts) - _SHOWN} more..." if len(texts) > _SHOWN else shown or nothing
