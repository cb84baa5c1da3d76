"""From a recording's inputs to a predicted history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from k8sfsm.apiserver import Options
from k8sfsm.controllers.nodelifecycle import NodeLifecycleController
from k8sfsm.engine.cluster import Component
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.standard import kubelet_of, standard_engine
from k8sfsm.node.session import Settings
from k8sfsm.objects import Namespace, NamespaceSpec, NamespaceStatus, ObjectMeta, ServiceAccount
from k8sfsm.request import Key
from k8sfsm.store import Store
from k8sfsm.trace.history import Recording
from k8sfsm.verify.replay.choices import RecordedChoices
from k8sfsm.verify.replay.deleting import RecordedServer
from k8sfsm.verify.replay.environment import recorded_runtime
from k8sfsm.verify.replay.heartbeats import Heartbeats
from k8sfsm.verify.replay.inputs import inputs_of
from k8sfsm.verify.replay.kubelets import HollowKubelet, cgroup_version, hollow_nodes, reads_cgroups, stops_of, tries
from k8sfsm.verify.replay.lagging import (
    RecordedDeploymentController,
    RecordedReplicaSetController,
    RecordedScheduler,
)
from k8sfsm.verify.replay.told import Told
from k8sfsm.verify.replay.tracks import Version

Progress = Callable[[int, int], None]
_ROOT_CA: Final = "kube-root-ca.crt"
STANDING: Final = ("default", "kube-node-lease")
"""Namespaces of every cluster in which components write: Events about nodes, and leases."""
_SETTLE: Final = 50_000_000
"""Virtual nanoseconds that the prediction goes on after the recording's last line: answers under way."""


@frozen
class Prediction:
    """What the engine made of a recording's inputs: its lines, and the engine at the end."""

    engine: Engine
    lines: tuple[Line, ...]
    scheduler: RecordedScheduler
    rules: Mapping[Key, str] = field(factory=dict)

    def versions(self) -> tuple[Version, ...]:
        """Every version of every object, in order."""
        return tuple(
            Version(
                at=line.at,
                key=line.key,
                uid=(line.after or line.before).metadata.uid,
                object=None if line.change == "DELETED" else line.after,
                actor=line.actor,
                rule=line.rule,
                changed=line.change == "MODIFIED",
            )
            for line in self.lines
            if line.change
        )


def initial_versions(recording: Recording) -> tuple[Version, ...]:
    """The objects that exist at the recording's start."""
    at = recording.start or 0
    return tuple(
        Version(at=at, key=document.key, uid=document.uid, object=document.typed, actor="")
        for document in recording.initial
    )


def recorded_versions(recording: Recording) -> tuple[Version, ...]:
    """Every version of every object that the recording shows after its start, in order."""
    return tuple(
        Version(
            at=write.time,
            key=write.key,
            uid=write.uid,
            object=None if write.type == "DELETED" or write.new is None else write.new.typed,
            actor=write.actor,
            line=str(write.line),
            changed=write.type == "MODIFIED",
        )
        for write in recording.changes()
    )


def predict(recording: Recording, progress: Progress | None = None) -> Prediction:
    """Play the recording's inputs through the engine, from its start to its end."""
    lines: list[Line] = []
    choices = RecordedChoices(recording)
    start, end = recording.start or 0, recording.end or 0
    scheduler, told = RecordedScheduler(choices.nodes), Told(recording, choices.paired)
    heartbeats = Heartbeats.of(recording, stops_of(recording))
    engine = standard_engine(
        (),
        recorded_runtime(recording),
        store=initial_store(recording, heartbeats),
        now=start,
        choices=choices,
        tracer=lines.append,
        scheduler=scheduler,
        instead=(
            RecordedReplicaSetController(choices.deleted, told),
            RecordedDeploymentController(told),
            *heartbeats.controllers(),
        ),
        others=_kubelets(recording, heartbeats),
        options=Options(extra_root_bundles=extra_bundles(recording)),
    )
    engine.api = RecordedServer(engine.api, recording)
    for step in heartbeats.remembered(engine.store, start):
        engine.own(NodeLifecycleController.name).remember(step)
    engine.run(until=start)
    for entry in inputs_of(recording, engine):
        engine.schedule(entry.action, entry.at)
    total = max(end - start, 1)
    stop = None if progress is None else _reporter(progress, start, total)
    engine.run(until=end + _SETTLE, stop=stop)
    rules = {line.key: line.rule for line in lines if line.change}
    return Prediction(engine, tuple(lines), scheduler, rules)


def _reporter(progress: Progress, start: int, total: int) -> Callable[[Engine], bool]:
    def report(engine: Engine) -> bool:
        if engine.steps % 256 == 0:
            progress(engine.now - start, total)
        return False

    return report


def _nodes(recording: Recording) -> tuple[str, ...]:
    """Nodes with a kubelet: those that exist at the start or are created by their kubelet later."""
    names = [document.key[2] for document in recording.initial if document.key[0] == "Node"]
    names += [write.key[2] for write in recording.changes() if write.key[0] == "Node" and write.type == "ADDED"]
    return tuple(dict.fromkeys(names))


def assumed_namespaces(recording: Recording) -> tuple[str, ...]:
    """Namespaces that every cluster has, where the recording does not show them."""
    shown = {document.key for document in recording.initial} | {write.key for write in recording.changes()}
    return tuple(name for name in STANDING if ("Namespace", "", name) not in shown)


def _namespace(name: str) -> Namespace:
    return Namespace(
        metadata=ObjectMeta(name=name),
        spec=NamespaceSpec(finalizers=("kubernetes",)),
        status=NamespaceStatus(phase="Active"),
    )


def initial_store(recording: Recording, heartbeats: Heartbeats) -> Store:
    """What exists at the recording's start, and what every cluster has: namespaces of components, and leases."""
    store = Store.starting_at(0)
    for document in recording.initial:
        store, _ = store.put(document.typed)
    for namespace in assumed_namespaces(recording):
        store, _ = store.put(_namespace(namespace))
        store, _ = store.put(ServiceAccount(metadata=ObjectMeta(name="default", namespace=namespace)))
    nodes = tuple(document.key[2] for document in recording.initial if document.key[0] == "Node")
    for lease in () if shows_leases(recording) else heartbeats.leases(nodes, recording.start or 0):
        store, _ = store.put(lease)
    return Store(store.snapshot, Store.starting_at(store.revision).history)


def shows_leases(recording: Recording) -> bool:
    """Whether heartbeats are recorded: then they come from outside."""
    return any(write.key[0] == "Lease" for write in recording.changes())


def _kubelets(recording: Recording, heartbeats: Heartbeats) -> tuple[Component, ...]:
    """A kubelet for every node; probes were answered at the times that are recorded."""
    hollow = hollow_nodes(recording)
    pattern = Settings(
        node="",
        probing=False,
        heartbeats=not shows_leases(recording),
        reports_node=False,
        reads_cgroups=reads_cgroups(recording),
        cgroup_version=cgroup_version(recording),
        tries=tries(recording),
    )
    found = []
    for node in _nodes(recording):
        settings = evolve(pattern, node=node, renews_at=heartbeats.renewals.get(node))
        component = kubelet_of(node, settings)
        scripted = (HollowKubelet(node, settings),)
        found.append(evolve(component, controllers=scripted) if node in hollow else component)
    return tuple(found)


def extra_bundles(recording: Recording) -> tuple[tuple[str, str], ...]:
    """CA bundles that the recorded cluster's distribution puts beside its own into token volumes."""
    for write in recording.changes():
        if write.key[0] == "Pod" and write.new is not None:
            for volume in write.new.json.get("spec", {}).get("volumes", ()):
                if volume.get("name", "").startswith("kube-api-access-"):
                    return tuple(_bundles(volume))
    return ()


def _bundles(volume: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for source in volume.get("projected", {}).get("sources", ()):
        config_map = source.get("configMap", {})
        if config_map and config_map.get("name") != _ROOT_CA:
            found += [(config_map["name"], item["key"]) for item in config_map.get("items", ())]
    return found
