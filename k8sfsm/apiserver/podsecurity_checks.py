"""The checks of the Pod Security Standards: what a pod does that a level does not let it do, in words.

What is checked, and since which version, is the table `pod-security`; here is how a row is read.
Source: staging/src/k8s.io/pod-security-admission/policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.judge import spots
from k8sfsm.objects.gotext import quote

Level: TypeAlias = Literal["privileged", "baseline", "restricted"]
Json: TypeAlias = Mapping[str, Any]
_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")


@frozen
class Policy:
    """A level of a minor version. `version`: as the label says it."""

    level: Level
    version: str
    minor: int

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


@frozen
class Secured:
    """A pod, or a pod template, in JSON form, that is judged by a policy."""

    policy: Policy
    spec: Json
    annotations: Mapping[str, str]

    @property
    def containers(self) -> tuple[Json, ...]:
        """Its containers of all sorts."""
        return tuple(each for name in _CONTAINERS for each in self.spec.get(name) or ())


@frozen
class Check:
    """A row of the table."""

    at: tuple[str, ...] = ()
    allowed: tuple[Any, ...] = ()
    reason: str = ""
    detail: str = ""
    lacking: str = ""


@frozen
class Found:
    """Who breaks a check, and with which values. `lacking`: containers that do not say what they have to."""

    pod: bool = False
    containers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    plain: tuple[str, ...] = field(factory=tuple)
    lacking: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pod or self.containers or self.others or self.lacking)

    def words(self) -> dict[str, str]:
        """What the texts of rows name."""
        named = _named("container", self.containers or self.lacking)
        setters = [*(["pod"] if self.pod else []), *([named] if self.containers else []), *self.others]
        several = len(self.containers or self.others) != 1
        return {
            "containers": named,
            "volumes": _named("volume", self.others),
            "setters": " and ".join(setters),
            "values": ", ".join(map(quote, self.values)),
            "plain": ", ".join(self.plain or self.values),
            "uses": "use" if several else "uses",
            "s": "" if len(self.values) == 1 else "s",
        }


def _named(what: str, names: tuple[str, ...]) -> str:
    return f"{what if len(names) == 1 else what + 's'} {', '.join(map(quote, names))}"


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def security_level(case: Secured) -> Level:
    """The level of the policy."""
    return case.policy.level


@law.fact
def security_minor(case: Secured) -> int:
    """The minor version of the policy."""
    return case.policy.minor


@law.fact
def own_users(case: Secured) -> bool:
    """Whether the pod has a user namespace of its own."""
    return case.spec.get("hostUsers") is False


# -- values -----------------------------------------------------------------------------------------------------------


def _values(part: Json, paths: Iterable[str]) -> list[Any]:
    """What stands at some paths of a part; None for each that leads nowhere, nothing for an absent list."""
    found: list[Any] = []
    for path in paths:
        here = [spot.value for spot in spots(Part(part, ""), path)]
        found += here or ([] if "[]" in path else [None])
    return found


def _allowed(value: Any, allowed: Iterable[Any]) -> bool:
    return any(_fits(value, each) for each in allowed)


def _fits(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, str) and pattern.startswith("not "):
        return str(value) != pattern.removeprefix("not ")
    if isinstance(pattern, str) and pattern.endswith("*"):
        return isinstance(value, str) and value.startswith(pattern.removesuffix("*"))
    return type(value) is type(pattern) and bool(value == pattern)


def _sorted(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted({str(value) for value in values}))


def _bad(part: Json, check: Check) -> list[Any]:
    return [value for value in _values(part, check.at) if not _allowed(value, check.allowed)]


# -- whose values -----------------------------------------------------------------------------------------------------


def _containers(case: Secured, check: Check) -> Found:
    bad = [(each["name"], _bad(each, check)) for each in case.containers]
    names = tuple(name for name, values in bad if values)
    return Found(containers=names, values=_sorted(value for _, values in bad for value in values))


def _sorted_containers(case: Secured, check: Check) -> Found:
    found = _containers(case, check)
    return Found(containers=tuple(sorted(set(found.containers))), values=found.values)


def _containers_without(case: Secured, check: Check) -> Found:
    """Containers in which none of the values is there."""
    lists = ((each["name"], _values(each, check.at)) for each in case.containers)
    return Found(containers=tuple(name for name, values in lists if not set(check.allowed) & set(values)))


def _setters(case: Secured, check: Check) -> Found:
    """The pod and its containers. Where something has to be said, the pod may say it for all."""
    own = _values(case.spec, check.at)[0]
    pod = own is not None and not _allowed(own, check.allowed)
    said = [(each["name"], _values(each, check.at)[0]) for each in case.containers]
    explicit = [(name, value) for name, value in said if value is not None and not _allowed(value, check.allowed)]
    if pod or explicit:
        values = [value for _, value in explicit] + ([own] if pod else [])
        return Found(pod=pod, containers=tuple(name for name, _ in explicit), values=_sorted(values))
    if not check.lacking or own is not None:
        return Found()
    return Found(lacking=tuple(name for name, value in said if value is None))


def _profiles(case: Secured, check: Check) -> Found:
    """Fields of the pod and its containers, and annotations for containers."""
    found = _setters(case, Check(at=check.at[:1], allowed=check.allowed))
    noted = _annotations(case, check).values
    others = ("annotation" if len(noted) == 1 else "annotations",) if noted else ()
    return Found(pod=found.pod, containers=found.containers, others=others, values=(*found.values, *noted))


def _annotations(case: Secured, check: Check) -> Found:
    """Annotations of that name, or whose names begin so."""
    texts = sorted(
        f"{name}={quote(value)}"
        for name, value in case.annotations.items()
        if any(name == key or (key.endswith("/") and name.startswith(key)) for key in check.at)
        and not _allowed(value, check.allowed)
    )
    return Found(others=("annotations",) if texts else (), values=tuple(texts))


def _pod_fields(case: Secured, check: Check) -> Found:
    names = tuple(path for path in check.at if _bad(case.spec, Check(at=(path,), allowed=check.allowed)))
    return Found(pod=bool(names), values=names)


def _pod_values(case: Secured, check: Check) -> Found:
    values = tuple(map(str, _bad(case.spec, check)))
    return Found(pod=bool(values), values=values)


def _volumes(case: Secured, check: Check) -> Found:
    kinds = [(each["name"], next((name for name in each if name != "name"), "unknown")) for each in _listed(case)]
    bad = [(name, kind) for name, kind in kinds if not _allowed(kind, check.allowed)]
    return Found(others=tuple(name for name, _ in bad), values=_sorted(kind for _, kind in bad))


def _listed(case: Secured) -> Iterable[Json]:
    return case.spec.get("volumes") or ()


def _labels(case: Secured, check: Check) -> Found:
    """SELinux labels: types that are not allowed; users and roles are none at all."""
    options = [(None, _values(case.spec, check.at)[0])]
    options += [(each["name"], _values(each, check.at)[0]) for each in case.containers]
    types: list[str] = []
    bad: list[Any] = []
    others: set[str] = set()
    for name, label in options:
        wrong = [] if label is None or _allowed(label.get("type"), check.allowed) else [label["type"]]
        extra = [part for part in ("user", "role") if label is not None and label.get(part)]
        types += wrong
        others |= set(extra)
        if wrong or extra:
            bad.append(name)
    values = _sorted(types)
    said = [f"{'type' if len(values) == 1 else 'types'} {', '.join(map(quote, values))}"] if values else []
    said += [f"{part} may not be set" for part in ("user", "role") if part in others]
    names = tuple(name for name in bad if name is not None)
    return Found(pod=None in bad, containers=names, values=values, plain=("; ".join(said),))


_EACH: Final[Mapping[str, Callable[[Secured, Check], Found]]] = {
    "containers": _containers,
    "sorted-containers": _sorted_containers,
    "containers-without": _containers_without,
    "setters": _setters,
    "profiles": _profiles,
    "annotations": _annotations,
    "pod-fields": _pod_fields,
    "pod-values": _pod_values,
    "volumes": _volumes,
    "labels": _labels,
}


def violations(case: Secured) -> Iterator[tuple[str, str]]:
    """What the pod does that the policy does not let it do: reasons and details, in the order of the table.

    Details of one reason that stands twice are put together.
    """
    last: tuple[str, str] | None = None
    for decision in law.collect("pod-security", case):
        row = {name: cell for name, cell in decision.outputs.items() if cell is not None}
        each = _EACH[str(row.pop("each"))]
        check = Check(**{**row, "at": tuple(row.get("at", ())), "allowed": tuple(row["allowed"])})
        found = each(case, check)
        if not found:
            continue
        words = found.words()
        now = check.reason.format(**words), (check.lacking if found.lacking else check.detail).format(**words)
        if last is not None and last[0] == now[0]:
            last = last[0], f"{last[1]}; {now[1]}"
            continue
        if last is not None:
            yield last
        last = now
    if last is not None:
        yield last
