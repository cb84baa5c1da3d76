"""Subsets that follow their pods from sync to sync are those that are made at once."""

from __future__ import annotations

import random

import pytest
from endpoint_objects import HTTP, pod, service

from k8sfsm.controllers.endpoints_members import Members
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.objects import Pod, Service, evolve

NAMED = service(ports=(evolve(HTTP, target_port="http"),))


def _listed(*blocks: tuple[Pod, ...]) -> Series:
    """Blocks as a view lists them; a pod's place is its number."""
    full = [block for block in blocks if block]
    places = [tuple(int(each.metadata.name[4:]) for each in block) for block in full]
    return Series(tuple(each[0] for each in places), tuple(places), tuple(full))


def _cut(pods: list[Pod], size: int) -> Series:
    return _listed(*(tuple(pods[start : start + size]) for start in range(0, len(pods), size)))


def _changed(pods: list[Pod], chance: random.Random, share: float) -> list[Pod]:
    """Some pods go, some become ready or unready, some resolve another port, and some come."""
    kept = [each for each in pods if chance.random() > share / 4]
    made = [
        pod(int(each.metadata.name[4:]), ready=chance.random() < 0.5, port=chance.choice((8080, 9090)))
        if chance.random() < share
        else each
        for each in kept
    ]
    first = 1 + max((int(each.metadata.name[4:]) for each in made), default=0)
    return made + [pod(first + number) for number in range(chance.randrange(1 + int(400 * share)))]


@pytest.mark.parametrize("offered", [service(), NAMED], ids=["number", "name"])
@pytest.mark.parametrize("share", [0.005, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_subsets_that_are_followed_are_those_made_at_once(offered: Service, share: float, seed: int) -> None:
    chance = random.Random(seed)
    pods = [pod(number, ready=chance.random() < 0.5) for number in range(400)]
    following = Members(offered)
    for _ in range(12):
        listed = _cut(pods, 64)
        assert following.subsets(listed) == Members(offered).subsets(listed)
        pods = _changed(pods, chance, share)
    assert following.subsets(NO_SERIES) == ()


def test_an_address_in_two_blocks_is_listed_once_and_stays_until_both_are_gone() -> None:
    one = evolve(pod(1), metadata=evolve(pod(1).metadata, uid=""))
    two = evolve(one, spec=evolve(one.spec, node_name="node-2"))
    other = pod(2)
    following = Members(service())
    for blocks in (((one,), (two,)), ((one, other), (two,)), ((one,), ()), ((one,), (two,)), ((other,), (two,)), ()):
        assert following.subsets(_listed(*blocks)) == Members(service()).subsets(_listed(*blocks))
    (found,) = following.subsets(_listed((one,), (two,)))
    assert [address.node_name for address in found.addresses] == ["node-2"]
