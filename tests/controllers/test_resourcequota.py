"""The resource quota controller: what it looks at, in which order, and what it writes."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.controllers.resourcequota import (
    RESYNC,
    ResourceQuotaController,
    Turn,
    changed_quota,
    law,
    replenished_quotas,
)
from k8sfsm.engine.standard import standard_engine
from k8sfsm.law import usable
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import evolve, from_json, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Look, Patch, Update
from k8sfsm.store import Change
from k8sfsm.view import View

NOW = 1_000 * SECOND
KEY = ("ResourceQuota", "a", "q")


def quota(hard: dict[str, str], status: dict[str, Any] | None = None, name: str = "q", **spec: Any) -> Any:
    manifest = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name, "namespace": "a"}}
    return from_json({**manifest, "spec": {"hard": hard, **spec}, "status": status or {}})


def enforced(hard: dict[str, str], used: dict[str, str], **spec: Any) -> Any:
    return quota(hard, {"hard": hard, "used": used}, **spec)


def pod(name: str = "p", phase: str = "Running", cpu: str = "", **spec: Any) -> Any:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    fields = {"containers": [{"name": "app", "image": "i:1", "resources": resources}], **spec}
    meta = {"name": name, "namespace": "a"}
    return from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": fields, "status": {"phase": phase}})


def other(kind: str, api: str = "v1", **fields: Any) -> Any:
    return from_json({"apiVersion": api, "kind": kind, "metadata": {"name": "x", "namespace": "a"}, **fields})


def plan(*objects: Any) -> Any:
    return ResourceQuotaController().reconcile(View.of(objects, now=NOW), KEY)


def written(*objects: Any) -> dict[str, str]:
    [step] = plan(*objects).steps
    assert isinstance(step, Update) and step.subresource == "status"
    assert step.object.status.hard == step.object.spec.hard
    return {name: str(amount) for name, amount in step.object.status.used.items()}


def test_the_tables_are_usable() -> None:
    assert usable("resourcequota") == ()


def test_a_new_quota_is_worked_out() -> None:
    found = written(quota({"pods": "3", "requests.cpu": "1", "services": "1"}), pod(cpu="100m"), pod("r", cpu="50m"))
    assert found == {"pods": "2", "requests.cpu": "150m", "services": "0"}


def test_a_quota_that_is_right_is_left_alone() -> None:
    assert plan(enforced({"pods": "3"}, {"pods": "1"}), pod()).steps == ()
    assert plan(pod()).steps == (), "it is gone"


@pytest.mark.parametrize(
    ("found", "used"),
    [
        (enforced({"pods": "3"}, {"pods": "0"}), {"pods": "1"}),
        (quota({"pods": "3"}, {"hard": {"pods": "2"}, "used": {"pods": "1"}}), {"pods": "1"}),
        (quota({"pods": "3"}, {"hard": {"pods": "3"}}), {"pods": "1"}),
        (quota({"pods": "3"}, {"hard": {"pods": "3", "services": "1"}, "used": {"services": "1"}}), {"pods": "1"}),
        (quota({"moons": "3", "pods": "1"}, {"hard": {}, "used": {"moons": "2"}}), {"moons": "2", "pods": "1"}),
        (enforced({"pods": "3"}, {"pods": "1"}, scopes=["Terminating"]), {"pods": "0"}),
    ],
)
def test_what_is_not_right_is_written(found: Any, used: dict[str, str]) -> None:
    assert written(found, pod()) == used


def test_quotas_without_limits_are_written_until_they_have_some() -> None:
    assert written(quota({})) == {}


def test_pods_that_are_over_count_as_objects_alone() -> None:
    hard = {"pods": "9", "count/pods": "9"}
    assert written(quota(hard), pod(), pod("done", "Succeeded")) == {"pods": "1", "count/pods": "2"}


def test_objects_of_all_kinds_are_counted() -> None:
    hard = {"configmaps": "1", "count/deployments.apps": "1", "services.nodeports": "5", "count/jobs.batch": "1"}
    service = other("Service", spec={"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]})
    found = written(quota(hard), other("ConfigMap"), other("Deployment", "apps/v1"), service, other("Job", "batch/v1"))
    assert found == {
        "configmaps": "1",
        "count/deployments.apps": "1",
        "services.nodeports": "2",
        "count/jobs.batch": "1",
    }


def test_kinds_that_people_define_are_counted_by_their_plural() -> None:
    names = {"plural": "wishes", "kind": "Wish"}
    defined = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "w"}}
    wishes = from_json({**defined, "spec": {"group": "x.org", "scope": "Namespaced", "names": names}})
    wide = from_json({**defined, "metadata": {"name": "v"}, "spec": {"group": "x.org", "names": {"kind": "Wide"}}})
    hard = {"count/wishes.x.org": "9", "count/wishs": "9"}
    one, two = other("Wish", "x.org/v1"), other("Wish", "x.org/v1")
    two = evolve(two, metadata=evolve(two.metadata, name="two"))
    assert written(quota(hard), wishes, wide, one, two) == {"count/wishes.x.org": "2"}


# -- what makes it look ------------------------------------------------------------------------------------------------


def change(old: Any, new: Any) -> Change:
    kind = "ADDED" if old is None else "DELETED" if new is None else "MODIFIED"
    return Change(9, kind, key_of(new or old), old, new or old)


def looks(old: Any, new: Any, *quotas: Any) -> list[Any]:
    return list(replenished_quotas(change(old, new), View.of(quotas, now=NOW)))


def test_a_quota_is_looked_at_when_its_limits_change() -> None:
    view = View.of((), now=NOW)
    old = enforced({"pods": "1"}, {"pods": "0"})
    assert list(changed_quota(change(None, old), view)) == [KEY]
    assert list(changed_quota(change(old, None), view)) == [KEY]
    assert list(changed_quota(change(old, enforced({"pods": "1"}, {"pods": "1"})), view)) == []
    assert list(changed_quota(change(old, quota({"pods": "2"})), view)) == [KEY]


def going(at: int) -> Any:
    found = pod()
    meta = evolve(found.metadata, deletion_timestamp=at, deletion_grace_period_seconds=30)
    return evolve(found, metadata=meta)


def claim(**fields: Any) -> Any:
    return other("PersistentVolumeClaim", **fields)


def with_status(**status: Any) -> Any:
    return from_json(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "a"},
            "spec": {"containers": [{"name": "app", "image": "i:1"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "app", **status}]},
        }
    )


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (None, pod(), False),
        (pod(), None, True),
        (pod(), pod(), False),
        (pod(), pod(phase="Succeeded"), True),
        (pod(phase="Succeeded"), pod(phase="Succeeded"), False),
        (pod(phase="Succeeded"), None, True),
        (going(NOW), going(NOW - 60 * SECOND), True),
        (going(NOW - 60 * SECOND), going(NOW - 60 * SECOND), False),
        (pod(cpu="1"), pod(cpu="2"), True),
        (with_status(), with_status(allocatedResources={"cpu": "1"}), True),
        (with_status(), with_status(ready=True), False),
        (pod(), pod(activeDeadlineSeconds=5), True),
        (pod(activeDeadlineSeconds=5), pod(activeDeadlineSeconds=4), False),
        (other("Service", spec={"type": "ClusterIP"}), other("Service", spec={"type": "ExternalName"}), False),
        (other("Service", spec={"type": "ClusterIP"}), other("Service", spec={"type": "NodePort"}), True),
        (other("Service", spec={"type": "LoadBalancer"}), other("Service", spec={"type": "NodePort"}), True),
        (other("Service"), None, True),
        (claim(), claim(status={"phase": "Bound"}), False),
        (claim(), claim(status={"allocatedResources": {"storage": "1"}}), True),
        (claim(), claim(spec={"volumeAttributesClassName": "x"}), True),
        (other("ConfigMap"), other("ConfigMap", data={"a": "b"}), False),
    ],
)
def test_what_leaves_more_room(old: Any, new: Any, found: bool) -> None:
    names = ("pods", "services", "persistentvolumeclaims", "configmaps")
    every = enforced(dict.fromkeys(names, "9"), dict.fromkeys(names, "0"))
    assert looks(old, new, every) == ([KEY] if found else [])


def test_what_is_new_leaves_no_more_room() -> None:
    assert law.decide("replenish", Turn(change(None, pod()), NOW)).rule == "ResourceQuota/replenish/made"


def test_only_quotas_that_count_such_objects_are_looked_at() -> None:
    services = enforced({"services": "1"}, {"services": "1"})
    assert looks(pod(), None, services) == []
    assert looks(pod(), None) == []
    assert looks(pod(), None, quota({"pods": "1"})) == [], "its limits are not enforced yet"


def test_what_is_not_enforced_goes_first() -> None:
    rank = ResourceQuotaController().rank
    found = {
        "new": quota({"pods": "1"}),
        "known": enforced({"pods": "1"}, {"pods": "0"}),
        "unknown": quota({"pods": "1"}, {"hard": {"pods": "1"}, "used": {}}),
        "uncountable": quota({"moons": "1"}, {"hard": {"moons": "1"}}),
    }
    assert {name: rank(View.of((each,), now=NOW), KEY).order for name, each in found.items()} == {
        "new": (0,),
        "known": (1,),
        "unknown": (0,),
        "uncountable": (1,),
    }
    assert rank(View.of((), now=NOW), KEY).order == (1,)


def test_all_quotas_are_looked_at_every_five_minutes() -> None:
    view = View.of((quota({}), quota({}, name="r")), now=NOW)
    again = ResourceQuotaController().reconcile(view, RESYNC)
    assert again.steps == (Look(key=KEY), Look(key=("ResourceQuota", "a", "r")))
    assert again.requeue_after == 300 * SECOND and again.periodic


# -- in a cluster -----------------------------------------------------------------------------------------------------


def test_a_cluster_enforces_counts_and_gives_back() -> None:
    engine = standard_engine((), ScriptedRuntime())
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "a"}}
        | {"spec": {"hard": {"pods": "1", "configmaps": "5"}}},
    ):
        assert engine.submit(Create(object=from_json(manifest))).ok
        engine.run(until=engine.now + SECOND)
    assert _used(engine) == {"pods": "0", "configmaps": "0"}
    assert engine.submit(Create(object=pod())).ok
    assert _used(engine)["pods"] == "1"
    assert engine.submit(Create(object=pod("r"))).code == 403
    engine.submit(Delete(key=("Pod", "a", "p"), grace_seconds=0))
    assert _used(engine)["pods"] == "1"
    engine.run(until=engine.now + SECOND)
    assert _used(engine)["pods"] == "0" and engine.submit(Create(object=pod("r"))).ok
    engine.submit(Patch(key=KEY, body={"spec": {"hard": {"pods": "7", "configmaps": None}}}))
    engine.run(until=engine.now + SECOND)
    assert _used(engine) == {"pods": "1"}
    assert engine.submit(Create(object=other("ConfigMap"))).ok


def test_counted_by_mistake_is_mended_within_five_minutes() -> None:
    engine = standard_engine((), ScriptedRuntime())
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "a"}}
        | {"spec": {"hard": {"configmaps": "5"}}},
    ):
        engine.submit(Create(object=from_json(manifest)))
        engine.run(until=engine.now + SECOND)
    for code in (201, 409):
        assert engine.submit(Create(object=other("ConfigMap"))).code == code
    assert _used(engine) == {"configmaps": "2"}
    engine.run(until=engine.now + 301 * SECOND)
    assert _used(engine) == {"configmaps": "1"}


def _used(engine: Any) -> dict[str, str]:
    return {name: str(amount) for name, amount in engine.store.get(*KEY).status.used.items()}
