"""One requirement on labels, and selectors made of them.

Source: staging/src/k8s.io/apimachinery/pkg/labels/selector.go: Requirement, NewRequirement, internalSelector
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from k8sfsm.objects.gotext import quote
from k8sfsm.objects.meta import LabelSelector
from k8sfsm.objects.names import label_key_errors, label_value_errors

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)
_SIGNS: Final = {"=": "=", "==": "==", "!=": "!=", "in": " in ", "notin": " notin ", "gt": ">", "lt": "<"}
_OPERATORS: Final = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_MANY: Final = 2**31
_COUNTS: Final = {
    "in": (range(1, _MANY), "for 'in', 'notin' operators, values set can't be empty"),
    "notin": (range(1, _MANY), "for 'in', 'notin' operators, values set can't be empty"),
    "=": (range(1, 2), "exact-match compatibility requires one single value"),
    "==": (range(1, 2), "exact-match compatibility requires one single value"),
    "!=": (range(1, 2), "exact-match compatibility requires one single value"),
    "exists": (range(1), "values set must be empty for exists and does not exist"),
    "!": (range(1), "values set must be empty for exists and does not exist"),
    "gt": (range(1, 2), "for 'Gt', 'Lt' operators, exactly one value is required"),
    "lt": (range(1, 2), "for 'Gt', 'Lt' operators, exactly one value is required"),
}
"""How many values an operator takes, and the complaint about another number."""


class SelectorError(ValueError):
    """A selector that the API server refuses; the message is its own."""


def parse_int64(text: str) -> int | None:
    """The number that Go's strconv.ParseInt(text, 10, 64) reads, or None."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    return number if number is not None and number in _INT64 else None


@frozen
class Requirement:
    """`key` `operator` `values`; operator: in, notin, =, ==, !=, exists, ! (does not exist), gt, lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    @staticmethod
    def of(key: str, operator: str, values: Iterable[str] = ()) -> Requirement:
        """A checked requirement. Raises SelectorError. Source: labels/selector.go: NewRequirement."""
        made = Requirement(key, operator, tuple(values))
        errors = list(dict.fromkeys(made._errors()))
        if errors:
            raise SelectorError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
        return made

    def _errors(self) -> Iterable[str]:
        key_errors = label_key_errors(self.key)
        if key_errors:
            yield f"key: Invalid value: {quote(self.key)}: {'; '.join(key_errors)}"
        allowed, complaint = _COUNTS[self.operator]
        if len(self.values) not in allowed:
            shown = json.dumps(self.values, ensure_ascii=False, separators=(",", ":")) if self.values else "null"
            yield f"values: Invalid value: {shown}: {complaint}"
        for index, value in enumerate(self.values):
            if self.operator in ("gt", "lt") and parse_int64(value) is None:
                complaint = "for 'Gt', 'Lt' operators, the value must be an integer"
                yield f"values[{index}]: Invalid value: {quote(value)}: {complaint}"
        for index, value in enumerate(self.values):
            value_errors = label_value_errors(value)
            if value_errors:
                yield f"values[{index}][{self.key}]: Invalid value: {quote(value)}: {'; '.join(value_errors)}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True when the labels fulfil the requirement."""
        present = self.key in labels
        match self.operator:
            case "exists":
                return present
            case "!":
                return not present
            case "in" | "=" | "==":
                return present and labels[self.key] in self.values
            case "notin" | "!=":
                return not present or labels[self.key] not in self.values
        have, bound = parse_int64(labels.get(self.key, "")), parse_int64(self.values[0])
        if have is None or bound is None:
            return False
        return have > bound if self.operator == "gt" else have < bound

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        values = ",".join(sorted(self.values, key=lambda value: value.encode()))
        return f"{self.key}{_SIGNS[self.operator]}" + (f"({values})" if self.operator in ("in", "notin") else values)


@frozen
class Selector:
    """All requirements must hold; none: everything matches, unless `nothing` is set."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @staticmethod
    def of(selector: LabelSelector | None) -> Selector:
        """The selector of a metav1.LabelSelector; None selects nothing. Raises SelectorError.

        Source: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go: LabelSelectorAsSelector.
        """
        if selector is None:
            return Selector(nothing=True)
        found = [Requirement.of(key, "=", (value,)) for key, value in selector.match_labels.items()]
        for expression in selector.match_expressions:
            operator = _OPERATORS.get(expression.operator)
            if operator is None:
                raise SelectorError(f"{quote(expression.operator)} is not a valid label selector operator")
            found.append(Requirement.of(expression.key, operator, expression.values))
        return Selector(by_key(found))

    @staticmethod
    def of_labels(labels: Mapping[str, str]) -> Selector:
        """The selector of a plain map, unchecked. Source: labels/selector.go: SelectorFromSet."""
        return Selector(by_key(Requirement(key, "=", (value,)) for key, value in labels.items()))

    @property
    def empty(self) -> bool:
        """True when it puts no restriction. Source: labels/selector.go: Empty."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True when the labels fulfil all requirements."""
        return not self.nothing and all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def by_key(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Requirements in the order in which a selector keeps them. Source: labels/selector.go: ByKey."""
    return tuple(sorted(requirements, key=lambda requirement: requirement.key.encode()))


def format_label_selector(selector: LabelSelector | None) -> str:
    """The text that kubectl shows. Source: apis/meta/v1/helpers.go: FormatLabelSelector."""
    try:
        return str(Selector.of(selector)) or "<none>"
    except SelectorError:
        return "<error>"
