"""What holds of every patch: JSON, merge and strategic."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sfsm.apiserver import Refusal
from k8sfsm.apiserver.patch import json_patch, merge, strategic_merge
from k8sfsm.scenario.difference import merge_patch, strategic_patch

NAMES = st.sampled_from(["a", "b", "a/b", "c~d", ""])
PLAIN = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]), st.booleans())
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, min_size=1, max_size=3)),
    max_leaves=12,
)
MAPS = st.dictionaries(NAMES, VALUES, max_size=4)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcd")}, optional={"image": PLAIN, "args": st.lists(PLAIN, max_size=2)}
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each["name"],
)
PODS = st.fixed_dictionaries(
    {"containers": ITEMS},
    optional={
        "volumes": ITEMS,
        "finalizers": st.lists(st.sampled_from("xyz"), min_size=1, max_size=3, unique=True),
        "nodeSelector": st.dictionaries(st.sampled_from("ab"), PLAIN, min_size=1),
    },
)


@given(old=MAPS, new=MAPS)
@settings(max_examples=200, deadline=None)
def test_a_merge_patch_leads_from_one_document_to_the_other(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    patch = merge_patch(old, new, old)
    assert merge(old, patch) == new
    assert merge(merge(old, patch), patch) == new
    assert old == before
    assert merge_patch(new, new, new) == {}


@given(old=PODS, new=PODS)
@settings(max_examples=200, deadline=None)
def test_a_strategic_patch_leads_from_one_document_to_the_other(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    patch = strategic_patch(old, new, old)
    found = strategic_merge(old, patch)
    assert old == before
    assert {**found, "finalizers": sorted(found.get("finalizers", ()))} == {
        **new,
        "finalizers": sorted(new.get("finalizers", ())),
    }
    assert strategic_patch(new, new, new) == {}


@given(live=PODS, wanted=PODS)
@settings(max_examples=200, deadline=None)
def test_a_strategic_patch_applied_twice_is_applied_once(live: Any, wanted: Any) -> None:
    once = strategic_merge(live, wanted)
    assert strategic_merge(once, wanted) == once
    names = [each["name"] for each in once["containers"]]
    assert len(names) == len(set(names)) and {each["name"] for each in wanted["containers"]} <= set(names)


def pointers(value: Any, path: str = "") -> list[str]:
    """The JSON pointers of everything in a value."""
    pairs: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for name, part in pairs:
        found += pointers(part, f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}")
    return found


@given(document=MAPS, value=VALUES, data=st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_replaced_is_there_and_what_is_removed_is_gone(document: Any, value: Any, data: Any) -> None:
    found = pointers(document)
    if not found:
        return
    path = data.draw(st.sampled_from(found))
    replace = {"op": "replace", "path": path, "value": value}
    changed = json_patch(copy.deepcopy(document), [replace, {"op": "test", "path": path, "value": value}])
    assert json_patch(copy.deepcopy(changed), [replace]) == changed
    removed = json_patch(copy.deepcopy(document), [{"op": "remove", "path": path}])
    assert len(pointers(removed)) < len(found)


@given(document=MAPS, data=st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_moved_away_and_back_is_where_it_was(document: Any, data: Any) -> None:
    found = [path for path in pointers(document) if path.count("/") == 1]
    if not found:
        return
    path = data.draw(st.sampled_from(found))
    there = [{"op": "move", "from": path, "path": "/elsewhere"}, {"op": "move", "from": "/elsewhere", "path": path}]
    assert json_patch(copy.deepcopy(document), there) == document
    twice = json_patch(copy.deepcopy(document), [{"op": "copy", "from": path, "path": "/elsewhere"}])
    assert json_patch(twice, [{"op": "remove", "path": "/elsewhere"}]) == document


@given(document=MAPS)
@settings(max_examples=100, deadline=None)
def test_a_test_that_fails_refuses_the_patch(document: Any) -> None:
    for path in pointers(document):
        with pytest.raises(Refusal) as refusal:
            json_patch(copy.deepcopy(document), [{"op": "test", "path": path, "value": {"never": "this"}}])
        assert refusal.value.code == 422
