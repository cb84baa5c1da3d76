"""Figures of a story: numbers that are read off the lines of its trace when it is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.engine.line import Line
from k8sfsm.objects import Event
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.scenario.expect import Question, read_question
from k8sfsm.scenario.model import Figure, Which
from k8sfsm.scenario.order import kind_called

NEVER: Final = "never"
"""What a time is that has not come."""
FORMS: Final = ("count", "peak", "least", "most", "time", "until")
Value: TypeAlias = int | float | str


@frozen
class Told:
    """What a figure is made of: the lines of a story, the objects at its start, and when it began and ended (ns)."""

    lines: tuple[Line, ...]
    objects: Mapping[Key, Any]
    start: int
    end: int


Of: TypeAlias = Callable[[Told], Value]


def read_figure(figure: Figure, per: int, since: int) -> Of:
    """How a figure is found; `per`, `since`: its durations (ns). Raises ValueError with what is wrong."""
    named = [form for form in FORMS if getattr(figure, form)]
    if len(named) != 1:
        raise ValueError(f"figure '{figure.name}' is one of {', '.join(FORMS)}, found {' and '.join(named) or 'none'}")
    form = named[0]
    asked = getattr(figure, form)
    if isinstance(asked, Which):
        fits = _fits(asked)
        return _counted(fits, since) if form == "count" else _peak(fits, since, per)
    question = read_question(asked, figure.namespace)
    return {"least": _extreme(min), "most": _extreme(max), "time": _time, "until": _until}[form](question, since)


# -- lines ------------------------------------------------------------------------------------------------------------


def _fits(which: Which) -> Callable[[Line], bool]:
    kind = kind_called(which.kind) if which.kind else ""

    def fits(line: Line) -> bool:
        return (
            which.verb in ("", line.verb)
            and kind in ("", line.key[0])
            and which.by in ("", line.actor)
            and which.code in (0, line.code)
            and which.rule in ("", line.rule)
            and which.reason in ("", _reason(line))
            and (which.name == "*" or fnmatchcase(line.key[2], which.name))
        )

    return fits


def _reason(line: Line) -> str:
    if isinstance(line.after, Event):
        return line.after.reason
    return line.reason or str(line.detail.get("reason", ""))


def _single(told: Told, fits: Callable[[Line], bool], since: int) -> Iterator[int]:
    """The times (ns) of the lines that fit; a request that changed several objects counts once."""
    last = 0
    for line in told.lines:
        if line.at >= told.start + since and (not line.request or line.request != last) and fits(line):
            last = line.request
            yield line.at


def _counted(fits: Callable[[Line], bool], since: int) -> Of:
    return lambda told: sum(1 for _ in _single(told, fits, since))


def _peak(fits: Callable[[Line], bool], since: int, per: int) -> Of:
    def peak(told: Told) -> int:
        window: deque[int] = deque()
        most = 0
        for at in _single(told, fits, since):
            window.append(at)
            while window[0] <= at - per:
                window.popleft()
            most = max(most, len(window))
        return most

    return peak


# -- sentences --------------------------------------------------------------------------------------------------------


def _history(told: Told, question: Question) -> Iterator[tuple[int, int]]:
    """Of how many objects the sentence holds, and from when on (ns)."""
    holding = {key for key, obj in told.objects.items() if question.about(key) and question.holds(obj, told.start)}
    yield told.start, len(holding)
    for line in told.lines:
        if not line.change or not question.about(line.key):
            continue
        before = len(holding)
        if line.change != "DELETED" and question.holds(line.after, line.at):
            holding.add(line.key)
        else:
            holding.discard(line.key)
        if len(holding) != before:
            yield line.at, len(holding)


def _spans(told: Told, question: Question, since: int) -> list[tuple[int, int, int]]:
    """From when to when (ns), and of how many objects, from `since` on; changes at one moment are one."""
    points = [*_history(told, question), (told.end, 0)]
    first = told.start + since
    cut = [(max(at, first), min(after, told.end), found) for (at, found), (after, _) in pairwise(points)]
    return [span for span in cut if span[0] < span[1]]


def _extreme(choose: Callable[[Iterable[int]], int]) -> Callable[[Question, int], Of]:
    def make(question: Question, since: int) -> Of:
        return lambda told: choose([found for _, _, found in _spans(told, question, since)] or [0])

    return make


def _time(question: Question, since: int) -> Of:
    return lambda told: _seconds(sum(to - at for at, to, found in _spans(told, question, since) if found))


def _until(question: Question, since: int) -> Of:
    def until(told: Told) -> Value:
        last = None
        for at, _, found in _spans(told, question, since):
            last = None if not found else at if last is None else last
        return NEVER if last is None else _seconds(last - told.start - since)

    return until


def _seconds(length: int) -> Value:
    """Whole milliseconds in seconds; a whole number where it is one."""
    seconds = round(length / SECOND, 3)
    return int(seconds) if seconds == int(seconds) else seconds
