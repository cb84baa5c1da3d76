"""The garbage collector: which objects it looks at, each row of its tables, and whole deletions in a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from k8sfsm.apiserver import ApiServer, Options
from k8sfsm.controllers.garbagecollector import GarbageCollector, Item, Refused, concerned, law
from k8sfsm.engine.cluster import MANAGER, Cluster, Component
from k8sfsm.engine.engine import Engine
from k8sfsm.machine import Machines
from k8sfsm.objects import from_json, key_of
from k8sfsm.request import Create, Delete, Look, Outcome, Parallel, Patch, Record
from k8sfsm.store import Change, Store
from k8sfsm.view import View


def obj(name: str, *owners: str, kind: str = "ConfigMap", blocks: bool = True, **meta: Any) -> Any:
    """An object; owners as "name", "name=uid" or "Kind:name"."""
    references = []
    for owner in owners:
        own_kind, _, rest = owner.rpartition(":")
        owner_name, _, uid = rest.partition("=")
        reference = {
            "apiVersion": "v1",
            "kind": own_kind or "ConfigMap",
            "name": owner_name,
            "uid": uid or f"u-{owner_name}",
        }
        references.append({**reference, "blockOwnerDeletion": blocks})
    metadata = {
        "name": name,
        "namespace": "a",
        "uid": f"u-{name}",
        "resourceVersion": "1",
        "ownerReferences": references,
    }
    return from_json({"apiVersion": "v1", "kind": kind, "metadata": {**metadata, **meta}})


GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
FOREGROUND = {**GOING, "finalizers": ["foregroundDeletion"]}


def decide(*objects: Any, live: tuple[Any, ...] | None = None) -> str:
    """The rule for the first of the objects; `live`: what the API server has, where that differs."""
    view = View.of(objects)
    if live is not None:
        view = evolve(view, store=Store(View.of(live).snapshot("ConfigMap")))
    item = Item(view.get(*key_of(objects[0])), view)
    return law.decide("item", item).rule.rpartition("/")[2]


@pytest.mark.parametrize(
    ("objects", "rule"),
    [
        ((obj("x"),), "unowned"),
        ((obj("x", "o"), obj("o")), "owned"),
        ((obj("x", "o"),), "delete"),
        ((obj("x", "o=other"), obj("o")), "delete"),
        ((obj("x", "o", "p"), obj("o")), "drop-references"),
        ((obj("x", "o", "p"), obj("o"), obj("p", **FOREGROUND)), "drop-references"),
        ((obj("x", "o"), obj("o", **GOING)), "owned"),
        ((obj("x", "o"), obj("o", **FOREGROUND)), "delete"),
        ((obj("x", "o"), obj("o", **FOREGROUND), obj("y", "x")), "delete-foreground"),
        ((obj("x", "o"), obj("o", **FOREGROUND), obj("y", "x", **FOREGROUND)), "delete-circular"),
        ((obj("x", "o"), obj("y", "x", **FOREGROUND)), "delete"),
        ((obj("x", "o", finalizers=["orphan"]),), "delete-orphaning"),
        ((obj("x", "o", finalizers=["foregroundDeletion"]),), "delete-again-foreground"),
        ((obj("x", "o", **GOING),), "leaving"),
        ((obj("x", "o", **{**GOING, "finalizers": ["x.org/y"]}),), "leaving"),
        ((obj("x", **{**GOING, "finalizers": ["orphan"]}), obj("y", "x")), "orphan-dependents"),
        ((obj("x", **FOREGROUND), obj("y", "x")), "foreground-waits"),
        ((obj("x", **FOREGROUND), obj("y", "x", blocks=False)), "foreground-done"),
        ((obj("x", **FOREGROUND),), "foreground-done"),
        ((obj("x", "Widget:w"),), "unknown-kind"),
        ((obj("x", "Widget:w", "o"), obj("o")), "unknown-kind"),
        ((obj("x", "Widget:w"), obj("w", kind="Widget")), "owned"),
        ((obj("x", "o"), obj("o", namespace="b")), "delete-misplaced"),
        ((obj("x", "o", finalizers=["orphan"]), obj("o", namespace="b")), "delete-orphaning"),
        ((obj("x", "o", namespace="", kind="Node"),), "unknown-kind"),
        ((obj("x", "Node:n"), obj("n", kind="Node", namespace="")), "owned"),
    ],
)
def test_decisions(objects: tuple[Any, ...], rule: str) -> None:
    assert decide(*objects) == rule


def test_a_decision_looks_at_what_the_server_has_not_at_what_informers_saw() -> None:
    item, owner = obj("x", "o"), obj("o")
    assert decide(item, live=(item, owner)) == "owned"
    assert decide(item, owner, live=(item,)) == "delete"
    assert decide(item, live=()) == "virtual"
    assert decide(item, live=(obj("x", "o", uid="other"),)) == "virtual"
    assert decide(item, live=(obj("x"),)) == "unowned"
    gone = View.of([])
    assert law.decide("item", Item(None, gone)).rule.endswith("/gone")


def plan_of(*objects: Any) -> Any:
    return GarbageCollector().reconcile(View.of(objects), key_of(objects[0]))


def test_what_is_sent() -> None:
    (delete,) = plan_of(obj("x", "o")).steps
    assert (delete.uid, delete.resource_version, delete.propagation) == ("u-x", "1", "Background")
    assert delete.why.rule == "GarbageCollector/item/delete"
    assert plan_of(obj("x", "o", finalizers=["orphan"])).steps[0].propagation == "Orphan"
    assert plan_of(obj("x", "o", finalizers=["foregroundDeletion"])).steps[0].propagation == "Foreground"
    assert plan_of(obj("x", "o"), obj("o", **FOREGROUND), obj("y", "x")).steps[0].propagation == "Foreground"
    patch, delete = plan_of(obj("x", "o"), obj("o", **FOREGROUND), obj("y", "x", **FOREGROUND)).steps
    assert patch.body["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is False
    assert delete.propagation == "Foreground"
    (patch,) = plan_of(obj("x", "o", "p", "q"), obj("o"), obj("q", **FOREGROUND)).steps
    gone = [{"$patch": "delete", "uid": "u-p"}, {"$patch": "delete", "uid": "u-q"}]
    assert patch.body == {"metadata": {"uid": "u-x", "ownerReferences": gone}} and patch.type == "strategic"
    assert plan_of(obj("x", "o"), obj("o")).steps == ()


def test_custom_resources_get_merge_patches() -> None:
    item = obj("x", "o", "p", kind="Widget")
    (patch,) = plan_of(item, obj("o")).steps
    assert patch.type == "merge" and patch.body["metadata"]["resourceVersion"] == "1"
    assert [owner["uid"] for owner in patch.body["metadata"]["ownerReferences"]] == ["u-o"]


def test_foreground_deletion_sends_for_dependents_and_ends_without_them() -> None:
    waits = plan_of(obj("x", **FOREGROUND), obj("y", "x"), obj("z", "x", **FOREGROUND), obj("w", "x", blocks=False))
    assert [step.key[2] for step in waits.steps] == ["y"] and isinstance(waits.steps[0], Look)
    (patch,) = plan_of(obj("x", **{**FOREGROUND, "finalizers": ["foregroundDeletion", "x.org/y"]})).steps
    assert patch.body == {"metadata": {"resourceVersion": "1", "finalizers": ["x.org/y"]}}
    assert plan_of(obj("x", **FOREGROUND)).steps[0].body["metadata"]["finalizers"] is None


def outcome(request: Any, code: int, stored: Any = None) -> Outcome:
    return Outcome(request=request, code=code, message="no", object=stored)


def test_orphaning_goes_on_when_all_dependents_are_free() -> None:
    plan = plan_of(obj("x", **{**GOING, "finalizers": ["orphan"]}), obj("y", "x"), obj("z", "x", "o"))
    (parallel,) = plan.steps
    assert isinstance(parallel, Parallel) and [write.key[2] for write in parallel.writes] == ["y", "z"]
    good, gone, bad = (outcome(parallel.writes[0], code) for code in (200, 404, 409))
    (patch,) = plan.then((good, gone)).steps
    assert isinstance(patch, Patch) and patch.body["metadata"]["finalizers"] is None
    assert plan.then((good, bad)).error == "no" and plan.then((gone, bad)).error == "no"
    (only,) = plan_of(obj("x", **FOREGROUND)).steps
    assert plan_of(obj("x", **FOREGROUND)).then((outcome(only, 404),)).error == "no"


def test_a_refused_delete_is_tried_again_where_owners_are_the_same() -> None:
    item = obj("x", "o")
    plan = plan_of(item)
    (delete,) = plan.steps
    (again,) = plan.then((outcome(delete, 409, obj("x", "o", resourceVersion="2")),)).steps
    assert (again.resource_version, again.uid, again.propagation) == ("", "u-x", "Background")
    assert plan.then((outcome(delete, 409, obj("x", "o", "p", resourceVersion="2")),)).error == "no"
    assert plan.then((outcome(delete, 409, obj("x", "o", uid="u2")),)).error == "no"
    assert plan.then((outcome(delete, 404),)).error == "no"
    blind = evolve(delete, resource_version="")
    assert law.decide("refused-delete", Refused(blind, outcome(blind, 409, item), item)).actions == ()
    assert plan.then((outcome(delete, 200),)).steps == ()


def test_owners_in_other_namespaces_are_told_of() -> None:
    record, delete = plan_of(obj("x", "o"), obj("o", namespace="b")).steps
    assert isinstance(record, Record) and isinstance(delete, Delete) and delete.propagation == "Background"
    assert record.reason == "OwnerRefInvalidNamespace"
    where = "v1/ConfigMap, namespace: a, name: o, uid: u-o"
    assert record.message == f'ownerRef [{where}] does not exist in namespace "a"'


def keys(old: Any, new: Any, *others: Any, kind: Any = "MODIFIED") -> list[str]:
    change = Change(9, kind, key_of(new), old, new)
    seen = others if kind == "DELETED" else (new, *others)
    return [key[2] for key in concerned(change, View.of(seen))]


def test_who_is_looked_at() -> None:
    owner = obj("o")
    assert keys(None, obj("x"), kind="ADDED") == []
    assert keys(None, obj("x", "o"), owner, kind="ADDED") == []
    assert keys(None, obj("x", "o"), kind="ADDED") == ["x"]
    assert keys(None, obj("x", "o=other"), owner, kind="ADDED") == ["x"]
    assert keys(obj("x"), obj("x", "o")) == ["x"]
    assert keys(obj("x", "o"), obj("x", "o", labels={"a": "b"})) == []
    assert keys(obj("o"), owner, obj("x", "o"), kind="DELETED") == ["x"]
    waits = obj("o", **FOREGROUND)
    assert keys(obj("x", "o"), obj("x", "o"), waits, kind="DELETED") == ["o"]
    assert keys(obj("x", "o"), obj("x", "o"), obj("o", **GOING), kind="DELETED") == []
    assert keys(obj("x", "o"), obj("x", "o", blocks=False), waits) == ["o"]
    assert keys(obj("x", "o"), obj("x"), waits) == ["o"]
    assert keys(obj("x", "o", blocks=False), obj("x"), waits) == []
    assert keys(owner, waits, obj("x", "o")) == ["x", "o"]
    assert keys(waits, waits, obj("x", "o")) == []
    orphaning = obj("o", **{**GOING, "finalizers": ["orphan"]})
    assert keys(owner, orphaning, obj("x", "o")) == ["o"]
    assert keys(orphaning, orphaning, obj("x", "o")) == []
    assert keys(None, orphaning, kind="ADDED") == ["o"]


def cluster() -> Engine:
    manager = Component(name=MANAGER, controllers=(GarbageCollector(),))
    engine = Engine(
        Cluster(components=(manager,)), ApiServer(Machines.load(), Options(admission=False)), None, now=10**18
    )
    engine.run()
    return engine


def grow(engine: Engine) -> dict[str, Any]:
    """A chain root -> middle (three of them) -> leaf (one each), and `shared` that root and `other` own."""
    made: dict[str, Any] = {}

    def make(name: str, *owners: str) -> None:
        references = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": owner,
                "uid": made[owner].metadata.uid,
                "blockOwnerDeletion": True,
            }
            for owner in owners
        ]
        meta = {"name": name, "namespace": "a", "ownerReferences": references}
        made[name] = engine.submit(
            Create(object=from_json({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}))
        ).object

    make("root")
    make("other")
    for number in range(3):
        make(f"middle-{number}", "root")
        make(f"leaf-{number}", f"middle-{number}")
    make("shared", "root", "other")
    engine.run()
    return made


def left(engine: Engine) -> list[str]:
    return sorted(key[2] for key in engine.store.snapshot.objects if key[0] == "ConfigMap")


@pytest.mark.parametrize("propagation", ["Background", "Foreground", None])
def test_a_deleted_owner_takes_its_own_with_it(propagation: Any) -> None:
    engine = cluster()
    grow(engine)
    engine.submit(Delete(key=("ConfigMap", "a", "root"), propagation=propagation))
    engine.run()
    assert left(engine) == ["other", "shared"]
    (owner,) = engine.store.get("ConfigMap", "a", "shared").metadata.owner_references
    assert owner.name == "other"


def test_foreground_deletes_from_the_leaves() -> None:
    engine = cluster()
    grow(engine)
    since = engine.store.revision
    engine.submit(Delete(key=("ConfigMap", "a", "root"), propagation="Foreground"))
    engine.run()
    removed = [change.key[2] for change in engine.store.changes(since) if change.type == "DELETED"]
    assert removed[-1] == "root"
    assert all(removed.index(f"leaf-{n}") < removed.index(f"middle-{n}") for n in range(3))


def test_orphans_stay() -> None:
    engine = cluster()
    grow(engine)
    engine.submit(Delete(key=("ConfigMap", "a", "root"), propagation="Orphan"))
    engine.run()
    assert "root" not in left(engine) and len(left(engine)) == 8
    assert engine.store.get("ConfigMap", "a", "middle-0").metadata.owner_references == ()
    assert [o.name for o in engine.store.get("ConfigMap", "a", "shared").metadata.owner_references] == ["other"]


def test_objects_in_a_circle_all_go() -> None:
    engine = cluster()
    made = grow(engine)
    body = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "leaf-0",
            "uid": made["leaf-0"].metadata.uid,
            "blockOwnerDeletion": True,
        }
    ]
    engine.submit(Patch(key=("ConfigMap", "a", "middle-0"), body={"metadata": {"ownerReferences": body}}))
    engine.run()
    engine.submit(Delete(key=("ConfigMap", "a", "leaf-0"), propagation="Foreground"))
    engine.run()
    assert not {"leaf-0", "middle-0"} & set(left(engine))
