"""Sameness: what is written out says what a comparison of the attributes says."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.objects import PodStatus, evolve
from k8sfsm.objects.sameness import same_but, same_in

PARTS = {"phase": ["Pending", "Running"], "pod_ip": ["", "10.0.0.1"], "conditions": [(), ("a",)]}
VALUE = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in PARTS.items()})


@given(VALUE, VALUE, st.sets(st.sampled_from(sorted(PARTS))))
def test_values_are_the_same_where_their_attributes_are(one: Any, other: Any, names: set[str]) -> None:
    first, second = evolve(PodStatus(), **one), evolve(PodStatus(), **other)
    assert same_in(*sorted(names))(first, second) == all(one[name] == other[name] for name in names)
    rest = [each.name for each in attrs.fields(PodStatus) if each.name not in names]
    assert same_but(PodStatus, *names)(first, second) == all(
        getattr(first, name) == getattr(second, name) for name in rest
    )


def test_an_attribute_that_a_class_has_not_is_an_error() -> None:
    with pytest.raises(TypeError, match="PodStatus has no attribute colour"):
        same_but(PodStatus, "colour")
