"""What the API server generates in a Job: the selector of its pods, and their labels.

Source: pkg/registry/batch/job/strategy.go: generateSelector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_PREFIX: Final = "batch.kubernetes.io/"


def with_selector(extra: Mapping[str, Any], name: str, uid: str) -> dict[str, Any]:
    """The fields of a Job that was not given a selector of its own (`manualSelector`), with a generated one."""
    spec = dict(extra.get("spec") or {})
    if spec.get("manualSelector"):
        return dict(extra)
    template = dict(spec.get("template") or {})
    metadata = dict(template.get("metadata") or {})
    owner = {"controller-uid": uid, "job-name": name}
    generated = owner | {_PREFIX + label: text for label, text in owner.items()}
    metadata["labels"] = {**(metadata.get("labels") or {}), **generated}
    selector = dict(spec.get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), _PREFIX + "controller-uid": uid}
    spec |= {"selector": selector, "template": {**template, "metadata": metadata}}
    return {**extra, "spec": spec}


def template_labels(extra: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a Job's pods, which are also those of a Job without any (defaults.go: SetDefaults_Job)."""
    template = (extra.get("spec") or {}).get("template") or {}
    return dict((template.get("metadata") or {}).get("labels") or {})
