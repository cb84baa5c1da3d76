"""The owners of an object's fields: `metadata.managedFields`, kept for objects that somebody has applied.

An object gets owners with its first apply (what was there before belongs to `before-first-apply`), or from its creation
where the cluster's option asks for it; until then nothing is noted and no write costs more.
Source: staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal; sigs.k8s.io/structured-merge-diff/v6/merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.apply.asking import Asking, Manager, refuse_apply
from k8sfsm.apiserver.apply.fields import NONE, Fields, fields_v1, member, read_fields, with_parents
from k8sfsm.apiserver.apply.values import Schema, compare, field_set, merge, without
from k8sfsm.apiserver.deletion import law
from k8sfsm.law import constant
from k8sfsm.objects import KINDS, ObjectError, evolve, from_json, parse_time, to_json
from k8sfsm.objects.times import format_time
from k8sfsm.value import value

KEY: Final = "managedFields"
FIRST: Final = "before-first-apply"
ANCIENT: Final = "ancient-changes"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


@value
class Owned:
    """The fields of a manager, and when it last changed something (ns; None: not known)."""

    fields: Fields
    time: int | None = None


Owners = dict[Manager, Owned]


@value
class Writing:
    """Which part of an object is written: `main` or a subresource."""

    part: str


# -- facts -------------------------------------------------------------------------------------------------------------


@law.fact
def written_part(case: Writing) -> str:
    """main, or the subresource."""
    return case.part


@value
class SentBy:
    """The actor who sends a request."""

    actor: str


@law.fact
def sending_actor(case: SentBy) -> str:
    """The actor's name."""
    return case.actor


# -- reading and writing managedFields --------------------------------------------------------------------------------


def is_tracked(obj: Any) -> bool:
    """Whether the owners of an object's fields are noted."""
    return obj is not None and KEY in obj.metadata.extra


def owners_of(document: Mapping[str, Any]) -> Owners:
    """The owners that an object in JSON form names."""
    listed = document.get("metadata", {}).get(KEY)
    found: Owners = {}
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, Mapping):
            continue
        texts = (str(entry.get(name) or "") for name in ("manager", "operation", "apiVersion", "subresource"))
        found[Manager(*texts)] = Owned(read_fields(entry.get("fieldsV1")), _time(entry.get("time")))
    return found


def _time(text: Any) -> int | None:
    try:
        return parse_time(text) if isinstance(text, str) and text else None
    except (ObjectError, ValueError):
        return None


def managed_fields(owners: Owners) -> list[dict[str, Any]]:
    """The owners as managedFields has them: appliers first, then by time and name.

    Source: internal/managedfields.go: sortEncodedManagedFields.
    """

    def rank(each: Manager) -> tuple[str, int, str, str, str]:
        return each.operation, owners[each].time or 0, each.name, each.version, each.subresource

    return [_entry(manager, owners[manager]) for manager in sorted(owners, key=rank)]


def _entry(manager: Manager, owned: Owned) -> dict[str, Any]:
    entry: dict[str, Any] = {"manager": manager.name, "operation": manager.operation, "apiVersion": manager.version}
    if owned.time is not None:
        entry["time"] = format_time(owned.time)
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": fields_v1(owned.fields)}
    return entry | ({"subresource": manager.subresource} if manager.subresource else {})


def _with_owners(obj: Any, owners: Owners) -> Any:
    extra = {name: part for name, part in obj.metadata.extra.items() if name != KEY}
    if owners:
        extra[KEY] = managed_fields(owners)
    return evolve(obj, metadata=evolve(obj.metadata, extra=extra))


def manager_of(actor: str) -> str:
    """The manager's name of a request that does not give one."""
    return str(law.decide("manager", SentBy(actor)).outputs["manager"])


def _schema(kind: str, own: Mapping[str, Any] | None) -> Schema:
    """`own`: the schema of a kind that people have defined. Of a kind without any, lists are atomic."""
    return Schema(kind, None if kind in KINDS else own or {})


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """A document without the owners that it names."""
    meta = {name: part for name, part in document.get("metadata", {}).items() if name != KEY}
    return {**document, "metadata": meta}


def _ownable(fields: Fields, part: str) -> Fields:
    """The fields that somebody may own by writing a part of an object."""
    rows = law.collect("unowned", Writing(part))
    barred = tuple(tuple(member(name) for name in row.outputs["path"].split(".")) for row in rows)
    return frozenset(path for path in fields if not any(path[: len(each)] == each for each in barred))


# -- updates ----------------------------------------------------------------------------------------------------------


def noted(
    old: Any, new: Any, manager: str, subresource: str, now: int, own_schema: Mapping[str, Any] | None = None
) -> Any:
    """`new` with the owners that a write other than an apply makes. `old` None: it is created; `now`: ns;
    `own_schema`: that of a kind that people have defined.

    With an empty list in `new` the noting ends.
    Source: sigs.k8s.io/structured-merge-diff/v6/merge/update.go: Updater.Update.
    """
    after = to_json(new)
    if old is not None and new.metadata.extra.get(KEY) in ([], [{}]):
        return _with_owners(new, {})
    schema = _schema(new.kind, own_schema)
    before = to_json(old) if old is not None else _zero(new)
    owners = owners_of(before) if old is not None else {}
    own = Manager(manager, "Update", str(after.get("apiVersion", "")), subresource)
    difference = compare(schema, _plain(before), _plain(after))
    written = _ownable(difference.written, "any")
    kept: Owners = {}
    for each, owned in owners.items():
        left = owned.fields - difference.removed - (written if each != own else NONE)
        if left:
            kept[each] = Owned(left, owned.time)
    if written:
        known = kept.get(own)
        kept[own] = Owned(written | (known.fields if known is not None else NONE), now)
    return _with_owners(new, _capped(kept))


def _zero(obj: Any) -> dict[str, Any]:
    """An empty object of the same kind, as Go writes one: what is in it was not set by the one who creates."""
    known = KINDS.get(obj.kind)
    if known is None or known.type is None:
        return {"metadata": {}}
    return {"metadata": {}, **to_json(known.type())}


def _capped(owners: Owners) -> Owners:
    """No more than ten writers of updates; the oldest are taken together. Source: internal/capmanagers.go."""
    most: int = constant("managed_fields_most_updates")
    updates = sorted(
        (each for each in owners if each.operation == "Update"), key=lambda each: (owners[each].time or 0, each.name)
    )
    if len(updates) <= most:
        return owners
    old = updates[: len(updates) - most + 1]
    kept = {each: owned for each, owned in owners.items() if each not in old}
    ancient = Manager(ANCIENT, "Update", old[0].version)
    fields = frozenset().union(*(owners[each].fields for each in old))
    kept[ancient] = Owned(fields, max((owners[each].time or 0 for each in old), default=None))
    return kept


# -- applies ----------------------------------------------------------------------------------------------------------


@value
class Applying:
    """A server-side apply. `subresource`: of which it is; `now`: ns."""

    key: tuple[str, str, str]
    body: Any
    manager: str
    force: bool
    subresource: str
    now: int

    @property
    def part(self) -> str:
        """main, or the subresource."""
        return self.subresource or "main"


def applied(apply: Applying, live: Any, own_schema: Mapping[str, Any] | None = None) -> Any:
    """What a server-side apply makes of the stored object (None: there is none), with its owners.

    The very same object where nothing changes. Raises Refusal (400, 409, 422).
    Source: sigs.k8s.io/structured-merge-diff/v6/merge/update.go: Updater.Apply.
    """
    key = apply.key
    known = KINDS.get(key[0])
    version = live.api_version if live is not None else known.api_version if known else _version_of(apply.body)
    asking = Asking(key, version, apply.body, apply.manager, apply.force)
    refuse_apply(asking)
    schema, wanted = _schema(key[0], own_schema), _named(apply.body, key)
    document = to_json(live) if live is not None else {}
    owners = _owners_before(document, schema, apply.now) if live is not None else {}
    own = _applier(owners, apply)
    last = owners[own].fields if own is not None else NONE
    others = {each: owned for each, owned in owners.items() if each != own}
    new_set = _ownable(field_set(schema, wanted), apply.part)
    merged = merge(schema, _plain(document), _without_barred(wanted, apply.part))
    merged = _pruned(schema, merged, last, new_set, others.values())
    difference = compare(schema, _plain(document), merged)
    taken = {each: owned.fields & difference.written for each, owned in others.items()}
    free = _last_applied(schema, document) if apply.manager == _KUBECTL else NONE
    found = tuple((each, path) for each, fields in taken.items() for path in sorted(fields - free))
    refuse_apply(evolve(asking, conflicts=found))
    result: Owners = {Manager(apply.manager, "Apply", version, apply.subresource): Owned(new_set, apply.now)}
    for each, owned in others.items():
        left = owned.fields - taken[each] - difference.removed
        if left:
            result[each] = Owned(left, owned.time)
    made = _typed(merged, version, key[0])
    if own is not None and last == new_set and made == _with_owners(live, {}):
        return live
    return _with_owners(made, result)


_KUBECTL: Final = "kubectl"


def _applier(owners: Owners, apply: Applying) -> Manager | None:
    """The same manager's earlier apply. Its API version does not tell it apart."""
    wanted = (apply.manager, "Apply", apply.subresource)
    return next((each for each in owners if (each.name, each.operation, each.subresource) == wanted), None)


def _last_applied(schema: Schema, document: dict[str, Any]) -> Fields:
    """What kubectl applied itself before: it does not conflict with that. Source: internal/lastappliedmanager.go."""
    text = document.get("metadata", {}).get("annotations", {}).get(LAST_APPLIED)
    try:
        before = json.loads(text) if text else None
    except ValueError:
        return NONE
    return field_set(schema, before) if isinstance(before, dict) else NONE


def _owners_before(document: dict[str, Any], schema: Schema, now: int) -> Owners:
    """The owners so far; where nobody was noted, all belongs to those who wrote before the first apply.

    Source: internal/skipnonapplied.go: skipNonAppliedManager.Apply.
    """
    known = owners_of(document)
    if known:
        return known
    fields = _ownable(field_set(schema, _plain(document)), "any")
    return {Manager(FIRST, "Update", str(document.get("apiVersion", ""))): Owned(fields, now)} if fields else {}


def _named(body: Mapping[str, Any], key: tuple[str, str, str]) -> dict[str, Any]:
    """What is applied, with the name and namespace of the request."""
    meta = {**(body.get("metadata") or {}), "name": key[2]}
    return {**body, "metadata": {**meta, "namespace": key[1]} if key[1] else meta}


def _without_barred(wanted: dict[str, Any], part: str) -> dict[str, Any]:
    """What is applied without what that part of the object does not take (status, or all but status)."""
    rows = law.collect("unowned", Writing(part))
    barred = {row.outputs["path"] for row in rows} & {"status", "spec"}
    return {name: inner for name, inner in wanted.items() if name not in barred}


def _pruned(schema: Schema, merged: Any, last: Fields, new: Fields, others: Iterable[Owned]) -> Any:
    """Without what the manager applied before, does not apply now, and nobody else owns."""
    owned = frozenset().union(*(each.fields for each in others)) if last else NONE
    gone = with_parents(last) - with_parents(new) - with_parents(owned)
    return without(schema, merged, gone) if gone else merged


def _version_of(body: Any) -> str:
    return str(body.get("apiVersion", "")) if isinstance(body, Mapping) else ""


def _typed(document: dict[str, Any], version: str, kind: str) -> Any:
    try:
        return from_json({**document, "apiVersion": version, "kind": kind})
    except ObjectError as error:
        raise Refusal(400, "BadRequest", f"failed to create typed patch object ({kind}): {error}") from error
