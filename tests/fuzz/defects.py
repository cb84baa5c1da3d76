"""Specs with one defect, and where to look for it."""

from __future__ import annotations

from pathlib import Path

from k8sfsm.spec.loader import load_specs, specs_dir
from k8sfsm.spec.mutate import mutants, write_mutant

CHECKOUT = Path(__file__).resolve().parents[2]


def with_defect(name: str, folder: Path) -> Path:
    """Write the specs with the mutant of that id in them; gives the folder, for K8SFSM_SPECS."""
    chosen = [mutant for mutant in mutants(load_specs()) if mutant.id == name]
    assert len(chosen) == 1, name
    write_mutant(chosen[0], specs_dir(), folder / "specs")
    return folder / "specs"
