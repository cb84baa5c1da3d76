"""Lost nodes and drains of a real cluster agree with what is predicted from their inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sfsm.trace.reading import read_history
from k8sfsm.verify.replay import replay


@pytest.mark.parametrize("name", ["11-node-failure", "17-drain-pdb", "23d-zone-full"])
def test_shipped_recordings_agree(name: str, data: Path) -> None:
    verdict = replay(read_history(data / "recordings" / name))
    assert [str(each) for each in (*verdict.findings, *verdict.divergences)] == []
