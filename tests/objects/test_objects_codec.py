"""Objects of a real API server come back from the codec as they were; wrong ones are refused with their place."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from typing import Any

import attrs
import pytest
from objects_files import json_lines

from k8sfsm.objects import (
    KINDS,
    NOTHING,
    Binding,
    Deployment,
    DeploymentSpec,
    Endpoints,
    EndpointSlice,
    Event,
    Eviction,
    Lease,
    LeaseSpec,
    Namespace,
    Node,
    ObjectError,
    ObjectMeta,
    ObjectReference,
    OwnerReference,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    Quantity,
    ReplicaSet,
    ReplicationController,
    Service,
    Struct,
    Unmodelled,
    controller_of,
    from_json,
    key_of,
    kind_named,
    kind_of_resource,
    part_from_json,
    to_json,
)
from k8sfsm.objects.base import json_name

RECORDED = json_lines("recorded")
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
MODELLED = [kind.type for kind in KINDS.values() if kind.type]


def documents(kind: str) -> list[dict[str, Any]]:
    return [document for document in RECORDED if document["kind"] == kind]


def test_recorded_objects_come_back_identical() -> None:
    differing = [document for document in RECORDED if to_json(from_json(document)) != document]
    assert not differing, differing[0]


def test_the_sample_covers_the_modelled_kinds() -> None:
    counts = Counter(type(from_json(document)) for document in RECORDED)
    seldom = {cls.__name__ for cls in MODELLED if not counts[cls]}
    rbac = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    assert seldom == {"ReplicationController", "Lease", "Eviction"} | rbac


def test_reading_leaves_nothing_of_a_recorded_object_unmodelled() -> None:
    unknown: Counter[str] = Counter()

    def visit(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                visit(item)
        elif isinstance(part, Struct):
            unknown.update(f"{type(part).__name__}.{name}" for name in part.extra)
            for attribute in attrs.fields(type(part)):
                visit(getattr(part, attribute.name))

    for document in RECORDED:
        read = from_json(document)
        if not isinstance(read, Unmodelled):
            visit(read)
    assert not unknown


@pytest.mark.parametrize("cls", MODELLED, ids=lambda cls: cls.__name__)
def test_zero_objects_come_back(cls: Any) -> None:
    written = to_json(cls())
    assert json.loads(json.dumps(written)) == written
    assert from_json(written) == cls()
    assert written["metadata"] == {}


@pytest.mark.parametrize(
    ("zero", "expected"),
    [
        (ReplicaSet().status, {"replicas": 0}),
        (Deployment().status, {}),
        (PodSpec(), {"containers": None}),
        (
            PodCondition(type="Ready"),
            {"type": "Ready", "status": "", "lastProbeTime": None, "lastTransitionTime": None},
        ),
        (Deployment().spec.strategy, {}),
        (Service().status, {"loadBalancer": {}}),
        (Endpoints(), {"apiVersion": "v1", "kind": "Endpoints", "metadata": {}}),
        (Namespace().spec, {}),
        (OwnerReference(name="a"), {"apiVersion": "", "kind": "", "name": "a", "uid": ""}),
        (ObjectReference(kind="Pod"), {"kind": "Pod"}),
        (Node().status.daemon_endpoints, {"kubeletEndpoint": {"Port": 0}}),
        (LeaseSpec(renew_time=1_500_001_000), {"renewTime": "1970-01-01T00:00:01.500001Z"}),
        (DeploymentSpec(replicas=0).replicas, 0),
    ],
    ids=str,
)
def test_zero_values_are_written_as_go_does(zero: Any, expected: Any) -> None:
    assert (to_json(zero) if isinstance(zero, Struct) else zero) == expected


def test_pointers_to_zero_are_written() -> None:
    spec = to_json(Deployment(spec=DeploymentSpec(replicas=0, paused=False)))["spec"]
    assert spec["replicas"] == 0
    assert "paused" not in spec


def test_slices_without_omitempty_are_null() -> None:
    written = to_json(EndpointSlice(address_type="IPv4"))
    assert written["endpoints"] is None
    assert written["ports"] is None


def test_unknown_fields_are_kept_at_every_level() -> None:
    document = {
        **DEPLOYMENT,
        "new": [1, {"a": None}],
        "spec": {
            "selector": None,
            "strategy": {},
            "x": {"y": [2]},
            "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}, "z": 1.5}], "w": "v"}},
        },
        "status": {},
    }
    read = from_json(document)
    assert to_json(read) == document
    assert read.extra == {"new": [1, {"a": None}]}
    assert read.spec.template.spec.containers[0].extra == {"z": 1.5}


def test_nothing_is_shared_with_documents() -> None:
    document = next(document for document in documents("Pod") if "volumes" in document["spec"])
    before = copy.deepcopy(document)
    read = from_json(document)
    document["spec"]["volumes"][0]["name"] = "changed"
    document["metadata"].setdefault("labels", {})["x"] = "y"
    assert to_json(read) == before
    written = to_json(read)
    written["spec"]["volumes"][0]["name"] = "changed"
    written["metadata"]["labels"].clear()
    assert to_json(read) == before


def test_null_is_zero() -> None:
    pod = from_json(
        {"apiVersion": "v1", "kind": "Pod", "metadata": None, "spec": {"nodeName": None, "containers": None}}
    )
    assert pod == Pod()
    assert from_json({"apiVersion": "v1", "kind": "Pod", "status": {"conditions": [None]}}).status.conditions == (
        PodCondition(),
    )


def test_parts_have_no_kind_of_their_own() -> None:
    status = part_from_json(PodStatus, {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]})
    assert status.pod_ips[0].ip == "10.0.0.1"
    assert to_json(status) == {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]}


def test_items_of_lists_need_their_kind_told() -> None:
    assert from_json({"metadata": {"name": "a"}}, "Pod") == Pod(metadata=ObjectMeta(name="a"))
    assert from_json({"kind": "Pod"}, "Pod") == Pod()
    with pytest.raises(ObjectError, match="apiVersion"):
        from_json({"kind": "Pod"})
    with pytest.raises(ObjectError, match="apiVersion"):
        from_json({}, "Unheard")


def test_other_kinds_are_unmodelled() -> None:
    document = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "uid": "u"}, "spec": {"a": [1]}}
    job = from_json(document)
    assert isinstance(job, Unmodelled)
    assert (job.api_version, job.kind, job.metadata.uid, job.extra) == ("batch/v1", "Job", "u", {"spec": {"a": [1]}})
    assert to_json(job) == document
    assert key_of(job) == ("Job", "", "j")


@pytest.mark.parametrize(
    "document",
    [
        {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "eventTime": None},
        {"apiVersion": "v1", "kind": "Status", "metadata": {}, "code": 409},
        {"apiVersion": "meta.k8s.io/__internal", "kind": "DeleteOptions"},
        {"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": "?"}},
    ],
    ids=lambda document: document["kind"],
)
def test_unmodelled_documents_come_back(document: dict[str, Any]) -> None:
    read = from_json(document)
    assert isinstance(read, Unmodelled)
    assert to_json(read) == document


TEMPLATE = {
    "spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": "x"}]}]}}}
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"replicas": "3"}}, 'spec.replicas: found the string "3", expected an integer'),
        ({"spec": {"replicas": 3.0}}, "spec.replicas: found the number 3.0, expected an integer"),
        ({"spec": {"replicas": True}}, "spec.replicas: found true, expected an integer"),
        ({"spec": {"paused": 0}}, "spec.paused: found the number 0, expected true or false"),
        ({"spec": [1]}, "spec: found a list, expected an object"),
        ({"spec": {"template": {"spec": {"containers": {}}}}}, "containers: found an object, expected a list"),
        (TEMPLATE, 'containers[1].ports[0].containerPort: found the string "x", expected an integer'),
        ({"metadata": {"labels": {"a": 1}}}, "metadata.labels[a]: found the number 1, expected a string"),
        ({"metadata": {"name": 5}}, "metadata.name: found the number 5, expected a string"),
        ({"metadata": {"creationTimestamp": "now"}}, 'found the string "now", expected a time such as'),
        ({"metadata": {"creationTimestamp": "2026-02-30T00:00:00Z"}}, "expected a time such as"),
        ({"spec": {"strategy": {"rollingUpdate": {"maxSurge": []}}}}, "found a list, expected an integer or a string"),
        ({"metadata": {"finalizers": "x"}}, 'metadata.finalizers: found the string "x", expected a list'),
        ({"kind": 5}, "kind: found the number 5, expected the name of a kind"),
    ],
    ids=str,
)
def test_wrong_types_are_refused_with_their_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ObjectError) as refused:
        from_json({**DEPLOYMENT, **change})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_wrong_quantities_are_refused_with_their_place() -> None:
    spec = {"containers": [{"resources": {"limits": {"cpu": "1x"}}}]}
    with pytest.raises(ObjectError) as refused:
        from_json({"apiVersion": "v1", "kind": "Pod", "spec": spec})
    assert refused.value.path == "spec.containers[0].resources.limits[cpu]"
    assert refused.value.steps == ("spec", "containers", 0, "resources", "limits", "cpu")
    assert refused.value.expected == "a quantity such as 500m or 1Gi"


def test_quantities_may_be_numbers() -> None:
    spec = part_from_json(PodSpec, {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": 1024}}}]})
    assert to_json(spec.containers[0].resources) == {"limits": {"cpu": "500m", "memory": "1024"}}


@pytest.mark.parametrize("document", [[1], "text", None, 5])
def test_only_objects_are_objects(document: Any) -> None:
    with pytest.raises(ObjectError, match="expected an object"):
        from_json(document)


@pytest.mark.parametrize("cls", [Pod, ReplicationController, Eviction, Event, Binding, Lease])
def test_names_are_told_from_json_names(cls: Any) -> None:
    names = [json_name(attribute) for attribute in attrs.fields(cls)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("cls", "name", "expected"),
    [
        (PodStatus, "pod_ips", "podIPs"),
        (PodStatus, "qos_class", "qosClass"),
        (PodSpec, "host_ipc", "hostIPC"),
        (PodSpec, "set_hostname_as_fqdn", "setHostnameAsFQDN"),
        (PodSpec, "dns_policy", "dnsPolicy"),
        (type(Service().spec), "cluster_ips", "clusterIPs"),
        (type(Node().spec), "pod_cidrs", "podCIDRs"),
        (type(Node().status.node_info), "system_uuid", "systemUUID"),
        (type(Node().status.node_info), "os_image", "osImage"),
        (OwnerReference, "uid", "uid"),
    ],
)
def test_json_names(cls: Any, name: str, expected: str) -> None:
    assert json_name(getattr(attrs.fields(cls), name)) == expected


def test_owners_and_keys() -> None:
    owners = (OwnerReference(name="a", uid="1"), OwnerReference(name="b", uid="2", controller=True))
    pod = Pod(metadata=ObjectMeta(name="p", namespace="n", owner_references=owners))
    assert controller_of(pod) == owners[1]
    assert controller_of(Pod()) is None
    assert key_of(pod) == ("Pod", "n", "p")


def test_kinds_by_plural() -> None:
    for kind in KINDS.values():
        assert kind_of_resource(kind.resource, kind.group) is kind
        assert kind_of_resource(kind.resource) is kind
        assert kind_named(kind.api_version, kind.kind) is kind
        assert kind.resource == kind.resource.lower()
        if kind.type:
            assert (kind.type.kind, kind.type.api_version) == (kind.kind, kind.api_version)  # type: ignore[attr-defined]
    assert kind_of_resource("events", "events.k8s.io") is kind_named("events.k8s.io/v1", "Event")
    assert kind_of_resource("widgets") is None
    assert not KINDS["Node"].namespaced
    assert KINDS["Pod"].namespaced


def test_objects_are_immutable_values() -> None:
    pod = from_json(documents("Pod")[0])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        pod.metadata = ObjectMeta()
    with pytest.raises(TypeError, match=r"attrs\.evolve"):
        Pod().metadata.labels["a"] = "b"  # type: ignore[index]
    assert not hasattr(pod, "__dict__")
    assert attrs.evolve(pod, status=PodStatus()).spec is pod.spec
    assert pickle.loads(pickle.dumps(pod)) == pod
    assert pickle.loads(pickle.dumps(NOTHING)) is NOTHING
    assert copy.deepcopy(Pod()).metadata.labels is NOTHING


def test_what_is_set_is_shown() -> None:
    shown = repr(Pod(metadata=ObjectMeta(name="p"), status=PodStatus(phase="Running")))
    assert shown == "Pod(metadata=ObjectMeta(name='p'), status=PodStatus(phase='Running'))"
    assert repr(Quantity.parse("0.5")) == "Quantity('500m')"
