"""What is said about input that cannot be read: one line with the place, what was expected and what to do."""

from __future__ import annotations

from typing import Any

from k8sfsm.value import value


@value
class Line:
    """A place in a file: its path as given to the reader, and a line number that starts at 1 (0: the whole file)."""

    file: str
    number: int = 0

    def __str__(self) -> str:
        """`file:number`, the form that editors understand."""
        return f"{self.file}:{self.number}" if self.number else self.file


class TraceError(ValueError):
    """A history cannot be read. Its text is one line: file, line, field, what was expected, what to do."""

    def __init__(self, line: Line, expected: str, do: str, field: str = "") -> None:
        """Say where (`line`, `field`), what was `expected` and found, and what to `do` about it."""
        self.line = line
        self.field = field
        self.expected = expected
        self.do = do
        place = f"{line}: {field}" if field else str(line)
        super().__init__(" ".join(f"{place}: {expected}; {do}".split()))


def describe(value: Any) -> str:
    """A JSON value in a few words, for messages: its kind and, where it is short, its text."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    if value is None:
        return "null"
    name = names.get(type(value), type(value).__name__)
    text = repr(value)
    return f"{name} {text}" if isinstance(value, str | int | float) and len(text) <= 40 else name
