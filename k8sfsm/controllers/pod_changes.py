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

from k8sfsm.kinds.pod_readiness import ready_condition
from k8sfsm.law import LawError
from k8sfsm.objects import Pod, PodCondition, controller_of
from k8sfsm.objects.pod import DISRUPTION_TARGET
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


_LIMIT: Final = 8192
_CONDITIONS: Final[dict[int, tuple[Any, PodCondition | None, bool]]] = {}


def _conditions_of(pod: Pod) -> tuple[Any, PodCondition | None, bool]:
    """The conditions of a pod, which many share; the one that tells its readiness; and whether the pod is about to be
    disrupted, or was.
    """
    conditions = pod.status.conditions
    known = _CONDITIONS.get(id(conditions))
    if known is None:
        if len(_CONDITIONS) >= _LIMIT:
            _CONDITIONS.clear()
        targeted = DISRUPTION_TARGET in [each.type for each in conditions]
        known = _CONDITIONS[id(conditions)] = (conditions, ready_condition(pod), targeted)
    return known


def readiness_of(pod: Pod) -> PodCondition | None:
    """The same as `ready_condition`, found once for pods that share their conditions."""
    return _conditions_of(pod)[1]


def _ready_status(pod: Pod) -> str | None:
    condition = readiness_of(pod)
    return None if condition is None else condition.status


_OWNED: Final[dict[int, tuple[Any, bool]]] = {}


def _is_owned(pod: Pod) -> bool:
    """Has the pod a controller? Many share what says so."""
    references = pod.metadata.owner_references
    known = _OWNED.get(id(references))
    if known is None:
        if len(_OWNED) >= _LIMIT:
            _OWNED.clear()
        known = _OWNED[id(references)] = (references, controller_of(pod) is not None)
    return known[1]


def _sort_of(change: Change) -> object:
    """What tells changes of pods apart, labels aside: each the very object, or a comparison of old and new.

    A change that is like no other one is told by its own identity.
    """
    old, new = change.old, change.new
    meta, spec, status = new.metadata, new.spec, new.status
    _, condition, targeted = _conditions_of(new)
    if change.type == "DELETED" or meta.deletion_timestamp is not None or targeted:
        return id(change)
    # Whoever looks for owners looks at labels.
    labels = None if _is_owned(new) else content_of(meta.labels)
    ready = None if condition is None else condition.status
    if old is None:
        return (change.type, meta.namespace, id(meta.owner_references), bool(spec.node_name), ready, labels)
    before, was = old.metadata, old.spec
    if before.deletion_timestamp is not None:
        return id(change)
    return (
        change.type,
        meta.namespace,
        id(meta.owner_references),
        bool(spec.node_name),
        ready,
        labels,
        id(before.owner_references),
        before.resource_version == meta.resource_version,
        before.labels is meta.labels or before.labels == meta.labels,
        old.status is status or (_ready_status(old), old.status.pod_ips == status.pod_ips),
        was is spec
        or (
            was.node_name == spec.node_name,
            was.tolerations == spec.tolerations,
            was.hostname == spec.hostname,
            was.subdomain == spec.subdomain,
        ),
    )


_CONTENTS: Final[dict[int, tuple[Any, frozenset[tuple[str, str]]]]] = {}


def content_of(labels: Any) -> frozenset[tuple[str, str]]:
    """The same value for labels that say the same."""
    known = _CONTENTS.get(id(labels))
    if known is None:
        if len(_CONTENTS) >= _LIMIT:
            _CONTENTS.clear()
        known = _CONTENTS[id(labels)] = (labels, frozenset(labels.items()))
    return known[1]


class _Run:
    """A run of changes of pods, sorted when it is asked for."""

    __slots__ = ("_labelled", "_sorts", "changes", "length")

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.length = len(changes)
        self._sorts: tuple[Group, ...] = ()
        self._labelled: tuple[Group, ...] = ()

    @property
    def sorts(self) -> tuple[Group, ...]:
        """The sorts in the order of their first changes."""
        if not self._sorts:
            found: dict[object, Group] = {}
            for place, change in enumerate(self.changes):
                found.setdefault(_sort_of(change), []).append(place)
            self._sorts = tuple(found.values())
        return self._sorts

    @property
    def labelled(self) -> tuple[Group, ...]:
        """The same, where changes of pods with other labels are of other sorts, too."""
        if not self._labelled:
            found: list[Group] = []
            for group in self.sorts:
                found += self._by_labels(group)
            self._labelled = tuple(sorted(found))
        return self._labelled

    def _by_labels(self, group: Group) -> Iterable[Group]:
        """The places of one sort by the labels before and after: told apart as objects first, which most pods share."""
        changes = self.changes
        shared: dict[tuple[int, int], Group] = {}
        for place in group:
            change = changes[place]
            now, old = id(change.new.metadata.labels), change.old
            shared.setdefault((now, now if old is None else id(old.metadata.labels)), []).append(place)
        if len(shared) == 1:
            return (group,)
        found: dict[object, Group] = {}
        for places in shared.values():
            change = changes[places[0]]
            labels = change.new.metadata.labels
            before = labels if change.old is None else change.old.metadata.labels
            sort = (content_of(labels), None if before is labels else content_of(before))
            found.setdefault(sort, []).extend(places)
        return map(sorted, found.values())


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
