"""The Events of a snapshot. They are kept apart from all other objects, as large clusters keep them in an etcd of their
own (kube-apiserver's `--etcd-servers-overrides`).

Half of what a cluster writes are Events; each is written once, and hardly one is ever read. So a new one is only noted,
at the cost of an entry in a dictionary. It is filed, which is to say put where lists and later states are found, when
somebody asks for a list of Events, or changes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from attrs import field
from immutables import Map

from k8sfsm.index import Index, Series
from k8sfsm.request import Key
from k8sfsm.value import value

if TYPE_CHECKING:
    from k8sfsm.store import Change

EVENT: Final = "Event"
"""The kind of the objects in a journal."""
_LONGEST: Final = 1024
"""Of so many notes a second line makes no copy: they are filed."""
_make: Final = object.__new__


@value
class _File:
    """Events by key, with their ordinals, and in lists."""

    objects: Map[Key, tuple[int, Any]] = field(factory=Map)
    index: Index = field(factory=Index)

    def with_all(self, changes: Iterable[Change]) -> _File:
        """The file after changes that each add an Event."""
        objects, index = self.objects.mutate(), self.index
        for change in changes:
            objects[change.key] = (change.revision, change.new)
            index = index.after(change.key, change.revision, None, change.new)
        return _File(objects.finish(), index)

    def after(self, key: Key, revision: int, obj: Any) -> _File:
        """The file after a write; `obj` None: the Event is gone."""
        ordinal, old = self.objects.get(key, (revision, None))
        objects = self.objects.delete(key) if obj is None else self.objects.set(key, (ordinal, obj))
        return _File(objects, self.index.after(key, ordinal, old, obj))


class _Notes:
    """What was noted since all Events were filed. It only grows, and is shared by the journals of one line.

    `file`: what was filed before; `filed`: that with the first `many` notes.
    """

    __slots__ = ("changes", "file", "filed", "many")

    def __init__(self, file: _File, changes: dict[Key, Change]) -> None:
        self.file = self.filed = file
        self.changes = changes
        self.many = 0

    def filed_with(self, many: int) -> _File:
        """The file with the first so many notes. What was filed last is where the next one begins."""
        if many < self.many:
            return self.file.with_all(islice(self.changes.values(), many))
        if many > self.many:
            self.filed = self.filed.with_all(islice(self.changes.values(), self.many, many))
            self.many = many
        return self.filed


class Journal:
    """All Events at one revision: those that were filed, and the first `_many` of the notes, up to revision `_last`.

    A journal never changes. One that follows on it writes its note behind this one's; where another has done that
    already, the lines part, and the second one goes on with notes of its own.

    `notes`: what is neither among their changes nor in their file is not in the journal.
    """

    __slots__ = ("_last", "_many", "notes")

    def __init__(self, file: _File | None = None) -> None:
        self.notes = _Notes(_File() if file is None else file, {})
        self._many = self._last = 0

    def noted(self, change: Change) -> Journal:
        """The journal after a change, of the latest revision so far, that adds an Event of a key that is free."""
        notes, many = self.notes, self._many
        if many == notes.many != 0 or len(notes.changes) != many:
            notes = self._own_notes()
            many = len(notes.changes)
        notes.changes[change.key] = change
        following = _make(Journal)
        following.notes = notes
        following._many = many + 1
        following._last = change.revision
        return following

    def _own_notes(self) -> _Notes:
        """Notes to go on with that are no other line's: none of them where all are filed."""
        notes, many = self.notes, self._many
        if many == notes.many or many > _LONGEST:
            return _Notes(notes.filed_with(many), {})
        return _Notes(notes.file, dict(islice(notes.changes.items(), many)))

    def after(self, key: Key, revision: int, obj: Any) -> Journal:
        """The journal after a write of whatever kind; `obj` None: the Event is gone, which must be there."""
        return Journal(self._filed().after(key, revision, obj))

    def __contains__(self, key: Key) -> bool:
        change = self.notes.changes.get(key)
        return key in self.notes.file.objects if change is None else change.revision <= self._last

    def get(self, key: Key) -> Any | None:
        """The Event under `key`, or None."""
        change = self.notes.changes.get(key)
        if change is not None:
            return change.new if change.revision <= self._last else None
        found = self.notes.file.objects.get(key)
        return None if found is None else found[1]

    @property
    def objects(self) -> Map[Key, tuple[int, Any]]:
        """All of them by key, with their ordinals."""
        return self._filed().objects

    def series(self, index: str, value: str) -> Series:
        """One list (`Snapshot.series`)."""
        return self._filed().index.series(index, EVENT, value)

    @property
    def namespaces(self) -> tuple[str, ...] | None:
        """The namespaces in which there is an Event, sorted; None where there never was one."""
        return self._filed().index.namespaces.get(EVENT)

    def settle(self) -> None:
        """File everything: nothing is kept for being filed later."""
        self._filed().index.settle()

    def _filed(self) -> _File:
        return self.notes.filed_with(self._many)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Journal) and self.objects == other.objects

    __hash__ = None  # type: ignore[assignment]
