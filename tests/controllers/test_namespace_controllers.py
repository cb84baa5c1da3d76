"""The namespace controller and the service account controller, in a cluster of their own."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from k8sfsm.apiserver import ApiServer
from k8sfsm.controllers.namespace import NamespaceController, Sync, after_grace, law
from k8sfsm.controllers.serviceaccount import ServiceAccountController
from k8sfsm.engine.action import Lag
from k8sfsm.engine.cluster import MANAGER, Cluster, Component
from k8sfsm.engine.engine import Engine
from k8sfsm.machine import Machines
from k8sfsm.objects import Namespace, from_json, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Outcome, Patch, PatchStatus
from k8sfsm.store import Change
from k8sfsm.view import View

START = 1_700_000_000 * SECOND
KEY = ("Namespace", "", "a")


def cluster() -> Engine:
    manager = Component(name=MANAGER, controllers=(NamespaceController(), ServiceAccountController()))
    engine = Engine(Cluster(components=(manager,)), ApiServer(Machines.load()), None, now=START)
    make(engine, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    engine.run()
    return engine


def make(engine: Engine, manifest: dict[str, Any]) -> Any:
    outcome = engine.submit(Create(object=from_json(manifest)))
    assert outcome.ok, outcome.message
    return outcome.object


def pod(name: str = "p", grace: int = 30, **meta: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "x:1"}], "nodeName": "n", "terminationGracePeriodSeconds": grace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", **meta}, "spec": spec}


def config_map(**meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a", **meta}}


def conditions(engine: Engine) -> dict[str, tuple[str, str, str]]:
    namespace = engine.store.get(*KEY)
    return {each.type: (each.status, each.reason, each.message) for each in namespace.status.conditions}


def test_every_active_namespace_has_a_default_account() -> None:
    engine = cluster()
    assert engine.store.get("ServiceAccount", "a", "default") is not None
    engine.submit(Delete(key=("ServiceAccount", "a", "default")))
    engine.run()
    assert engine.store.get("ServiceAccount", "a", "default") is not None
    since = engine.store.revision
    engine.submit(Delete(key=KEY))
    engine.submit(Delete(key=("ServiceAccount", "a", "default")))
    engine.run(until=engine.now + SECOND)
    assert engine.store.get("ServiceAccount", "a", "default") is None
    assert engine.store.revision == since + 2


def test_an_account_of_no_namespace_is_left_alone() -> None:
    plan = ServiceAccountController().reconcile(View.of([]), KEY)
    assert plan.steps == ()
    active = from_json(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}, "status": {"phase": "Active"}}
    )
    (create,) = ServiceAccountController().reconcile(View.of([active]), KEY).steps
    assert key_of(create.object) == ("ServiceAccount", "a", "default")
    assert create.why.rule == "ServiceAccount/ensure/create"


def test_an_empty_namespace_goes_after_five_seconds() -> None:
    engine = cluster()
    make(engine, config_map())
    engine.submit(Delete(key=KEY))
    engine.run(until=engine.now + int(4.9 * SECOND))
    assert engine.store.get(*KEY) is not None and engine.store.get("ConfigMap", "a", "c") is not None
    engine.run(until=engine.now + 2 * SECOND)
    assert dict(engine.store.snapshot.objects) == {}


def test_a_living_namespace_is_left_alone() -> None:
    engine = cluster()
    make(engine, config_map())
    engine.run(until=engine.now + 60 * SECOND)
    assert engine.store.get("ConfigMap", "a", "c") is not None
    live, gone = engine.store.get(*KEY), View.of([])
    assert list(after_grace(Change(1, "ADDED", KEY, None, live), gone)) == []
    assert NamespaceController().reconcile(gone, KEY).steps == ()
    assert law.decide("content", _sync(live)).rule.endswith("/live")


def _sync(namespace: Namespace) -> Any:
    return Sync(namespace=namespace, view=View.of([namespace], now=START))


def test_a_finalized_namespace_is_left_to_its_other_finalizers() -> None:
    engine = cluster()
    engine.submit(Patch(key=KEY, body={"metadata": {"finalizers": ["x.org/y"]}}))
    engine.submit(Delete(key=KEY))
    engine.run()
    namespace = engine.store.get(*KEY)
    assert namespace is not None and namespace.spec.finalizers == ()
    assert law.decide("content", _sync(namespace)).rule.endswith("/finalized")
    engine.submit(Patch(key=KEY, body={"metadata": {"finalizers": None}}))
    assert engine.store.get(*KEY) is None


def test_pods_go_first_and_hold_everything_else() -> None:
    engine = cluster()
    make(engine, pod())
    make(engine, config_map())
    engine.submit(Delete(key=KEY))
    engine.run(until=START + 10 * SECOND)
    assert engine.store.get("Pod", "a", "p").metadata.deletion_timestamp is not None
    assert engine.store.get("ConfigMap", "a", "c") is not None
    found = conditions(engine)
    assert found["NamespaceContentRemaining"] == (
        "False",
        "ContentRemoved",
        "All content successfully removed",
    )
    assert found["NamespaceFinalizersRemaining"][:2] == ("False", "ContentHasNoFinalizers")
    engine.submit(Delete(key=("Pod", "a", "p"), grace_seconds=0), actor="kubelet")
    engine.run(until=START + 40 * SECOND)
    assert engine.store.get(*KEY) is None


@pytest.mark.parametrize(("grace", "again"), [(30, 16), (100, 51), (0, 1)])
def test_the_controller_comes_back_after_half_the_longest_grace(grace: int, again: int) -> None:
    left = from_json(pod(grace=grace))
    assert _wait_for(left) == again * SECOND
    over = evolve(left, status=evolve(left.status, phase="Succeeded"))
    assert _wait_for(over) == SECOND


def _wait_for(left: Any) -> int | None:
    """When the controller comes back over what is left of the pods."""
    namespace = {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    spec = {"finalizers": ["kubernetes"]}
    going = from_json({"apiVersion": "v1", "kind": "Namespace", "metadata": namespace, "spec": spec})
    plan = NamespaceController().reconcile(View.of([going], now=START), KEY)
    (delete,) = plan.steps
    assert plan.then is not None
    after = plan.then((Outcome(request=delete, code=200, object=(left,)),))
    assert after.then is not None
    return after.then(()).requeue_after


def test_content_with_finalizers_is_awaited_and_told() -> None:
    engine = cluster()
    make(engine, config_map(finalizers=["x.org/y"]))
    engine.submit(Delete(key=KEY))
    engine.run(until=START + 6 * SECOND)
    found = conditions(engine)
    assert found == {
        "NamespaceDeletionDiscoveryFailure": ("False", "ResourcesDiscovered", "All resources successfully discovered"),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": (
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: configmaps. has 1 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: x.org/y in 1 resource instances",
        ),
    }
    engine.submit(Patch(key=("ConfigMap", "a", "c"), body={"metadata": {"finalizers": None}}))
    since, told = engine.store.revision, engine.now
    engine.run(until=START + 60 * SECOND)
    assert engine.store.get(*KEY) is None
    changes = list(engine.store.changes(since, "Namespace"))
    assert changes[0].at - told > 4 * SECOND
    last = {each.type: (each.status, each.reason, each.message) for each in changes[0].new.status.conditions}
    assert last["NamespaceContentRemaining"] == ("False", "ContentRemoved", "All content successfully removed")
    assert last["NamespaceFinalizersRemaining"] == (
        "False",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    )


def test_conditions_that_say_the_same_are_not_written_again() -> None:
    engine = cluster()
    make(engine, config_map(finalizers=["x.org/y"]))
    engine.submit(Delete(key=KEY))
    engine.run(until=START + 40 * SECOND)
    written = [change for change in engine.store.changes(0, "Namespace") if change.type == "MODIFIED"]
    assert len(written) == 2


def test_content_that_the_informers_have_not_seen_yet_goes_too() -> None:
    engine = cluster()
    engine.schedule(Lag(MANAGER, "ConfigMap", 60 * SECOND), engine.now)
    engine.schedule(Lag(MANAGER, "ServiceAccount", 60 * SECOND), engine.now)
    engine.step()
    engine.step()
    make(engine, config_map())
    engine.submit(Delete(key=KEY))
    engine.run(until=START + 30 * SECOND)
    assert dict(engine.store.snapshot.objects) == {}


def test_a_terminal_pods_status_is_nobodys_wait() -> None:
    engine = cluster()
    made = make(engine, pod())
    done = evolve(made.status, phase="Succeeded")
    engine.submit(PatchStatus(key=("Pod", "a", "p"), uid="", status=done), actor="kubelet")
    engine.submit(Delete(key=KEY))
    engine.run(until=START + 8 * SECOND)
    assert engine.store.get(*KEY) is None
