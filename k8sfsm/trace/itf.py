"""Exports a history in the Informal Trace Format (ITF) of Apalache and Quint, for their tools and viewers.

A state has the variables `step`, `time`, `actor`, `action`, `rule`, `revision`, and `objects`: a map from
"Kind/namespace/name" to a record of region -> state. Whole numbers beyond 2**53 are `{"#bigint": "..."}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TextIO

from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import is_deleting

VARIABLES: Final = ("step", "time", "actor", "action", "rule", "revision", "objects")
_SAFE: Final = 2**53
States = Mapping[str, str]


def number(value: int) -> Any:
    """A whole number as ITF writes it."""
    return value if -_SAFE < value < _SAFE else {"#bigint": str(value)}


def outline(document: Document) -> States:
    """The states of an object as far as they can be told without its machine: its phase, and whether it is dying."""
    phase = str((document.json.get("status") or {}).get("phase") or "Present")
    return {"deletion": "Terminating" if is_deleting(document.json) else "Live", "phase": phase}


def to_itf(recording: Recording, states_of: Callable[[Document], States] = outline) -> Json:
    """A history as one ITF document: the state at the start, and the state after each change.

    Input: `states_of` names the states of an object by region; pass one made of the machines to see theirs.
    """
    objects = {_name(document): dict(states_of(document)) for document in recording.initial}
    states = [_state(0, _START, objects, recording.start or 0)]
    states += _states(recording, objects, states_of)
    return {
        "#meta": {
            "format": "ITF",
            "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
            "description": f"{recording.format} history",
            "source": "k8sfsm",
        },
        "vars": list(VARIABLES),
        "states": states,
    }


def write_itf(recording: Recording, stream: TextIO, states_of: Callable[[Document], States] = outline) -> None:
    """Write `to_itf` as JSON with sorted keys, one state per line."""
    document = to_itf(recording, states_of)
    states = document.pop("states")
    head = json.dumps(document, sort_keys=True, separators=(",", ":"))
    rows = ",\n".join(json.dumps(state, sort_keys=True, separators=(",", ":")) for state in states)
    stream.write(f'{head[:-1]},"states":[\n{rows}\n]}}\n')


_START: Final = {"actor": "", "action": "start", "rule": "", "revision": 0}


def _states(recording: Recording, objects: dict[str, Json], states_of: Callable[[Document], States]) -> Iterator[Json]:
    revision = max((document.revision or 0 for document in recording.initial), default=0)
    for index, write in enumerate(recording.changes(), start=1):
        if write.new is None:
            continue
        name = _name(write.new)
        if write.type == "DELETED":
            objects.pop(name, None)
        else:
            objects[name] = {r: b for r, (_, b) in write.states.items()} or dict(states_of(write.new))
        revision = write.revision or revision
        yield _state(index, _labels(write, revision), objects, write.time)


def _labels(write: RecordedWrite, revision: int) -> Json:
    action = f"{write.verb}/{write.subresource}" if write.subresource else write.verb
    return {"actor": write.actor, "action": action, "rule": write.rule, "revision": revision}


def _state(index: int, labels: Mapping[str, Any], objects: Mapping[str, Json], time: int) -> Json:
    pairs = [[name, dict(objects[name])] for name in sorted(objects)]
    return {
        "#meta": {"index": index},
        **labels,
        "revision": number(labels["revision"]),
        "step": number(index),
        "time": number(time),
        "objects": {"#map": pairs},
    }


def _name(document: Document) -> str:
    kind, space, name = document.key
    return f"{kind}/{space}/{name}" if space else f"{kind}/{name}"
