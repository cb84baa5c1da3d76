"""YAML text to JSON values, with the place of every value; scalars mean what they mean to kubectl.

kubectl reads YAML 1.1 by way of go-yaml v2: `yes` and `on` are true, `0644` is 420, `1:30` is a string.
Source: sigs.k8s.io/yaml/goyaml.v2/resolve.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import yaml
from attrs import define, field, frozen
from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import Node, ScalarNode, SequenceNode

from k8sfsm.yamlnodes import nodes

Steps: TypeAlias = tuple[str | int, ...]

_TAGS: Final = "tag:yaml.org,2002:"
_MERGE: Final = "<<"
_MOST_VALUES: Final = 1_000_000
_TRUE: Final = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE: Final = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
_NULL: Final = frozenset(["", "~", "null", "Null", "NULL"])
_FLOAT: Final = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?|[-+]?[0-9]+\.([eE][-+]?[0-9]+)?", re.ASCII)
_INTEGERS: Final[tuple[tuple[re.Pattern[str], int], ...]] = (
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO][0-7]+"), 8),
    (re.compile(r"[-+]?0[0-7]+"), 8),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
)
_LONGEST_NUMBER: Final = 100
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EXPONENT_FROM: Final = 1e21


class YAMLTextError(ValueError):
    """Text that is no such YAML: `file:line:column: what is wrong, what was expected`."""


@frozen
class Place:
    """Where something stands, counted from 1."""

    name: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}"


@define
class Document:
    """One YAML document as a JSON value; `places`: path of a value -> where it stands."""

    value: Any
    places: dict[Steps, Place] = field(factory=dict)

    def place(self, steps: Steps) -> Place:
        """Where the value of this path stands, or the nearest one around it."""
        while steps and steps not in self.places:
            steps = steps[:-1]
        return self.places[steps]


def plain_value(text: str) -> Any:
    """The JSON value of a plain (unquoted) scalar."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    number = text.replace("_", "")
    if not number or len(number) > _LONGEST_NUMBER or number[0] not in "+-.0123456789":
        return text
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(number):
            return int(number, base) if base != 8 else int(number.lower().replace("o", ""), 8)
    return _json_number(float(number)) if _FLOAT.fullmatch(number) else text


def _json_number(number: float) -> float | int:
    """Go writes 3.0 to JSON as 3, so a whole number may be given as a float."""
    return int(number) if number.is_integer() and abs(number) < _EXPONENT_FROM else number


def read_documents(text: str, name: str) -> Iterator[Document]:
    """The documents of a YAML text that are not empty. Raises YAMLTextError; `name` is the file's, for errors."""
    try:
        for node in nodes(text, _LOADER, yaml.SafeLoader):
            document = _Reading(name).document(node)
            if document.value is not None:
                yield document
    except MarkedYAMLError as error:
        raise YAMLTextError(_message(error, name)) from None
    except YAMLError as error:
        first = str(error).splitlines()[0]
        raise YAMLTextError(f"{name}:1:1: {first}, expected YAML") from None


def _message(error: MarkedYAMLError, name: str) -> str:
    problem = (error.problem or "text that is not YAML").replace("\n", " ")
    unfinished = "unexpected end of stream" in problem and error.context_mark is not None
    mark = error.context_mark if unfinished else error.problem_mark or error.context_mark
    place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name, 1, 1)
    if unfinished:
        return f"{place}: found the end of the text {error.context}, expected the end of that"
    if "'\\t'" in problem:
        return f"{place}: found a tab, expected spaces (YAML forbids tabs in indentation)"
    return f"{place}: {problem}" if problem.startswith("expected") else f"{place}: {problem}, expected YAML"


@define
class _Reading:
    """Turns the nodes of one document into values."""

    name: str
    places: dict[Steps, Place] = field(factory=dict)
    open: set[int] = field(factory=set)
    count: int = 0

    def document(self, node: Node) -> Document:
        return Document(self._value(node, ()), self.places)

    def _place(self, node: Node) -> Place:
        return Place(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _fail(self, node: Node, found: str, expected: str) -> YAMLTextError:
        return YAMLTextError(f"{self._place(node)}: found {found}, expected {expected}")

    def _value(self, node: Node, steps: Steps) -> Any:
        self.places.setdefault(steps, self._place(node))
        self.count += 1
        if self.count > _MOST_VALUES:
            raise self._fail(
                node, f"more than {_MOST_VALUES} values", "fewer (aliases are counted where they are used)"
            )
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self.open:
            raise self._fail(node, "an alias of what it is in", "a value that does not contain itself")
        self.open.add(id(node))
        inner = self._sequence(node, steps) if isinstance(node, SequenceNode) else self._mapping(node, steps)
        self.open.discard(id(node))
        return inner

    def _scalar(self, node: ScalarNode) -> Any:
        tag = str(node.tag)
        if not tag.startswith(_TAGS):
            raise self._fail(node, f"the tag {tag}", "no tag")
        return node.value if node.style in ("'", '"', "|", ">") else plain_value(node.value)

    def _sequence(self, node: SequenceNode, steps: Steps) -> list[Any]:
        return [self._value(item, (*steps, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: Node, steps: Steps) -> dict[str, Any]:
        value: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        pairs: list[tuple[Node, Node]] = node.value
        for key_node, value_node in pairs:
            if isinstance(key_node, ScalarNode) and key_node.value == _MERGE and not key_node.style:
                merged = {**self._merged(value_node, steps), **merged}
                continue
            key = self._key(key_node)
            if key in value:
                raise self._fail(key_node, f'the key "{key}" a second time', "each key once")
            value[key] = None
            self.places.pop((*steps, key), None)
            value[key] = self._value(value_node, (*steps, key))
        return {**merged, **value}

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise self._fail(node, "a list or map as a key", "a string")
        return str(node.value)

    def _merged(self, node: Node, steps: Steps) -> dict[str, Any]:
        """What `<<: *base` brings in; of a list of maps the first one wins."""
        value = self._value(node, (*steps, _MERGE))
        maps = value if isinstance(value, list) else [value]
        if not all(isinstance(item, dict) for item in maps):
            raise self._fail(node, "something else behind <<", "a map or a list of maps")
        merged: dict[str, Any] = {}
        for item in reversed(maps):
            merged.update(item)
        return merged


class _Dumper(yaml.SafeDumper):
    """Writes values that stand in several places in full each time, and texts so that they are read as texts."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def write_documents(values: list[Any]) -> str:
    """JSON values as YAML documents; texts that would be read as something else are quoted."""
    form: dict[str, Any] = {
        "Dumper": _Dumper,
        "default_flow_style": False,
        "width": 1 << 20,
        "allow_unicode": True,
        "sort_keys": False,
    }
    return "---\n".join(yaml.dump(value, **form) for value in values)


def _represent_text(dumper: _Dumper, text: str) -> Node:
    return dumper.represent_scalar(f"{_TAGS}str", text, style=_style(text))


_Dumper.add_representer(str, _represent_text)


def _style(text: str) -> str | None:
    """Quoted where a plain scalar would not be read as this text; None: the emitter decides."""
    if not text.replace("\n", "").isprintable():
        return '"'
    if "\n" in text:
        return "|" if not text.startswith((" ", "\n")) else '"'
    ambiguous = not isinstance(plain_value(text), str) or text == _MERGE or (":" in text and text[:1].isdigit())
    return '"' if ambiguous else None
