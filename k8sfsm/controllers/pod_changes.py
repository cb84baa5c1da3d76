"""Changes of pods, seen together: thousands of them are like others, and concern everybody in the same way.

A delivery of an informer brings a run of changes to a dozen controllers, each of which asks of every change whom it
concerns. Here the changes of a run are sorted once for all of them; each controller asks about the first change of
each sort, and lets the others concern the same keys, or their own pods where the first one concerned its own.

A change of a pod that is going, or is about to be disrupted, is like no other one. A function of keys is marked with
`asked_by_sort` where it reads nothing else of a change than what tells sorts apart. Where K8SFSM_FROZEN is set, as it
is in the tests, the keys of every change are compared with those that the function gives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from k8sfsm.controllers.pod_sights import Sight, look_at
from k8sfsm.law import LawError
from k8sfsm.objects import Pod
from k8sfsm.request import Key, Noticed
from k8sfsm.view import Change, View

Changes: TypeAlias = Sequence[Change]
Group: TypeAlias = list[int]
"""The places in a run of the changes of one sort."""
Keys: TypeAlias = Callable[[Change, View], Iterable[Any]]
Bulk: TypeAlias = Callable[[Changes, View], Noticed | None]
"""What a run of changes means to a controller, memory and keys; None: they have to be looked at one by one."""
F = TypeVar("F", bound=Keys)
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ


# -- sorts -----------------------------------------------------------------------------------------------------------


Likeness: TypeAlias = tuple[str, Sight, Sight | None, tuple[object, ...]]
"""What tells changes of pods apart: the type of a change, the sights of the pod after and before it (None: there was
none), and what was kept.
"""


def _likenesses_of(changes: Changes) -> dict[Likeness, Group]:
    """The places of changes that are alike."""
    found: dict[Likeness, Group] = {}
    for place, change in enumerate(changes):
        old, new = change.old, change.new
        # `sight_of`, written out: it is asked about every state of every pod.
        sight: Sight = getattr(new, "sight", None) or look_at(new)
        likeness: Likeness = (change.type, sight, None, ())
        if old is not None:
            kept = (
                old.metadata.resource_version == new.metadata.resource_version,
                old.status is new.status or old.status.pod_ips == new.status.pod_ips,
                old.spec is new.spec or _placement_kept(old, new),
            )
            likeness = (change.type, sight, getattr(old, "sight", None) or look_at(old), kept)
        group = found.get(likeness)
        if group is None:
            found[likeness] = [place]
        else:
            group.append(place)
    return found


def _placement_kept(old: Pod, new: Pod) -> tuple[bool, ...]:
    was, spec = old.spec, new.spec
    return (
        was.node_name == spec.node_name,
        was.tolerations == spec.tolerations,
        was.hostname == spec.hostname,
        was.subdomain == spec.subdomain,
    )


def _sort_of(likeness: Likeness) -> object:
    """What a change of a pod has in common with others of its sort, labels aside; None: it is like no other one."""
    type_, sight, was, kept = likeness
    if type_ == "DELETED" or sight.deleting or sight.targeted:
        return None
    # Whoever looks for owners looks at labels.
    labels = None if sight.owned else sight.content
    now = (type_, sight.namespace, id(sight.references), sight.placed, sight.ready, labels)
    if was is None:
        return now
    if was.deleting:
        return None
    return (*now, id(was.references), was.ready, was.content == sight.content, *kept)


def _labelled_sort_of(likeness: Likeness) -> object:
    """The same, where what the labels are before and after a change counts, too."""
    sort, (_, sight, was, _) = _sort_of(likeness), likeness
    return sort and (sort, sight.content, None if was is None else was.content)


class _Run:
    """A run of changes of pods, sorted when it is asked for."""

    __slots__ = ("_alike", "_labelled", "_sorts", "changes", "length")

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.length = len(changes)
        self._alike: dict[Likeness, Group] = {}
        self._sorts: tuple[Group, ...] = ()
        self._labelled: tuple[Group, ...] = ()

    @property
    def sorts(self) -> tuple[Group, ...]:
        """The sorts in the order of their first changes."""
        if not self._sorts:
            self._sorts = self._joined(_sort_of)
        return self._sorts

    @property
    def labelled(self) -> tuple[Group, ...]:
        """The same, where changes of pods with other labels are of other sorts, too."""
        if not self._labelled:
            self._labelled = self._joined(_labelled_sort_of)
        return self._labelled

    def _joined(self, sort_of: Callable[[Likeness], object]) -> tuple[Group, ...]:
        """Changes that are alike, with those of the same sort; `sort_of` None: each alone."""
        found: dict[object, Group] = {}
        for likeness, places in self._likenesses().items():
            sort = sort_of(likeness)
            if sort is None:
                found |= {place: [place] for place in places}
            elif sort in found:
                found[sort] = sorted(found[sort] + places)
            else:
                found[sort] = places
        return tuple(sorted(found.values()))

    def _likenesses(self) -> dict[Likeness, Group]:
        if not self._alike:
            self._alike = _likenesses_of(self.changes)
        return self._alike


_LATEST: Final[list[_Run]] = []


def _run_of(changes: Changes) -> _Run:
    """The run of these very changes: all controllers ask about the same one in turn. A list of them only grows."""
    if not _LATEST or _LATEST[0].changes is not changes or _LATEST[0].length != len(changes):
        _LATEST[:] = (_Run(changes),)
    return _LATEST[0]


def sorts_of(changes: Changes) -> tuple[Group, ...]:
    """Changes of pods by their sorts, labels aside."""
    return _run_of(changes).sorts


def labelled_sorts_of(changes: Changes) -> tuple[Group, ...]:
    """Changes of pods by their sorts and the labels before and after."""
    return _run_of(changes).labelled


# -- keys ------------------------------------------------------------------------------------------------------------


def keys_by_sort(
    keys: Keys, sorts: Callable[[Changes], tuple[Group, ...]], changes: Changes, view: View
) -> Sequence[tuple[Key | tuple[Key, int], int]]:
    """The keys that a run of changes of pods concerns, each with the revision that it has to answer for.

    A key that comes several times may come once, at its first place, with the revision of its last one.
    """
    answers = [(tuple(keys(changes[group[0]], view)), group) for group in sorts(changes)]
    if _CHECKED:
        for answer, group in answers:
            _compare(keys, answer, group, changes, view)
    if any(_is_special(found, changes[group[0]]) for answer, group in answers for found in answer):
        return _in_turn(answers, changes)
    last: dict[Key, int] = {}
    for answer, group in answers:
        for found in answer:
            last[found] = max(last.get(found, 0), group[-1])
    return [(found, changes[place].revision) for found, place in last.items()]


def _is_special(found: Any, change: Change) -> bool:
    """Is it the key of the changed pod itself, or one that is to come after a time?"""
    return len(found) == 2 or found == change.key


def _in_turn(answers: list[tuple[tuple[Any, ...], Group]], changes: Changes) -> Sequence[tuple[Any, int]]:
    """The keys of every change, in order."""
    by_place = {place: (answer, changes[group[0]]) for answer, group in answers if answer for place in group}
    return [
        (_cast(found, first, changes[place]), changes[place].revision)
        for place, (answer, first) in sorted(by_place.items(), key=_place)
        for found in answer
    ]


def _place(item: tuple[int, Any]) -> int:
    return item[0]


def _cast(found: Any, first: Change, change: Change) -> Any:
    """What the first change of a sort concerns, for another change of it."""
    if found == first.key:
        return change.key
    return (change.key, found[1]) if len(found) == 2 and found[0] == first.key else found


def _compare(keys: Keys, answer: tuple[Any, ...], group: Group, changes: Changes, view: View) -> None:
    for place in group:
        change = changes[place]
        if tuple(keys(change, view)) != tuple([_cast(found, changes[group[0]], change) for found in answer]):
            raise LawError(f"the change of {change.key[2]} is not like that of {changes[group[0]].key[2]}")


# -- who asks so -----------------------------------------------------------------------------------------------------

_BULK: Final[dict[Any, Bulk]] = {}


def bulk_of(keys: Callable[..., Any]) -> Bulk | None:
    """What looks at a run of changes in place of a function of keys and of the observer of its controller."""
    return _BULK.get(keys)


def asked_in_bulk(bulk: Bulk) -> Callable[[F], F]:
    """Mark a function of keys: `bulk` may be asked about runs of changes of pods in its place, and in place of what
    its controller observes.
    """

    def mark(keys: F) -> F:
        def of_pods(changes: Changes, view: View) -> Noticed | None:
            return bulk(changes, view) if changes[0].key[0] == "Pod" else None

        _BULK[keys] = of_pods
        return keys

    return mark


def asked_by_sort(sorts: Callable[[Changes], tuple[Group, ...]]) -> Callable[[F], F]:
    """Mark a function of keys that reads nothing of a change of a pod but its key and what tells these sorts apart.

    Its controller must observe nothing about pods.
    """

    def mark(keys: F) -> F:
        def bulk(changes: Changes, view: View) -> Noticed:
            return Noticed(keys=keys_by_sort(keys, sorts, changes, view))

        return asked_in_bulk(bulk)(keys)

    return mark


def asked_of_sorts(concerns: Callable[[Change, View], bool]) -> Callable[[F], F]:
    """Mark a function of keys that gives none for a change that `concerns` says nothing about, which reads nothing of
    it but what tells sorts apart. It is asked about each change of the other sorts.

    Its controller must observe nothing about pods.
    """

    def mark(keys: F) -> F:
        def bulk(changes: Changes, view: View) -> Noticed:
            groups = [group for group in sorts_of(changes) if concerns(changes[group[0]], view)]
            if _CHECKED:
                _compare_concerned(concerns, changes, view)
            places = groups[0] if len(groups) == 1 else sorted(place for group in groups for place in group)
            return Noticed(
                keys=[(key, changes[place].revision) for place in places for key in keys(changes[place], view)]
            )

        return asked_in_bulk(bulk)(keys)

    return mark


def _compare_concerned(concerns: Callable[[Change, View], bool], changes: Changes, view: View) -> None:
    for group in sorts_of(changes):
        for place in group:
            if concerns(changes[place], view) != concerns(changes[group[0]], view):
                raise LawError(f"the change of {changes[place].key[2]} is not like that of {changes[group[0]].key[2]}")
