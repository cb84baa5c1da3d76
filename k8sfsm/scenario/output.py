"""What is left of a story: its objects at the end, and its trace."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

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
    writer = TraceWriter(stream)
    writer.header(
        kubernetes=KUBERNETES,
        seed=play.story.cluster.seed,
        scenario=play.story.name,
        start=format_time(START, _NANOSECONDS),
        end=format_time(play.engine.now, _NANOSECONDS),
        whole=True,
    )
    for obj in sorted(initial, key=lambda each: int(each.metadata.resource_version)):
        writer.initial(to_json(obj))
    record = TraceRecorder(writer)
    for line in play.lines:
        record(line)
    writer.close()
