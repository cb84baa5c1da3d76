"""New pods that are alike: what the server makes of one of them, cast anew for the next.

A ReplicaSet creates its pods from one object. What admission, defaults, strategy, validation and the machine come to
differs from pod to pod in what is given to each alone: name, uid, the names of its generated volumes, the time and the
revision. So the server goes the plain way with the first ones, and casts the others (`k8sfsm.mould`).

Two creations are alike where they come from the same sender and from objects of the same parts, and where everything
that the plain way reads in the store, or of the tables, is the very same. What it reads is not listed here: it is
noticed, at the second creation of every likeness. A creation that reads more, or draws lots for more, that changes
other objects too, or about which people have rules of their own, always takes the plain way. The first cast of every
likeness is compared with the plain way, and given up where it differs; where K8SFSM_FROZEN is set, as it is in the
tests, all are, and one that differs is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from k8sfsm.apiserver.answer import Sender
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.names import Chance, generated_name
from k8sfsm.index import is_seldom
from k8sfsm.law import LawError
from k8sfsm.machine import Move
from k8sfsm.mould import Mould, Shapeless
from k8sfsm.objects import ObjectMeta, Pod, evolve
from k8sfsm.request import Create, Key
from k8sfsm.store import Snapshot, Store

if TYPE_CHECKING:
    from k8sfsm.apiserver.server import Request

Plain: TypeAlias = Callable[["Request", Create], Any]
"""How the server creates an object, whatever it is."""
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
_SIZE: Final = 1024
_RELEARNT: Final = 8
"""How often the plain way may read something new before it is not followed any more."""
_SECOND: Final = object()
"""Stands for the second of the creation."""
_VERSION: Final = object()
"""Stands for the revision."""
_EQUAL: Final = (str, Sender)
_names: Final = tuple(each.name for each in attrs.fields(ObjectMeta) if each.name != "owner_references")
_of_metadata: Final = attrgetter(*_names)


class _Reads:
    """What was read of a store: objects by key, series by name; `strange`: more than that."""

    def __init__(self) -> None:
        self.objects: dict[Key, Any] = {}
        self.series: dict[tuple[str, str, str], Any] = {}
        self.strange = False
        self._seen: object = None

    def hold(self, snapshot: Snapshot) -> bool:
        """Whether the same would be read again. Of kinds that are written seldom this needs no look at each."""
        seldom = snapshot.index.seldom()
        if seldom is self._seen:
            return True
        same = self._is_same(snapshot)
        if same and all(map(is_seldom, (*(key[0] for key in self.objects), *(name[1] for name in self.series)))):
            self._seen = seldom
        return same

    def _is_same(self, snapshot: Snapshot) -> bool:
        for key, found in self.objects.items():
            if snapshot.get(key) is not found:
                return False
        changed = [name for name, series in self.series.items() if snapshot.series(*name) is not series]
        return not changed


class _WatchedSnapshot:
    """A snapshot that notes what is read of it."""

    def __init__(self, snapshot: Snapshot, reads: _Reads) -> None:
        self._snapshot, self._reads = snapshot, reads

    def get(self, key: Key) -> Any:
        found = self._reads.objects[key] = self._snapshot.get(key)
        return found

    def series(self, index: str, kind: str, value: str) -> Any:
        found = self._reads.series[index, kind, value] = self._snapshot.series(index, kind, value)
        return found

    def __getattr__(self, name: str) -> Any:
        self._reads.strange = True
        return getattr(self._snapshot, name)


class _WatchedStore:
    """A store that notes what is read of it; a write makes a plain one."""

    def __init__(self, store: Store, reads: _Reads) -> None:
        self._store, self._reads = store, reads
        self.snapshot = _WatchedSnapshot(store.snapshot, reads)
        self.next_version = store.next_version
        self.put = store.put

    def get(self, kind: str, namespace: str, name: str) -> Any:
        return self.snapshot.get((kind, namespace, name))

    def __getattr__(self, name: str) -> Any:
        self._reads.strange = True
        return getattr(self._store, name)


class _WatchedChance:
    """Chance that notes the suffixes that are drawn, each with what it is put behind, and all that it gives;
    `strange`: it was asked for more than suffixes and uids.
    """

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.drawn: list[tuple[tuple[str, str, str], str]] = []
        self.given: list[str] = []
        self.strange = False

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        found = self._chance.suffix(kind, namespace, base)
        self.drawn.append(((kind, namespace, base), base + found))
        self.given.append(found)
        return found

    def uid(self, key: Key) -> str:
        found = self._chance.uid(key)
        self.given.append(found)
        return found

    def __getattr__(self, name: str) -> Any:
        self.strange = True
        return getattr(self._chance, name)


class _SameChance:
    """Chance that gives once more what was given, in order."""

    def __init__(self, given: Iterable[str]) -> None:
        self._given = iter(given)

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        return next(self._given, "")

    def uid(self, key: Key) -> str:
        return next(self._given, "")


class _Likeness:
    """What creations have in common that are alike, and how one of them came out."""

    __slots__ = ("compared", "hopeless", "lots", "met", "mould", "moves", "owners", "parts", "reads", "relearnt")

    def __init__(self, parts: tuple[Any, ...], owners: Any) -> None:
        self.parts = parts
        self.owners = owners
        self.met = self.relearnt = 0
        self.compared = self.hopeless = False
        self.mould: Callable[[Sequence[Any]], Any] | None = None
        self.moves: tuple[Move, ...] = ()
        self.lots: tuple[tuple[str, str, str], ...] = ()
        self.reads = _Reads()

    def cast(self, store: Store, obj: Pod, second: int, chance: Chance) -> Pod:
        """The pod that the plain way would store, but for what it makes sure of."""
        assert self.mould is not None
        meta = obj.metadata
        name = generated_name(store, "Pod", meta.namespace, meta.generate_name, chance)
        uid = chance.uid(("Pod", meta.namespace, name))
        given = [lot[2] + chance.suffix(*lot) for lot in self.lots]
        made: Pod = self.mould((name, uid, second, store.next_version, meta.owner_references, *given))
        return made


class Creations:
    """The creations that one API server knows."""

    def __init__(self) -> None:
        self._by_object = Memo()
        self._by_parts: dict[tuple[Any, ...], _Likeness] = {}

    def created(self, request: Request, write: Create, plain: Plain) -> Any:
        """Create a pod: what `plain` gives back; the store, changes and moves are left in the request."""
        obj = write.object
        likeness = self._likeness(obj, request.sender)
        if likeness.hopeless:
            return plain(request, write)
        if likeness.mould is None or not likeness.reads.hold(request.store.snapshot):
            return _learnt(likeness, request, write, plain)
        if not likeness.compared or _CHECKED:
            return _compared(likeness, request, write, plain)
        made = likeness.cast(request.store, obj, request.second, request.chance)
        request.store, change = request.store.put(made, request.now)
        request.changes.append(change)
        request.moves.extend(likeness.moves)
        return change.new

    def trusted(self, store: Store, obj: Pod, sender: Sender) -> _Likeness | None:
        """What a new pod is like, where nobody has to look whether its cast is what the plain way gives."""
        found = self._likeness(obj, sender)
        sure = found.compared and not (found.hopeless or found.mould is None or _CHECKED)
        return found if sure and found.reads.hold(store.snapshot) else None

    def _likeness(self, obj: Pod, sender: Sender) -> _Likeness:
        parts = (obj, sender, law.edition)
        found: _Likeness | None = self._by_object.get(parts)
        if found is None:
            inner = (*_of_metadata(obj.metadata), obj.spec, obj.status, obj.extra)
            found = self._with_parts((*inner, *parts[1:]), obj)
            self._by_object.put(parts, found)
        return found

    def _with_parts(self, parts: tuple[Any, ...], obj: Pod) -> _Likeness:
        """The likeness of objects of the same parts. Texts and senders are the same where they are equal."""
        key = tuple([part if isinstance(part, _EQUAL) else id(part) for part in parts])
        found = self._by_parts.get(key)
        if found is not None and found.owners == obj.metadata.owner_references:
            return found
        if len(self._by_parts) >= _SIZE:
            self._by_parts.clear()
        found = self._by_parts[key] = _Likeness(parts, obj.metadata.owner_references)
        return found


def _learnt(likeness: _Likeness, request: Request, write: Create, plain: Plain) -> Any:
    """Go the plain way; at the second creation that is alike a mould is made of what comes out."""
    likeness.met += 1
    if likeness.met == 1:
        return plain(request, write)
    if likeness.mould is not None:
        likeness.mould, likeness.compared = None, False
        likeness.relearnt += 1
    likeness.hopeless = likeness.relearnt > _RELEARNT
    reads, lots = _Reads(), _WatchedChance(request.chance)
    chance, watched = request.chance, _WatchedStore(request.store, reads)
    request.store, request.chance = watched, lots  # type: ignore[assignment]
    made: Pod = plain(request, write)
    request.chance = chance
    try:
        if reads.strange or lots.strange or len(request.changes) != 1 or request.warnings or request.notes:
            raise Shapeless("it depends on more than reads and suffixes, or leads to more than a pod")
        _mould(likeness, made, reads, lots)
    except Shapeless:
        likeness.hopeless = True
    likeness.moves = tuple(request.moves)
    return made


def _mould(likeness: _Likeness, made: Pod, reads: _Reads, lots: _WatchedChance) -> None:
    """Note how the pod came about, and make the mould. Raises Shapeless."""
    meta = made.metadata
    reads.objects.pop(("Pod", meta.namespace, meta.name), None)
    if any(kind == "Pod" for kind, _, _ in reads.objects):
        raise Shapeless("it depends on other pods")
    others = [(lot, text) for lot, text in lots.drawn if lot[0] != "Pod"]
    marked = evolve(made, metadata=evolve(meta, creation_timestamp=_SECOND, resource_version=_VERSION))
    parts = (meta.name, meta.uid, _SECOND, _VERSION, meta.owner_references, *(text for _, text in others))
    likeness.mould = Mould(marked, parts).bound(())
    likeness.reads, likeness.lots = reads, tuple(lot for lot, _ in others)


def _compared(likeness: _Likeness, request: Request, write: Create, plain: Plain) -> Any:
    """What the plain way gives; a likeness whose cast is something else is not cast any more."""
    store, chance = request.store, request.chance
    lots: Any = _WatchedChance(chance)
    request.chance = lots
    made = plain(request, write)
    request.chance = chance
    same: Any = _SameChance(lots.given)
    cast = likeness.cast(store, write.object, request.second, same)
    if cast == made and likeness.moves == tuple(request.moves) and len(request.changes) == 1:
        likeness.compared = True
    elif likeness.compared:
        raise LawError(f"apiserver: a pod is not alike with others: {cast} is not what the plain way gives, {made}")
    else:
        likeness.hopeless = True
    return made
