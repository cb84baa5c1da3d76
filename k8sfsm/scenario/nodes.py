"""`kubectl cordon`, `uncordon`, `drain`, `taint`. Source: staging/src/k8s.io/kubectl/pkg/drain; cmd/taint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.objects import Node, Pod, controller_of, to_json
from k8sfsm.request import Evict, Key, Patch
from k8sfsm.scenario.order import Order, Refused, called, found, sent
from k8sfsm.scenario.verbs import edit
from k8sfsm.store import Store

law = Law("kubectl")

MIRROR: Final = "kubernetes.io/config.mirror"
TAINT: Final = re.compile(r"([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)")
"""A taint as `kubectl taint` writes it."""


@frozen(kw_only=True)
class Cordon:
    """`kubectl cordon` (`wanted`) or `uncordon` of a node."""

    node: Node
    wanted: bool


@frozen(kw_only=True)
class Drained:
    """A Pod on a node that is drained, with --force and --ignore-daemonsets."""

    pod: Pod
    force: bool
    ignore_daemonsets: bool


@law.fact
def wants_cordon(case: Cordon) -> bool:
    """The command is `cordon`."""
    return case.wanted


@law.fact
def is_cordoned(case: Cordon) -> bool:
    """The node takes no new Pods."""
    return case.node.spec.unschedulable


@law.fact
def pod_over(case: Drained) -> bool:
    """The Pod's phase is Succeeded or Failed."""
    return case.pod.status.phase in ("Succeeded", "Failed")


@law.fact
def mirror(case: Drained) -> bool:
    """The Pod shows a static pod of the kubelet."""
    return MIRROR in case.pod.metadata.annotations


@law.fact
def controller_kind(case: Drained) -> str:
    """The kind of the Pod's controller; "" where it has none."""
    owner = controller_of(case.pod)
    return owner.kind if owner is not None else ""


@law.fact
def forces_drain(case: Drained) -> bool:
    """--force."""
    return case.force


@law.fact
def ignores_daemonsets(case: Drained) -> bool:
    """--ignore-daemonsets."""
    return case.ignore_daemonsets


def node_key(name: str) -> Key:
    """The key of a node, called `node-1` or `node/node-1`."""
    return ("Node", "", name.rpartition("/")[2])


def cordon(store: Store, name: str) -> Order:
    """`kubectl cordon`."""
    return _cordon(store, node_key(name), True)


def uncordon(store: Store, name: str) -> Order:
    """`kubectl uncordon`."""
    return _cordon(store, node_key(name), False)


def _cordon(store: Store, key: Key, wanted: bool) -> Order:
    decision = law.decide("cordon", Cordon(node=found(store, key), wanted=wanted))
    body = {"spec": {"unschedulable": True if wanted else None}}
    write = Patch(key=key, body=body, type="strategic", why=decision.why)
    says = f"{called(key)} {decision.outputs['says']}"
    return Order(writes=sent(decision.outputs["request"], write), says=says)


def drain(store: Store, name: str, force: bool = False, ignore_daemonsets: bool = False) -> Order:
    """`kubectl drain`: cordon the node and evict its Pods, all at once; it does not wait for their end."""
    key = node_key(name)
    order = _cordon(store, key, True)
    problems: dict[str, list[str]] = {}
    evictions = []
    for pod in _pods_of(store, key[2]):
        decision = law.decide("drain-pod", Drained(pod=pod, force=force, ignore_daemonsets=ignore_daemonsets))
        verdict = decision.outputs["verdict"]
        if verdict == "evict":
            evictions.append(Evict(key=("Pod", pod.metadata.namespace, pod.metadata.name), why=decision.why))
        elif verdict != "leave":
            problems.setdefault(verdict, []).append(f"{pod.metadata.namespace}/{pod.metadata.name}")
    if problems:
        texts = ", ".join(f"{problem}: {', '.join(names)}" for problem, names in problems.items())
        raise Refused(f'error: unable to drain node "{key[2]}" due to error: {texts}')
    says = [order.says, *(f"evicting pod {each.key[1]}/{each.key[2]}" for each in evictions), f"{called(key)} drained"]
    return Order(writes=(*order.writes, *evictions), says="\n".join(says))


def _pods_of(store: Store, node: str) -> Iterable[Any]:
    return tuple(store.snapshot.series("node", "Pod", node))


def taint(store: Store, name: str, taints: Iterable[str], overwrite: bool = False) -> Order:
    """`kubectl taint nodes`: `key=value:Effect` adds, `key:Effect-` and `key-` take away."""
    key = node_key(name)
    stored = found(store, key)
    modified = to_json(stored)
    there = list(modified["spec"].get("taints", ()))
    gone = False
    for text in taints:
        there, gone = (
            (_untainted(there, text[:-1], name), True)
            if text.endswith("-")
            else (_tainted(there, text, name, overwrite), gone)
        )
    modified["spec"]["taints"] = there
    return edit(key, stored, modified, "untainted" if gone else "tainted")


def _untainted(there: list[Any], text: str, name: str) -> list[Any]:
    word, _, effect = text.partition(":")
    left = [each for each in there if each["key"] != word or effect not in ("", each["effect"])]
    if len(left) == len(there):
        raise Refused(f'error: taint "{text}" not found on node "{name}"')
    return left


def _tainted(there: list[Any], text: str, name: str, overwrite: bool) -> list[Any]:
    match = TAINT.fullmatch(text)
    if match is None:
        raise Refused(
            f"error: invalid taint '{text}', expected KEY=VALUE:EFFECT with NoSchedule, PreferNoSchedule or NoExecute"
        )
    new = {"key": match[1], **({"value": match[2]} if match[2] else {}), "effect": match[3]}
    same = [each for each in there if (each["key"], each["effect"]) == (new["key"], new["effect"])]
    if same and not overwrite:
        raise Refused(
            f"error: node {name} already has {new['key']} taint(s) with same effect(s) and --overwrite is false"
        )
    return [*(each for each in there if each not in same), new]
