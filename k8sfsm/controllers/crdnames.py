"""The controllers of CustomResourceDefinitions: are the names free, and is the kind served?

Source: staging/src/k8s.io/apiextensions-apiserver/pkg/controller/status/naming_controller.go, .../establish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from k8sfsm.apiserver.custom.definitions import CRD, Definition, listed, member
from k8sfsm.law import Decision, Law
from k8sfsm.objects import evolve, key_of
from k8sfsm.objects.times import format_time
from k8sfsm.request import Key, Plan, Step, Update
from k8sfsm.view import Change, View

law = Law("crd")

_PARTS = ("plural", "singular", "kind", "listKind")


@frozen
class Sync:
    """One look at a CustomResourceDefinition (None: it is gone), and at the others of its group. `now`: ns."""

    crd: Any
    others: tuple[Any, ...]
    now: int

    @property
    def names(self) -> Mapping[str, Any]:
        """The names that it wants."""
        found: Mapping[str, Any] = member(self.crd.extra, "spec", "names") or {}
        return found

    def taken(self) -> tuple[str, str]:
        """(part, name) of the first name that another has; ("", "") where all are free."""
        for part in _PARTS:
            name = self.names.get(part)
            for other in self.others:
                if name and member(other.extra, "status", "acceptedNames", part) == name:
                    return part[:1].upper() + part[1:], str(name)
        return "", ""


@law.key
def group_of_crd(change: Change, view: View) -> Iterable[Key]:
    """All definitions of the group: a name may have become free."""
    group = member((change.new or change.old).extra, "spec", "group")
    return [key_of(each) for each in view.list(CRD) if member(each.extra, "spec", "group") == group]


@law.fact
def crd_exists(sync: Sync) -> bool:
    """The definition is there."""
    return sync.crd is not None


@law.fact
def names_taken(sync: Sync) -> bool:
    """Another definition of the group has one of the names."""
    return bool(sync.taken()[0])


@law.fact
def status_current(sync: Sync) -> bool:
    """The status says so already."""
    conditions = {
        member(each, "type"): member(each, "status") for each in listed(member(sync.crd.extra, "status", "conditions"))
    }
    wanted = "False" if sync.taken()[0] else "True"
    current = member(sync.crd.extra, "status", "acceptedNames") == dict(sync.names) or wanted == "False"
    return conditions.get("NamesAccepted") == wanted == conditions.get("Established") and current


@law.action
def write_conditions(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Write the conditions NamesAccepted and Established, the accepted names and the stored versions."""
    part, name = sync.taken()
    out, time = decision.outputs, format_time(sync.now)
    conditions = [
        {
            "type": kind,
            "status": out[f"{column}"],
            "lastTransitionTime": time,
            "reason": out[f"{column}_reason"].format(part=part),
            "message": out[f"{column}_text"].format(name=name),
        }
        for kind, column in (("NamesAccepted", "accepted"), ("Established", "established"))
    ]
    definition = Definition(sync.crd.metadata.name, sync.crd.extra)
    stored = [each.get("name") for each in definition.versions if each.get("storage")]
    accepted = {} if part else dict(sync.names)
    status = {"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}
    yield Update(object=evolve(sync.crd, extra={**sync.crd.extra, "status": status}), subresource="status")


class CrdController:
    """Reconciles CustomResourceDefinitions."""

    name = "apiextensions-apiserver"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Say whether the names of a definition are accepted."""
        crd = view.get(*key)
        group = member(crd.extra, "spec", "group") if crd is not None else None
        others = tuple(
            each for each in view.list(CRD) if key_of(each) != key and member(each.extra, "spec", "group") == group
        )
        sync = Sync(crd, others, view.now)
        return Plan(steps=law.perform(law.decide("names", sync), sync))
