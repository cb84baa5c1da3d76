"""Changed copies and fast filling against attrs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from k8sfsm import objects
from k8sfsm.node.memory import PodMemory
from k8sfsm.objects import Container, ObjectMeta, Pod, changer_of, evolve
from k8sfsm.objects.base import Struct
from k8sfsm.request import Delete


def api_types(cls: type[Any] = Struct) -> Iterator[type[Any]]:
    for each in cls.__subclasses__():
        if "__attrs_attrs__" in each.__dict__:
            yield each
            yield from api_types(each)


TYPES = list(api_types())


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_api_types_are_filled_as_attrs_fills_them(cls: type[Any]) -> None:
    names = [each.name for each in attrs.fields(cls)]
    needed = {each.name: "x" for each in attrs.fields(cls) if each.default is attrs.NOTHING}
    blank = cls(**needed)
    assert type(blank) is cls
    assert all(getattr(blank, each.name) == needed.get(each.name, each.default) for each in attrs.fields(cls))
    marked = cls(**{name: f"<{name}>" for name in names})
    assert all(getattr(marked, name) == f"<{name}>" for name in names)
    with pytest.raises(TypeError):
        cls(no_such_field=1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        marked.extra = {}


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_copies_are_those_of_attrs(cls: type[Any]) -> None:
    names = [each.name for each in attrs.fields(cls)]
    old = cls(**{name: f"<{name}>" for name in names})
    for name in names:
        ours, theirs = evolve(old, **{name: "new"}), attrs.evolve(old, **{name: "new"})
        assert type(ours) is cls and ours == theirs == changer_of(cls, name)(old, "new")
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            ours.extra = {}
    assert evolve(old) == old and evolve(old) is not old
    one, *_, two = names
    assert changer_of(cls, two, one)(old, 2, 1) == attrs.evolve(old, **{one: 1, two: 2})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        changer_of(cls, one)(old, 1).extra = {}


def test_parts_are_changed_in_copies_of_them() -> None:
    old = Pod(metadata=ObjectMeta(name="p", labels={"a": "b"}))
    change = changer_of(Pod, "metadata.resource_version", "status", "spec.node_name", "metadata.uid")
    status = evolve(old.status, phase="Running")
    new = change(old, "7", status, "n", "u")
    metadata = attrs.evolve(old.metadata, resource_version="7", uid="u")
    assert new == attrs.evolve(old, metadata=metadata, status=status, spec=attrs.evolve(old.spec, node_name="n"))
    assert new.status is status and new.metadata.labels is old.metadata.labels
    assert old == Pod(metadata=ObjectMeta(name="p", labels={"a": "b"}))
    for guarded in (new, new.metadata, new.spec):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            guarded.extra = {}
    for wrong in ("metadata.strange", "strange.name"):
        with pytest.raises(TypeError, match="has no attribute strange"):
            changer_of(Pod, "status", wrong)


@attrs.frozen
class WithWeakReferences:
    one: int
    two: int = 2


@attrs.define
class Mutable:
    one: int
    two: int = 2


@attrs.frozen(slots=False)
class WithoutSlots:
    one: int
    two: int = 2


@attrs.frozen(weakref_slot=False)
class Converted:
    one: int = attrs.field(converter=int)
    two: int = attrs.field(default=2, validator=attrs.validators.instance_of(int))


@attrs.frozen(weakref_slot=False)
class Holder:
    held: WithWeakReferences
    inner: Converted
    other: int = 0


def test_parts_of_other_classes_are_changed_too() -> None:
    old = Holder(WithWeakReferences(1), Converted("1"))
    new = changer_of(Holder, "held.two", "other", "inner.one")(old, 5, 6, "7")
    assert new == Holder(WithWeakReferences(1, 5), Converted(7), 6)


@pytest.mark.parametrize("cls", [WithWeakReferences, Mutable, WithoutSlots, Converted])
def test_other_classes_are_copied_too(cls: Any) -> None:
    old = cls(one=1)
    assert evolve(old, two=3) == changer_of(cls, "two")(old, 3) == cls(one=1, two=3) and old == cls(one=1)
    with pytest.raises(TypeError):
        evolve(old, three=3)
    with pytest.raises(TypeError, match="has no attribute three"):
        changer_of(cls, "two", "three")


def test_converters_and_validators_are_heeded() -> None:
    assert evolve(Converted("1"), one="7").one == 7
    with pytest.raises(TypeError):
        evolve(Converted("1"), two="2")


def test_values_are_frozen_in_tests_and_the_same_without() -> None:
    frozen: Any = Delete(key=("Pod", "a", "b"))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        frozen.uid = "u"
    script = (
        "from k8sfsm.request import Bind; one, two = (Bind(key=(), uid='', node='n') for _ in 'ab')\n"
        "print(one, one == two, hash(one) == hash(two), len({one, two}))"
    )
    plain = {name: value for name, value in os.environ.items() if name != "K8SFSM_FROZEN"}
    said = {
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True).stdout
        for environment in ({**plain, "K8SFSM_FROZEN": "1"}, plain)
    }
    assert said == {b"Bind(key=(), uid='', node='n', dry_run=False, why=None) True True 1\n"}
    assert not hasattr(PodMemory, "__weakref__")


def test_objects_share_what_did_not_change() -> None:
    pod = Pod(spec=objects.PodSpec(containers=(Container(name="app"),)))
    assert evolve(pod, metadata=objects.ObjectMeta(name="p")).spec is pod.spec
