"""The commands of kubectl that change objects: each reads the store and gives the requests that kubectl would send.

Every command raises `Refused` where kubectl itself refuses. What is refused, sent and said stands in
`specs/kubectl/verbs.yaml`; rollouts and nodes are in `rollouts.py` and `nodes.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, Literal

from attrs import field, frozen

from k8sfsm.apiserver import Refusal
from k8sfsm.apiserver.custom import served_kind
from k8sfsm.apiserver.patch import patched
from k8sfsm.controllers.deployment.working import LAST_APPLIED
from k8sfsm.law import Law
from k8sfsm.objects import KINDS, from_json, key_of, to_json
from k8sfsm.request import Create, Delete, Key, Patch, PatchType, Propagation, Why, Write
from k8sfsm.scenario.difference import merge_patch, strategic_patch
from k8sfsm.scenario.order import DEFAULT_NAMESPACE, Order, Refused, called, found, quoted, sent
from k8sfsm.store import Store

law = Law("kubectl")

Json = Mapping[str, Any]
ALL: Final = "*"
"""Every container of a Pod template, for `image`."""
_TEMPLATES: Final = ("containers", "initContainers")


@frozen(kw_only=True)
class Change:
    """A command that patches. `stored`: the object that is there, if any; `body`: the patch that it comes to."""

    stored: Any
    body: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Deletion:
    """`kubectl delete`. `grace`: --grace-period in seconds, None where it is not given."""

    force: bool
    grace: int | None


@frozen(kw_only=True)
class Mark:
    """A label or annotation that a command sets; `value` None takes it away."""

    marks: Mapping[str, str]
    name: str
    value: str | None
    overwrite: bool


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def object_exists(case: Change) -> bool:
    """The object is there."""
    return case.stored is not None


@law.fact
def changes_something(case: Change) -> bool:
    """The patch that was worked out is not empty."""
    return bool(case.body)


@law.fact
def forced(case: Deletion) -> bool:
    """--force."""
    return case.force


@law.fact
def grace_asked(case: Deletion) -> Literal["none", "zero", "some"]:
    """--grace-period: not given (or negative), 0, or more."""
    if case.grace is None or case.grace < 0:
        return "none"
    return "some" if case.grace else "zero"


@law.fact
def mark_removed(case: Mark) -> bool:
    """The command takes the label or annotation away."""
    return case.value is None


@law.fact
def mark_taken(case: Mark) -> bool:
    """It is there with another value."""
    return case.name in case.marks and case.marks[case.name] != case.value


@law.fact
def overwrites(case: Mark) -> bool:
    """--overwrite."""
    return case.overwrite


# -- creating and applying --------------------------------------------------------------------------------------------


def refuse_unknown(store: Store, document: Json) -> None:
    """Raises Refused for a kind that the API server does not serve; it may be defined later.

    Source: staging/src/k8s.io/cli-runtime/pkg/resource/mapper.go: mapper.infoForObject.
    """
    version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
    if served_kind(store.snapshot, version, kind):
        return
    raw = document.get("metadata")
    meta: Json = raw if isinstance(raw, Mapping) else {}
    called_so = f'name: "{meta.get("name", "")}" namespace: "{meta.get("namespace", "")}"'
    what = f'no matches for kind "{kind}" in version "{version}"; ensure CRDs are installed first'
    raise Refused(f"error: resource mapping not found for {called_so}: {what}")


def in_namespace(document: Json, namespace: str = "") -> dict[str, Any]:
    """The document with the namespace that kubectl fills in: its own, else `namespace`, else "default"."""
    given = document.get("metadata") or {}
    if not isinstance(given, Mapping):
        return dict(document)  # whoever reads the object says what is wrong
    metadata = dict(given)
    known = KINDS.get(str(document.get("kind")))
    if known is None or known.namespaced:
        metadata["namespace"] = metadata.get("namespace") or namespace or DEFAULT_NAMESPACE
    return {**document, "metadata": metadata}


def create(store: Store, document: Json, namespace: str = "") -> Order:
    """`kubectl create -f`: the object of a manifest in JSON form. Raises ObjectError where it is none.

    Of an object whose name is generated only the answer says what it is called.
    """
    refuse_unknown(store, document)
    obj = from_json(in_namespace(document, namespace))
    return Order(writes=(Create(object=obj),), says=f"{called(key_of(obj))} created" if obj.metadata.name else "")


def apply(store: Store, document: Json, namespace: str = "") -> Order:
    """`kubectl apply -f`: create the object, or patch what the manifest changes since it was last applied."""
    refuse_unknown(store, document)
    manifest = in_namespace(document, namespace)
    key = key_of(from_json(manifest))
    if not key[2]:
        raise Refused(
            "error: from "
            + (manifest["metadata"].get("generateName") or "a manifest")
            + ": cannot use generate name with apply"
        )
    _, modified = last_applied_of(manifest)
    stored = store.get(*key)
    body = _applied(stored, modified) if stored is not None else {}
    decision = law.decide("apply", Change(stored=stored, body=body))
    says = f"{called(key)} {decision.outputs['says']}"
    writes: dict[str, tuple[Write, ...]] = {
        "create": (Create(object=from_json(modified), why=decision.why),),
        "patch": (Patch(key=key, body=body, type=_patch_type(key), why=decision.why),),
        "nothing": (),
    }
    return Order(writes=writes[decision.outputs["request"]], says=says)


def server_side_apply(
    store: Store, document: Json, namespace: str = "", manager: str = "kubectl", force: bool = False
) -> Order:
    """`kubectl apply --server-side`: the manifest as it is; the server works out what it changes.

    Source: staging/src/k8s.io/kubectl/pkg/cmd/apply/apply.go: ApplyOptions.applyOneObject.
    """
    refuse_unknown(store, document)
    manifest = in_namespace(document, namespace)
    key = key_of(from_json(manifest))
    if not key[2]:
        base = manifest["metadata"].get("generateName") or "a manifest"
        raise Refused(f"error: from {base}: cannot use generate name with apply")
    write = Patch(key=key, body=manifest, type="apply", manager=manager, force=force)
    return Order(writes=(write,), says=f"{called(key)} serverside-applied")


def last_applied_of(manifest: Json) -> tuple[str, dict[str, Any]]:
    """The text that `apply` notes, and the manifest with it.

    Source: staging/src/k8s.io/kubectl/pkg/util/apply.go: GetModifiedConfiguration.
    """
    plain = deepcopy(dict(manifest))
    annotations = dict(plain["metadata"].get("annotations") or {})
    annotations.pop(LAST_APPLIED, None)
    plain["metadata"]["annotations"] = annotations
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    noted = deepcopy(plain)
    noted["metadata"]["annotations"][LAST_APPLIED] = text
    return text, noted


def _applied(stored: Any, modified: Json) -> dict[str, Any]:
    """The three-way patch from what is stored to the manifest; empty where it changes nothing."""
    current = to_json(stored)
    try:
        original = json.loads(stored.metadata.annotations.get(LAST_APPLIED, "{}"))
    except json.JSONDecodeError:
        original = {}
    three_way = strategic_patch if _is_strategic(stored.kind) else merge_patch
    return three_way(original, modified, current)


def _is_strategic(kind: str) -> bool:
    """Kinds that Kubernetes itself defines have a schema of merge keys."""
    return kind in KINDS


def _patch_type(key: Key) -> PatchType:
    return "strategic" if _is_strategic(key[0]) else "merge"


# -- changing and deleting --------------------------------------------------------------------------------------------


def edit(key: Key, stored: Any, modified: Json, says: str) -> Order:
    """A patch from what is stored to `modified`; nothing is sent or said where both are the same."""
    current = to_json(stored)
    body = strategic_patch(current, modified, current)
    decision = law.decide("edit", Change(stored=stored, body=body))
    write = Patch(key=key, body=body, type=_patch_type(key), why=decision.why)
    writes = sent(decision.outputs["request"], write)
    return Order(writes=writes, says=f"{called(key)} {says}" if writes else "")


def scale(store: Store, key: Key, replicas: int, current: int | None = None) -> Order:
    """`kubectl scale --replicas`, with `current` as --current-replicas."""
    stored = found(store, key)
    if replicas < 0:
        raise Refused("error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    there = to_json(stored).get("spec", {}).get("replicas")
    if current is not None and there != current:
        raise Refused(f"error: Expected replicas to be {current}, was {there}")
    body = {"spec": {"replicas": replicas}}
    return Order(writes=(Patch(key=key, body=body, type="merge", subresource="scale"),), says=f"{called(key)} scaled")


def image(store: Store, key: Key, container: str, name: str) -> Order:
    """`kubectl set image KIND/NAME CONTAINER=IMAGE`; container "*": all of them."""
    stored = found(store, key)
    modified = to_json(stored)
    spec = modified["spec"] if key[0] == "Pod" else modified.get("spec", {}).get("template", {}).get("spec", {})
    containers = [each for part in _TEMPLATES for each in spec.get(part, ()) if container in (ALL, each["name"])]
    if not containers:
        raise Refused(f'error: unable to find container named "{container}"')
    for each in containers:
        each["image"] = name
    return edit(key, stored, modified, "image updated")


def patch(store: Store, key: Key, body: Any, type: PatchType = "strategic", subresource: str = "") -> Order:
    """`kubectl patch`. Raises Refused where the document cannot be applied."""
    stored = found(store, key)
    try:
        changed = patched(stored, type, body) != stored
    except Refusal:
        changed = True  # the server is to say what is wrong
    says = f"{called(key)} patched" + ("" if changed else " (no change)")
    return Order(writes=(Patch(key=key, body=body, type=type, subresource=subresource),), says=says)


def debug(store: Store, key: Key, image: str, container: str = "debugger", target: str = "") -> Order:
    """`kubectl debug POD --image`, with --container and --target.

    Source: staging/src/k8s.io/kubectl/pkg/cmd/debug/debug.go: debugByEphemeralContainer
    """
    found(store, key)
    made: dict[str, Any] = {"name": container, "image": image, "stdin": True, "tty": True}
    if target:
        made["targetContainerName"] = target
    body = {"spec": {"ephemeralContainers": [made]}}
    write = Patch(key=key, body=body, type="strategic", subresource="ephemeralcontainers")
    return Order(writes=(write,), says=f"{called(key)} debugged by {container}")


def delete(
    store: Store, key: Key, propagation: Propagation = "Background", grace: int | None = None, force: bool = False
) -> Order:
    """`kubectl delete`, with --cascade, --grace-period (seconds) and --force."""
    found(store, key)
    decision = law.decide("delete-grace", Deletion(force=force, grace=grace))
    text = decision.outputs["text"]
    if decision.outputs["grace"] == "refuse":
        raise Refused(f"error: {text}")
    seconds = {"own": None, "given": grace, "one": 1, "zero": 0}[decision.outputs["grace"]]
    where = f" from {key[1]} namespace" if key[1] else ""
    write = Delete(key=key, propagation=propagation, grace_seconds=seconds, why=decision.why)
    return Order(writes=(write,), says=f"{quoted(key)} {text}{where}")


def label(store: Store, key: Key, marks: Mapping[str, str | None], overwrite: bool = False) -> Order:
    """`kubectl label`: set labels; None takes one away."""
    return _mark(store, key, marks, overwrite, "labels", "label")


def annotate(store: Store, key: Key, marks: Mapping[str, str | None], overwrite: bool = False) -> Order:
    """`kubectl annotate`: set annotations; None takes one away."""
    return _mark(store, key, marks, overwrite, "annotations", "annotate")


def _mark(store: Store, key: Key, marks: Mapping[str, str | None], overwrite: bool, part: str, verb: str) -> Order:
    stored = found(store, key)
    there: Mapping[str, str] = getattr(stored.metadata, part)
    why: Why | None = None
    for name, value in marks.items():
        decision = law.decide("mark", Mark(marks=there, name=name, value=value, overwrite=overwrite))
        why = decision.why
        if decision.outputs["refused"]:
            raise Refused(f"error: '{name}' already has a value ({there[name]}), and --overwrite is false")
    body = {name: value for name, value in marks.items() if there.get(name) != value}
    if not body:
        return Order(says=f"{called(key)} not labeled" if part == "labels" else f"{called(key)} annotated")
    gone = part == "labels" and all(value is None for value in marks.values())
    past = "unlabeled" if gone else {"label": "labeled", "annotate": "annotated"}[verb]
    write = Patch(key=key, body={"metadata": {part: body}}, type="merge", why=why)
    return Order(writes=(write,), says=f"{called(key)} {past}")
