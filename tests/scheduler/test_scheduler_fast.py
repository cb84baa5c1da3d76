"""The fast layer gives what the plain layer gives, however the cluster came to be what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from immutables import Map
from scheduler_clusters import APART, PREFERENCE, TAINTS, budget, node, nodes, pod, pods, replicaset, service

from k8sfsm.engine.choices import Choices, Seeded
from k8sfsm.request import Bind, Remember
from k8sfsm.scheduler import Scheduler, ledger
from k8sfsm.scheduler.cluster import NOMINATED, Cluster, image_sizes
from k8sfsm.scheduler.fast import Cache
from k8sfsm.scheduler.image_states import ImageStates
from k8sfsm.scheduler.plain import START, decide
from k8sfsm.scheduler.preemption import preempt
from k8sfsm.scheduler.queue import WAITING, Waiting
from k8sfsm.scheduler.ring import Ring
from k8sfsm.scheduler.scores import image_points, image_score
from k8sfsm.scheduler.shape import same_shape, shape_of
from k8sfsm.store import Snapshot, Store
from k8sfsm.view import View

MAY_BE_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def compare(cache: Cache, view: View, wanted: Any) -> bool:
    """Same feasible nodes, totals, best nodes, refusals and victims; True where the fast layer decided."""
    fast = cache.place(view, wanted, with_totals=True)
    if fast is None:
        return False
    plain = decide(view, wanted)
    if not fast.feasible:
        assert list(fast.refusals.items()) == list(plain.refusals.items())
        assert (fast.message, fast.plugins) == (plain.message, plain.plugins)
        cluster = Cluster.of(view)
        assert plain.judge is None and preempt(wanted, cluster, fast) == preempt(wanted, cluster, plain)
    assert fast.feasible == plain.feasible
    assert dict(fast.totals) == dict(plain.totals)
    assert tuple(fast.best) == plain.best and all(each in fast.best for each in plain.best)
    assert fast.next_start == plain.next_start
    return True


class World:
    """A store, a scheduler with a cache that lives as long as it, and the scheduler's memory.

    `informers`: each kind is seen as of its own last change, as the engine's informers show it.
    """

    def __init__(self, informers: bool = False) -> None:
        self.store = Store()
        self.seen: dict[str, Snapshot] | None = {} if informers else None
        self.scheduler = Scheduler()
        self.memory: Map[Any, Any] = Map()

    @property
    def view(self) -> View:
        snapshots = self.store.snapshot if self.seen is None else Map(self.seen)
        return View(0, snapshots, self.memory, store=self.store)

    def put(self, obj: Any) -> None:
        self.store, change = self.store.put(obj)
        self.observe(change)

    def remove(self, key: tuple[str, str, str]) -> None:
        self.store, change = self.store.remove(key)
        self.observe(change)

    def observe(self, change: Any) -> None:
        if self.seen is not None:
            self.seen[change.key[0]] = self.store.snapshot
        for step in self.scheduler.observe(change, self.view):
            self.remember(step)

    def remember(self, step: Remember) -> None:
        if step.value is not None:
            self.memory = self.memory.set(step.key, step.value)
        elif step.key in self.memory:
            self.memory = self.memory.delete(step.key)

    def place(self, wanted: Any, bound: bool) -> bool:
        """Place a pod; leave it assumed, or bind it. True where the fast layer decided."""
        self.put(wanted)
        assert self.scheduler.cache is not None
        fast = compare(self.scheduler.cache, self.view, wanted)
        assert compare(Cache(), self.view, wanted) == fast
        key = ("Pod", wanted.metadata.namespace, wanted.metadata.name)
        for step in self.scheduler.reconcile(self.view, key).steps:
            if isinstance(step, Remember):
                self.remember(step)
            if isinstance(step, Bind) and bound:
                self.put(evolve(wanted, spec=evolve(wanted.spec, node_name=step.node)))
        return fast


class Line(World):
    """A world whose scheduler leaves ties to chance, as an engine's does: its views go on from one another."""

    def __init__(self, chance: Choices) -> None:
        super().__init__()
        self.chance = chance

    @property
    def view(self) -> View:
        return View(0, self.store.snapshot, self.memory, store=self.store, choose_node=self.chance.node)

    def attempt(self, name: str) -> tuple[Remember, ...]:
        """What the scheduler is to remember of a pod that it places; both layers say the same of it before that."""
        wanted = self.store.get("Pod", "default", name)
        assert self.scheduler.cache is not None and compare(self.scheduler.cache, self.view, wanted)
        steps = self.scheduler.reconcile(self.view, ("Pod", "default", name)).steps
        return tuple(step for step in steps if isinstance(step, Remember))


CHANGES = [
    *("place", "place", "place", "assume", "delete", "finish", "terminate", "node", "add-node", "service", "look"),
    *("nominate", "budget"),
]


def change(world: World, kind: str, step: int, data: st.DataObject) -> None:
    """One random change of the cluster."""
    known = world.view.list("Pod")
    match kind:
        case "place" | "assume":
            world.place(data.draw(pods(f"p{step}")), kind == "place")
        case "delete" if known:
            one = data.draw(st.sampled_from(known))
            world.remove(("Pod", one.metadata.namespace, one.metadata.name))
        case "finish" if known:
            one = data.draw(st.sampled_from(known))
            world.put(evolve(one, status=evolve(one.status, phase="Succeeded")))
        case "terminate" if known:
            one = data.draw(st.sampled_from(known))
            world.put(evolve(one, metadata=evolve(one.metadata, deletion_timestamp=1)))
        case "node":
            one = data.draw(st.sampled_from(world.view.list("Node")))
            world.put(data.draw(nodes(one.metadata.name)))
        case "add-node":
            world.put(data.draw(nodes(f"extra-{step}")))
        case "nominate" if known:
            one = data.draw(st.sampled_from(known))
            host = data.draw(st.sampled_from([each.metadata.name for each in world.view.list("Node")] + ["", "gone"]))
            world.put(evolve(one, status=evolve(one.status, nominated_node_name=host)))
        case "budget":
            world.put(budget(data.draw(st.integers(0, 2))))
        case "service":
            world.put(service(selector={"app": data.draw(st.sampled_from(["web", "db"]))}))


@settings(max_examples=60, deadline=None, suppress_health_check=MAY_BE_SLOW)
@given(data=st.data())
def test_same_as_plain_through_a_history(data: st.DataObject) -> None:
    world = World(informers=data.draw(st.booleans()))
    for number in range(data.draw(st.integers(1, 7))):
        world.put(data.draw(nodes(f"n{number}")))
    world.put(replicaset())
    for step in range(data.draw(st.integers(1, 14))):
        change(world, data.draw(st.sampled_from(CHANGES)), step, data)


@st.composite
def residents(draw: st.DrawFn, name: str, host: str) -> Any:
    """A pod on a full node; or one for which room is kept there."""
    requests = draw(st.sampled_from([{"cpu": "1"}, {"cpu": "500m", "memory": "2Gi"}, {"memory": "3Gi"}, {}]))
    where = draw(st.sampled_from(["on"] * 7 + ["nominated"]))
    made = pod(
        name,
        requests=requests,
        labels={"app": draw(st.sampled_from(["web", "db"]))},
        priority=draw(st.sampled_from([-5, 0, 0, 3, 100])),
        **{where: host},
    )
    started = draw(st.sampled_from([None, 1, 2, 3]))
    return evolve(made, status=evolve(made.status, start_time=started))


@settings(max_examples=60, deadline=None, suppress_health_check=MAY_BE_SLOW)
@given(data=st.data())
def test_same_victims_as_plain_on_full_clusters(data: st.DataObject) -> None:
    world = World()
    for number in range(data.draw(st.integers(1, 5))):
        host = f"n{number}"
        world.put(data.draw(nodes(host)) if data.draw(st.integers(0, 4)) == 0 else node(host))
        for turn in range(data.draw(st.integers(3, 6))):
            world.put(data.draw(residents(f"{host}-{turn}", host)))
    for _ in range(data.draw(st.integers(0, 1))):
        world.put(budget(data.draw(st.integers(0, 2))))
    for step in range(3):
        asked = data.draw(st.sampled_from([{"cpu": "2"}, {"cpu": "3500m"}, {"memory": "5Gi"}, {"cpu": "5"}]))
        priority = data.draw(st.sampled_from([0, 50, 1000]))
        world.place(pod(f"p{step}", requests=asked, priority=priority), data.draw(st.booleans()))


@settings(max_examples=8, deadline=None, suppress_health_check=MAY_BE_SLOW)
@given(data=st.data())
def test_same_as_plain_when_only_some_nodes_are_looked_at(data: st.DataObject) -> None:
    world = World()
    kinds = [data.draw(nodes("kind")) for _ in range(4)]
    for number in range(130):
        kind = kinds[data.draw(st.integers(0, 3))] if number < 20 else kinds[number * 7 % 4]
        world.put(evolve(kind, metadata=evolve(kind.metadata, name=f"n{number}", uid=f"u{number}")))
    world.put(service())
    for step in range(4):
        world.place(data.draw(pods(f"p{step}")), data.draw(st.booleans()))


@pytest.mark.parametrize("informers", [True, False])
def test_the_fast_layer_decides_about_common_pods(informers: bool) -> None:
    world = World(informers)
    for number in range(130):
        world.put(node(f"n{number}", zone="abc"[number % 3]))
    world.put(service())
    assert all(world.place(pod(f"p{step}", requests={"cpu": "100m"}), True) for step in range(30))
    assert world.memory[START] == (30 * 100) % 130


@pytest.mark.parametrize(
    "special",
    [
        {"ports": [("", 80)]},
        {"requests": {"example.com/gpu": "1"}},
        {"affinity": {"podAffinity": {}}},
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}]},
    ],
)
def test_uncommon_pods_are_left_to_the_plain_layer(special: dict[str, Any]) -> None:
    world = World()
    world.put(node("n0"))
    world.put(node("n1"))
    assert not world.place(pod("p", **special), True)


@pytest.mark.parametrize("kept", [{"cpu": "3"}, {"memory": "7Gi"}, {"ephemeral-storage": "9Gi"}])
@pytest.mark.parametrize("priority", [4, 5, 6])
@pytest.mark.parametrize("remembered", [True, False])
def test_room_is_kept_for_nominated_pods(kept: dict[str, str], priority: int, remembered: bool) -> None:
    world = World()
    for name in ("n0", "n1"):
        world.put(node(name))
    first = pod("first", requests=kept, priority=5, nominated="" if remembered else "n0")
    world.put(first)
    if remembered:
        entry = Waiting(key=("Pod", "default", "first"), plugins=(), since=0, attempts=1)
        world.remember(Remember(key=NOMINATED, value={"uid-first": "n0"}))
        world.remember(Remember(key=(WAITING, "uid-first"), value=entry))
    assert world.scheduler.cache is not None
    wanted = pod("p", requests=kept, priority=priority)
    world.put(wanted)
    found = world.scheduler.cache.place(world.view, wanted)
    assert found is not None and found.feasible == (("n0", "n1") if priority == 6 else ("n1",))
    assert world.place(wanted, True)


def test_a_nominated_pod_goes_where_room_is_kept_for_it() -> None:
    world = World()
    for number in range(3):
        world.put(node(f"n{number}"))
    assert world.place(pod("p", nominated="n2"), True)
    assert world.view.get("Pod", "default", "p").spec.node_name == "n2"
    world.put(pod("full", on="n1", requests={"cpu": "4"}))
    assert world.place(pod("q", nominated="n1", requests={"cpu": "1"}), True)
    assert world.view.get("Pod", "default", "q").spec.node_name == "n0"


def test_a_nominated_pod_that_shuns_others_is_left_to_the_plain_layer() -> None:
    world = World()
    world.put(node("n0"))
    world.put(pod("nominated", nominated="n0", affinity=APART))
    assert not world.place(pod("p"), True)


@pytest.mark.parametrize("lacks", ["cpu", "memory", "ephemeral-storage", "pods"])
@pytest.mark.parametrize("ever", [True, False])
def test_a_pod_that_fits_nowhere_is_told_the_same(lacks: str, ever: bool) -> None:
    """Each resource may be short beside other pods, or be too little even on the empty node."""
    world = World()
    for number, name in enumerate(("n0", "n1", "n2")):
        world.put(node(name, **({lacks: "0"} if ever and number else {}), taints=[TAINTS[0]] if name == "n2" else []))
    world.put(pod("low", on="n0", requests={"cpu": "3", "memory": "6Gi", "ephemeral-storage": "8Gi"}, priority=1))
    for number in range(9 if lacks == "pods" else 0):
        world.put(pod(f"low-{number}", on="n0", priority=2 if number == 3 else 0))
    if not ever:
        world.remove(("Node", "", "n1"))
    asked = {"cpu": "2", "memory": "3Gi", "ephemeral-storage": "3Gi", "pods": None}[lacks]
    wanted = pod("p", requests={} if asked is None else {lacks: asked}, priority=7)
    assert decide(world.view, wanted).feasible == ()
    assert world.place(wanted, True)


def test_many_that_preempt_are_placed_by_arrays() -> None:
    """On a full cluster each pod of high priority finds a node, though room is kept for those before it."""
    world = World()
    for number in range(120):
        world.put(node(f"n{number}", zone="abc"[number % 3]))
        for turn in range(4):
            world.put(pod(f"low-{number}-{turn}", on=f"n{number}", requests={"cpu": "1"}, priority=turn % 2))
    wanted = [pod(f"high-{step}", requests={"cpu": "2"}, priority=1000) for step in range(3)]
    assert all(world.place(each, True) for each in wanted)
    assert len(set(world.memory[NOMINATED].values())) == 3


def settled(*objects: Any, informers: bool = False) -> World:
    """A world with some pods placed already, so that its cache is filled."""
    world = World(informers)
    for obj in objects:
        world.put(obj)
    assert world.place(pod("first"), True)
    return world


def test_a_fork_with_another_past_does_not_confuse_the_cache() -> None:
    world = settled(node("n0"), node("n1"))
    past, memory = world.store, world.memory
    for name in ("a", "b", "c"):
        world.put(pod(name, on="n0", requests={"cpu": "1"}))
    assert world.place(pod("d"), True)
    world.store, world.memory = past, memory
    for name in ("e", "f", "g", "h", "i", "j"):
        world.put(pod(name, on="n1", requests={"cpu": "600m"}))
    assert world.place(pod("k"), True)


def test_many_are_assumed_before_any_is_seen_bound() -> None:
    """Whether what a plan says is remembered, as nearly always, or the plan is dropped, or a fork goes another way."""
    chance = Seeded(1)
    world = Line(chance)
    for number in range(7):
        world.put(node(f"n{number}", zone="abc"[number % 3], pods="20"))
    for number in range(60):
        world.put(pod(f"p{number}", requests={"cpu": "100m"} if number % 9 else {"cpu": "300m"}))
    past = world.memory
    for number in range(60):
        steps = world.attempt(f"p{number}")
        if number % 8 == 7:
            world.attempt(f"p{number}")  # chance may take another node this time
        if number == 50:
            ahead, world.memory, world.chance = world.memory, past, chance.fork()
            for step in world.attempt("p58"):
                world.remember(step)
            world.attempt("p57")
            world.memory, world.chance = ahead, chance
        for step in steps if number not in (40, 55) else ():
            world.remember(step)
        past = world.memory if number == 45 else past
    assert len([key for key in world.memory if key != START]) == 58


def test_an_assumption_of_another_fork_is_taken_back() -> None:
    world = settled(node("n0"), node("n1"))
    memory = world.memory
    assert world.place(pod("second", requests={"cpu": "2"}), False)
    world.memory = memory
    assert world.place(pod("third"), True)


def test_pods_on_nodes_that_are_not_wanted_do_not_count_for_spreading() -> None:
    ssd, hdd = {"disk": "ssd"}, {"disk": "hdd"}
    placed = [pod(f"old-{number}", on="a2") for number in range(4)]
    nodes_there = (node("a1", zone="a", labels=ssd), node("a2", zone="a", labels=hdd), node("b1", zone="b", labels=ssd))
    world = settled(*nodes_there, pod("other", on="b1"), *placed, service())
    assert world.place(pod("p", nodeSelector=ssd), True)


@pytest.mark.parametrize(
    "changed",
    [
        {"labels": {"disk": "ssd"}},
        {"taints": [("gpu", "", "NoSchedule")]},
        {"taints": [("gpu", "", "PreferNoSchedule")]},
        {"unschedulable": True},
        {"cpu": "1"},
        {"pods": "0"},
        {"zone": "b"},
        {"images": {"web:1": 900 << 20}},
    ],
)
def test_changed_nodes_are_seen(changed: dict[str, Any]) -> None:
    world = settled(node("n0", zone="a"), node("n1", zone="a"), node("n2", zone="b"), service())
    assert world.place(pod("before", affinity=PREFERENCE), True)
    world.put(node("n0", **{"zone": "a", **changed}))
    assert world.place(pod("p", affinity=PREFERENCE), True)


@pytest.mark.parametrize("name", ["n0", "n1", "n2"])
def test_a_removed_node_is_seen(name: str) -> None:
    world = settled(node("n0"), node("n1"), node("n2"))
    world.remove(("Node", "", name))
    assert world.place(pod("p"), True)


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("informers", [True, False])
def test_nodes_fill_up_and_become_free(bound: bool, informers: bool) -> None:
    world = settled(node("n0", pods="2"), node("n1", pods="3"), node("n2", cpu="300m"), informers=informers)
    assert all(world.place(pod(f"p{step}", requests={"cpu": "100m"}), bound) for step in range(7))
    assert world.place(pod("none", requests={"cpu": "100m"}), bound)
    world.remove(("Pod", "default", "p1"))
    assert world.place(pod("again", requests={"cpu": "100m"}), bound)


def test_new_selectors_are_seen() -> None:
    world = settled(node("n0", zone="a"), node("n1", zone="b"), pod("old", on="n0"))
    world.put(service())
    assert world.place(pod("p"), True)
    world.put(service(selector={"app": "db"}))
    assert world.place(pod("q"), True)


def test_a_new_pod_that_shuns_others_is_seen() -> None:
    world = settled(node("n0"), node("n1"))
    assert world.place(pod("db-0", labels={"app": "db"}), True)
    world.put(pod("shy", on="n0", affinity=APART))
    assert world.place(pod("web"), True)
    assert not world.place(pod("db-1", labels={"app": "db"}), True)
    world.remove(("Pod", "default", "shy"))
    assert world.place(pod("db-2", labels={"app": "db"}), True)


def test_more_pods_than_the_ledger_notes_moves_do_not_make_it_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_CAPACITY", 4)
    placed = [pod(f"p{number}", on=f"n{number % 3}") for number in range(9)]
    world = settled(node("n0"), node("n1"), node("n2"), *placed)
    assert world.place(pod("first"), True)
    cache = world.scheduler.cache
    assert cache is not None
    epoch = cache.ledger.epoch
    assert world.place(pod("second"), True) and cache.ledger.epoch == epoch


def test_dropping_the_cache_changes_nothing() -> None:
    hosts = []
    for drop in (False, True):
        world = World()
        for number in range(5):
            world.put(node(f"n{number}", zone="ab"[number % 2]))
        for step in range(12):
            if drop:
                world.scheduler.cache = None if step % 2 else Cache()
            wanted = pod(f"p{step}", requests={"cpu": "500m"})
            world.put(wanted)
            for each in world.scheduler.reconcile(world.view, ("Pod", "default", f"p{step}")).steps:
                if isinstance(each, Remember):
                    world.remember(each)
                if isinstance(each, Bind):
                    hosts.append(each.node)
                    world.put(evolve(wanted, spec=evolve(wanted.spec, node_name=each.node)))
    assert hosts[:12] == hosts[12:]


@pytest.mark.parametrize(
    "other",
    [
        {"labels": {"app": "db"}},
        {"tolerations": [{"operator": "Exists"}]},
        {"nodeSelector": {"disk": "ssd"}},
        {"affinity": PREFERENCE},
        {"overhead": {"cpu": "1"}},
        {"resources": {"requests": {"cpu": "1"}}},
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}]},
        {"image": "db:1"},
        {"requests": {"cpu": "2"}},
        {"ports": [("", 80)]},
        {"initContainers": [{"name": "first", "image": "db:1"}]},
    ],
)
def test_pods_that_are_not_alike_have_shapes_of_their_own(other: dict[str, Any]) -> None:
    one, two = pod("one"), pod("two", **other)
    assert not same_shape(one, two)
    assert shape_of(one) != shape_of(two)
    assert same_shape(two, two)


@pytest.mark.parametrize("members", [1, 3, 99, 100, 101, 130])
def test_every_search_finds_a_slice_of_the_ring(members: int) -> None:
    """From any start it finds what a search node by node would find, and ends where that would end."""
    count, enough = 130, 100
    chosen = np.arange(0, 130)[np.linspace(0, 129, members).astype(int)]
    names = np.array([f"n{number}" for number in range(count)], dtype=object)
    ring = Ring(chosen, names, enough, np.zeros(count, np.int64), (), None)
    for start in range(count):
        round_about = [(start + step) % count for step in range(count)]
        found = [index for index in round_about if index in chosen.tolist()][:enough]
        looked_at = round_about.index(found[-1]) + 1 if len(found) == enough else count
        window = ring.window(start)
        assert window.feasible == tuple(f"n{index}" for index in found)
        assert window.next_start == (start + looked_at) % count


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_images_are_credited_as_the_rules_say(data: st.DataObject) -> None:
    """However nodes come to report images: the same points as from the rules, and changes that matter are told."""
    sizes = st.dictionaries(st.sampled_from(["web:1", "db:1", "log:1"]), st.sampled_from([90 << 20, 900 << 20]))
    there = [node(f"n{number}", images=data.draw(sizes)) for number in range(4)]
    order = data.draw(st.permutations(there))
    names = ("web:1", "db:1", "web:1")
    states = ImageStates(order, there)
    for _ in range(data.draw(st.integers(1, 6))):
        images = Cluster(View.of(there), ()).images
        expected = [image_score(each, names, images, len(order)) for each in order]
        assert [image_points(total, len(names)) for total in states.bytes_of(names).tolist()] == expected
        index = data.draw(st.integers(0, 3))
        changed, version = node(order[index].metadata.name, images=data.draw(sizes)), states.version
        asked = {name: image_sizes(order[index]).get(name) for name in names}
        states.change(index, order[index], changed)
        assert (states.version != version) == (asked != {name: image_sizes(changed).get(name) for name in names})
        there[there.index(order[index])] = changed
        order[index] = changed
