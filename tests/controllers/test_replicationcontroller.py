"""ReplicationControllers go by the ReplicaSet rules, with their own references, selector and status."""

from __future__ import annotations

from attrs import evolve
from replicaset_objects import KEY, NOW, RC_KEY, FakeApi, change, pod, replica_set, replication_controller, view

from k8sfsm.controllers.expectations import Written
from k8sfsm.controllers.replicationcontroller import ReplicationController, pod_controllers
from k8sfsm.objects import to_json
from k8sfsm.request import Create, Update
from k8sfsm.verify.vectors.replicaset import play

OWNER = replication_controller(2)


def test_pods_are_created_and_reported() -> None:
    memory = {("wrote", RC_KEY): Written("uid-web", (("Pod", 900),))}
    seen = view(OWNER, pod("a", OWNER), pod("b", OWNER, deletion_timestamp=NOW))
    played = play(ReplicationController().reconcile(seen, RC_KEY), FakeApi())
    created = next(played.sent(Create)).object
    owner = created.metadata.owner_references[0]
    assert (owner.api_version, owner.kind, owner.controller) == ("v1", "ReplicationController", True)
    assert to_json(next(played.sent(Update)).object)["status"] == {
        "availableReplicas": 1,
        "fullyLabeledReplicas": 1,
        "observedGeneration": 1,
        "readyReplicas": 1,
        "replicas": 1,
    }
    assert all(step.key[0] != "wrote" for step in played.remembered)
    assert memory


def test_selector_is_a_map_of_labels() -> None:
    played = play(ReplicationController().reconcile(view(OWNER, pod("a"), pod("b")), RC_KEY), FakeApi(live=OWNER))
    assert sum(1 for _ in played.sent(Create)) == 0
    nothing = replication_controller(1, selector={})
    played = play(ReplicationController().reconcile(view(nothing, pod("a")), RC_KEY), FakeApi())
    assert sum(1 for _ in played.sent(Create)) == 1


def test_events_wake_the_right_kind() -> None:
    seen = view(OWNER, replica_set(2))
    assert list(pod_controllers(change(None, pod("a", OWNER)), seen)) == [RC_KEY]
    assert list(pod_controllers(change(None, pod("a", replica_set(2))), seen)) == []
    assert list(pod_controllers(change(None, pod("a")), seen)) == [RC_KEY]
    forgotten = [step.key for step in ReplicationController().observe(change(OWNER, None), seen)]
    assert ("expected", RC_KEY) in forgotten and ("expected", KEY) not in forgotten


def test_a_missing_template_is_an_empty_one() -> None:
    bare = evolve(OWNER, spec=evolve(OWNER.spec, template=None))
    played = play(ReplicationController().reconcile(view(bare), RC_KEY), FakeApi())
    assert played.error == "unable to create pods, no labels"


def test_its_own_queue_and_watches() -> None:
    spec = ReplicationController.law.controller()
    assert (spec.controller, spec.queue.workers) == (ReplicationController.name, 5)
    assert [(watch.kind, watch.key) for watch in spec.watches] == [
        ("ReplicationController", "self"),
        ("Pod", "pod_controllers"),
    ]
