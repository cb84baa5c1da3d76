"""Specs with one defect, and where to look for it."""

from __future__ import annotations

from pathlib import Path

from k8sfsm.spec.loader import load_specs, specs_dir
from k8sfsm.spec.mutate import mutants, write_mutant

CHECKOUT = Path(__file__).resolve().parents[2]


def with_defect(name: str, folder: Path) -> Path:
    """Write the specs with a mutant in them: that of this id, or the one in which the row of this rule is gone.

    Gives the folder, for K8SFSM_SPECS.
    """
    lost = f"delete-row:{name}:"
    chosen = [mutant for mutant in mutants(load_specs()) if mutant.id == name or mutant.id.startswith(lost)]
    assert len(chosen) == 1, name
    write_mutant(chosen[0], specs_dir(), folder / "specs")
    return folder / "specs"
