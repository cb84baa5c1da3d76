"""Reads the parts of a scenario: mappings, lists, durations, manifests. Mistakes have their file, line and column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from k8sfsm.objects import ManifestError, parse_duration
from k8sfsm.objects.yamltext import Document
from k8sfsm.scenario.manifests import manifests_in, read_manifests
from k8sfsm.scenario.model import Manifest
from k8sfsm.spec.mistakes import Mistake, Position
from k8sfsm.spec.source import Located, LocatedList
from k8sfsm.spec.structure import keys_of, structure, type_name

T = TypeVar("T")


@define
class Parts:
    """The parts of one scenario being read; mistakes are collected, so that a user sees all of them."""

    name: str
    folder: Path
    mistakes: list[Mistake]
    document: Document = field(factory=lambda: Document(None))

    def wrong(self, at: Position, message: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(at, message))

    def part(self, raw: Any, cls: type[T]) -> T | None:
        """One part as a class of the model; None where it has mistakes."""
        if not isinstance(raw, Located):
            at = raw.at if isinstance(raw, LocatedList) else Position(self.name, 1, 1)
            self.wrong(at, f"{type_name(raw)} stands here, expected a mapping with the keys {', '.join(keys_of(cls))}")
            return None
        value, mistakes = structure(raw, cls)
        self.mistakes += mistakes
        return value

    def rows(self, raw: Located, key: str) -> Iterator[tuple[int, Any, Position]]:
        """The items of a list of the scenario with their numbers and places."""
        found = raw.get(key)
        if found is None:
            return
        if not isinstance(found, LocatedList):
            self.wrong(raw.value_at[key], f"'{key}': {type_name(found)} stands here, expected a list")
            return
        yield from zip(range(len(found)), found, found.item_at, strict=True)

    def parts(self, raw: Located, key: str, cls: type[T]) -> Iterator[T]:
        """The items of a list as a class of the model."""
        for _, item, at in self.rows(raw, key):
            if not isinstance(item, Located):
                self.wrong(
                    at, f"{type_name(item)} stands here, expected a mapping with the keys {', '.join(keys_of(cls))}"
                )
            elif (value := self.part(item, cls)) is not None:
                yield value

    def duration(self, value: Any, at: Position) -> int:
        """A time of the file in ns; 0 where it is wrong."""
        try:
            if not isinstance(value, str):
                raise ValueError
            found = parse_duration(value)
        except ValueError:
            self.wrong(at, f"{type_name(value)} stands here, expected a duration such as 30s or 1m30s")
            return 0
        if found < 0:
            self.wrong(at, f"{type_name(value)} stands here, expected a duration that is not negative")
        return max(found, 0)

    def offset(self, value: Any, at: Position) -> int:
        """A time of the file in ns that may be negative: `-20s`."""
        back = isinstance(value, str) and value.startswith("-")
        return -self.duration(value[1:], at) if back else self.duration(value, at)

    def given(self, value: Any, steps: tuple[str | int, ...], at: Position) -> tuple[Manifest, ...]:
        """Manifests: a file name, a document, or a list of both."""
        if value is None:
            return ()
        if isinstance(value, LocatedList):
            rows = zip(range(len(value)), value, value.item_at, strict=True)
            return tuple(each for number, item, place in rows for each in self.given(item, (*steps, number), place))
        try:
            if isinstance(value, str):
                path = self.folder / value
                return read_manifests(path.read_text("utf-8"), str(path))
            return tuple(manifests_in(self.document, steps)) if self.document.value else ()
        except ManifestError as error:
            self.mistakes.append(_mistake(error, at))
        except OSError as error:
            self.wrong(at, f"{value}: {(error.strerror or str(error)).lower()}, expected a readable file")
        return ()


def _mistake(error: ManifestError, fallback: Position) -> Mistake:
    """A manifest's error as a mistake at its own place."""
    file, _, rest = str(error).partition(":")
    line, _, rest = rest.partition(":")
    column, _, message = rest.partition(":")
    if not (line.isdigit() and column.isdigit()):
        return Mistake(fallback, str(error))
    return Mistake(Position(file, int(line), int(column)), message.strip())
