"""A cluster for Python: one call from manifests to a running engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from k8sfsm.engine.engine import Tracer
from k8sfsm.node.scripted import parse_script
from k8sfsm.scenario.cluster import NAMESPACES, engine_of
from k8sfsm.scenario.loading import default_nodes
from k8sfsm.scenario.manifests import read_manifests
from k8sfsm.scenario.model import Behaviour, ClusterSetting, NodeSetting, Story
from k8sfsm.scenario.user import User, document_of


def start(
    manifests: str | Iterable[Any] = (),
    *,
    nodes: int | Iterable[NodeSetting] = 3,
    seed: int = 0,
    scripts: Mapping[str, str] | None = None,
    limits: bool = True,
    tracer: Tracer | None = None,
) -> User:
    """A new cluster at 2026-01-01T00:00:00Z, and a user who has just applied `manifests` to it.

    `manifests`: YAML text, or objects (or their JSON forms). `nodes`: their number, or the nodes. `scripts`: pattern of
    Pod names -> how their containers behave (``{"web-*": "never ready"}``). `tracer` gets every line of the engine.
    Raises ManifestError and ValueError for input that cannot be read, RuntimeError where a manifest is refused.
    """
    behaviours = tuple(Behaviour(pods=pods, script=script) for pods, script in (scripts or {}).items())
    for behaviour in behaviours:
        parse_script(behaviour.script)
    documents = _documents(manifests)
    story = Story(
        cluster=ClusterSetting(seed=seed, limits=limits),
        nodes=default_nodes(nodes) if isinstance(nodes, int) else tuple(nodes),
        environment=behaviours,
    )
    own = {document["metadata"].get("name") for document in documents if document.get("kind") == "Namespace"}
    spaces = dict.fromkeys(document["metadata"].get("namespace") or "default" for document in documents)
    missing = [name for name in spaces if name not in own and name not in NAMESPACES]
    user = User(engine_of(story, tracer=tracer, namespaces=missing))
    user.engine.run(until=user.engine.now)
    for document in documents:
        reply = user.apply(document) if document["metadata"].get("name") else user.create(document)
        if reply.refused:
            raise RuntimeError(reply.text)
    return user


def _documents(manifests: str | Iterable[Any]) -> list[Mapping[str, Any]]:
    if isinstance(manifests, str):
        return [manifest.document for manifest in read_manifests(manifests, "manifest")]
    return [document_of(manifest) for manifest in manifests]
