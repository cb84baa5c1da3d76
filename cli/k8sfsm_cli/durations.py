"""Durations as options of commands."""

from __future__ import annotations

import click

from k8sfsm.objects import parse_duration


def duration(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Nanoseconds of `90s`, `1m30s`; a callback of click. Raises BadParameter."""
    if value is None:
        return None
    try:
        found = parse_duration(value)
    except ValueError:
        found = -1
    if found < 0:
        raise click.BadParameter(f"'{value}' is no duration, expected one such as 30s or 1m30s")
    return found
