"""The values that a fact can have, cut down to as few as its tests can tell apart."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from k8sfsm.spec.unary import Test, is_number, parse_test

Count: TypeAlias = Annotated[int, ">= 0"]
"""The type of a fact that counts: an int that is never negative. Any unary test may stand in such an annotation."""


class _Other:
    """Stands for every value that no test names."""

    def __repr__(self) -> str:
        return "any other value"


OTHER = _Other()


def return_type(fact: Callable[..., Any]) -> Any:
    """What a fact says that it returns; `Any` where it says nothing or nothing that can be understood."""
    function = getattr(fact, "__wrapped__", fact)
    annotation = getattr(function, "__annotations__", {}).get("return", Any)
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(getattr(function, "__globals__", {})))
    except Exception:
        return Any


def _integers(tests: Sequence[Test]) -> Iterable[Any]:
    bounds = {bound for test in tests for bound in test.bounds()}
    near = {value for bound in bounds for value in (math.floor(bound) - 1, math.floor(bound), math.floor(bound) + 1)}
    return sorted(near | {math.ceil(bound) for bound in bounds}) or [0]


def _floats(tests: Sequence[Test]) -> Iterable[Any]:
    bounds = sorted({bound for test in tests for bound in test.bounds()})
    if not bounds:
        return [0.5]
    between = [(low + high) / 2 for low, high in pairwise(bounds)]
    return sorted([bounds[0] - 1, *bounds, *between, bounds[-1] + 1])


def _texts(tests: Sequence[Test]) -> Iterable[Any]:
    return [*(point for test in tests for point in test.points() if isinstance(point, str)), OTHER]


def _anything(tests: Sequence[Test]) -> Iterable[Any]:
    points = [point for test in tests for point in test.points() if not is_number(point)]
    return [*points, *_floats(tests), True, False, None, OTHER]


def _values(annotation: Any, tests: Sequence[Test]) -> Iterable[Any]:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return [value for part in get_args(annotation) for value in _values(part, tests)]
    if origin is Annotated:
        limits = [parse_test(text) for text in annotation.__metadata__ if isinstance(text, str)]
        inner = _values(annotation.__origin__, [*tests, *limits])
        return [value for value in inner if all(limit.holds(value) for limit in limits)]
    if origin is Literal:
        return get_args(annotation)
    if annotation is bool:
        return (True, False)
    if annotation is None or annotation is NoneType:
        return (None,)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return tuple(annotation)
    if hasattr(annotation, "__supertype__"):
        return _values(annotation.__supertype__, tests)
    named = {int: _integers, float: _floats, str: _texts}
    return named.get(annotation, _anything)(tests)


def domain(annotation: Any, tests: Sequence[Test]) -> tuple[Any, ...]:
    """Sample values of a type: at least one for every set of values that `tests` cannot tell apart."""
    samples: dict[tuple[type, Any], Any] = {}
    for value in _values(annotation, tests):
        samples.setdefault((type(value), value), value)
    return tuple(samples.values())
