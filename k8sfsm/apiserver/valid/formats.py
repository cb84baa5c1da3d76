"""Formats of texts: the table `specs/apiserver/formats.yaml`.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from k8sfsm.apiserver.deletion import law
from k8sfsm.objects.names import label_key_errors, label_value_errors
from k8sfsm.table import CompiledTable


@frozen
class Format:
    """The format that is asked for."""

    name: str


@law.fact
def format_name(case: Format) -> str:
    """The name of a format."""
    return case.name


_OTHERS: Final[dict[str, Callable[[str], list[str]]]] = {
    "label-key": label_key_errors,
    "label-value": label_value_errors,
    "annotation-key": lambda text: label_key_errors(text.lower()),
}
"""Formats that selectors know as well, from `k8sfsm.objects.names`."""


def format_errors(name: str, text: str) -> list[str]:
    """The API server's complaints about a text that is to be of the format `name`; empty when it is."""
    other = _OTHERS.get(name)
    if other is not None:
        return other(text)
    return [detail for shape, detail in _checks(law.table("format"), name) if shape.broken(text)]


def has_format(name: str) -> Callable[[str], bool]:
    """The question whether `format_errors` finds nothing in a text, for one format."""
    other = _OTHERS.get(name)
    if other is not None:
        return lambda text: not other(text)
    broken = [shape.broken for shape, _ in _checks(law.table("format"), name)]

    def sound(text: str) -> bool:
        for breaks in broken:  # noqa: SIM110 (asked of every new name: a generator costs more than the checks)
            if breaks(text):
                return False
        return True

    return sound


def is_format(name: str) -> bool:
    """Whether there is a format of that name."""
    return name in _OTHERS or bool(_checks(law.table("format"), name))


@frozen
class _Shape:
    """What a row demands of a text: that it is not longer (bytes), and what it matches and does not match."""

    longest: int | None
    needs: re.Pattern[str] | None
    lacks: re.Pattern[str] | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Shape:
        patterns = [re.compile(row[each], re.ASCII | re.DOTALL) if row[each] else None for each in ("needs", "lacks")]
        return cls(row["longest"], *patterns)

    def broken(self, text: str) -> bool:
        """Whether a text breaks the rule of the row."""
        if self.longest is not None and 4 * len(text) > self.longest and len(text.encode()) > self.longest:
            return True
        if self.needs is not None and self.needs.fullmatch(text) is None:
            return True
        return self.lacks is not None and self.lacks.fullmatch(text) is not None


@lru_cache(maxsize=256)
def _checks(table: CompiledTable, name: str) -> tuple[tuple[_Shape, str], ...]:
    rows = table.collect(Format(name))
    return tuple((_Shape.of(row.outputs), _detail(row.outputs)) for row in rows)


def _detail(row: Mapping[str, Any]) -> str:
    """The complaint, with examples and the pattern where the row has one."""
    if not row["pattern"]:
        return str(row["detail"])
    shown = " or ".join(f"'{example}', " for example in row["examples"])
    return f"{row['detail']} (e.g. {shown}regex used for validation is '{row['pattern']}')"
