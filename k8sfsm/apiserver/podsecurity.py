"""Pod Security admission: the policies of a namespace, and what they come to for pods, templates and the namespace.

Source: staging/src/k8s.io/pod-security-admission/admission/admission.go; api/helpers.go: PolicyToEvaluate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from attrs import field, frozen

from k8sfsm.apiserver.answer import Refusal, plural
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.podsecurity_checks import Level, Policy, Secured, violations
from k8sfsm.objects import Namespace, Pod, to_json
from k8sfsm.objects.gotext import quote
from k8sfsm.store import Store

Mode: TypeAlias = Literal["enforce", "audit", "warn"]
MODES: Final[tuple[Mode, ...]] = ("enforce", "audit", "warn")
_LEVELS: Final[tuple[Level, ...]] = ("privileged", "baseline", "restricted")
_LABEL: Final = "pod-security.kubernetes.io/"
_LATEST: Final = 1 << 16
_VERSION: Final = re.compile(r"v1\.(0|[1-9][0-9]*)")
_LOOKED_AT: Final = 3000


@frozen
class Written:
    """A write of `object` over `old`, None for a creation."""

    object: Any
    old: Any
    subresource: str


@frozen
class LabelCase:
    """A mode, and the labels of a namespace."""

    mode: Mode
    labels: Mapping[str, str]


@frozen
class Violation:
    """A violation of what a mode asks of an object (`as_`: pod or template)."""

    mode: Mode
    as_: str


@frozen
class Turn:
    """What a namespace enforced before, and what it is to enforce."""

    old: Policy
    new: Policy


@frozen
class Judgement:
    """`warnings`: for the sender; `notes`: for the audit log."""

    warnings: tuple[str, ...] = field(factory=tuple)
    notes: Mapping[str, str] = field(factory=dict)


_NOTHING: Final = Judgement()
_POLICIES: Final = Memo()


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def security_kind(case: Written) -> str:
    """The object's kind."""
    return str(case.object.kind)


@law.fact
def security_subresource(case: Written) -> str:
    """The subresource that is written."""
    return case.subresource


@law.fact
def security_matters(case: Written) -> bool:
    """Whether a write may change what the checks find: containers, images, and annotations about profiles."""
    return case.old is None or not isinstance(case.object, Pod) or _significant(case.object) != _significant(case.old)


def _significant(pod: Pod) -> tuple[Any, ...]:
    spec = pod.spec
    images = tuple((each.name, each.image) for each in (*spec.init_containers, *spec.containers))
    notes = {name: text for name, text in pod.metadata.annotations.items() if "seccomp" in name or "apparmor" in name}
    return images, spec.ephemeral_containers, notes


@law.fact
def security_mode(case: LabelCase | Violation) -> Mode:
    """The mode: what is refused, what is noted, or what is warned of."""
    return case.mode


@law.fact
def level_label(case: LabelCase) -> Literal["none", "valid", "invalid"]:
    """Whether the namespace has a label for the mode's level, and a valid one."""
    return _label_state(case.labels.get(_LABEL + case.mode))


@law.fact
def enforce_label(case: LabelCase) -> Literal["none", "valid", "invalid"]:
    """The same for what is enforced."""
    return _label_state(case.labels.get(f"{_LABEL}enforce"))


def _label_state(given: str | None) -> Literal["none", "valid", "invalid"]:
    if given is None:
        return "none"
    return "valid" if given in _LEVELS else "invalid"


@law.fact
def security_object(case: Violation) -> str:
    """What breaks it: a pod, or a template for pods."""
    return case.as_


@law.fact
def enforce_turns(case: Turn) -> bool:
    """Whether something else is enforced than before."""
    return case.old != case.new


@law.fact
def enforces_nothing(case: Turn) -> bool:
    """Whether pods may do everything."""
    return case.new.level == "privileged"


@law.fact
def enforce_relaxed(case: Turn) -> bool:
    """Whether the same version of a lower level, or the same, is enforced."""
    return case.new.minor == case.old.minor and _LEVELS.index(case.new.level) <= _LEVELS.index(case.old.level)


# -- policies ---------------------------------------------------------------------------------------------------------


def policies(labels: Mapping[str, str]) -> dict[Mode, Policy]:
    """What a namespace with these labels enforces, has noted and warns of."""
    return {mode: _policy(mode, labels) for mode in MODES}


def _policy(mode: Mode, labels: Mapping[str, str]) -> Policy:
    takes = law.decide("security-level", LabelCase(mode, labels)).outputs["takes"]
    version = _version(labels.get(f"{_LABEL}{mode}-version", "latest"))
    if takes == "stricter":
        enforced = _policy("enforce", labels)
        own = f"{_LABEL}{mode}-version" in labels
        return Policy(enforced.level, *version) if own else enforced
    level = {"given": labels.get(_LABEL + mode), "default": "privileged"}.get(takes, takes)
    return Policy(cast(Level, level), *version)


def _version(text: str) -> tuple[str, int]:
    found = _VERSION.fullmatch(text)
    return (text, int(found[1])) if found else ("latest", _LATEST)


def label_errors(labels: Mapping[str, str]) -> str:
    """What is wrong with the labels of a namespace, as one text; "" for nothing."""
    found = []
    for mode in MODES:
        level, version = labels.get(_LABEL + mode), labels.get(f"{_LABEL}{mode}-version")
        if level is not None and level not in _LEVELS:
            found.append(_wrong(mode, level, f"must be one of {', '.join(_LEVELS)}"))
        if version is not None and version != "latest" and not _VERSION.fullmatch(version):
            found.append(_wrong(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]" if found else ""


def _wrong(name: str, given: str, text: str) -> str:
    return f"metadata.labels[{_LABEL}{name}]: Invalid value: {quote(given)}: {text}"


# -- the plugin -------------------------------------------------------------------------------------------------------


def secured(obj: Any, old: Any, subresource: str, store: Store, options: Options, user: str) -> Judgement:
    """Judge a write by the policies of its namespace. Raises Refusal.

    `user`: the account that sends it, which may be exempt.
    """
    name = obj.metadata.namespace
    as_ = law.decide("security-judged", Written(obj, old, subresource)).outputs["as"]
    if as_ == "nothing" or name in options.exempt_namespaces or user in options.exempt_users:
        return _NOTHING
    if as_ == "namespace":
        return _of_namespace(obj, old, store, options)
    return _of_pods(obj, as_, _known(store.get("Namespace", "", name)), options)


def policed(namespace: Any) -> bool:
    """Whether a namespace (None: it is not there) has labels of Pod Security."""
    return namespace is not None and any(name.startswith(_LABEL) for name in namespace.metadata.labels)


def _known(namespace: Any) -> dict[Mode, Policy]:
    parts = (namespace, law.table("security-level"))
    found: dict[Mode, Policy] | None = _POLICIES.get(parts)
    if found is None:
        found = policies(namespace.metadata.labels)
        _POLICIES.put(parts, found)
    return found


def _of_pods(obj: Any, as_: str, policed: Mapping[Mode, Policy], options: Options) -> Judgement:
    template = _template(obj)
    if template is None or template[1].get("runtimeClassName") in options.exempt_runtime_classes:
        return _NOTHING
    warnings: list[str] = []
    notes: dict[str, str] = {}
    for mode in MODES:
        policy = policed[mode]
        effect = law.decide("security-effect", Violation(mode, as_)).outputs
        found = _violations(policy, *template)
        if not found:
            continue
        said = ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in found)
        text = effect["text"].format(policy=policy, violations=said)
        if effect["effect"] == "refuse":
            raise Refusal(403, "Forbidden", f'{plural(obj.kind)} "{obj.metadata.name}" is forbidden: {text}')
        if effect["effect"] == "note":
            notes[mode] = text
        elif effect["effect"] == "warn":
            warnings.append(text)
    return Judgement(tuple(warnings), notes)


def _violations(policy: Policy, annotations: Mapping[str, str], spec: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return () if policy.level == "privileged" else tuple(violations(Secured(policy, spec, annotations)))


def _template(obj: Any) -> tuple[Mapping[str, str], Mapping[str, Any]] | None:
    """Annotations and spec of the pod that an object is, or makes; None where it makes none."""
    document = to_json(obj)
    if obj.kind == "Pod":
        return obj.metadata.annotations, document.get("spec") or {}
    found = document.get("template") if obj.kind == "PodTemplate" else _below(document, obj.kind)
    if not found:
        return None
    return (found.get("metadata") or {}).get("annotations") or {}, found.get("spec") or {}


def _below(document: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    spec = document.get("spec") or {}
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return spec.get("template")


def _of_namespace(new: Namespace, old: Namespace | None, store: Store, options: Options) -> Judgement:
    """Labels have to be valid where they change; pods that a stricter policy would refuse are told of."""
    wrong = label_errors(new.metadata.labels)
    if wrong and (old is None or wrong != label_errors(old.metadata.labels)):
        raise Refusal(422, "Invalid", f'Namespace "{new.metadata.name}" is invalid: {wrong}')
    if old is None:
        return _NOTHING
    before, after = policies(old.metadata.labels)["enforce"], policies(new.metadata.labels)["enforce"]
    exempt = new.metadata.name in options.exempt_namespaces
    if exempt or not law.decide("security-recheck", Turn(before, after)).outputs["looks"]:
        return _NOTHING
    return Judgement(tuple(_of_pods_there(new.metadata.name, after, store, options)))


def _of_pods_there(namespace: str, policy: Policy, store: Store, options: Options) -> Iterator[str]:
    pods = tuple(store.snapshot.series("in", "Pod", namespace))
    names: dict[str, list[str]] = {}
    for pod in pods[:_LOOKED_AT]:
        template = _template(pod)
        assert template is not None
        if template[1].get("runtimeClassName") in options.exempt_runtime_classes:
            continue
        found = _violations(policy, *template)
        if found:
            names.setdefault(", ".join(reason for reason, _ in found), []).append(pod.metadata.name)
    if len(pods) > _LOOKED_AT:
        yield (
            f"new PodSecurity enforce level only checked against the first {_LOOKED_AT} of {len(pods)} existing pods"
        )
    if names:
        yield f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{policy}"'
    yield from sorted(f"{_called(each)}: {text}" for text, each in names.items())


def _called(names: list[str]) -> str:
    first, others = min(names), len(names) - 1
    if not others:
        return first
    return f"{first} (and {others} other pod{'s' if others > 1 else ''})"
