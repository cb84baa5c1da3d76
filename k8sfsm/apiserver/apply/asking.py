"""A server-side apply, and what speaks against it.

Source: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go: applyPatcher; internal/conflict.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.apply.fields import Path, shown
from k8sfsm.apiserver.deletion import law
from k8sfsm.objects.gotext import quote
from k8sfsm.value import value


@value
class Manager:
    """Who owns fields: a name, by which operation (Apply, Update), of which subresource, in which API version."""

    name: str
    operation: str
    version: str
    subresource: str = ""

    def __str__(self) -> str:
        part = f" with subresource {quote(self.subresource)}" if self.subresource else ""
        using = f" using {self.version}" if self.operation == "Update" else ""
        return f"{quote(self.name)}{part}{using}"


@value
class Asking:
    """A server-side apply of the object `key` in an API version. `conflicts`: the fields that others own, with them."""

    key: tuple[str, str, str]
    version: str
    body: Any
    manager: str
    force: bool
    conflicts: tuple[tuple[Manager, Path], ...] = field(factory=tuple)

    @property
    def meta(self) -> Mapping[str, Any]:
        """The metadata of what is applied."""
        found = self.body.get("metadata") if isinstance(self.body, Mapping) else None
        return found if isinstance(found, Mapping) else {}


@law.fact
def manager_given(case: Asking) -> bool:
    """The request says who applies."""
    return bool(case.manager)


@law.fact
def body_is_object(case: Asking) -> bool:
    """What is applied is an object with apiVersion and kind."""
    body = case.body
    if not isinstance(body, Mapping) or not isinstance(body.get("metadata") or {}, Mapping):
        return False
    return all(isinstance(body.get(name), str) for name in ("apiVersion", "kind"))


@law.fact
def same_kind(case: Asking) -> bool:
    """It has the kind of the object that is asked for."""
    return bool(case.body["kind"] == case.key[0])


@law.fact
def same_version(case: Asking) -> bool:
    """It has the object's apiVersion."""
    return bool(case.body["apiVersion"] == case.version)


@law.fact
def same_name(case: Asking) -> bool:
    """It has the object's name, or none."""
    return case.meta.get("name") in (None, "", case.key[2])


@law.fact
def names_managers(case: Asking) -> bool:
    """It has owners of fields itself, which only the server notes."""
    return bool(case.meta.get("managedFields"))


@law.fact
def conflicts(case: Asking) -> int:
    """How many fields others own and have otherwise."""
    return len(case.conflicts)


@law.fact
def forced_apply(case: Asking) -> bool:
    """The fields of others are taken over."""
    return case.force


def refuse_apply(asking: Asking) -> None:
    """Raises Refusal (400, 409, 422) where the table `apply` says so."""
    row = law.decide("apply", asking).outputs
    if not row["code"]:
        return
    body = asking.body if isinstance(asking.body, Mapping) else {}
    text = row["text"].format(
        found=body.get("kind"),
        wanted=asking.key[0],
        found_version=body.get("apiVersion"),
        wanted_version=asking.version,
        found_name=asking.meta.get("name"),
        wanted_name=asking.key[2],
        told=conflict_message(asking.conflicts),
    )
    raise Refusal(row["code"], row["reason"], text)


def conflict_message(found: tuple[tuple[Manager, Path], ...]) -> str:
    """Which fields others own. Source: internal/conflict.go: getConflictMessage."""
    if len(found) == 1:
        manager, path = found[0]
        return f"Apply failed with 1 conflict: conflict with {manager}: {shown(path)}"
    lines: list[str] = []
    for manager in sorted({each for each, _ in found}, key=str):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {shown(path)}" for each, path in found if each == manager]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
