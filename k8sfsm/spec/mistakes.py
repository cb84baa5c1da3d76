"""Where something stands in a spec file, and what is wrong there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable


@frozen(order=True)
class Position:
    """A place in a file: `file` relative to the spec directory's parent; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Position("", 0, 0)
"""The position of values that were not read from a file."""


@frozen(order=True)
class Mistake:
    """One thing that is wrong in a spec, as a sentence that says what was expected."""

    at: Position
    message: str

    def __str__(self) -> str:
        return f"{self.at}: {self.message}"


class SpecError(Exception):
    """Specs that cannot be used. `mistakes` holds every mistake that was found, in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join(map(str, self.mistakes)))


SHOWN = 12
"""Known names that a message lists at most."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one where there is one, else all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    if not names:
        return "none is known here"
    more = f"... ({len(names)} in all)" if len(names) > SHOWN else ""
    return "expected one of: " + ", ".join(names[:SHOWN]) + more
