"""What holds of Deployments and ReplicaSets, whatever users, containers and faults do, in whatever order.

A longer run: `pytest -m campaign tests/controllers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import pytest
from attrs import field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8sfsm.engine.action import Crash, Lag, Start, Stop
from k8sfsm.engine.cluster import MANAGER
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.policy import Random
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import controller_of, from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Patch
from k8sfsm.scenario.user import User
from k8sfsm.verify.invariants import Violation, check_convergence, check_safety, check_transition
from k8sfsm.view import View

MINUTE: Final = 60 * SECOND
START: Final = 1_700_000_000 * SECOND
NODES: Final = ("node-1", "node-2")
WEB: Final = "deployment/web"
HEALTHY: Final = ("sim/web:1", "sim/web:2", "sim/web:3")
BROKEN: Final = ("sim/exit1-after-2s:1", "sim/ready9999s:1", "sim/notfound:1", "sim/starterror:1")
FINAL: Final = "sim/web:final"
STRATEGIES: Final[tuple[Mapping[str, Any], ...]] = (
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "25%"}},
    {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "100%"}},
    {"type": "Recreate", "rollingUpdate": None},
)


BOUNDS: Final = ("Deployment/surge-bounded", "Deployment/availability-bounded", "Deployment/recreate-never-mixes")
"""What a controller keeps to as far as it sees: it has no expectations that would tell it of its own ReplicaSets."""


@frozen
class Deed:
    """Something that somebody or something does: `what`, on the `number`-th of its objects or values."""

    what: str
    number: int = 0


@frozen
class Story:
    """Deeds, each after so many steps of the engine; `seed`: of the interleaving; `strategy`, `size`: at first."""

    seed: int
    strategy: int
    size: int
    deeds: tuple[tuple[int, Deed], ...] = field(factory=tuple)


# -- a small cluster --------------------------------------------------------------------------------------------------


def manifest(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **rest}


def web(image: str, size: int, strategy: int) -> dict[str, Any]:
    probe = {"exec": {"command": ["probe", "ready"]}, "periodSeconds": 5}
    container = {"name": "app", "image": image, "readinessProbe": probe if "ready" in image else None}
    pods = {"terminationGracePeriodSeconds": 5, "containers": [container]}
    spec = {
        "replicas": size,
        "progressDeadlineSeconds": 60,
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {name: value for name, value in STRATEGIES[strategy].items() if value},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": pods},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


@lru_cache(maxsize=1)
def cluster() -> Engine:
    engine = standard_engine(NODES, ScriptedRuntime(), now=START)
    engine.submit(Create(object=from_json(manifest("Namespace", "default"))))
    for name in NODES:
        room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {"capacity": room, "allocatable": room, "conditions": [ready]}
        engine.submit(Create(object=from_json(manifest("Node", name, status=status))))
        engine.submit(Patch(key=("Node", "", name), body={"spec": {"taints": None}}))
    engine.run(until=engine.now + 10 * SECOND)
    return engine


class Stage:
    """A cluster in which a story is played, and all invariants are watched."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.policy = Random(story.seed)
        self.engine = cluster().fork()
        self.engine.choices = self.policy.choices
        self.user = User(self.engine)
        self.checked = self.engine.store.revision
        self.blind_until = 0

    def view(self) -> View:
        return View(self.engine.now, self.engine.store.snapshot, store=self.engine.store)

    def check(self) -> None:
        """Judge what has happened since the last time."""
        if self.engine.store.revision == self.checked:
            return
        view, found = self.view(), list[Violation]()
        for change in self.engine.store.changes(self.checked):
            found += check_transition(change, view)
        self.checked = self.engine.store.revision
        if self.engine.now < self.blind_until:
            found = [each for each in found if each.invariant not in BOUNDS]
        assert [*found, *check_safety(view)] == []

    def go(self, steps: int = 1_000_000, until: int | None = None) -> None:
        """Let so many steps happen, those before `until` (ns), or all until the cluster is at rest."""
        for _ in range(steps):
            if self.engine.at_rest or (until is not None and self.engine.now >= until):
                return
            self.engine.step(self.policy.pick(self.engine.enabled()))
            self.check()

    def named(self, kind: str, number: int) -> str | None:
        """The `number`-th object of a kind, as a user calls it."""
        objects = tuple(self.engine.store.snapshot.series("in", kind, "default"))
        return f"{kind.lower()}/{objects[number % len(objects)].metadata.name}" if objects else None

    def does(self, deed: Deed) -> None:
        self.hurry()
        DEEDS[deed.what](self, deed.number)
        self.check()

    def hurry(self) -> None:
        """What was decided before a user changed the bounds may still be on its way."""
        self.blind_until = max(self.blind_until, self.engine.now + SECOND // 2)


# -- deeds ------------------------------------------------------------------------------------------------------------


def image(stage: Stage, number: int) -> None:
    images = HEALTHY + BROKEN
    chosen = images[number % len(images)]
    probe = {"exec": {"command": ["probe", "ready"]}, "periodSeconds": 5} if "ready" in chosen else None
    container = {"name": "app", "image": chosen, "readinessProbe": probe}
    stage.user.patch(WEB, {"spec": {"template": {"spec": {"containers": [container]}}}})


def delete(stage: Stage, number: int) -> None:
    stage.user.delete(WEB, ("Background", "Foreground", "Orphan")[number % 3])


def delete_pod(stage: Stage, number: int) -> None:
    pod = stage.named("Pod", number)
    if pod is not None:
        stage.user.delete(pod, force=number % 3 == 0, grace=0 if number % 3 == 0 else None)


def delete_replica_set(stage: Stage, number: int) -> None:
    found = stage.named("ReplicaSet", number)
    if found is not None:
        stage.user.delete(found, ("Background", "Orphan", "Foreground")[number % 3])


def relabel_pod(stage: Stage, number: int) -> None:
    pod = stage.named("Pod", number)
    if pod is not None:
        stage.user.label(pod, {"app": "web" if number % 4 == 0 else "stray"}, overwrite=True)


def crash(stage: Stage, number: int) -> None:
    actor = ("deployment-controller", "replicaset-controller", "garbage-collector", "kube-scheduler")[number % 4]
    stage.engine.schedule(Crash(actor), stage.engine.now)


def lag(stage: Stage, number: int) -> None:
    kind = ("Deployment", "ReplicaSet", "Pod")[number % 3]
    duration = (1 + number % 7) * SECOND
    stage.engine.schedule(Lag(MANAGER, kind, duration), stage.engine.now)
    stage.blind_until = max(stage.blind_until, stage.engine.now + duration + SECOND)


DEEDS: Final[Mapping[str, Callable[[Stage, int], Any]]] = {
    "apply": lambda stage, n: stage.user.apply(web((HEALTHY + BROKEN)[n % 7], n % 5, n % len(STRATEGIES))),
    "scale": lambda stage, n: stage.user.scale(WEB, n % 6),
    "image": image,
    "undo": lambda stage, n: stage.user.undo(WEB, n % 3),
    "pause": lambda stage, n: stage.user.pause(WEB),
    "resume": lambda stage, n: stage.user.resume(WEB),
    "restart": lambda stage, n: stage.user.restart(WEB),
    "strategy": lambda stage, n: stage.user.patch(WEB, {"spec": {"strategy": STRATEGIES[n % len(STRATEGIES)]}}),
    "delete": delete,
    "delete-pod": delete_pod,
    "delete-replica-set": delete_replica_set,
    "relabel-pod": relabel_pod,
    "crash": crash,
    "lag": lag,
    "stop": lambda stage, n: at_once(stage, Stop(MANAGER)),
    "start": lambda stage, n: heal_manager(stage),
}


def at_once(stage: Stage, fault: Stop | Start) -> None:
    stage.engine.schedule(fault, stage.engine.now)
    stage.engine.step(fault)


def heal_manager(stage: Stage) -> None:
    if MANAGER in stage.engine.stopped:
        at_once(stage, Start(MANAGER))


def told(text: str) -> tuple[tuple[int, Deed], ...]:
    """Deeds as in "30 scale 4, 3 lag 0": steps, what, number."""
    parts = (each.split() for each in text.split(", "))
    return tuple((int(steps), Deed(what, int(number))) for steps, what, number in parts)


def stories(most: int) -> st.SearchStrategy[Story]:
    deed = st.builds(Deed, st.sampled_from(sorted(DEEDS)), st.integers(0, 59))
    after = st.sampled_from((0, 1, 3, 10, 30, 100, 300))
    deeds: st.SearchStrategy[tuple[tuple[int, Deed], ...]] = st.lists(
        st.tuples(after, deed), min_size=1, max_size=most
    ).map(tuple)
    return st.builds(Story, st.integers(0, 999), st.integers(0, len(STRATEGIES) - 1), st.integers(1, 4), deeds)


# -- the property -----------------------------------------------------------------------------------------------------


def play(story: Story) -> Stage:
    """Play a story, judging every change; then let it settle, and judge what is left."""
    stage = Stage(story)
    stage.user.apply(web(HEALTHY[0], story.size, story.strategy))
    for steps, deed in story.deeds:
        stage.go(steps)
        stage.does(deed)
    stage.go(10)
    heal_manager(stage)
    stage.go(until=stage.engine.now + 2 * MINUTE)
    settled(stage)
    return stage


def settled(stage: Stage) -> None:
    if stage.engine.at_rest:
        assert check_convergence(stage.view()) == ()


def finish(stage: Stage) -> None:
    """A user mends everything: the rollout of the last template must come to its end."""
    user, strategy = stage.user, stage.story.strategy
    for _ in range(3):  # an object that is being deleted takes the manifest with it
        stage.hurry()
        for pod in strays(stage):
            user.delete(f"pod/{pod}")
        user.apply(web(FINAL, 3, strategy))
        user.patch(WEB, {"spec": {"strategy": STRATEGIES[strategy]}})
        user.patch(WEB, {"spec": {"paused": False, "replicas": 3}})
        user.image(WEB, FINAL)
        stage.check()
        stage.go(until=stage.engine.now + 15 * MINUTE)
        strategy = 0  # the way out where Recreate stands still
    assert stage.engine.at_rest
    assert check_convergence(stage.view()) == ()
    complete(stage)


def strays(stage: Stage) -> Iterable[str]:
    pods = tuple(stage.engine.store.snapshot.series("in", "Pod", "default"))
    return [pod.metadata.name for pod in pods if controller_of(pod) is None]


def complete(stage: Stage) -> None:
    view = stage.view()
    found = view.get("Deployment", "default", "web")
    assert found is not None
    status = found.status
    assert status.observed_generation == found.metadata.generation
    counts = (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas)
    assert counts == (3, 3, 3, 3)
    reasons = {each.type: (each.status, each.reason) for each in status.conditions}
    assert reasons["Progressing"] == ("True", "NewReplicaSetAvailable") and reasons["Available"][0] == "True"
    with_pods = [each for each in view.owned("ReplicaSet", found.metadata.uid) if view.owned("Pod", each.metadata.uid)]
    assert [each.spec.template.spec.containers[0].image for each in with_pods] == [FINAL]
    assert len(view.owned("Pod", with_pods[0].metadata.uid)) == 3


@settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
@given(stories(6))
def test_invariants_hold_and_rollouts_finish(story: Story) -> None:
    finish(play(story))


@pytest.mark.parametrize(
    "story",
    [
        # Recreate and another size come amid a rollout: the Deployment stands still until the strategy rolls again.
        Story(128, 2, 3, told("300 restart 0, 30 pause 0, 30 apply 24, 10 resume 0")),
        # Restarted while its Pod informer lags, the manager must not go by what it saw before.
        Story(721, 3, 3, told("100 restart 25, 100 stop 18, 100 crash 30, 30 lag 26")),
        # A status in flight lands on the ReplicaSet that was made anew under the same name.
        Story(38, 1, 4, told("300 start 35, 100 strategy 25, 10 apply 59, 100 apply 42, 100 delete-replica-set 3")),
        # The ReplicaSet with the highest revision is deleted: the revision falls.
        Story(397, 3, 2, told("300 image 57, 100 delete-replica-set 58, 30 delete-replica-set 26")),
        # Unseen, two ReplicaSets are made; what is too much is shared out without regard to what is available.
        Story(185, 0, 4, told("3 lag 16, 30 image 55")),
    ],
)
def test_stories_that_were_found(story: Story) -> None:
    finish(play(story))


def test_a_completed_rollout_that_fails_later_is_looked_at_ten_times_a_second() -> None:
    """It neither completes nor times out, so its deadline is over for ever: upstream's queue limits the looks."""
    stage = Stage(Story(1, 4, 1))
    stage.user.apply(web("sim/exit1-after-2s:1", 1, 4))
    stage.go(until=stage.engine.now + 3 * MINUTE)
    steps = stage.engine.steps
    stage.go(until=stage.engine.now + 30 * SECOND)
    assert 300 < stage.engine.steps - steps < 900


@pytest.mark.campaign
def test_campaign() -> None:
    check = given(stories(25))(lambda story: finish(play(story)))
    settings(max_examples=2000, derandomize=False, database=None, suppress_health_check=list(HealthCheck))(check)()
