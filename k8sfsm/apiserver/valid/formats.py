"""Formats of texts: the table `specs/apiserver/formats.yaml`.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.apiserver.deletion import law
from k8sfsm.objects.names import label_key_errors, label_value_errors
from k8sfsm.table import CompiledTable

Check: TypeAlias = Callable[[str], bool]


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
    return [detail for broken, detail in _checks(law.table("format"), name) if broken(text)]


def has_format(name: str) -> Callable[[str], bool]:
    """The question whether `format_errors` finds nothing in a text, for one format."""
    other = _OTHERS.get(name)
    if other is not None:
        return lambda text: not other(text)
    checks = [broken for broken, _ in _checks(law.table("format"), name)]

    def sound(text: str) -> bool:
        for broken in checks:  # noqa: SIM110 (asked of every new name: a generator costs more than the checks)
            if broken(text):
                return False
        return True

    return sound


def is_format(name: str) -> bool:
    """Whether there is a format of that name."""
    return name in _OTHERS or bool(_checks(law.table("format"), name))


@lru_cache(maxsize=256)
def _checks(table: CompiledTable, name: str) -> tuple[tuple[Check, str], ...]:
    rows = table.collect(Format(name))
    return tuple((_broken(row.outputs), _detail(row.outputs)) for row in rows)


def _broken(row: Mapping[str, Any]) -> Check:
    """Whether a text breaks the rule of a row."""
    longest = row["longest"]
    needs = re.compile(row["needs"], re.ASCII | re.DOTALL) if row["needs"] else None
    lacks = re.compile(row["lacks"], re.ASCII | re.DOTALL) if row["lacks"] else None

    def broken(text: str) -> bool:
        if longest is not None and 4 * len(text) > longest and len(text.encode()) > longest:
            return True
        if needs is not None and needs.fullmatch(text) is None:
            return True
        return lacks is not None and lacks.fullmatch(text) is not None

    return broken


def _detail(row: Mapping[str, Any]) -> str:
    """The complaint, with examples and the pattern where the row has one."""
    if not row["pattern"]:
        return str(row["detail"])
    shown = " or ".join(f"'{example}', " for example in row["examples"])
    return f"{row['detail']} (e.g. {shown}regex used for validation is '{row['pattern']}')"
