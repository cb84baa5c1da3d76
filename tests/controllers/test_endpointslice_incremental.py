"""Slices that follow their pods from sync to sync are written as if each sync were the first look."""

from __future__ import annotations

import random

import pytest
from endpoint_objects import HTTP, WEB, Cluster, node, pod, refusing, service

from k8sfsm.controllers.endpointslice import EndpointSliceController
from k8sfsm.controllers.following import difference
from k8sfsm.index import NO_SERIES
from k8sfsm.objects import EndpointSlice, Pod, Service, evolve

NAMED = service(ports=(evolve(HTTP, target_port="http"),))
LIMIT = 7


def _turn(it: Cluster, chance: random.Random) -> None:
    """Something happens to the pods, the nodes, or the slices."""
    number = chance.randrange(60)
    match chance.choice(("pod", "pod", "pod", "pods", "drop", "node", "slice", "foreign")):
        case "pod":
            ready, port = chance.random() < 0.7, chance.choice((8080, 8080, 9090))
            labels = chance.choice(({"app": "web"}, {"app": "web"}, {"app": "other"}))
            it.put(pod(number, ready=ready, port=port, labels=labels, node=f"node-{chance.randrange(3)}"))
        case "pods":
            for each in range(number, number + 20):
                it.put(pod(each, node=f"node-{each % 3}"))
        case "drop":
            for found in chance.sample(it.every("Pod"), min(len(it.every("Pod")), 3)):
                it.drop("Pod", found.metadata.name)
        case "node":
            it.put(node(f"node-{chance.randrange(3)}", zone=chance.choice(("", "a", "b"))))
        case what:
            _touch(it, chance, what)


def _touch(it: Cluster, chance: random.Random, what: str) -> None:
    """Somebody else deletes a slice, or writes another one's endpoints over its own."""
    slices = it.every("EndpointSlice")
    if not slices:
        return
    one: EndpointSlice = chance.choice(slices)
    if what == "slice":
        it.see(it.drop("EndpointSlice", one.metadata.name))
    else:
        it.put(evolve(one, endpoints=chance.choice(slices).endpoints[:LIMIT]))


@pytest.mark.parametrize("offered", [service(), NAMED], ids=["number", "name"])
@pytest.mark.parametrize("seed", range(6))
def test_slices_that_are_followed_are_those_of_a_first_look(offered: Service, seed: int) -> None:
    chance = random.Random(seed)
    it = Cluster(EndpointSliceController(limit=LIMIT), offered, node("node-0"), node("node-1"), node("node-2"))
    for _ in range(60):
        for _ in range(chance.randrange(3)):
            _turn(it, chance)
        first_look = EndpointSliceController(limit=LIMIT).reconcile(it.view, WEB)
        followed = it.controller.reconcile(it.view, WEB)
        assert (followed.steps, followed.error) == (first_look.steps, first_look.error)
        it.sync(refuse=refusing(500) if chance.random() < 0.2 else lambda write: None)
    assert len(it.every("EndpointSlice")) > 3


@pytest.mark.parametrize("seed", range(4))
def test_slices_come_in_the_order_that_chance_gives_them(seed: int) -> None:
    chance = random.Random(seed)
    it = Cluster(EndpointSliceController(limit=LIMIT), NAMED, node("node-0"), node("node-1"), node("node-2"))
    by_chance = EndpointSliceController(limit=LIMIT)
    for turn in range(40):
        for _ in range(chance.randrange(3)):
            _turn(it, chance)
        places = {stored.metadata.name: chance.random() for stored in it.every("EndpointSlice")}
        shuffled = evolve(it.view, tie_break=lambda key, places=places: places[key[2]])
        first_look = EndpointSliceController(limit=LIMIT).reconcile(shuffled, WEB)
        followed = by_chance.reconcile(shuffled, WEB)
        assert (followed.steps, followed.error) == (first_look.steps, first_look.error)
        in_order = by_chance.reconcile(evolve(it.view, tie_break=lambda key: 0), WEB)
        plain = by_chance.reconcile(it.view, WEB) if turn % 3 == 0 else it.controller.reconcile(it.view, WEB)
        assert (in_order.steps, in_order.error) == (plain.steps, plain.error)
        it.sync(refuse=refusing(500) if chance.random() < 0.2 else lambda write: None)


def test_a_difference_names_what_went_and_what_came_in_whatever_blocks() -> None:
    chance = random.Random(3)
    it = Cluster(EndpointSliceController(), *(pod(number) for number in range(300)))
    known = NO_SERIES
    for _ in range(40):
        listed = it.view.snapshot("Pod").series("in", "Pod", "default")
        found = difference(known, listed)
        before, after = {id(each): each for each in known}, {id(each): each for each in listed}
        moved = {id(each) for each in found.gone} & {id(each) for each in found.come}
        assert {id(each) for each in found.gone} - moved == before.keys() - after.keys()
        assert {id(each) for each in found.come} - moved == after.keys() - before.keys()
        there = dict(zip((place for places in listed.ordinals for place in places), listed, strict=True))
        assert tuple(there[place] for place in found.places) == found.come
        known = listed
        _change(it, chance)


def _change(it: Cluster, chance: random.Random) -> None:
    pods: tuple[Pod, ...] = it.every("Pod")
    for each in chance.sample(pods, 3):
        it.put(evolve(each, spec=evolve(each.spec, node_name="another")))
    for each in chance.sample(pods, chance.choice((0, 0, 5, 40))):
        it.drop("Pod", each.metadata.name)
    for _ in range(chance.choice((0, 1, 50))):
        it.put(pod(chance.randrange(2000)))
