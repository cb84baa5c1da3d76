"""What is left of a story: its objects at the end, and its trace."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from k8sfsm.engine.line import Line
from k8sfsm.objects import to_json
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.play import Play
from k8sfsm.store import Store
from k8sfsm.trace.itf import write_itf
from k8sfsm.trace.native import TraceWriter, read_trace
from k8sfsm.trace.recorder import TraceRecorder
from k8sfsm.trace.timestamps import format_time

KUBERNETES = "v1.36"
_NANOSECONDS = 9


def final_objects(store: Store) -> tuple[Any, ...]:
    """Every object of a store: by kind, namespace and order of creation."""
    snapshot = store.snapshot
    return tuple(
        obj
        for kind in sorted(snapshot.namespaces)
        for namespace in sorted(snapshot.namespaces[kind])
        for obj in snapshot.series("in", kind, namespace)
    )


def write_story_trace(stream: TextIO, play: Play, initial: Iterable[Any], *, itf: bool = False) -> None:
    """Write the trace of a story that was played; `initial`: the objects at its start; `itf`: for model checkers."""
    if not itf:
        _write_native(stream, play, initial)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        with path.open("w", encoding="utf-8", newline="\n") as native:
            _write_native(native, play, initial)
        write_itf(read_trace(path), stream)


def _write_native(stream: TextIO, play: Play, initial: Iterable[Any]) -> None:
    write_lines(
        stream,
        play.lines,
        initial,
        name=play.story.name,
        seed=play.story.cluster.seed,
        end=play.engine.now,
    )


def write_lines(
    stream: TextIO,
    lines: Iterable[Line],
    initial: Iterable[Any],
    *,
    name: str,
    seed: int,
    end: int,
    start: int = START,
    notes: Iterable[str] = (),
) -> None:
    """Write lines of an engine as a trace; `start`, `end`: ns since the epoch; `notes`: what a reader should know."""
    writer = TraceWriter(stream)
    more: dict[str, Any] = {"notes": list(notes)} if notes else {}
    writer.header(
        kubernetes=KUBERNETES,
        seed=seed,
        scenario=name,
        start=format_time(start, _NANOSECONDS),
        end=format_time(end, _NANOSECONDS),
        whole=True,
        **more,
    )
    for obj in sorted(initial, key=lambda each: int(each.metadata.resource_version)):
        writer.initial(to_json(obj))
    record = TraceRecorder(writer)
    for line in lines:
        record(line)
    writer.close()
