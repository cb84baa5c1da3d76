"""The four back ends do the same with the same packet, except where specs/kubeproxy/differences.yaml names it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from proxy_worlds import World, worlds

from k8sfsm.network.proxy.backends import BACKENDS, render
from k8sfsm.network.proxy.differences import Expectation

EXAMPLES = 300


def apart(world: World, backend: str) -> str:
    """What a back end does with the packet otherwise than expected; "": nothing."""
    expected = Expectation(backend, world.packet, world.portals, world.place)
    way = render(backend, world.portals, world.place).walk(world.packet)
    if way.backends() != expected.backends():
        return f"{backend} ({expected.rule}): {way.backends()} instead of {dict(expected.backends())}"
    wanted, found = expected.masquerades(), way.masqueraded()
    wrong = {each: found[each] for each in wanted.keys() & found.keys() if found[each] != wanted[each]}
    return f"{backend} ({expected.rule}): masquerades {wrong}" if wrong else ""


@pytest.mark.parametrize("backend", BACKENDS)
@given(world=worlds())
@settings(max_examples=EXAMPLES)
def test_a_back_end_does_what_is_decided(backend: str, world: World) -> None:
    assert apart(world, backend) == ""


@given(world=worlds())
@settings(max_examples=100)
def test_probabilities_add_up_and_nothing_dangles(world: World) -> None:
    for backend in BACKENDS:
        rendered = render(backend, world.portals, world.place)
        assert sum(rendered.walk(world.packet).backends().values()) == Fraction(1)
        assert list(rendered.dangling()) == []
