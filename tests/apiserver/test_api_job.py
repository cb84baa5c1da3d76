"""What the API server adds to a Job and to a gated Pod when they are created."""

from __future__ import annotations

from k8sfsm.apiserver.job import template_labels, with_selector
from k8sfsm.apiserver.strategy import prepared_for_create
from k8sfsm.objects import from_json, to_json

SPEC = {"template": {"metadata": {"labels": {"app": "a"}}, "spec": {}}}
GENERATED = {
    "controller-uid": "u",
    "job-name": "j",
    "batch.kubernetes.io/controller-uid": "u",
    "batch.kubernetes.io/job-name": "j",
}


def made(labels):
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "labels": labels}, "spec": SPEC}
    return to_json(prepared_for_create(from_json(job), "j", "u", 0))


def test_job_selects_its_pods_by_its_uid():
    spec = made({})["spec"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert spec["template"]["metadata"]["labels"] == {"app": "a"} | GENERATED


def test_job_without_labels_gets_those_of_its_pods():
    assert made({})["metadata"]["labels"] == {"app": "a"} | GENERATED
    assert made({"team": "t"})["metadata"]["labels"] == {"team": "t"}


def test_selector_of_its_own_is_kept():
    own = {"spec": {**SPEC, "manualSelector": True}}
    assert with_selector(own, "j", "u") == own and template_labels(own) == {"app": "a"}


def test_gated_pod_says_so():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"schedulingGates": [{"name": "g"}]}}
    condition = prepared_for_create(from_json(pod), "p", "u", 5).status.conditions[0]
    assert (condition.reason, condition.status, condition.last_transition_time) == ("SchedulingGated", "False", 5)
    assert not prepared_for_create(from_json(pod | {"spec": {}}), "p", "u", 5).status.conditions
