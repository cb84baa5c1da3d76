"""Reads Python sources for what specs are bound to: where constants are asked for, where functions stand."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from k8sfsm.spec.mistakes import Position

PACKAGE = Path(__file__).resolve().parent.parent


def _label(file: Path, package: Path) -> str:
    base = package.parent
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name


def constants_used(package: Path = PACKAGE) -> Iterator[tuple[str, Position]]:
    """Every `constant("name")` or `law.constant("name")` in the package's sources."""
    for file in sorted(package.rglob("*.py")):
        text = file.read_text("utf-8")
        if "constant(" not in text:
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            name = _constant_name(node)
            if name is not None and isinstance(node, ast.Call):
                yield name, Position(_label(file, package), node.lineno, node.col_offset + 1)


def _constant_name(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0]
    if called != "constant" or not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    return first.value


def where(function: Callable[..., Any]) -> Position:
    """Where a registered function stands."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None:
        return Position(function.__module__, 1, 1)
    return Position(_label(Path(code.co_filename), PACKAGE), code.co_firstlineno, 1)
