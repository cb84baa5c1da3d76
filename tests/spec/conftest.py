from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from spec_files import Write

from k8sfsm import law as law_module
from k8sfsm.law import Law


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a file into a spec directory of the test's own, which the law reads; rooms of the test are forgotten."""
    root = tmp_path / "specs"
    root.mkdir()
    monkeypatch.setenv("K8SFSM_SPECS", str(root))
    law_module.forget()
    law_module.import_all()  # what a test imports registers once only, and must be there for later tests
    before = dict(Law._rooms)

    def put(name: str, text: str) -> Path:
        file = root / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text, "utf-8")
        law_module.forget()
        return root

    yield put
    Law._rooms.clear()
    Law._rooms.update(before)
    monkeypatch.undo()
    law_module.forget()
