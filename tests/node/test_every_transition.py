"""The diagrams of Pod and Container show what happens, and nothing else: every edge is taken somewhere.

Edges are looked for in recordings of a real cluster (`rare-transitions` holds the pods that took what few do) and in
runs of the engine. The machine refuses every write that takes none, so that no edge is missing is what those runs show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from k8sfsm.engine.action import Start, Stop
from k8sfsm.machine import Machines
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.starting import start
from k8sfsm.scenario.user import User
from k8sfsm.spec.graph import END, START, graph
from tests.node.recordings import lines

MACHINES = Machines.load()
RECORDINGS = ("rare-transitions", "01-deploy-create", "11-node-failure", "13a-restart-policies", "14a-init", "20d-job")
SILENT = ("kubelet", "apiserver")
"""Who may have written what the recording names no actor for."""
ONLY_ELSEWHERE = {
    ("Container", "appear-running", "Absent", "Running"),  # start-at-once, of which the recording has no containers
    ("Pod", "give-up", "Unscheduled", "Failed"),  # of a node that is gone before the Pod has got any further
    ("Pod", "give-up", "Scheduled", "Failed"),
    ("Pod", "give-up", "Creating", "Failed"),
}
"""Edges of which nothing shorter than a recorded accident would be a witness."""
Edge = tuple[str, str, str, str]


def statuses(pod: Any) -> dict[str, Any]:
    found = pod.status
    lists = (found.init_container_statuses, found.container_statuses, found.ephemeral_container_statuses)
    return {each.name: each for part in lists for each in part}


def edges_of(moves: Any) -> Iterator[Edge]:
    for move in moves:
        if move.kind in ("Pod", "Container"):
            yield move.kind, move.rule.rpartition("/")[2], move.old, move.new


def of_containers(old: Any, new: Any) -> Iterator[Edge]:
    known = {} if old is None else statuses(old)
    for name, status in statuses(new).items():
        verdict = MACHINES.check_part("Container", known.get(name), status, "kubelet", 0)
        assert verdict.legal, (verdict, known.get(name), status)
        yield from edges_of(verdict.moves)


def recorded(name: str) -> Iterator[Edge]:
    last: dict[str, Any] = {}
    for line in lines(name):
        if line["kind"] != "write" or line["object"].get("kind") != "Pod":
            continue
        new = from_json(line["object"])
        old, gone = last.get(new.metadata.uid), line["type"] == "DELETED"
        last[new.metadata.uid] = new
        if line.get("initial"):
            continue
        actors = (line["actor"],) if line["actor"] else SILENT
        verdicts = [MACHINES.check(old, None if gone else new, actor, 0) for actor in actors]
        assert any(verdict.legal for verdict in verdicts), verdicts
        yield from edges_of(next(verdict for verdict in verdicts if verdict.legal).moves)
        if not gone:
            yield from of_containers(old, new)


# -- runs -------------------------------------------------------------------------------------------------------------

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: 3
  MORE
  containers: [CONTAINERS]
"""


def manifest(name: str = "p", *containers: str, more: str = "") -> str:
    inside = ", ".join(containers or ('{name: app, image: "img:1"}',))
    return POD.replace("NAME", name).replace("CONTAINERS", inside).replace("MORE", more)


def run(user: User, seconds: float) -> None:
    user.engine.run(until=user.engine.now + int(seconds * SECOND))


def restart_of_all(begin: Callable[..., User]) -> None:
    source = (
        '{name: app, image: "img:1", restartPolicy: Never, '
        "restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]}"
    )
    inits = 'initContainers: [{name: first, image: "img:1"}]'
    user = begin(
        manifest("p", source, '{name: other, image: "img:1"}', more=inits),
        scripts={"p": "exit 42 after 3s"},
    )
    user.engine.runtime.scripts = (("p", "app", "exit 42 after 3s"), ("p", "first", "exit 0 after 2s"))
    run(user, 20)


def bad_image(begin: Callable[..., User]) -> None:
    """Of a container that runs, and of one that has just crashed."""
    user = begin(manifest(), scripts={"p": ""})
    run(user, 5)
    user.image("pod/p", "sim/notfound:1")
    run(user, 60)
    user = begin(
        manifest("p", '{name: app, image: "img:1", imagePullPolicy: Always}'), scripts={"p": "exit 1 after 5s"}
    )
    run(user, 3)
    user.engine.runtime.scripts = (("p", "*", "pull fails"),)
    run(user, 60)


def restarted_kubelet(begin: Callable[..., User]) -> None:
    """A container in its back-off has ended, says the kubelet that starts anew."""
    other = '{name: other, image: "sim/notfound:1"}'
    user = begin(manifest("p", '{name: app, image: "img:1"}', other))
    user.engine.runtime.scripts = (("p", "app", "exit 1 after 1s"),)
    assert user.await_that("pod/p status.containerStatuses[0].restartCount is 3", within="5m")
    run(user, 3)
    user.image("pod/p", "img:2", "other")
    assert user.await_that("pod/p STATUS is CrashLoopBackOff", within="5s")
    user.engine.schedule(Stop("kubelet/node-1"), user.engine.now)
    run(user, 1)
    user.engine.schedule(Start("kubelet/node-1"), user.engine.now)
    run(user, 5)


def forced_deletion(begin: Callable[..., User]) -> None:
    """Of a Pod that waits for a node, of one whose node is silent, of one that is prepared, and of one that runs."""
    user = begin(manifest())
    run(user, 5)
    user.delete("pod/p", force=True)
    user = begin(manifest(more="nodeSelector: {disk: none}"))
    run(user, 2)
    user.delete("pod/p")
    user = begin("")
    user.engine.schedule(Stop("kubelet/node-1"), user.engine.now)
    user.create(_document(manifest()))
    run(user, 2)
    user.delete("pod/p", force=True)
    user = begin(manifest(), scripts={"p": "pull takes 60s"})
    run(user, 3)
    user.delete("pod/p", force=True)
    run(user, 90)


def short_lives(begin: Callable[..., User]) -> None:
    """Pods that are over before they were reported to run."""
    for ends in ("exit 0 after 0s", "exit 1 after 0s"):
        user = begin(manifest().replace("Always", "Never"), scripts={"p": ends})
        run(user, 10)


def _document(text: str) -> Any:
    from k8sfsm.scenario.manifests import read_manifests

    return read_manifests(text, "manifest")[0].document


RUNS = (restart_of_all, bad_image, restarted_kubelet, forced_deletion, short_lives)


def of_run(story: Callable[[Callable[..., User]], None]) -> Iterator[Edge]:
    traced: list[list[Any]] = []

    def begin(manifests: str, **more: Any) -> User:
        traced.append([])
        return start(manifests, nodes=1, tracer=traced[-1].append, **more)

    story(begin)
    for found in traced:
        for line in found:
            yield from edges_of(line.moves)
            if line.key[0] == "Pod" and line.change in ("ADDED", "MODIFIED"):
                yield from of_containers(line.before, line.after)


@cache
def taken() -> frozenset[Edge]:
    found: set[Edge] = set()
    for name in RECORDINGS:
        found.update(recorded(name))
    for story in RUNS:
        found.update(of_run(story))
    return frozenset(found)


def drawn(kind: str, name: str) -> set[Edge]:
    """The edges of the diagram of a region."""
    machine = MACHINES.of(kind)
    assert machine is not None
    names = {START: "Absent", END: "Absent"}
    picture = graph(f"{kind}/{name}", machine.spec.regions[name])
    return {
        (kind, label.name, names.get(source, source), names.get(arc.target, arc.target))
        for arc in picture.arcs
        for source in arc.sources
        for label in arc.labels
    }


@pytest.mark.parametrize(
    ("kind", "region"), [("Pod", "lifecycle"), ("Pod", "readiness"), ("Pod", "deletion"), ("Container", "run")]
)
def test_every_edge_of_the_diagram_is_taken_and_no_other(kind, region):
    machine = MACHINES.of(kind)
    states = set(machine.spec.regions[region].states) | {"Absent"}
    rules = set(machine.spec.regions[region].transitions)
    mine = {edge for edge in taken() if edge[0] == kind and edge[1] in rules and {edge[2], edge[3]} <= states}
    shown = drawn(kind, region)
    assert mine <= shown
    assert shown - mine - ONLY_ELSEWHERE == set()


def test_nothing_is_excused_that_is_seen():
    assert not ONLY_ELSEWHERE & taken()
