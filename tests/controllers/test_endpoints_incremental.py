"""Subsets that follow their pods from sync to sync are those that are made at once."""

from __future__ import annotations

import random

import pytest
from endpoint_objects import HTTP, pod, service

from k8sfsm.controllers.endpoints_members import Members
from k8sfsm.controllers.endpoints_subsets import Ordered, capacity, truncate
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.objects import EndpointAddress, Pod, Service, evolve

NAMED = service(ports=(evolve(HTTP, target_port="http"),))


def _listed(*blocks: tuple[Pod, ...]) -> Series:
    """Blocks as a view lists them; a pod's place is its number."""
    full = [block for block in blocks if block]
    places = [tuple(int(each.metadata.name[4:]) for each in block) for block in full]
    return Series.of(tuple(places), tuple(full))


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


@pytest.mark.parametrize("seed", range(3))
def test_the_first_of_many_addresses_are_those_of_all_in_order(seed: int) -> None:
    """Through the growth of a group beyond what is kept in order, and its end from the front and at random."""
    chance = random.Random(seed)
    followed, model = Ordered(), {}
    for step in range(120):
        come = {}
        if step < 60:
            ips = [f"10.0.{chance.randrange(256)}.{chance.randrange(256)}" for _ in range(chance.randrange(200))]
            come = {ip: EndpointAddress(ip=ip, hostname=str(step)) for ip in ips}
        there = sorted(model) if seed else list(model)
        gone = {key: model[key] for key in there[: chance.randrange(300 if step >= 60 else 40)]}
        followed.change(gone, come)
        model = {key: address for key, address in model.items() if key not in gone} | come
        for most in (chance.choice((10, 1000)), len(model)) if chance.random() < 0.8 else ():
            assert followed.first(most) == tuple(model[key] for key in sorted(model)[:most])
    assert seed == 0 or followed == model


@pytest.mark.parametrize("ready", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("count", [20, 90])
def test_what_is_written_is_the_same_from_the_first_addresses_as_from_all(count: int, ready: float) -> None:
    chance = random.Random(count)
    listed = _cut([pod(number, ready=chance.random() < ready) for number in range(count)], 64)
    room = capacity()
    all_of_them, first = Members(service()).subsets(listed), Members(service()).subsets(listed, 5)
    assert [(each.ready, each.unready) for each in all_of_them] == [(each.ready, each.unready) for each in first]
    for whole, cut in zip(all_of_them, first, strict=True):
        assert cut.subset.addresses == whole.subset.addresses[:5]
        assert cut.subset.not_ready_addresses == whole.subset.not_ready_addresses[:5]
    assert truncate(all_of_them) == truncate(Members(service()).subsets(listed, room))


def test_a_large_service_is_written_the_same_from_the_first_addresses() -> None:
    chance = random.Random(0)
    for ready in (1.0, 0.5):
        listed = _cut([pod(number, ready=chance.random() < ready) for number in range(capacity() + 700)], 128)
        subsets, truncated = truncate(Members(service()).subsets(listed, capacity()))
        assert truncated and (subsets, truncated) == truncate(Members(service()).subsets(listed))


def test_an_address_in_two_blocks_is_listed_once_and_stays_until_both_are_gone() -> None:
    one = evolve(pod(1), metadata=evolve(pod(1).metadata, uid=""))
    two = evolve(one, spec=evolve(one.spec, node_name="node-2"))
    other = pod(2)
    following = Members(service())
    for blocks in (((one,), (two,)), ((one, other), (two,)), ((one,), ()), ((one,), (two,)), ((other,), (two,)), ()):
        assert following.subsets(_listed(*blocks)) == Members(service()).subsets(_listed(*blocks))
    (found,) = following.subsets(_listed((one,), (two,)))
    assert [address.node_name for address in found.subset.addresses] == ["node-2"]
