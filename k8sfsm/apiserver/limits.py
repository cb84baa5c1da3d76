"""LimitRanger: what LimitRanges add to a new Pod, and what they refuse.

Source: plugin/pkg/admission/limitranger/admission.go: PodMutateLimitFunc, PodValidateLimitFunc.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.valid.resources import amount_of
from k8sfsm.kinds.pod_resources import pod_limits, pod_requests
from k8sfsm.objects import Container, Pod, PodSpec, Quantity, evolve
from k8sfsm.value import value

ANNOTATION: Final = "kubernetes.io/limit-ranger"
_BOUNDS: Final = ("min", "max", "maxLimitRequestRatio")
State: TypeAlias = Literal["missing", "zero", "below", "within", "above"]
Amounts: TypeAlias = Mapping[str, Quantity]


@value
class Bound:
    """A bound of a LimitRange, and what a container or a whole pod has of that resource (None: nothing is said)."""

    of: str
    bound: Quantity
    request: Quantity | None
    limit: Quantity | None


def _state(amount: Quantity | None, bound: Quantity) -> State:
    if amount is None:
        return "missing"
    if amount < bound:
        return "below"
    return "above" if amount > bound else "within"


@law.fact
def bound_of(case: Bound) -> str:
    """Which bound it is: min, max or maxLimitRequestRatio."""
    return case.of


def _amount_state(case: Bound, amount: Quantity | None) -> State:
    ratio = case.of == "maxLimitRequestRatio"
    return "zero" if ratio and amount is not None and not amount else _state(amount, case.bound)


@law.fact
def bounded_request(case: Bound) -> State:
    """How the request is to the bound; zero is told apart where ratios are asked for."""
    return _amount_state(case, case.request)


@law.fact
def bounded_limit(case: Bound) -> State:
    """How the limit is to the bound; zero is told apart where ratios are asked for."""
    return _amount_state(case, case.limit)


def _ratio(case: Bound) -> float:
    if not case.request or case.limit is None:
        return 0.0
    return float(case.limit.milli_value) / float(case.request.milli_value)


@law.fact
def ratio_broken(case: Bound) -> bool:
    """Whether the limit is more times the request than the bound."""
    return _ratio(case) > float(case.bound.milli_value) / 1000


@value
class LimitItem:
    """One item of a LimitRange."""

    kind: str


@law.fact
def limited_kind(case: LimitItem) -> str:
    """What the item is about: Container, Pod or PersistentVolumeClaim."""
    return case.kind


def _items(limit_range: Any) -> Iterator[dict[str, Any]]:
    """The items of a LimitRange with their defaults."""
    for given in (limit_range.extra.get("spec") or {}).get("limits") or ():
        item = dict(given)
        for row in law.collect("limit-default", LimitItem(str(item.get("type")))):
            source = item.get(row.outputs["from"]) or {}
            item[row.outputs["field"]] = {**source, **(item.get(row.outputs["field"]) or {})}
        yield item


def with_limits(spec: PodSpec, limit_ranges: Iterable[Any]) -> tuple[PodSpec, str]:
    """The spec with the requests and limits that it leaves out, and what was added, in words ("" for nothing)."""
    said: list[str] = []
    for item in (item for each in limit_ranges for item in _items(each) if item.get("type") == "Container"):
        spec = evolve(
            spec,
            containers=tuple(_filled(each, item, "container", said) for each in spec.containers),
            init_containers=tuple(_filled(each, item, "init container", said) for each in spec.init_containers),
        )
    return spec, f"LimitRanger plugin set: {'; '.join(said)}" if said else ""


def _filled(container: Container, item: Mapping[str, Any], what: str, said: list[str]) -> Container:
    changes = {}
    for field, source, word in (("requests", "defaultRequest", "request"), ("limits", "default", "limit")):
        own: Amounts = getattr(container.resources, field)
        added = {name: amount_of(amount) for name, amount in (item.get(source) or {}).items() if name not in own}
        if added:
            changes[field] = {**own, **added}
            said.append(f"{', '.join(sorted(added))} {word} for {what} {container.name}")
    return evolve(container, resources=evolve(container.resources, **changes)) if changes else container


def limit_errors(pod: Pod, limit_ranges: Iterable[Any]) -> tuple[str, ...]:
    """What LimitRanges refuse in a pod, each in words."""
    found: list[str] = []
    for item in (item for each in limit_ranges for item in _items(each)):
        if item.get("type") == "Container":
            for container in (*pod.spec.containers, *pod.spec.init_containers):
                found += _breaches(item, container.resources.requests, container.resources.limits)
        elif item.get("type") == "Pod":
            found += _breaches(item, pod_requests(pod, overhead=False), pod_limits(pod, overhead=False))
    return tuple(found)


def _breaches(item: Mapping[str, Any], requests: Amounts, limits: Amounts) -> Iterator[str]:
    for of in _BOUNDS:
        for name, given in (item.get(of) or {}).items():
            case = Bound(of, amount_of(given), requests.get(name), limits.get(name))
            text = law.decide("bound", case).outputs["text"]
            if text:
                shown = {"request": case.request, "limit": case.limit, "bound": case.bound, "ratio": _ratio(case)}
                yield text.format(resource=name, kind=item["type"], **shown)
