"""The figures of a story: with all of the law, and without a part of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from attrs import evolve
from rich.table import Table

from k8sfsm.objects import ManifestError
from k8sfsm.scenario.figures import Value
from k8sfsm.scenario.loading import unknown
from k8sfsm.scenario.model import Story
from k8sfsm_cli.printing import print_table


def without(story: Story, names: Sequence[str]) -> Story:
    """The story with these switches off. Raises ManifestError for one that it does not have."""
    known = [switch.name for switch in story.switches]
    for name in names:
        if name not in known:
            raise ManifestError(f"{story.name}: {unknown(name, known, 'switch')}")
    return evolve(story, off=story.off | frozenset(names))


def titled(story: Story) -> str:
    """What a column of figures is called: the switches that are off."""
    return ", ".join(f"{name} off" for name in sorted(story.off)) or "as it is"


def print_figures(columns: Mapping[str, Mapping[str, Value]], output: str = "table") -> None:
    """Print figures; `columns`: title -> figures by name. As JSON: one object per title."""
    if output == "json":
        click.echo(json.dumps(columns, indent=2, ensure_ascii=False))
        return
    table = Table("figure", title="Figures", title_justify="left")
    for title in columns:
        table.add_column(title, justify="right")
    names: dict[str, Any] = dict.fromkeys(name for figures in columns.values() for name in figures)
    for name in names:
        table.add_row(name, *(str(figures.get(name, "")) for figures in columns.values()))
    print_table(table)
