"""Hypothesis strategies: manifests, clusters, faults, whole stories, and traces of what came of them."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from k8sfsm.engine.offer import KINDS
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.model import NodeSetting, Story
from k8sfsm.scenario.output import final_objects, write_story_trace
from k8sfsm.scenario.play import Play
from k8sfsm.trace.history import Recording
from k8sfsm.trace.native import read_trace

Json = Mapping[str, Any]
HEALTHY: Final = ("sim/web:1", "sim/web:2", "sim/web-ready2s:1")
BROKEN: Final = ("sim/exit1-after-2s:1", "sim/ready9999s:1", "sim/notfound:1", "sim/starterror:1", "sim/oom-after-3s:1")
_STRATEGIES: Final[tuple[Json, ...]] = (
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "25%"}},
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "100%"}},
    {"type": "Recreate"},
)
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def names() -> st.SearchStrategy[str]:
    """Names of objects, few of them: so they meet."""
    return st.sampled_from(("web", "api", "db"))


def images(broken: bool = False) -> st.SearchStrategy[str]:
    """Images whose containers run; with `broken` also such that crash, never get ready, cannot be pulled or started."""
    return st.sampled_from(HEALTHY + BROKEN if broken else HEALTHY)


def pod_specs(broken: bool = False) -> st.SearchStrategy[Json]:
    """Specs of Pods: a container or two, probes, requests, tolerations, a short grace period."""
    probe = st.sampled_from((None, {"exec": {"command": ["check"]}, "periodSeconds": 5}))
    resources = st.sampled_from(({}, {"requests": {"cpu": "100m"}}, {"requests": {"cpu": "1", "memory": "512Mi"}}))
    container = st.builds(
        lambda image, ready, needs: {
            "image": image,
            **({"readinessProbe": ready} if ready else {}),
            **({"resources": needs} if needs else {}),
        },
        images(broken),
        probe,
        resources,
    )
    tolerations = st.sampled_from(((), ({"operator": "Exists", "effect": "NoSchedule"},)))
    return st.builds(
        lambda containers, tolerated, grace: {
            "containers": [{"name": f"c{number}", **each} for number, each in enumerate(containers)],
            "terminationGracePeriodSeconds": grace,
            **({"tolerations": list(tolerated)} if tolerated else {}),
        },
        st.lists(container, min_size=1, max_size=2),
        tolerations,
        st.sampled_from((0, 5, 30)),
    )


def _object(api_version: str, kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def pods(broken: bool = False) -> st.SearchStrategy[Json]:
    """Pods by themselves."""
    return st.builds(lambda name, spec: _object("v1", "Pod", f"{name}-alone", spec), names(), pod_specs(broken))


def _workload(name: str, replicas: int, spec: Json, more: Json) -> Json:
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    return {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **more}


def deployments(broken: bool = False) -> st.SearchStrategy[Json]:
    """Deployments of up to five replicas, of every strategy."""
    more = st.builds(
        lambda strategy, paused, ready: {
            "strategy": strategy,
            "progressDeadlineSeconds": 60,
            **({"paused": True} if paused else {}),
            **({"minReadySeconds": ready} if ready else {}),
        },
        st.sampled_from(_STRATEGIES),
        st.sampled_from((False, False, False, True)),
        st.sampled_from((0, 0, 5)),
    )
    return st.builds(
        lambda name, replicas, spec, rest: _object(
            "apps/v1", "Deployment", name, _workload(name, replicas, spec, rest)
        ),
        names(),
        st.integers(0, 5),
        pod_specs(broken),
        more,
    )


def replica_sets(broken: bool = False) -> st.SearchStrategy[Json]:
    """ReplicaSets by themselves, whose Pods have labels of their own."""
    return st.builds(
        lambda name, replicas, spec: _object(
            "apps/v1", "ReplicaSet", f"{name}-set", _workload(f"{name}-set", replicas, spec, {})
        ),
        names(),
        st.integers(0, 4),
        pod_specs(broken),
    )


def services() -> st.SearchStrategy[Json]:
    """Services of the Pods of a workload, of three types."""
    shape = st.sampled_from(({"type": "ClusterIP"}, {"clusterIP": "None"}, {"type": "NodePort"}))
    return st.builds(
        lambda name, more: _object("v1", "Service", name, {"selector": {"app": name}, "ports": [{"port": 80}], **more}),
        names(),
        shape,
    )


def budgets() -> st.SearchStrategy[Json]:
    """PodDisruptionBudgets."""
    limit = st.sampled_from(({"minAvailable": 1}, {"maxUnavailable": 1}, {"minAvailable": "50%"}))
    return st.builds(
        lambda name, more: _object(
            "policy/v1", "PodDisruptionBudget", name, {"selector": {"matchLabels": {"app": name}}, **more}
        ),
        names(),
        limit,
    )


def manifests(broken: bool = False) -> st.SearchStrategy[Json]:
    """An object that people apply, of any of the kinds above, in JSON form."""
    return st.one_of(
        deployments(broken), deployments(broken), replica_sets(broken), services(), pods(broken), budgets()
    )


def nodes(name: str) -> st.SearchStrategy[NodeSetting]:
    """A node of that name: its room, its zone, its taints."""
    taints: st.SearchStrategy[tuple[str, ...]] = st.sampled_from(
        ((), (), (), *((f"dedicated=a:{effect}",) for effect in _EFFECTS[:2]))
    )
    return st.builds(
        NodeSetting,
        name=st.just(name),
        cpu=st.sampled_from((1, 4, 8)),
        memory=st.sampled_from(("2Gi", "8Gi")),
        zone=st.sampled_from(("", "zone-a", "zone-b")),
        taints=taints,
    )


def clusters(least: int = 1, most: int = 4) -> st.SearchStrategy[tuple[NodeSetting, ...]]:
    """The nodes of a cluster: node-1, node-2, ..."""
    counts = st.integers(least, most)
    return counts.flatmap(lambda count: st.tuples(*(nodes(f"node-{number}") for number in range(1, count + 1))))


def _text(seconds: int) -> str:
    return f"{seconds}s"


def faults(count_of_nodes: int = 2, longest: int = 60) -> st.SearchStrategy[Json]:
    """A fault of a scenario (docs/scenarios.md#faults), in the first `longest` seconds; each ends of itself."""
    node = st.sampled_from([f"node-{number}" for number in range(1, count_of_nodes + 1)])
    component = st.one_of(st.just("kube-controller-manager"), st.just("kube-scheduler"), node)
    actor = st.sampled_from(("deployment-controller", "replicaset-controller", "endpointslice-controller"))
    strike = st.sampled_from(("*", "web-*", "api-*"))
    length = st.integers(1, 90).map(_text)
    shapes: list[st.SearchStrategy[Json]] = [
        st.fixed_dictionaries({"stop": component, "for": length}),
        st.fixed_dictionaries({"crash": actor}),
        st.fixed_dictionaries({"lag": st.just("kube-controller-manager"), "for": length}),
        st.fixed_dictionaries({"resync": component}),
        st.fixed_dictionaries({"compact": st.just("etcd")}),
        st.fixed_dictionaries({"disturb": actor, "how": st.sampled_from(("conflict", "timeout", "lost"))}),
        st.fixed_dictionaries({"partition": node, "for": length}),
        st.fixed_dictionaries({"fail": node, "for": length}),
        st.fixed_dictionaries({"skew": node, "by": st.sampled_from(("-20s", "20s"))}),
        st.fixed_dictionaries({"kill": strike}),
        st.fixed_dictionaries({"oom": strike}),
        st.fixed_dictionaries({"cut": node, "for": length}),
        st.fixed_dictionaries({"flap": strike, "for": length}),
    ]
    return st.builds(lambda at, shape: {"at": _text(at), **shape}, st.integers(0, longest), st.one_of(shapes))


def commands(count_of_nodes: int = 2, longest: int = 60, broken: bool = False) -> st.SearchStrategy[Json]:
    """An action of a scenario: what a user does in the first `longest` seconds; it may be refused."""
    target = names().map(lambda name: f"deployment/{name}")
    node = st.sampled_from([f"node-{number}" for number in range(1, count_of_nodes + 1)])
    replicas = st.integers(0, 5)
    policy = st.sampled_from(("Background", "Foreground", "Orphan"))
    shapes: list[st.SearchStrategy[Json]] = [
        manifests(broken).map(lambda each: {"apply": each}),
        st.builds(lambda name, count: {"scale": {"object": name, "replicas": count}}, target, replicas),
        st.builds(lambda name, image: {"image": {"object": name, "image": image}}, target, images(broken)),
        st.builds(lambda verb, name: {verb: name}, st.sampled_from(("restart", "pause", "resume", "undo")), target),
        st.builds(lambda name, how: {"delete": {"object": name, "propagation": how}}, target, policy),
        st.builds(lambda verb, name: {verb: name}, st.sampled_from(("cordon", "uncordon")), node),
        node.map(lambda name: {"drain": {"node": name, "force": True}}),
        st.builds(
            lambda name, effect: {"taint": {"node": name, "taints": [f"shaky=yes:{effect}"], "overwrite": True}},
            node,
            st.sampled_from(_EFFECTS),
        ),
    ]
    return st.builds(lambda at, shape: {"at": _text(at), **shape}, st.integers(0, longest), st.one_of(shapes))


def _unique(objects: Iterable[Json]) -> list[Json]:
    """One object of each kind and name: the last."""
    return list({(each["kind"], each["metadata"]["name"]): each for each in objects}.values())


@st.composite
def stories(
    draw: st.DrawFn, most_commands: int = 6, most_faults: int = 3, broken: bool = False, least_nodes: int = 1
) -> Story:
    """A scenario: a cluster, what is applied at first, what a user does, what goes wrong. Its text is its `doc`."""
    cluster = draw(clusters(least_nodes))
    count = len(cluster)
    first = _unique(draw(st.lists(manifests(broken), min_size=1, max_size=3)))
    spec = {
        "cluster": {"nodes": [_setting(node) for node in cluster], "seed": draw(st.integers(0, 999))},
        "manifests": first,
        "actions": draw(st.lists(commands(count, broken=broken), max_size=most_commands)),
        "faults": draw(st.lists(faults(count), max_size=most_faults)),
    }
    return read_story(json.dumps({"doc": json.dumps(spec), **spec}), "story.yaml")


def _setting(node: NodeSetting) -> Json:
    zone = {"zone": node.zone} if node.zone else {}
    return {"name": node.name, "cpu": node.cpu, "memory": node.memory, "taints": list(node.taints), **zone}


def allowances(most: int = 3) -> st.SearchStrategy[Mapping[str, int]]:
    """Kinds of faults that chance may add, and how many of each."""
    return st.dictionaries(st.sampled_from(sorted(KINDS)), st.integers(1, 2), max_size=most)


def traces(most_commands: int = 3, most_faults: int = 1) -> st.SearchStrategy[Recording]:
    """The history of a story that was played, as `k8sfsm run --trace` writes it."""
    return stories(most_commands, most_faults).map(_recorded)


def _recorded(story: Story) -> Recording:
    play = Play.of(story)
    initial = final_objects(play.engine.store)
    play.run()
    stream = io.StringIO()
    write_story_trace(stream, play, initial)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        path.write_text(stream.getvalue(), "utf-8")
        return read_trace(path)
