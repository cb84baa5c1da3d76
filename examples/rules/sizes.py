"""A fact for the rules beside this file."""

from __future__ import annotations

from k8sfsm.apiserver.parts import Part
from k8sfsm.law import Law

law = Law("admission")


@law.fact
def data_size(case: Part) -> int:
    """How many characters a ConfigMap holds."""
    return sum(len(text) for text in (case.get("data") or {}).values())
