"""Writes that are alike: they differ in names, uids, addresses, ids, moments and revisions alone.

Thousands of pods come from one template, and what a kubelet writes about one of them is written about the next. A rule
that looks at an object before and after a write, at the request and the answer, and at nothing else, asks of names,
uids, addresses, ids, moments and revisions no more than which of them are the same. So what it found of one write
holds of every write that is like it. What it takes to be alike is written here without knowing the rules: everything
that is no such part is the same, and the parts are equal to each other in the same places.

Names that mean something by themselves (`kube-system`, `default`) are no parts. Which laws look at more than that
(at other objects, or at which of two moments is the later one) is said beside them, in `k8sfsm.trace.integrity`.

To find what a write is like takes a look at all that it changed and asked for, which costs half as much as the laws.
It is done for statuses of pods, from which much more follows (`k8sfsm.verify.check.kubelets`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

from attrs import define, field

from k8sfsm.request import Key
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.trace.lines import Json

_PARTS: Final = frozenset(
    {
        "uid", "resourceVersion", "namespace", "nodeName", "podIP", "hostIP", "ip", "containerID", "host",
        "creationTimestamp", "deletionTimestamp", "lastTransitionTime", "lastUpdateTime", "lastProbeTime",
        "startTime", "startedAt", "finishedAt",
    }
)  # fmt: skip
"""Members whose texts are parts, wherever they are."""
_NAMED: Final = _PARTS | {"name", "generateName"}
_NONE: Final[frozenset[str]] = frozenset()


class _Within(dict[str, frozenset[str]]):
    """Member -> the members within it whose texts are parts. What a patch orders, it orders as the member itself."""

    def __missing__(self, name: str) -> frozenset[str]:
        ordered = name.rpartition("/")[2] if name.startswith("$") else ""
        self[name] = found = self.get(ordered, _PARTS)
        return found


_WITHIN: Final = _Within(
    metadata=_NAMED, ownerReferences=_NAMED, volumes=_NAMED, volumeMounts=_NAMED, labels=_NONE, annotations=_NONE
)
_SPEAKING: Final = ("kube", "system-", "default")
"""How names begin that mean something by themselves."""
_SAME: Final = object()
"""Stands for what is as it was before."""
_MAP: Final = object()
_LIST: Final = object()
_ABSENT: Final = object()
_NO_MAP: Final[Mapping[str, Any]] = {}
_OTHERS: Final[dict[Any, object]] = {True: object(), False: object(), None: object()}
"""What stands for values that Python takes for numbers, or that are none."""
_PLACES: Final = tuple(object() for _ in range(256))
"""What stands for a part: its place among the parts."""
_MOST: Final = 20_000
"""So many likenesses and states are known at once."""
_FOLLOWED: Final = 2048
"""So many objects are followed at once."""


class _Strange(Exception):
    """A value of which no likeness is made."""


class Likeness:
    """What writes have in common that are alike. `laws`: those that are left to ask about them, where the first one
    kept all; `found`: what others than the laws found of the first one, by what else it depends on.
    """

    __slots__ = ("found", "laws")

    def __init__(self) -> None:
        self.laws: Any = None
        self.found: dict[Hashable, Any] = {}


@define(eq=False)
class _State:
    """An object as it was shown. `number`: that of all states that are like it; `places`: its parts so far."""

    json: Json
    number: int
    places: dict[str, int]


@define(eq=False)
class Likenesses:
    """The likenesses of the writes so far."""

    known: dict[Hashable, Likeness] = field(factory=dict)
    states: dict[Hashable, int] = field(factory=dict)
    numbers: Iterator[int] = field(factory=count)
    objects: dict[Key, _State] = field(factory=dict)

    def of(self, write: RecordedWrite, old: Document | None, worked_out: str = "") -> Likeness | None:
        """What a write has in common with those that are alike; None where that is not looked for. `old`: the object
        before it; `worked_out`: the verb of the change that was made of it, where that had no revision.
        """
        if write.subresource != "status" or write.key[0] != "Pod" or write.type != "MODIFIED":
            return None
        if old is None or write.new is None or write.body.__class__ is not dict or write.answer is not None:
            return None
        if write.old is None or write.old.json is not old.json:
            return None
        if len(self.known) > _MOST or len(self.states) > _MOST:
            self.known.clear()
            self.states.clear()
        try:
            name = self._name(write, old.json, write.new.json, worked_out)
        except _Strange:
            self.objects.pop(write.key, None)
            return None
        found = self.known.get(name)
        if found is None:
            found = self.known[name] = Likeness()
        return found

    def _name(self, write: RecordedWrite, old: Json, new: Json, worked_out: str) -> Hashable:
        """What all writes share that are like this one, and no other."""
        key = write.key
        state = self.objects.pop(key, None)
        if state is None or len(state.places) > len(_PLACES) // 2:
            state = self._met(key, old)
        elif state.json is not old:
            state = self._became(state, old)
        after = self._became(state, new)
        if len(self.objects) >= _FOLLOWED:
            del self.objects[next(iter(self.objects))]
        self.objects[key] = after
        places = state.places
        sent: list[Any] = [
            state.number, after.number, write.actor, write.verb, write.code, worked_out, write.inferred != "",
            write.derived, write.trimmed, write.body_trimmed, write.seen is None,
            *(_PLACES[_place(part, places)] if part else "" for part in (write.node, str(write.precondition or ""))),
        ]  # fmt: skip
        _walk_map(write.body, _PARTS, places, sent)
        return tuple(sent)

    def _met(self, key: Key, obj: Json) -> _State:
        """An object that is looked at for the first time."""
        places: dict[str, int] = {}
        names = (name for name in key[1:] if not name.startswith(_SPEAKING))
        shape: list[Any] = [_place(name, places) for name in names]
        _walk_map(obj, _PARTS, places, shape)
        return _State(obj, self._number(shape), places)

    def _became(self, state: _State, obj: Json) -> _State:
        """The state after another one."""
        shape: list[Any] = [state.number]
        _walk_map(obj, _PARTS, state.places, shape, state.json)
        return _State(obj, self._number(shape), state.places)

    def _number(self, shape: list[Any]) -> int:
        """The number of a state."""
        text = tuple(shape)
        number = self.states.get(text)
        if number is None:
            number = self.states[text] = next(self.numbers)
        return number


def _place(part: str, places: dict[str, int]) -> int:
    """The place of a part among those that there are, or behind them."""
    place = places.setdefault(part, len(places))
    if place >= len(_PLACES):
        raise _Strange
    return place


def _walk_map(
    value: Json, names: frozenset[str], places: dict[str, int], shape: list[Any], old: Mapping[str, Any] = _NO_MAP
) -> None:
    """Put a map behind a shape; what is as it was before is the same."""
    shape += (_MAP, len(value))
    for name, each in value.items():
        other = old.get(name, _ABSENT)
        shape.append(name)
        kind = each.__class__
        if each is other:
            shape.append(_SAME)
        elif kind is str:
            if each == other:
                shape.append(_SAME)
            elif name in names and each and not each.startswith(_SPEAKING):
                shape.append(_PLACES[_place(each, places)])
            else:
                shape.append(each)
        elif kind is dict:
            _walk_map(each, _WITHIN[name], places, shape, other if other.__class__ is dict else _NO_MAP)
        elif kind is list:
            _walk_list(each, _WITHIN[name], places, shape, other if other.__class__ is list else ())
        else:
            shape.append(each if kind is int else _plain(each))


def _walk_list(
    value: Sequence[Any], names: frozenset[str], places: dict[str, int], shape: list[Any], old: Sequence[Any] = ()
) -> None:
    """Put a list behind a shape; an item that stands where it stood before is the same."""
    shape += (_LIST, len(value))
    count = len(old)
    for at, each in enumerate(value):
        kind = each.__class__
        if at < count and each is old[at]:
            shape.append(_SAME)
        elif kind is dict:
            known = at < count and old[at].__class__ is dict
            _walk_map(each, names, places, shape, old[at] if known else _NO_MAP)
        elif kind is list:
            _walk_list(each, names, places, shape)
        else:
            shape.append(each if kind is str or kind is int else _plain(each))


def _plain(value: Any) -> object:
    """What stands for a value that is no text and no number."""
    if value is None or value.__class__ is bool:
        return _OTHERS[value]
    raise _Strange
