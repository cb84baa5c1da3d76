"""Objects of kinds that people define: pruned, filled with defaults and judged by their schema.

Source: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning, defaulting; .../validation.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.cel import CelError, evaluated
from k8sfsm.apiserver.custom.definitions import listed, member
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.valid.faults import Fault, shown
from k8sfsm.value import value

_OWN: Final = ("apiVersion", "kind", "metadata")
_NAMES: Final = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


@value
class Spot:
    """A value and the schema that it should fit."""

    value: Any
    schema: Mapping[str, Any]

    def number(self, name: str) -> Any:
        """A number of the schema, None where it is none."""
        found = self.schema.get(name)
        return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def type_of(found: Any) -> str:
    """The type of a JSON value, as schemas name it."""
    return "null" if found is None else _NAMES.get(type(found), "object")


@law.fact
def type_fits(case: Spot) -> bool:
    """The value has the type of the schema; a schema without one takes any."""
    wanted, found = case.schema.get("type"), type_of(case.value)
    if case.schema.get("x-kubernetes-int-or-string") is True:
        return found in ("integer", "string")
    return not wanted or wanted == found or (wanted == "number" and found == "integer")


@law.fact
def null_allowed(case: Spot) -> bool:
    """The value is null, and may be."""
    return case.value is None and case.schema.get("nullable") is True


@law.fact
def in_enum(case: Spot) -> bool:
    """The value is one of those that the schema lists, if it lists any."""
    choices = case.schema.get("enum")
    return not isinstance(choices, list) or any(
        type_of(each) == type_of(case.value) and each == case.value for each in choices
    )


@law.fact
def text_length(case: Spot) -> Literal["fits", "long", "short"]:
    """Whether a text is longer or shorter than it may be."""
    if not isinstance(case.value, str):
        return "fits"
    return _bounded(len(case.value), case.number("minLength"), case.number("maxLength"), "short", "long")  # type: ignore[return-value]


def _bounded(size: int, least: Any, most: Any, below: str, above: str) -> str:
    if most is not None and size > most:
        return above
    return below if least is not None and size < least else "fits"


@law.fact
def text_matches(case: Spot) -> bool:
    """A text matches the schema's pattern, if it has one."""
    pattern = case.schema.get("pattern")
    if not isinstance(case.value, str) or not isinstance(pattern, str):
        return True
    try:
        return re.search(pattern, case.value) is not None
    except re.error:
        return True


@law.fact
def number_range(case: Spot) -> Literal["fits", "below", "at-minimum", "above", "at-maximum"]:
    """Whether a number is out of the schema's range, or at an end that does not belong to it."""
    found = case.value
    if isinstance(found, bool) or not isinstance(found, int | float):
        return "fits"
    least, most = case.number("minimum"), case.number("maximum")
    if least is not None and found <= least and (found < least or case.schema.get("exclusiveMinimum") is True):
        return "at-minimum" if case.schema.get("exclusiveMinimum") is True else "below"
    if most is not None and found >= most and (found > most or case.schema.get("exclusiveMaximum") is True):
        return "at-maximum" if case.schema.get("exclusiveMaximum") is True else "above"
    return "fits"


@law.fact
def multiple_fits(case: Spot) -> bool:
    """A number is a multiple of the schema's, if it has one."""
    factor, found = case.number("multipleOf"), case.value
    if not factor or isinstance(found, bool) or not isinstance(found, int | float):
        return True
    return bool(found % factor == 0)


@law.fact
def item_count(case: Spot) -> Literal["fits", "many", "few"]:
    """Whether a list has more or fewer items than it may have."""
    if not isinstance(case.value, list):
        return "fits"
    return _bounded(len(case.value), case.number("minItems"), case.number("maxItems"), "few", "many")  # type: ignore[return-value]


@law.fact
def items_differ(case: Spot) -> bool:
    """No item is in a list twice that must not repeat any: a set."""
    if not isinstance(case.value, list) or case.schema.get("x-kubernetes-list-type") != "set":
        return True
    texts = [json.dumps(each, sort_keys=True) for each in case.value]
    return len(set(texts)) == len(texts)


@law.fact
def member_count(case: Spot) -> Literal["fits", "many", "few"]:
    """Whether an object has more or fewer members than it may have."""
    if not isinstance(case.value, Mapping):
        return "fits"
    return _bounded(len(case.value), case.number("minProperties"), case.number("maxProperties"), "few", "many")  # type: ignore[return-value]


# -- pruning and defaults ---------------------------------------------------------------------------------------------


def pruned(found: Any, schema: Any, root: bool = True) -> Any:
    """A value without the fields that its schema does not know. Source: pruning/algorithm.go: Prune."""
    if not isinstance(schema, Mapping) or schema.get("x-kubernetes-preserve-unknown-fields") is True:
        return found
    if isinstance(found, list):
        return [pruned(each, schema.get("items"), False) for each in found]
    if not isinstance(found, Mapping):
        return found
    known, others = member(schema, "properties") or {}, schema.get("additionalProperties")
    kept: dict[str, Any] = {}
    for name, part in found.items():
        if root and name in _OWN:
            kept[name] = part
        elif name in known:
            kept[name] = pruned(part, known[name], False)
        elif others is True or isinstance(others, Mapping):
            kept[name] = pruned(part, others, False)
    return kept


def filled(found: Any, schema: Any) -> Any:
    """A value with the defaults of its schema. Source: defaulting/algorithm.go: Default."""
    if not isinstance(schema, Mapping):
        return found
    if isinstance(found, list):
        return [filled(each, schema.get("items")) for each in found]
    if not isinstance(found, Mapping):
        return found
    result = dict(found)
    for name, inner in (member(schema, "properties") or {}).items():
        default = member(inner, "default")
        if default is not None and (name not in result or (result[name] is None and not member(inner, "nullable"))):
            result[name] = copy.deepcopy(default)
        if name in result:
            result[name] = filled(result[name], inner)
    others = schema.get("additionalProperties")
    known = member(schema, "properties") or {}
    return {name: part if name in known else filled(part, others) for name, part in result.items()}


# -- judging ----------------------------------------------------------------------------------------------------------


def value_faults(found: Any, schema: Any, old: Any = None, path: str = "") -> Iterator[Fault]:
    """The errors of a value by its schema, in the order of the fields. `old`: what stood there before an update."""
    if not isinstance(schema, Mapping):
        return
    spot = Spot(found, schema)
    wrong = [row.outputs for row in law.collect("value", spot)]
    for out in wrong:
        yield _fault(spot, path, out)
    if not type_fits(spot):
        return
    if isinstance(found, Mapping):
        for name in listed(schema.get("required")):
            if name not in found:
                yield Fault(_below(path, str(name)), "Required value")
        yield from _member_faults(found, schema, old, path)
    elif isinstance(found, list):
        for number, each in enumerate(found):
            before = old[number] if isinstance(old, list) and number < len(old) else None
            yield from value_faults(each, schema.get("items"), before, f"{path}[{number}]")
    yield from _rule_faults(found, schema, old, path)


def _member_faults(found: Mapping[str, Any], schema: Mapping[str, Any], old: Any, path: str) -> Iterator[Fault]:
    known, others = member(schema, "properties") or {}, schema.get("additionalProperties")
    for name, part in found.items():
        if not path and name in _OWN:
            continue
        inner = known.get(name) if name in known else others
        yield from value_faults(part, inner, member(old, name), _below(path, name))


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fault(spot: Spot, path: str, out: Mapping[str, Any]) -> Fault:
    enum = ", ".join(shown(each) for each in sorted(listed(spot.schema.get("enum")), key=str))
    words: dict[str, Any] = {name: part for name, part in spot.schema.items() if isinstance(part, int | float | str)}
    wanted = "integer or string" if spot.schema.get("x-kubernetes-int-or-string") is True else spot.schema.get("type")
    words |= {"name": path or "<root>", "found": type_of(spot.value), "type": wanted, "enum": enum}
    value_shown = type_of(spot.value) if "must be of type" in out["text"] else spot.value
    return Fault(path or "<nil>", out["error"], shown(value_shown), str(out["text"]).format_map(_Words(words)))


class _Words(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def _rule_faults(found: Any, schema: Mapping[str, Any], old: Any, path: str) -> Iterator[Fault]:
    """The rules in CEL that a part of the schema has. Rules about oldSelf are not asked of what is new.

    Source: apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go: Validator.validateExpressions.
    """
    for rule in listed(schema.get("x-kubernetes-validations")):
        expression = str(member(rule, "rule") or "")
        if not expression or (old is None and re.search(r"\boldSelf\b", expression)):
            continue
        try:
            holds = evaluated(expression, {"self": found, "oldSelf": old})
            said = _message(rule, expression, found, old)
        except CelError as error:
            holds, said = False, f"{error} evaluating rule: {member(rule, 'message') or expression}"
        if holds is not True:
            place = path + str(member(rule, "fieldPath") or "")
            yield Fault(
                place or "<nil>",
                "Invalid value",
                shown(type_of(found) if isinstance(found, dict | list) else found),
                said,
            )


def _message(rule: Any, expression: str, found: Any, old: Any) -> str:
    own = member(rule, "messageExpression")
    if own:
        try:
            said = evaluated(str(own), {"self": found, "oldSelf": old})
        except CelError:
            said = None
        if isinstance(said, str) and said.strip():
            return said
    return str(member(rule, "message") or f"failed rule: {expression}").strip()
