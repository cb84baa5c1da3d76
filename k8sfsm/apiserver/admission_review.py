"""Validating admission: the plugins that look at an object once it is found valid, in their order.

Source: pkg/kubeapiserver/options/plugins.go: AllOrderedPlugins; staging/src/k8s.io/apiserver/pkg/admission/chain.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from k8sfsm.apiserver.answer import Refusal, plural
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.limits import limit_errors
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.own_rules import OwnRules
from k8sfsm.apiserver.podsecurity import policed, secured
from k8sfsm.apiserver.quota_admission import charged
from k8sfsm.apiserver.runtime_classes import ALONE, OTHER, overhead_state
from k8sfsm.objects import ResourceQuota
from k8sfsm.store import Store
from k8sfsm.table import CompiledTable
from k8sfsm.value import value

Verb: TypeAlias = Literal["create", "update"]


@frozen
class Review:
    """A write of `object` over `old` (None: a creation) that has passed validation.

    `warnings`, `notes`: what plugins tell the sender and the audit log; `charges`: quotas as they are to be, each with
    the rule for it.
    """

    object: Any
    old: Any
    subresource: str
    store: Store
    options: Options
    rules: OwnRules
    account: str
    now: int
    warnings: list[str] = field(factory=list)
    notes: dict[str, str] = field(factory=dict)
    charges: list[tuple[ResourceQuota, str]] = field(factory=list)

    def forbidden(self, text: str) -> Refusal:
        """403."""
        return Refusal(
            403, "Forbidden", f'{plural(self.object.kind)} "{self.object.metadata.name}" is forbidden: {text}'
        )


@value
class Round:
    """What decides which plugins have something to do."""

    kind: str
    verb: Verb
    bounded: bool
    policed: bool
    counted: bool
    ruled: bool
    overhead: bool


@law.fact
def written_kind(case: Round) -> str:
    """The object's kind."""
    return case.kind


@law.fact
def written_verb(case: Round) -> Verb:
    """Whether the object is new."""
    return case.verb


@law.fact
def bounded_namespace(case: Round) -> bool:
    """Whether its namespace has LimitRanges."""
    return case.bounded


@law.fact
def policed_namespace(case: Round) -> bool:
    """Whether its namespace has labels of Pod Security."""
    return case.policed


@law.fact
def counted_namespace(case: Round) -> bool:
    """Whether its namespace has quotas."""
    return case.counted


@law.fact
def own_rules_apply(case: Round) -> bool:
    """Whether the cluster has rules of its own for the kind."""
    return case.ruled


@law.fact
def overhead_set(case: Round) -> bool:
    """Whether a Pod says how much it needs beside its containers."""
    return case.overhead


def reviewed(review: Review) -> None:
    """Let the plugins look at a write. Raises Refusal."""
    snapshot, kind, name = review.store.snapshot, review.object.kind, review.object.metadata.namespace
    bounded = policed_ = counted = False
    if name:
        bounded = bool(snapshot.series("in", "LimitRange", name))
        policed_ = policed(snapshot.get(("Namespace", "", name)))
        counted = review.options.quota and bool(snapshot.series("in", "ResourceQuota", name))
    verb: Verb = "create" if review.old is None else "update"
    overhead = kind == "Pod" and bool(review.object.spec.overhead)
    case = (kind, verb, bounded, policed_, counted, kind in review.rules.tables, overhead)
    for plugin in _plugins(law.table("validate"), case):
        _PLUGINS[plugin](review)


@lru_cache(maxsize=1024)
def _plugins(table: CompiledTable, case: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(row.outputs["plugin"] for row in table.collect(Round(*case)))


def _limits(review: Review) -> None:
    """Source: plugin/pkg/admission/limitranger/admission.go: Validate, runLimitFunc."""
    ranges = review.store.snapshot.series("in", "LimitRange", review.object.metadata.namespace)
    errors = limit_errors(review.object, ranges)
    if errors:
        raise review.forbidden(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")


def _pod_security(review: Review) -> None:
    judged = secured(review.object, review.old, review.subresource, review.store, review.options, review.account)
    review.warnings.extend(judged.warnings)
    review.notes.update(judged.notes)


def _default_class(review: Review) -> None:
    """There is one default PriorityClass at most."""
    new = review.object
    if not new.extra.get("globalDefault"):
        return
    for other in review.store.snapshot.series("in", "PriorityClass", ""):
        if other.extra.get("globalDefault") and other.metadata.name != new.metadata.name:
            raise review.forbidden(
                f"PriorityClass {other.metadata.name} is already marked as default. Only one default can exist"
            )


def _runtime_overhead(review: Review) -> None:
    """Overhead comes from a RuntimeClass, and from nobody else."""
    spec = review.object.spec
    found = None if spec.runtime_class_name is None else review.store.get("RuntimeClass", "", spec.runtime_class_name)
    state = overhead_state(spec, found)
    if state in _WRONG:
        raise review.forbidden(f"pod rejected: {_WRONG[state]}")


_WRONG: Final[Mapping[str, str]] = {"alone": ALONE, "other": OTHER}


def _own_rules(review: Review) -> None:
    if review.subresource:
        return
    for effect, found in review.rules.objections(review.object, review.old, review.account):
        if effect == "warn":
            review.warnings.append(found.text)
        else:
            raise review.forbidden(f"{found.text} (rule {found.rule})")


def _quota(review: Review) -> None:
    review.charges.extend(charged(review.store, review.object, review.old, review.subresource, review.now))


_PLUGINS: Final[Mapping[str, Callable[[Review], None]]] = {
    "limits": _limits,
    "pod-security": _pod_security,
    "default-class": _default_class,
    "runtime-overhead": _runtime_overhead,
    "own-rules": _own_rules,
    "quota": _quota,
}
