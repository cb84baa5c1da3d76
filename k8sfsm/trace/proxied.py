"""Reads what a recording holds of its proxy: dumps of iptables, and requests sent through it with the pods that
answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from k8sfsm.trace.errors import Line, TraceError
from k8sfsm.trace.fields import optional, required, time_at
from k8sfsm.trace.folder import ENDINGS, member
from k8sfsm.trace.history import Recording
from k8sfsm.trace.lines import json_lines, open_bytes
from k8sfsm.trace.timestamps import parse_time


@frozen(kw_only=True)
class Dump:
    """What iptables-save printed at a checkpoint. `texts`: by table, ``nat`` or ``filter``; `at`: ns."""

    checkpoint: str
    at: int
    texts: Mapping[str, str]


@frozen(kw_only=True)
class Sent:
    """Requests sent from the proxy's node to one address, and who answered: pods by name, or how it failed
    (``curl-exit-7``). `source` "": whatever the node chose. `targets`: pod -> the port that answered; `at`: ns.
    """

    line: Line
    at: int
    host: str
    port: int
    source: str
    counts: Mapping[str, int]
    targets: Mapping[str, int]


def read_dumps(recording: Recording) -> tuple[Dump, ...]:
    """The dumps of a recording folder, in order of time; none where it has none. Raises TraceError."""
    folder = Path(recording.source)
    if not folder.is_dir():
        return ()
    times = dict(_checkpoints(recording.about.get("actions") or ()))
    found = []
    for name in _names(folder):
        texts = {}
        for table in ("nat", "filter"):
            path = member(folder, f"iptables-{name}-{table}.txt")
            if path is not None:
                with open_bytes(path) as source:
                    texts[table] = source.read().decode("utf-8", "replace")
        at = times.get(name, _taken(folder, name))
        if at is None:
            place = Line(str(folder / f"iptables-{name}-nat.txt"))
            raise TraceError(place, "it is not known when this was dumped", "give its checkpoint in scenario.yaml")
        found.append(Dump(checkpoint=name, at=at, texts=texts))
    return tuple(sorted(found, key=lambda dump: (dump.at, dump.checkpoint)))


def _names(folder: Path) -> tuple[str, ...]:
    files = [path.name for path in folder.glob("iptables-*")]
    for ending in ENDINGS[1:]:
        files = [name.removesuffix(ending) for name in files]
    found = [name.removeprefix("iptables-").removesuffix(".txt").rpartition("-")[0] for name in files]
    return tuple(sorted(dict.fromkeys(found)))


def _checkpoints(actions: Any) -> Iterator[tuple[str, int]]:
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict) and action.get("checkpoint") and action.get("ts"):
            yield str(action["checkpoint"]), parse_time(str(action["ts"]))


def _taken(folder: Path, name: str) -> int | None:
    """When a checkpoint was taken, by its own file."""
    path = member(folder, f"checkpoint-{name}.json")
    if path is None:
        return None
    with open_bytes(path) as source:
        try:
            value = json.loads(source.read())
        except ValueError as error:
            raise TraceError(Line(str(path)), f"not JSON ({error})", "copy the file again") from error
    text = value.get("ts") if isinstance(value, dict) else None
    return parse_time(str(text)) if text else None


def read_traffic(recording: Recording) -> tuple[Sent, ...]:
    """The requests of a recording folder, in order; none where it has none. Raises TraceError."""
    folder = Path(recording.source)
    path = member(folder, "traffic.jsonl") if folder.is_dir() else None
    return () if path is None else tuple(_sent(place, value) for place, value in json_lines(path))


def _sent(place: Line, value: dict[str, Any]) -> Sent:
    at = time_at(place, value, "ts")
    url = urlsplit(required(place, value, "url", str))
    if at is None or url.hostname is None:
        raise TraceError(place, "expected ts and a url with a host", "give the file as recorded")
    answers = [each for each in optional(place, value, "sequence", list, []) if len(each) > 1]
    return Sent(
        line=place,
        at=at,
        host=url.hostname,
        port=url.port or (443 if url.scheme == "https" else 80),
        source=value.get("source") or "",
        counts=required(place, value, "counts", dict),
        targets={str(each[0]): int(each[1]) for each in answers},
    )
