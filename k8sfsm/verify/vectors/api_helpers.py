"""Adapters for the API's value types: quantities, percentages, selectors, ages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from k8sfsm.objects import (
    LabelSelector,
    PercentError,
    Quantity,
    QuantityError,
    Selector,
    SelectorError,
    format_label_selector,
    human_duration,
    parse_field_selector,
    parse_selector,
    part_from_json,
    scaled_value,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.verify.vectors import target

_MILLI = -3
_GO_EXPONENT_FROM = 1e21


@target("quantity")
def quantity(given: dict[str, Any]) -> Any:
    """resource.ParseQuantity and what a Quantity tells about itself."""
    try:
        read = Quantity.parse(given["quantity"])
    except QuantityError as error:
        return {"error": str(error)}
    rounded, exact = read.round_up(_MILLI)
    return {
        "string": str(read),
        "json": f'"{read}"',
        "value": str(read.value),
        "milliValue": str(read.milli_value),
        "format": read.format,
        "sign": read.sign,
        "isZero": not read,
        "approxFloat": _go_number(read.approximate_float()),
        "roundUpMilli": str(rounded),
        "roundUpMilliExact": exact,
    }


def _go_number(number: float) -> float | int:
    """The number that is read back from Go's JSON: without an exponent below 1e21, in the shortest digits."""
    if number.is_integer() and abs(number) < _GO_EXPONENT_FROM:
        return int(Decimal(repr(number)))
    return number


@target("quantity_arith")
def quantity_arith(given: dict[str, Any]) -> Any:
    """Quantity.Cmp, Equal, Add, Sub, Neg."""
    left, right = Quantity.parse(given["a"]), Quantity.parse(given["b"])
    return {
        "cmp": left.cmp(right),
        "equal": left == right,
        "add": str(left + right),
        "sub": str(left - right),
        "neg": str(-left),
    }


@target("intstr_percent")
def intstr_percent(given: dict[str, Any]) -> Any:
    """intstr.GetScaledValueFromIntOrPercent, rounding up and down."""
    value, total = given["value"], given["total"]
    try:
        up = scaled_value(value, total, round_up=True)
        down = scaled_value(value, total, round_up=False)
    except PercentError as error:
        return {"error": str(error), "roundUp": 0, "roundDown": 0}
    return {"error": None, "roundUp": up, "roundDown": down}


@target("label_selector_parse")
def label_selector_parse(given: dict[str, Any]) -> Any:
    """labels.Parse, and which label sets match."""
    try:
        selector = parse_selector(given["selector"])
    except SelectorError as error:
        return {"error": str(error)}
    matches = [selector.matches(labels) for labels in given["labels"]]
    return {"canonical": str(selector), "empty": selector.empty, "matches": matches}


@target("label_selector_object")
def label_selector_object(given: dict[str, Any]) -> Any:
    """metav1.LabelSelectorAsSelector and FormatLabelSelector, and which label sets match."""
    document = given["labelSelector"]
    read = None if document is None else part_from_json(LabelSelector, document)
    try:
        selector = Selector.of(read)
    except SelectorError as error:
        return {"error": str(error)}
    matches = [selector.matches(labels) for labels in given["labels"]]
    return {"string": str(selector), "format": format_label_selector(read), "matches": matches}


@target("field_selector_parse")
def field_selector_parse(given: dict[str, Any]) -> Any:
    """fields.ParseSelector, and whether the fields match."""
    try:
        selector = parse_field_selector(given["selector"])
    except SelectorError as error:
        return {"error": str(error)}
    return {"canonical": str(selector), "matches": selector.matches(given["fields"])}


@target("human_duration")
def human_duration_text(given: dict[str, Any]) -> Any:
    """duration.HumanDuration."""
    return {"text": human_duration(given["seconds"] * SECOND)}
