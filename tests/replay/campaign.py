"""Judges forgeries: is each told, and does the message name the object?"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import define, field
from tampering import Files, Forgery, forgeries

from k8sfsm.trace.errors import TraceError
from k8sfsm.trace.integrity import check_integrity
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.replay import replay


@define
class Report:
    """Forgeries judged, by class."""

    made: Counter[str] = field(factory=Counter)
    told: Counter[str] = field(factory=Counter)
    by: Counter[str] = field(factory=Counter)
    missed: list[Forgery] = field(factory=list)
    refused: list[tuple[Forgery, str]] = field(factory=list)
    """Forgeries that could not be read or replayed, with the error."""

    def __str__(self) -> str:
        rows = [f"{name:16} {self.told[name]:5} of {made:5}" for name, made in sorted(self.made.items())]
        return "\n".join([*rows, f"{'all':16} {self.told.total():5} of {self.made.total():5}"])


def judge(path: Path, namespace: str = "") -> str:
    """The first finding or divergence of a recording, "" where it agrees. The laws are asked first: they are quick."""
    recording = read_history(path, namespace=namespace)
    finding = next(iter(check_integrity(recording)), None)
    if finding is not None:
        return str(finding)
    verdict = replay(recording)
    if verdict.agrees:
        return ""
    return str((*verdict.findings, *verdict.divergences)[0])


def everything(path: Path, namespace: str = "") -> list[str]:
    """All findings and divergences of a recording, as they are printed."""
    verdict = replay(read_history(path, namespace=namespace))
    return [str(entry) for entry in (*verdict.findings, *verdict.divergences)]


def run(
    made: Iterable[Forgery], folder: Path, namespace: str = "", each: Callable[[Forgery, str], None] | None = None
) -> Report:
    """Judge forgeries one after the other, in one folder."""
    report = Report()
    for number, forgery in enumerate(made):
        name = f"{forgery.deed} {forgery.place}"
        report.made[name] += 1
        try:
            said = judge(forgery.files.write(folder / str(number)), namespace)
        except Exception as error:  # a refusal is told apart: exit 2 or a crash
            report.refused.append((forgery, f"{type(error).__name__}: {error}"))
            continue
        if not said:
            report.missed.append(forgery)
            continue
        report.told[name] += 1
        report.by[said.rpartition("[")[2].rstrip("]") if said.endswith("]") else "prediction"] += 1
        if each is not None:
            each(forgery, said)
    return report


def sample(files: Files, seed: int, alterations: int, share: float) -> list[Forgery]:
    """A share of the forgeries of a recording, chosen by a seed."""
    chance = random.Random(seed)
    return [forgery for forgery in forgeries(files, chance, alterations) if share >= 1 or chance.random() < share]


__all__ = ["Report", "TraceError", "everything", "judge", "run", "sample"]
