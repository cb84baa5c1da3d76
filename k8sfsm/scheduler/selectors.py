"""Label selectors in the form in which the scheduler uses them: hashable, mergeable, empty or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import frozen

from k8sfsm.objects import LabelSelector

Expression: TypeAlias = tuple[str, str, tuple[str, ...]]
"""(label, operator, sorted values); operator: In, NotIn, Exists, DoesNotExist."""


@frozen
class Selector:
    """All expressions must hold. None instead of expressions selects nothing; none at all selects everything."""

    expressions: tuple[Expression, ...] | None = ()

    @classmethod
    def of(cls, selector: LabelSelector | None) -> Selector:
        """The selector of an object's field; None (absent) selects nothing.

        Source: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go: LabelSelectorAsSelector.
        """
        if selector is None:
            return NOTHING
        labels = [(key, "In", (value,)) for key, value in selector.match_labels.items()]
        others = [(each.key, each.operator, tuple(sorted(each.values))) for each in selector.match_expressions]
        return cls(tuple(sorted({*labels, *others})))

    @classmethod
    def of_labels(cls, labels: Mapping[str, str]) -> Selector:
        """The selector of exactly these labels."""
        return cls(tuple(sorted((key, "In", (value,)) for key, value in labels.items())))

    @property
    def empty(self) -> bool:
        """Without expressions: selects everything."""
        return self.expressions == ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Do the labels meet every expression?"""
        if self.expressions is None:
            return False
        return all(_holds(operator, values, labels.get(key)) for key, operator, values in self.expressions)

    def plus(self, other: Selector) -> Selector:
        """What both select."""
        if self.expressions is None or other.expressions is None:
            return NOTHING
        return Selector(tuple(sorted({*self.expressions, *other.expressions})))


def _holds(operator: str, values: tuple[str, ...], value: str | None) -> bool:
    match operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


NOTHING: Final = Selector(None)
EVERYTHING: Final = Selector()
