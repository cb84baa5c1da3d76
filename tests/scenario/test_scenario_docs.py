"""The examples of the documentation run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.model_actions import VERBS
from k8sfsm.scenario.play import play

DOCS = Path(__file__).parent.parent.parent / "docs"
WEB = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 3\n"
    "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
    "    spec: {containers: [{name: app, image: nginx}]}\n"
)


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text("utf-8"), re.DOTALL)


def test_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    (text,) = blocks("scenarios.md", "yaml")
    assert [str(miss) for miss in play(read_story(text, "docs", tmp_path)).misses] == []


def test_every_verb_is_explained() -> None:
    text = (DOCS / "scenarios.md").read_text("utf-8")
    assert [verb for verb in VERBS if f"`{verb}`" not in text] == []


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("python-api.md", "python"):
        exec(block, names)
    assert 'deployment "web" successfully rolled out' in capsys.readouterr().out
