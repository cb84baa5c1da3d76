"""Reads YAML text into plain values that remember where they stood."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from k8sfsm.spec.mistakes import Mistake, Position, SpecError
from k8sfsm.yamlnodes import nodes

_NUMBER = re.compile(r"[-+]?[0-9_]*\.?[0-9_]+([eE][-+]?[0-9]+)?\Z|[-+]?[0-9][0-9_]*\.\Z")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)\Z")
_PLAIN: Final = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", ("~", "n", "N", "")),
    "int": (r"[-+]?[0-9][0-9_]*|[-+]?0o[0-7_]+|[-+]?0x[0-9a-fA-F_]+", "-+0123456789"),
    "float": (
        r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "timestamp": (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?", "0123456789"),
}
"""What unquoted scalars are, as in YAML 1.2 (`yes` and `on` are texts), and the characters that they begin with."""


def _resolved(base: Any) -> Any:
    """A loader or dumper of PyYAML that reads unquoted scalars by `_PLAIN`."""
    made = type(f"Spec{base.__name__}", (base,), {"yaml_implicit_resolvers": {}})
    for name, (pattern, first) in _PLAIN.items():
        made.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z"), list(first))  # type: ignore[attr-defined]
    return made


_SAFE_LOADER: Final = _resolved(yaml.SafeLoader)
_LOADER: Final = _resolved(getattr(yaml, "CSafeLoader", yaml.SafeLoader))
_DUMPER: Final = _resolved(getattr(yaml, "CSafeDumper", yaml.SafeDumper))


class Located(dict[str, Any]):
    """A mapping: `at` is where it stands (the key it stands under, if any), `key_at`, `value_at` are its entries'."""

    __slots__ = ("at", "key_at", "value_at")

    def __init__(self, at: Position) -> None:
        super().__init__()
        self.at = at
        self.key_at: dict[str, Position] = {}
        self.value_at: dict[str, Position] = {}


class LocatedList(list[Any]):
    """A sequence: `at` is its own position, `item_at` those of its items."""

    __slots__ = ("at", "item_at")

    def __init__(self, at: Position) -> None:
        super().__init__()
        self.at = at
        self.item_at: list[Position] = []


def plain(value: Any) -> Any:
    """A value without its positions, that nobody can change by accident: lists become tuples."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(plain(item) for item in value)
    return value


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []

    def at(self, node: Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def value(self, node: Node) -> Any:
        if isinstance(node, MappingNode):
            return self.mapping(node)
        if isinstance(node, SequenceNode):
            items = LocatedList(self.at(node))
            for item in node.value:
                items.append(self.value(item))
                items.item_at.append(self.at(item))
            return items
        return self.scalar(node)

    def mapping(self, node: MappingNode) -> Located:
        result = Located(self.at(node))
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.mistakes.append(Mistake(self.at(key_node), "a key that is not a text, expected a name"))
                continue
            key = str(key_node.value)
            if key in result:
                first = result.key_at[key]
                self.mistakes.append(
                    Mistake(
                        self.at(key_node), f"key '{key}' stands twice (first in line {first.line}), expected it once"
                    )
                )
                continue
            value = result[key] = self.value(value_node)
            if isinstance(value, Located):
                value.at = self.at(key_node)
            result.key_at[key] = self.at(key_node)
            result.value_at[key] = self.at(value_node)
        return result

    def scalar(self, node: Node) -> Any:
        text = str(node.value)
        kind = str(node.tag).rpartition(":")[2]
        if kind == "str":
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int" and _INTEGER.match(text):
            return int(text.replace("_", ""))
        if kind == "float" and _NUMBER.match(text):
            return float(text.replace("_", ""))
        self.mistakes.append(
            Mistake(
                self.at(node),
                f"'{text}' is read as a {kind} by YAML, expected a text, number, true, false or null;"
                " put it in quotes if it is a text",
            )
        )
        return text


def read_yaml(text: str, file: str) -> tuple[Located, list[Mistake]]:
    """Parse `text`; `file` is the name for positions.

    Returns the top mapping and the mistakes found on the way (keys that stand twice, values of odd types).
    Raises SpecError where the text is no YAML at all, or its top is no mapping.
    """
    tabs = [
        Mistake(Position(file, number, line.index("\t") + 1), "a tab in the indentation, expected spaces")
        for number, line in enumerate(text.splitlines(), 1)
        if "\t" in line[: len(line) - len(line.lstrip())]
    ]
    if tabs:
        raise SpecError(tabs)
    reader = _Reader(file)
    node = _compose(text, file)
    if node is None:
        return Located(Position(file, 1, 1)), []
    if not isinstance(node, MappingNode):
        raise SpecError([Mistake(reader.at(node), "expected a mapping (`key: value` lines) at the top of the file")])
    return reader.mapping(node), reader.mistakes


def _compose(text: str, file: str) -> Node | None:
    """The node of the text's only document, or None where the text is empty. Raises SpecError."""
    try:
        found = nodes(text, _LOADER, _SAFE_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        hint = '; a test such as "not [A, B]" or "< 0" needs its quotes' if "flow mapping" in problem else ""
        raise SpecError([Mistake(at, f"no valid YAML: {problem}{hint}")]) from None
    except yaml.YAMLError as error:
        problem = str(error).partition("\n")[0]
        raise SpecError([Mistake(Position(file, 1, 1), f"no valid YAML: {problem}")]) from None
    if len(found) > 1:
        mark = found[1].start_mark
        raise SpecError([Mistake(Position(file, mark.line + 1, 1), "a second document, expected one in a file")])
    return found[0] if found else None


def yaml_text(value: Any) -> str:
    """Plain values as YAML that `read_yaml` reads back as the same."""
    written: str = yaml.dump(value, Dumper=_DUMPER, sort_keys=False, default_flow_style=False, allow_unicode=True)
    return written
