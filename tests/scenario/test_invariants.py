"""Invariants of a story, in CEL."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.play import play
from k8sfsm.spec import SpecError

STORY = """
manifests:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: x}]}}
actions: [{at: 30s, scale: {object: deployment/web, replicas: 5}}]
invariants:
"""


def misses(rows: str) -> list[str]:
    return [each.text for each in play(read_story(STORY + rows, "story.yaml", Path("."))).misses]


def test_what_is_kept_is_no_finding() -> None:
    rows = "- {of: deployment, holds: 'object.spec.replicas <= 5'}\n"
    rows += "- {of: pods, holds: 'oldObject == null || object.metadata.uid == oldObject.metadata.uid'}\n"
    assert misses(rows) == []


def test_the_first_write_that_breaks_an_invariant_is_told() -> None:
    (text,) = misses("- {of: Deployment, holds: 'object.spec.replicas <= 4', says: no more than four}\n")
    assert text == "invariant broken: no more than four: patch of Deployment default/web by user at 30s"
    found = misses("- {of: Pod, holds: 'false'}\n")
    assert len(found) == 5 and all(
        each.startswith("invariant broken: false: create of Pod default/web-") for each in found
    )


def test_an_error_is_a_breach() -> None:
    (text,) = misses("- {of: Deployment, holds: 'object.spec.none > 1'}\n")
    assert "by user (no such key: none) at " in text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("- {of: Deployment, holds: '1 +'}\n", "Failed to parse expression"),
        ("- {of: Gadget, holds: 'true'}\n", "the server doesn't have a resource type"),
        ("- {of: Pod}\n", "holds"),
    ],
)
def test_invariants_that_are_none(row: str, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        read_story(STORY + row, "story.yaml", Path("."))
