"""`kubectl cordon`, `uncordon`, `taint`. Source: staging/src/k8s.io/kubectl/pkg/drain/cordon.go; pkg/cmd/taint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.objects import Node, to_json
from k8sfsm.request import Key, Patch
from k8sfsm.scenario.order import Order, Refused, called, found, sent
from k8sfsm.scenario.verbs import edit
from k8sfsm.store import Store

law = Law("kubectl")

TAINT: Final = re.compile(r"([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)")
"""A taint as `kubectl taint` writes it."""


@frozen(kw_only=True)
class Cordon:
    """`kubectl cordon` (`wanted`) or `uncordon` of a node."""

    node: Node
    wanted: bool


@law.fact
def wants_cordon(case: Cordon) -> bool:
    """The command is `cordon`."""
    return case.wanted


@law.fact
def is_cordoned(case: Cordon) -> bool:
    """The node takes no new Pods."""
    return case.node.spec.unschedulable


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
