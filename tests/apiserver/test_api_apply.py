"""Server-side apply: owners, conflicts, what is removed, and how lists are merged."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from api_world import World, config_map, pod, service, workload
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sfsm.apiserver import Options, Sender
from k8sfsm.apiserver.apply.fields import fields_v1, read_fields, shown, with_parents
from k8sfsm.apiserver.apply.managers import manager_of
from k8sfsm.apiserver.apply.values import Schema, compare, field_set, merge, without
from k8sfsm.objects import evolve, from_json, key_of, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Patch, PatchStatus, Update

WEB = ("Deployment", "a", "d")


class Applied(World):
    """A world in which somebody applies."""

    def apply(self, body: Any, manager: str = "me", *, force: bool = False, subresource: str = "") -> Any:
        self.now += SECOND
        meta = body["metadata"]
        key = (body["kind"], meta.get("namespace", ""), meta["name"])
        patch = Patch(key=key, type="apply", body=body, manager=manager, force=force, subresource=subresource)
        return self.send(patch)

    def change(self, body: Any, manager: str = "you", subresource: str = "", key: Any = WEB) -> Any:
        self.now += SECOND
        return self.done(Patch(key=key, body=body, manager=manager, subresource=subresource, type="merge"))

    def owners(self, kind: str = "Deployment", name: str = "d") -> dict[tuple[str, str, str], Any]:
        meta = to_json(self.get(kind, name))["metadata"]
        return {
            (each["manager"], each["operation"], each.get("subresource", "")): each["fieldsV1"]
            for each in meta.get("managedFields", ())
        }


def without_replicas(body: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(body)
    result["spec"].pop("replicas", None)
    return result


TWO = workload(replicas=2)
SET = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "s", "namespace": "a"},
    "spec": {"replicas": 2},
}
APPLIED = {
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}, "f:name": {}}}},
        },
    }
}


def test_apply_creates_and_notes_who_owns_what() -> None:
    world = Applied()
    made = world.apply(TWO)
    assert made.code == 201
    (entry,) = to_json(made.object)["metadata"]["managedFields"]
    assert entry == {
        "manager": "me",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "time": "2023-11-14T22:13:21Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": APPLIED,
    }


def test_apply_twice_changes_nothing() -> None:
    world = Applied()
    world.apply(TWO)
    first = world.get("Deployment", "d")
    again = world.apply(TWO)
    assert again.code == 200 and world.get("Deployment", "d") is first and world.changes == ()


def test_nobody_else_is_noted_before_the_first_apply() -> None:
    world = Applied()
    world.make(workload(replicas=3))
    assert world.owners() == {}
    world.change({"spec": {"replicas": 4}})
    assert world.owners() == {}
    assert world.apply(workload(replicas=4)).ok
    assert world.owners()[("me", "Apply", "")] == APPLIED
    before = world.owners()[("before-first-apply", "Update", "")]
    assert before["f:spec"]["f:replicas"] == {} and before["f:spec"]["f:strategy"]["f:type"] == {}
    assert not {"f:apiVersion", "f:kind"} & set(before) and "f:name" not in before.get("f:metadata", {})


def test_who_changes_a_field_takes_it_over() -> None:
    world = Applied()
    world.apply(TWO)
    world.change({"spec": {"replicas": 5}}, "kubectl-scale")
    owners = world.owners()
    assert owners[("kubectl-scale", "Update", "")] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners[("me", "Apply", "")]["f:spec"]


def test_a_conflict_names_fields_and_owners() -> None:
    world = Applied()
    world.apply(TWO)
    world.change({"spec": {"replicas": 5}}, "kubectl")
    refused = world.apply(TWO)
    assert (refused.code, refused.reason) == (409, "Conflict")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas'
    image = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "nginx:2"}]}}}}
    world.now += SECOND
    world.done(Patch(key=WEB, body=image, type="strategic", manager="ci"))
    assert world.apply(workload(replicas=7)).message == (
        'Apply failed with 2 conflicts: conflicts with "ci" using apps/v1:\n'
        '- .spec.template.spec.containers[name="app"].image\n'
        'conflicts with "kubectl" using apps/v1:\n- .spec.replicas'
    )
    other = Applied()
    other.apply(TWO, "one")
    assert other.apply(workload(replicas=3), "two").message.endswith('conflict with "one": .spec.replicas')
    other.apply(SET, "one")
    other.apply({**SET, "status": {"observedGeneration": 7}}, "one", subresource="status")
    text = other.apply({**SET, "status": {"observedGeneration": 8}}, "two", subresource="status").message
    assert text.endswith('conflict with "one" with subresource "status": .status.observedGeneration')


def test_the_same_value_is_shared_and_force_takes_over() -> None:
    world = Applied()
    world.apply(TWO, "one")
    assert world.apply(TWO, "two").ok
    assert set(world.owners()) == {("one", "Apply", ""), ("two", "Apply", "")}
    assert world.apply(workload(replicas=9), "two").code == 409
    assert world.apply(workload(replicas=9), "two", force=True).ok
    assert world.get("Deployment", "d").spec.replicas == 9
    assert "f:replicas" not in world.owners()[("one", "Apply", "")]["f:spec"]


def test_what_is_no_longer_applied_goes_unless_somebody_else_owns_it() -> None:
    world = Applied()
    labels = {**config_map(labels={"x": "1", "y": "2"}), "data": {"a": "1", "b": "2"}}
    world.apply(labels, "one")
    world.apply({**config_map(), "data": {"b": "2"}}, "two")
    world.apply(config_map(labels={"x": "1"}), "one")
    left = to_json(world.get("ConfigMap", "c"))
    assert left["metadata"]["labels"] == {"x": "1"} and left["data"] == {"b": "2"}
    world.apply(config_map(), "two")
    assert "data" not in to_json(world.get("ConfigMap", "c"))
    world.apply(config_map(), "one")
    assert "labels" not in to_json(world.get("ConfigMap", "c"))["metadata"]


def test_items_of_lists_with_keys_have_owners_of_their_own() -> None:
    world = Applied()
    two = copy.deepcopy(TWO)
    two["spec"]["template"]["spec"]["containers"].append(
        {"name": "log", "image": "x:1", "ports": [{"containerPort": 80}]}
    )
    world.apply(two, "one")
    world.apply(TWO, "two")
    assert world.apply(TWO, "one").ok
    spec = world.get("Deployment", "d").spec.template.spec
    assert [each.name for each in spec.containers] == ["app"]
    world.apply(two, "one")
    extra = copy.deepcopy(without_replicas(TWO))
    extra["spec"]["template"]["spec"]["containers"] = [{"name": "more", "image": "y:1"}]
    world.apply(extra, "three")
    names = [each.name for each in world.get("Deployment", "d").spec.template.spec.containers]
    assert names == ["app", "log", "more"]
    world.apply(TWO, "one")
    assert [each.name for each in world.get("Deployment", "d").spec.template.spec.containers] == ["app", "more"]


REFUSED = [
    ({}, "", 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'),
    ([], "me", 400, "error decoding YAML: expected an object with apiVersion and kind"),
    ({"kind": "Deployment"}, "me", 400, "error decoding YAML: expected an object with apiVersion and kind"),
    (
        {"apiVersion": "v1", "kind": "Pod"},
        "me",
        400,
        "the kind in the data (Pod) does not match the expected kind (Deployment)",
    ),
    (
        {**TWO, "apiVersion": "apps/v2"},
        "me",
        400,
        "Incorrect version specified in apply patch. Specified patch version: apps/v2, expected: apps/v1",
    ),
    (
        {**TWO, "metadata": {"name": "x"}},
        "me",
        400,
        "the name of the object (x) does not match the name on the URL (d)",
    ),
    ({**TWO, "metadata": {"managedFields": [{}]}}, "me", 400, "metadata.managedFields must be nil"),
    (
        {**TWO, "spec": 7},
        "me",
        400,
        "failed to create typed patch object (Deployment): spec: found the number 7, expected an object",
    ),
]


@pytest.mark.parametrize(("body", "manager", "code", "text"), REFUSED)
def test_applies_that_are_refused(body: Any, manager: str, code: int, text: str) -> None:
    for world in (World(), World()):
        refused = world.refused(Patch(key=WEB, type="apply", body=body, manager=manager))
        reason = {400: "BadRequest", 422: "Invalid"}[code]
        assert refused == (code, reason, text)
        world.make(TWO)
        refused = world.refused(Patch(key=WEB, type="apply", body=body, manager=manager, force=True))
        assert refused == (code, reason, text)


def test_parts_are_applied_apart() -> None:
    world = Applied()
    assert world.apply(SET, subresource="status").code == 404
    world.apply({**SET, "status": {"replicas": 7}})
    assert "status" not in to_json(world.get("StatefulSet", "s"))
    assert "f:status" not in world.owners("StatefulSet", "s")[("me", "Apply", "")]
    world.apply({**SET, "spec": {"replicas": 50}, "status": {"observedGeneration": 1}}, subresource="status")
    stored = to_json(world.get("StatefulSet", "s"))
    assert stored["status"] == {"observedGeneration": 1} and stored["spec"] == {"replicas": 2}
    assert world.owners("StatefulSet", "s")[("me", "Apply", "status")] == {"f:status": {"f:observedGeneration": {}}}


def test_kubectl_takes_over_what_it_applied_by_itself() -> None:
    applied = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 3}})
    note = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    for manager, code in (("kubectl", 200), ("other", 409)):
        world = Applied()
        made = workload(replicas=3)
        world.make({**made, "metadata": {**made["metadata"], "annotations": note}})
        assert world.apply(workload(replicas=9), manager).code == code
    broken = {"kubectl.kubernetes.io/last-applied-configuration": "{"}
    world = Applied()
    world.make({**made, "metadata": {**made["metadata"], "annotations": broken}})
    assert world.apply(workload(replicas=9), "kubectl").code == 409


def test_an_option_notes_owners_from_the_start() -> None:
    world = Applied(Options(managed_fields=True))
    world.make(workload(replicas=3))
    (own,) = world.owners()
    assert own == ("kubectl", "Update", "")
    spec = world.owners()[own]["f:spec"]
    assert spec["f:replicas"] == {} and spec["f:selector"] == {} and "." not in spec
    labels = spec["f:template"]["f:metadata"]["f:labels"]
    assert labels == {".": {}, "f:app": {}}
    container = spec["f:template"]["f:spec"]["f:containers"]['k:{"name":"app"}']
    assert container["."] == {} and container["f:resources"] == {} and "f:terminationMessagePath" in container
    assert spec["f:strategy"]["f:rollingUpdate"] == {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}
    world.change({"spec": {"replicas": 4}}, "ci")
    world.change({"spec": {"replicas": None}}, "ci")
    assert world.owners()[("ci", "Update", "")] == {"f:spec": {"f:replicas": {}}}


def test_a_status_and_a_deletion() -> None:
    world = Applied(Options(managed_fields=True))
    world.make(pod(nodeName="n"))
    stored = world.get("Pod", "p")
    status = evolve(stored.status, phase="Running", message="x")
    world.done(PatchStatus(key=("Pod", "a", "p"), uid="", status=status), "kubelet")
    assert world.owners("Pod", "p")[("kubelet", "Update", "status")]["f:status"] == {"f:message": {}, "f:phase": {}}
    before = world.owners("Pod", "p")
    world.done(Delete(key=("Pod", "a", "p")))
    assert world.get("Pod", "p").metadata.deletion_timestamp is not None and world.owners("Pod", "p") == before


def test_an_update_keeps_the_owners_and_an_empty_list_ends_them() -> None:
    world = Applied()
    world.apply(TWO)
    stored = world.get("Deployment", "d")
    bare = evolve(stored, metadata=evolve(stored.metadata, extra={}, labels={"x": "y"}))
    world.now += SECOND
    world.done(Update(object=bare))
    assert world.owners()[("kubectl", "Update", "")] == {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}}
    assert ("me", "Apply", "") in world.owners()
    ended = evolve(bare, metadata=evolve(bare.metadata, resource_version="", extra={"managedFields": []}))
    world.done(Update(object=ended))
    assert world.owners() == {}


def test_times_move_only_with_changes() -> None:
    world = Applied()
    world.apply(TWO)
    world.change({"metadata": {"labels": {"a": "1"}}})
    world.change({"metadata": {"labels": {"a": "1"}}})
    world.apply(workload(replicas=3))
    entries = to_json(world.get("Deployment", "d"))["metadata"]["managedFields"]
    assert [(each["manager"], each["time"]) for each in entries] == [
        ("me", "2023-11-14T22:13:24Z"),
        ("you", "2023-11-14T22:13:22Z"),
    ]


def test_old_writers_are_taken_together() -> None:
    world = Applied()
    world.apply(TWO)
    for number in range(12):
        world.change({"metadata": {"annotations": {f"n{number}": "x"}}}, f"writer-{number}")
    names = [manager for manager, operation, _ in world.owners() if operation == "Update"]
    assert len(names) == 10 and names[0] == "ancient-changes" and "writer-11" in names and "writer-2" not in names
    ancient = world.owners()[("ancient-changes", "Update", "")]["f:metadata"]["f:annotations"]
    assert {"f:n0", "f:n1", "f:n2"} <= set(ancient)


MANAGERS = [
    ("kubelet", "kubelet"),
    ("kube-scheduler", "kube-scheduler"),
    ("kube-proxy", "kube-proxy"),
    ("apiserver", "kube-apiserver"),
    ("user", "kubectl"),
    ("replicaset-controller", "kube-controller-manager"),
]


@pytest.mark.parametrize(("actor", "name"), MANAGERS)
def test_names_of_managers(actor: str, name: str) -> None:
    assert manager_of(actor) == name


def test_a_sender_may_say_its_name() -> None:
    world = World(Options(managed_fields=True))
    answer = world.api.handle(
        world.store,
        Create(object=from_json(config_map(labels={"a": "b"}))),
        Sender("user", manager="ci"),
        world.now,
        world.chance,
    )
    assert answer.outcome.object.metadata.extra["managedFields"][0]["manager"] == "ci"


# -- lists, maps ------------------------------------------------------------------------------------------------------

ITEMS = [
    ("Pod", "metadata.ownerReferences", {"uid": "u", "name": "x"}, 'k:{"uid":"u"}'),
    ("Pod", "metadata.finalizers", "x.org/y", 'v:"x.org/y"'),
    ("Pod", "spec.containers", {"name": "a"}, 'k:{"name":"a"}'),
    ("Pod", "spec.initContainers", {"name": "a"}, 'k:{"name":"a"}'),
    ("Pod", "spec.ephemeralContainers", {"name": "a"}, 'k:{"name":"a"}'),
    ("Pod", "spec.containers.ports", {"containerPort": 80}, 'k:{"containerPort":80,"protocol":"TCP"}'),
    ("Pod", "spec.initContainers.ports", {"containerPort": 80}, 'k:{"containerPort":80,"protocol":"TCP"}'),
    ("Pod", "spec.ephemeralContainers.ports", {"containerPort": 80}, 'k:{"containerPort":80,"protocol":"TCP"}'),
    ("Service", "spec.ports", {"port": 80, "protocol": "UDP"}, 'k:{"port":80,"protocol":"UDP"}'),
    ("EndpointSlice", "ports", {"port": 80}, None),
    ("NetworkPolicy", "spec.ingress.ports", {"port": 80}, None),
    ("EndpointSlice", "endpoints.addresses", "10.0.0.1", 'v:"10.0.0.1"'),
    ("Pod", "spec.containers.env", {"name": "X"}, 'k:{"name":"X"}'),
    ("Pod", "spec.containers.volumeMounts", {"mountPath": "/x"}, 'k:{"mountPath":"/x"}'),
    ("Pod", "spec.containers.volumeDevices", {"devicePath": "/x"}, 'k:{"devicePath":"/x"}'),
    ("Pod", "spec.volumes", {"name": "v"}, 'k:{"name":"v"}'),
    ("Pod", "spec.imagePullSecrets", {"name": "v"}, 'k:{"name":"v"}'),
    ("ServiceAccount", "secrets", {"name": "v"}, 'k:{"name":"v"}'),
    ("Pod", "spec.resourceClaims", {"name": "v"}, 'k:{"name":"v"}'),
    ("Pod", "spec.schedulingGates", {"name": "v"}, 'k:{"name":"v"}'),
    ("Pod", "spec.containers.resources.claims", {"name": "v"}, 'k:{"name":"v"}'),
    ("Pod", "spec.hostAliases", {"ip": "1.1.1.1"}, 'k:{"ip":"1.1.1.1"}'),
    (
        "Pod",
        "spec.topologySpreadConstraints",
        {"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"},
        'k:{"topologyKey":"z","whenUnsatisfiable":"DoNotSchedule"}',
    ),
    ("Pod", "status.conditions", {"type": "Ready"}, 'k:{"type":"Ready"}'),
    ("Pod", "spec.conditions", {"type": "Ready"}, None),
    ("Pod", "status.podIPs", {"ip": "1.1.1.1"}, 'k:{"ip":"1.1.1.1"}'),
    ("Node", "status.addresses", {"type": "Hostname"}, 'k:{"type":"Hostname"}'),
    ("Node", "spec.podCIDRs", "10.0.0.0/24", 'v:"10.0.0.0/24"'),
    ("ValidatingWebhookConfiguration", "webhooks", {"name": "w"}, 'k:{"name":"w"}'),
    ("ValidatingAdmissionPolicy", "spec.matchConditions", {"name": "w"}, 'k:{"name":"w"}'),
    ("Pod", "spec.tolerations", {"key": "k"}, None),
    ("Pod", "spec.containers.args", "x", None),
]


@pytest.mark.parametrize(("kind", "place", "entry", "element"), ITEMS)
def test_what_tells_items_of_lists_apart(kind: str, place: str, entry: Any, element: str | None) -> None:
    path = tuple(f"f:{name}" for name in place.split("."))
    schema = Schema(kind)
    assert schema.list_type(path).element(entry) == element
    assert schema.list_type(path).type == ("atomic" if element is None else "set" if element[0] == "v" else "map")
    assert schema.is_atomic(path, [entry]) is (element is None)


def test_a_kind_without_a_schema_has_lists_as_a_whole() -> None:
    schema = Schema("Crontab", {})
    assert schema.list_type(("f:spec", "f:containers")).type == "atomic"
    assert schema.list_type(("f:metadata", "f:finalizers")).type == "set"


ATOMIC = [
    "spec.selector", "spec.labelSelector", "spec.namespaceSelector", "webhooks.objectSelector", "spec.nodeSelector",
    "a.nodeSelectorTerms", "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", "valueFrom.secretKeyRef",
    "valueFrom.configMapKeyRef", "valueFrom.fieldRef", "valueFrom.resourceFieldRef", "spec.claimRef",
    "endpoints.targetRef", "involvedObject", "roleRef", "csi.secretRef",
]  # fmt: skip


@pytest.mark.parametrize("place", ATOMIC)
def test_maps_with_one_owner(place: str) -> None:
    path = tuple(f"f:{name}" for name in place.split("."))
    assert Schema("Pod").is_atomic(path, {"a": "b"})
    assert field_set(Schema("Pod"), {"x": {"a": "b"}}, path[:-1]) == {(*path[:-1], "f:x", "f:a")}


def test_maps_with_many_owners() -> None:
    for path in (("f:metadata", "f:labels"), ("f:envFrom", "f:secretRef"), ()):
        assert not Schema("Pod").is_atomic(path, {"a": "b"})


def test_an_item_without_its_key_makes_the_list_one_field() -> None:
    schema = Schema("Pod")
    assert field_set(schema, {"spec": {"containers": [{"image": "x"}]}}) == {("f:spec", "f:containers")}
    assert field_set(schema, {"spec": {"containers": []}, "metadata": {}}) == {
        ("f:spec", "f:containers"),
        ("f:metadata",),
    }


MERGED = [
    ("abc", "b", "abc"),
    ("abc", "ca", "bca"),
    ("abc", "xb", "axbc"),
    ("", "ab", "ab"),
    ("ab", "", "ab"),
    ("abcd", "dxa", "bcdxa"),
]


@pytest.mark.parametrize(("live", "wanted", "result"), MERGED)
def test_items_in_the_order_of_the_one_who_applies(live: str, wanted: str, result: str) -> None:
    def listed(names: str) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": name} for name in names]}} if names else {"spec": {}}

    merged = merge(Schema("Pod"), listed(live), listed(wanted))
    assert "".join(each["name"] for each in merged["spec"]["containers"]) == result


def test_differences() -> None:
    schema = Schema("Service")
    old = {"spec": {"ports": [{"port": 80, "name": "a"}], "type": "ClusterIP", "externalIPs": ["1.1.1.1"], "x": None}}
    new = {"spec": {"ports": [{"port": 81}], "type": "NodePort", "externalIPs": ["1.1.1.1"], "x": {"y": 1}}}
    found = compare(schema, old, new)
    assert set(map(shown, found.added)) == {
        '.spec.ports[port=81,protocol="TCP"]',
        '.spec.ports[port=81,protocol="TCP"].port',
        ".spec.x.y",
    }
    assert set(map(shown, found.modified)) == {".spec.type"}
    assert set(map(shown, found.removed)) == {
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].port',
        '.spec.ports[port=80,protocol="TCP"].name',
    }
    assert compare(schema, old, old).is_none and not found.is_none


def test_a_set_is_written_and_read() -> None:
    paths = frozenset({("f:a",), ("f:a", "f:b"), ("f:c", 'k:{"n":1}', "f:d"), ("f:e", 'v:"x"')})
    tree = fields_v1(paths)
    assert tree == {"f:a": {".": {}, "f:b": {}}, "f:c": {'k:{"n":1}': {"f:d": {}}}, "f:e": {'v:"x"': {}}}
    assert read_fields(tree) == paths
    assert read_fields([]) == frozenset() and read_fields({"x": {}}) == frozenset()
    assert shown(("f:e", 'v:"x"')) == '.e[="x"]' and shown(("f:e", "i:3")) == ".e[3]"
    assert with_parents(frozenset({("f:a", "f:b", "f:c")})) == {("f:a",), ("f:a", "f:b"), ("f:a", "f:b", "f:c")}


def test_removal() -> None:
    schema = Schema("Pod")
    value = {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}], "nodeName": "n"}}
    gone = frozenset({("f:spec", "f:containers", 'k:{"name":"b"}'), ("f:spec", "f:nodeName")})
    assert without(schema, value, gone) == {"spec": {"containers": [{"name": "a", "image": "x"}]}}


NAMES = st.sampled_from(["a", "b", "c"])
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"image": NAMES, "args": st.lists(NAMES, max_size=2)}),
    max_size=3,
    unique_by=lambda each: each["name"],
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(NAMES, NAMES, max_size=3)}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": CONTAINERS,
                "nodeSelector": st.dictionaries(NAMES, NAMES),
                "priority": st.integers(0, 2),
            },
        ),
    },
)


@given(live=DOCUMENTS, wanted=DOCUMENTS)
@settings(max_examples=150, deadline=None)
def test_what_is_merged_has_all_that_was_wanted(live: Any, wanted: Any) -> None:
    schema = Schema("Pod")
    merged = merge(schema, live, wanted)
    assert merge(schema, merged, wanted) == merged
    assert compare(schema, merged, merge(schema, merged, wanted)).is_none
    left = compare(schema, wanted, merged)
    assert not left.modified and not left.removed
    assert read_fields(fields_v1(field_set(schema, merged))) == field_set(schema, merged)


LABELS = st.dictionaries(NAMES, NAMES, max_size=3)
STEPS = st.lists(
    st.tuples(st.sampled_from(["one", "two"]), LABELS, st.dictionaries(NAMES, NAMES, max_size=3)),
    min_size=1,
    max_size=5,
)


@given(steps=STEPS)
@settings(max_examples=40, deadline=None)
def test_who_applies_gets_what_he_applies_and_a_second_time_nothing(steps: Any) -> None:
    world = Applied()
    for manager, labels, data in steps:
        body = {**config_map(labels=labels), "data": data}
        assert world.apply(body, manager, force=True).ok
        stored = world.get("ConfigMap", "c")
        document = to_json(stored)
        assert labels.items() <= document["metadata"].get("labels", {}).items()
        assert data.items() <= document.get("data", {}).items()
        assert world.apply(body, manager, force=True).object is stored


def test_who_no_longer_applies_leaves_nothing_behind() -> None:
    world = Applied()
    body = service(ports=[{"port": 80}, {"port": 81, "name": "b"}])
    body["spec"]["ports"][0]["name"] = "a"
    world.apply(body)
    body["spec"]["ports"] = body["spec"]["ports"][:1]
    assert world.apply(body).ok
    assert [each.port for each in world.get("Service", "s").spec.ports] == [80]
    assert key_of(world.get("Service", "s")) == ("Service", "a", "s")
