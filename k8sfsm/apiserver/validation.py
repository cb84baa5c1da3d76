"""Validation: asks the tables of `specs/apiserver/validation*.yaml` about whole objects.

Source: pkg/apis/core/validation/validation.go; pkg/apis/apps/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid import Fault, judged, message
from k8sfsm.apiserver.valid.formats import has_format
from k8sfsm.apiserver.valid.glance import Seen, seen_by
from k8sfsm.objects import to_json
from k8sfsm.table import CompiledTable
from k8sfsm.value import value

Verb = Literal["create", "update", "debug", "resize", "status"]


@value
class Judged:
    """An object of `kind` that is to be stored, and what is done with it."""

    kind: str
    verb: Verb


@law.fact
def judged_kind(case: Judged) -> str:
    """The object's kind."""
    return case.kind


@law.fact
def judged_verb(case: Judged) -> Verb:
    """What is done with the object; debug: it gets ephemeral containers; resize: other resources; status: a report."""
    return case.verb


_SPECS: Final = Memo()
"""Specs (of an update: with the one before) in which no table finds anything."""
_METADATA: Final = Memo()
"""The same for labels, annotations, owners and finalizers."""

"""The same for all metadata of Events, which have no spec."""


def faults(old: Any, new: Any, *, subresource: str = "", allow_privileged: bool = True) -> tuple[Fault, ...]:
    """The errors of an object, in the order of the tables. `old`: the stored one that it replaces, or None."""
    kind = new.kind
    table, reports = _judgement(law.table("judge"), kind, _verb(old, subresource))
    before = None if old is None else _document(old, reports)
    part = Part(_document(new, reports), kind, table=table, old=before)
    part.notes["allow_privileged"] = allow_privileged
    return tuple(judged(part))


def warnings(new: Any) -> tuple[str, ...]:
    """What the server says of a new object that it stores all the same."""
    table = law.decide("warned", Judged(new.kind, "create")).outputs["table"]
    if table is None:
        return ()
    part = Part(_document(new, False), new.kind, table=table)
    return tuple(f"{fault.field}: {fault.detail}" for fault in judged(part))


_BY_SUBRESOURCE: Final[dict[str, Verb]] = {"ephemeralcontainers": "debug", "resize": "resize", "status": "status"}


def _verb(old: Any, subresource: str) -> Verb:
    if old is None:
        return "create"
    return _BY_SUBRESOURCE.get(subresource, "update")


def invalid(old: Any, new: Any, basis: Any = None, subresource: str = "") -> str:
    """The errors of an object as one text; "" for a valid one.

    `basis`: an object that stands for the spec: all objects with one basis have specs that differ in nothing that a
    table looks at. None: the spec itself.

    What is judged in metadata and what is judged in specs do not depend on each other. So what a table found sound once
    needs no second look, if it is the very same object: thousands of Pods come from one template.
    """
    spec = _judged_part(new) if basis is None else basis
    judge, meta, verb = law.table("judge"), new.metadata, _verb(old, subresource)
    if _judgement(judge, new.kind, verb)[1]:
        return _with_report(old, new, subresource)
    specs = (judge, verb, new.__class__, spec, None if old is None else _judged_part(old))
    before = None if old is None else old.metadata
    rest = (judge, new.__class__, *_parts(meta), *(() if before is None else _parts(before)))
    known = _SPECS.get(specs) is not None and _METADATA.get(rest) is not None
    if known and (_same_identity(before, meta) if before is not None else _name_is_sound(judge, new)):
        return ""
    found = faults(old, new, subresource=subresource)
    if found:
        return message(found)
    _SPECS.put(specs, True)
    _METADATA.put(rest, True)
    return ""


def _judged_part(obj: Any) -> Any:
    """What of an object is judged beside its metadata: its spec; of a role or binding, which has none, all of it."""
    spec = getattr(obj, "spec", None)
    return obj if spec is None and hasattr(obj, "rules" if "Binding" not in obj.kind else "subjects") else spec


def _parts(meta: Any) -> tuple[Any, ...]:
    """What of metadata the tables look at, beside what says which object it is (`_same_identity`)."""
    return meta.labels, meta.annotations, meta.owner_references, meta.finalizers, meta.deletion_timestamp is None


def _same_identity(old: Any, new: Any) -> bool:
    return bool(
        old.name == new.name
        and old.namespace == new.namespace
        and old.uid == new.uid
        and old.creation_timestamp == new.creation_timestamp
        and old.deletion_timestamp == new.deletion_timestamp
        and old.deletion_grace_period_seconds == new.deletion_grace_period_seconds
    )


def sound_name_of(obj: Any) -> Callable[[str], bool]:
    """The question whether a name is one that objects like this one, in its namespace, may have."""
    meta = obj.metadata
    return _name_check(law.table("judge"), obj.kind, meta.namespace, meta.generate_name)


def _name_is_sound(judge: CompiledTable, new: Any) -> bool:
    meta = new.metadata
    sound = _name_check(judge, new.kind, meta.namespace, meta.generate_name)
    return bool(meta.name) and sound(meta.name)


@lru_cache(maxsize=1024)
def _name_check(judge: CompiledTable, kind: str, namespace: str, generate_name: str) -> Callable[[str], bool]:
    """Whether a name is of the format of names of a kind; none is where namespace or generateName would be refused."""
    metadata = {"name": "a", "namespace": namespace, "generateName": generate_name}
    part = Part({name: text for name, text in metadata.items() if text}, kind, path="metadata", table="NewMeta")
    if any(judged(part)):
        return lambda name: False
    rows = [row.outputs for row in law.collect("NewMeta", part)]
    form = next((str(row.get("of")) for row in rows if row.get("at") == "name" and row.get("must") == "format"), "")
    return has_format(form) if form else lambda name: False


def _with_report(old: Any, new: Any, subresource: str) -> str:
    if subresource == "status" and _same_metadata(old.metadata, new.metadata):
        return invalid_report(old, new)
    found = faults(old, new, subresource=subresource)
    return message(found) if found else ""


def _same_metadata(old: Any, new: Any) -> bool:
    return _same_identity(old, new) and bool(
        old.labels == new.labels
        and old.annotations == new.annotations
        and old.owner_references == new.owner_references
        and old.finalizers == new.finalizers
    )


def invalid_report(old: Any, new: Any) -> str:
    """The errors of an object of which nothing but the status is written, as one text; "" for a valid one."""
    if surely_valid_report(old, new):
        return ""
    found = faults(old, new, subresource="status")
    return message(found) if found else ""


def surely_valid_report(old: Any, new: Any) -> bool:
    """Whether a look at the objects shows that there are no such errors."""
    seen_sound = _seen_sound(law.edition, new.__class__, new.kind)
    return seen_sound is None or seen_sound(new, old)


@lru_cache(maxsize=64)
def _seen_sound(edition: object, cls: Any, kind: str) -> Seen | None:
    """The glance at reports on objects of a kind; None where no table looks at their status."""
    table, reports = _judgement(law.table("judge"), kind, "status")
    return seen_by(table, cls) if reports else None


@lru_cache(maxsize=256)
def _judgement(judge: CompiledTable, kind: str, verb: Verb) -> tuple[str, bool]:
    """The table that judges, and whether it looks at the status as well."""
    outputs = judge.decide(Judged(kind, verb)).outputs
    return str(outputs["table"]), bool(outputs["reports"])


_JUDGED: Final = {
    "spec": "spec",
    "rules": "rules",
    "aggregation_rule": "aggregationRule",
    "role_ref": "roleRef",
    "subjects": "subjects",
}
"""Attributes beside metadata that tables look at, and their names in JSON."""


def _document(obj: Any, reports: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"metadata": to_json(obj.metadata)}
    if reports:
        found["status"] = to_json(obj.status)
    for attribute, name in _JUDGED.items():
        part = getattr(obj, attribute, None)
        if part is not None:
            found[name] = [to_json(each) for each in part] if isinstance(part, tuple) else to_json(part)
    return found
