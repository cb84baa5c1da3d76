"""Invariants of a story, in CEL: what every write of a kind must keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from k8sfsm.apiserver.cel import CelError, evaluated
from k8sfsm.engine.line import Line
from k8sfsm.objects import to_json
from k8sfsm.request import Key
from k8sfsm.scenario.model import Invariant


@frozen
class Breach:
    """A write that breaks an invariant. `why`: "" or the error of its expression."""

    invariant: Invariant
    line: Line
    why: str = ""

    @property
    def text(self) -> str:
        """What is broken by whom, in one line."""
        says = self.invariant.says or self.invariant.holds
        kind, namespace, name = self.line.key
        place = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
        why = f" ({self.why})" if self.why else ""
        return f"invariant broken: {says}: {self.line.verb} of {place} by {self.line.actor}{why}"


def breaches(invariants: Iterable[Invariant], lines: Iterable[Line]) -> Iterator[Breach]:
    """The first write of each object that breaks each invariant, in order of time.

    An expression sees `object` and `oldObject` (null for what is new).
    """
    wanted = tuple(invariants)
    told: set[tuple[int, Key]] = set()
    for line in lines if wanted else ():
        for number, invariant in enumerate(wanted):
            if line.key[0] != invariant.of or line.after is None or not line.change or (number, line.key) in told:
                continue
            broken = _broken(invariant, line)
            if broken is not None:
                told.add((number, line.key))
                yield broken


def _broken(invariant: Invariant, line: Line) -> Breach | None:
    before = None if line.before is None else to_json(line.before)
    try:
        holds = evaluated(invariant.holds, {"object": to_json(line.after), "oldObject": before})
    except CelError as error:
        return Breach(invariant, line, str(error))
    return None if holds is True else Breach(invariant, line)
