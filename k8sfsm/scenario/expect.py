"""Expectations: sentences about a cluster, such as `deployment/web status.readyReplicas is 3`.

    KIND/NAME exists | is gone                          pods where app=web count is 3
    KIND/NAME FIELD is | is not | at least | at most | contains VALUE
    KINDS [where SELECTOR] FIELD is ... VALUE           (there is one, and it holds of all)
    pods [where SELECTOR] skew over LABEL is | at most VALUE   (over the values of that label of Nodes)
    event REASON [about KIND/NAME] [saying TEXT]        no event REASON ...

FIELD is a path (`status.conditions[type=Ready].status`, `metadata.labels[app]`), or STATUS for what `kubectl get`
prints. A field that is absent is 0, false, "" and nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from k8sfsm.objects import KINDS, Event, Selector, SelectorError, parse_selector, to_json
from k8sfsm.printer import columns_of, row_of
from k8sfsm.request import Key
from k8sfsm.scenario.order import DEFAULT_NAMESPACE, Refused, key_called, kind_called
from k8sfsm.store import Store

FORMS: Final = (
    "'KIND/NAME FIELD is VALUE', 'KIND/NAME exists', 'KIND/NAME is gone', 'pods where app=web count is 3' or"
    " 'event REASON about KIND/NAME'"
)
_EMPTY: Final = frozenset({"0", "false", "", "nothing", "null", "<none>"})
_COMPARE: Final = r"(?P<operator>is not|is|at least|at most|contains)\s+(?P<value>.*\S)"
_ONE: Final = re.compile(rf"(?P<key>\S+/\S+)\s+(?P<path>\S+)\s+{_COMPARE}")
_THERE: Final = re.compile(r"(?P<key>\S+/\S+)\s+(?P<what>exists|is gone)")
_MANY: Final = re.compile(rf"(?P<kind>[A-Za-z]+)(?:\s+where\s+(?P<where>\S+))?\s+(?P<path>\S+)\s+{_COMPARE}")
_SKEW: Final = re.compile(rf"pods(?:\s+where\s+(?P<where>\S+))?\s+skew\s+over\s+(?P<label>\S+)\s+{_COMPARE}")
_EVENT: Final = re.compile(
    r"(?P<no>no )?event\s+(?P<reason>[A-Za-z]+)(?:\s+about\s+(?P<key>\S+/\S+))?(?:\s+saying\s+(?P<text>.*\S))?"
)
_QUOTED: Final = re.compile(r"'.*'|\".*\"")
_PART: Final = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
COUNT: Final = "count"


@frozen
class Finding:
    """What a test came to: whether it holds, and what was found instead."""

    holds: bool
    found: str


Test = Callable[[Store, int], Finding]
"""A test of an expectation: the store and the time (ns) -> what it came to."""


def read_expectation(text: str, namespace: str = "") -> Test:
    """The test of a sentence. Raises ValueError with what is wrong."""
    words = " ".join(text.split())
    try:
        for pattern, make in _FORMS:
            match = pattern.fullmatch(words)
            if match is not None:
                return make(match, namespace)
    except Refused as error:
        raise ValueError(str(error)) from None
    raise ValueError(f"'{words}' is no expectation, expected {FORMS}")


@frozen
class Question:
    """A sentence that is asked of single objects: which it is `about`, and whether it `holds` of one at a time (ns)."""

    about: Callable[[Key], bool]
    holds: Callable[[Any, int], bool]


def read_question(text: str, namespace: str = "") -> Question:
    """The question of a sentence `KIND/NAME FIELD is VALUE` or `KINDS [where SELECTOR] FIELD is VALUE`.

    Raises ValueError with what is wrong.
    """
    words = " ".join(text.split())
    match = _ONE.fullmatch(words) or _MANY.fullmatch(words)
    if match is None or match["path"] == COUNT:
        raise ValueError(f"'{words}' cannot be asked of an object, expected {_QUESTIONS}")
    path, comparison, parts = match["path"], _comparison(match), match.groupdict()
    try:
        if "key" in parts:
            one = key_called(parts["key"], namespace)
            return Question(lambda key: key == one, lambda obj, now: comparison.holds(field_of(obj, path, now)))
        kind = kind_called(parts["kind"])
    except Refused as error:
        raise ValueError(str(error)) from None
    selector = _selector(parts["where"] or "")
    where = (namespace or DEFAULT_NAMESPACE) if KINDS[kind].namespaced else ""

    def holds(obj: Any, now: int) -> bool:
        return selector.matches(obj.metadata.labels) and comparison.holds(field_of(obj, path, now))

    return Question(lambda key: key[0] == kind and key[1] == where, holds)


_QUESTIONS: Final = "'KIND/NAME FIELD is VALUE' or 'pods where app=web FIELD is VALUE'"


# -- values -----------------------------------------------------------------------------------------------------------


@frozen
class Comparison:
    """`operator` and `value` of a sentence."""

    operator: str
    value: str

    def holds(self, got: Any) -> bool:
        """Whether it holds of a value of an object."""
        return _OPERATORS[self.operator](got, self.value)


def _comparison(match: re.Match[str]) -> Comparison:
    value = match["value"]
    comparison = Comparison(match["operator"], value[1:-1] if _QUOTED.fullmatch(value) else value)
    if comparison.operator.startswith("at ") and _number(comparison.value) is None:
        raise ValueError(f"'{value}' stands behind '{comparison.operator}', expected a number")
    return comparison


def shown(value: Any) -> str:
    """A value of an object as a text."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _same(got: Any, wanted: str) -> bool:
    if got in (None, 0, "", [], {}) and wanted in _EMPTY:
        return True
    return shown(got) == wanted


def _number(value: Any) -> float | None:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return None


def _ordered(sign: int) -> Callable[[Any, str], bool]:
    def compare(got: Any, wanted: str) -> bool:
        number = _number(got)
        return number is not None and sign * number >= sign * float(wanted)

    return compare


_OPERATORS: Final[Mapping[str, Callable[[Any, str], bool]]] = {
    "is": _same,
    "is not": lambda got, wanted: not _same(got, wanted),
    "at least": _ordered(1),
    "at most": _ordered(-1),
    "contains": lambda got, wanted: wanted in (got if isinstance(got, list) else shown(got)),
}


def value_at(document: Any, path: str) -> Any:
    """The value at a path of a JSON document; None where there is none."""
    for index, name in _PART.findall(path):
        document = _inside(document, index) if index else _member(document, name)
    return document


def _member(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else None


def _inside(document: Any, index: str) -> Any:
    if isinstance(document, Mapping):
        return document.get(index)
    if not isinstance(document, list):
        return None
    name, equals, wanted = index.partition("=")
    if equals:
        return next((item for item in document if shown(_member(item, name)) == wanted), None)
    return document[int(index)] if index.isdigit() and int(index) < len(document) else None


def field_of(obj: Any, path: str, now: int) -> Any:
    """A field of an object; a path in capitals is a column of `kubectl get`."""
    if path.isupper():
        titles = [column.title for column in columns_of(obj.kind, wide=True)]
        return dict(zip(titles, row_of(obj, now, wide=True), strict=False)).get(path)
    return value_at(to_json(obj), path)


_FIGURE: Final = re.compile(rf"figure\s+(?P<name>.+)\s+{_COMPARE}")


@frozen
class FigureTest:
    """A sentence about a figure: `figure pods evicted is 0`."""

    name: str
    comparison: Comparison

    def of(self, value: Any) -> Finding:
        """What it comes to where the figure has that value."""
        return Finding(self.comparison.holds(value), shown(value))


def read_figure_test(text: str) -> FigureTest | None:
    """The sentence, where it is about a figure; None otherwise. Raises ValueError with what is wrong."""
    match = _FIGURE.fullmatch(" ".join(text.split()))
    return FigureTest(match["name"], _comparison(match)) if match is not None else None


# -- sentences --------------------------------------------------------------------------------------------------------


def _one(match: re.Match[str], namespace: str) -> Test:
    key, path, comparison = key_called(match["key"], namespace), match["path"], _comparison(match)

    def test(store: Store, now: int) -> Finding:
        obj = store.get(*key)
        if obj is None:
            return Finding(False, f"no {match['key']}")
        got = field_of(obj, path, now)
        return Finding(comparison.holds(got), shown(got))

    return test


def _there(match: re.Match[str], namespace: str) -> Test:
    key, wanted = key_called(match["key"], namespace), match["what"] == "exists"

    def test(store: Store, now: int) -> Finding:
        there = store.get(*key) is not None
        return Finding(there is wanted, f"{match['key']} " + ("exists" if there else "does not exist"))

    return test


def _many(match: re.Match[str], namespace: str) -> Test:
    kind, path, comparison = kind_called(match["kind"]), match["path"], _comparison(match)
    selector = _selector(match["where"] or "")

    def test(store: Store, now: int) -> Finding:
        chosen = [obj for obj in objects_of(store, kind, namespace) if selector.matches(obj.metadata.labels)]
        if path == COUNT:
            return Finding(comparison.holds(len(chosen)), str(len(chosen)))
        values = [field_of(obj, path, now) for obj in chosen]
        holds = bool(values) and all(map(comparison.holds, values))
        return Finding(holds, ", ".join(map(shown, values)) or f"no {match['kind']}")

    return test


def _skew(match: re.Match[str], namespace: str) -> Test:
    """How unevenly live Pods are spread over the values that a label of Nodes has: the most less the least."""
    comparison, label = _comparison(match), match["label"]
    selector = _selector(match["where"] or "")

    def test(store: Store, now: int) -> Finding:
        places = {node.metadata.name: node.metadata.labels.get(label) for node in objects_of(store, "Node")}
        counts = {value: 0 for value in places.values() if value is not None}
        for pod in objects_of(store, "Pod", namespace):
            value = places.get(pod.spec.node_name)
            if value is not None and pod.metadata.deletion_timestamp is None and selector.matches(pod.metadata.labels):
                counts[value] += 1
        skew = max(counts.values(), default=0) - min(counts.values(), default=0)
        return Finding(comparison.holds(skew), str(skew))

    return test


def _selector(text: str) -> Selector:
    try:
        return parse_selector(text)
    except SelectorError as error:
        raise ValueError(f"'{text}' is no label selector: {error}") from None


def objects_of(store: Store, kind: str, namespace: str = "") -> Iterable[Any]:
    """Objects of a kind in a namespace ("default" where it is empty), in order of creation."""
    where = (namespace or DEFAULT_NAMESPACE) if KINDS[kind].namespaced else ""
    return tuple(store.snapshot.series("in", kind, where))


def _event(match: re.Match[str], namespace: str) -> Test:
    key = key_called(match["key"], namespace) if match["key"] else None
    reason, text, wanted = match["reason"], match["text"] or "", match["no"] is None

    def fits(event: Event) -> bool:
        about = event.involved_object
        named: Key = (about.kind, about.namespace, about.name)
        return event.reason == reason and text in event.message and key in (None, named)

    def test(store: Store, now: int) -> Finding:
        events = tuple(objects_of(store, "Event", namespace))
        there = any(map(fits, events))
        reasons = sorted({event.reason for event in events})
        return Finding(there is wanted, f"events {', '.join(reasons)}" if wanted else f"event {reason}")

    return test


_FORMS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], Test]], ...]] = (
    (_EVENT, _event),
    (_THERE, _there),
    (_SKEW, _skew),
    (_ONE, _one),
    (_MANY, _many),
)
