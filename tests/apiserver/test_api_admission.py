"""Admission: every row of its tables, on real objects."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, config_map, pod, workload

from k8sfsm.apiserver import Options
from k8sfsm.objects import from_json, to_json
from k8sfsm.request import Create, Delete, Patch

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def create(manifest: dict[str, Any]) -> Create:
    return Create(object=from_json(manifest))


def in_namespace(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def test_nothing_is_created_in_a_missing_namespace() -> None:
    world = World()
    assert world.refused(create(in_namespace(config_map(), "b"))) == (404, "NotFound", 'namespaces "b" not found')
    assert world.refused(create(in_namespace(pod(), "b")))[0] == 404


def test_nothing_is_created_in_a_namespace_that_goes() -> None:
    world = World()
    world.done(Delete(key=("Namespace", "", "a")))
    code, reason, text = world.refused(create(config_map()))
    assert (code, reason) == (403, "Forbidden")
    assert text == (
        'configmaps "c" is forbidden: unable to create new content in namespace a because it is being terminated'
    )
    assert world.refused(create(pod()))[0] == 403
    assert world.send(Delete(key=("ServiceAccount", "a", "default"))).ok


def test_cluster_scoped_objects_need_no_namespace() -> None:
    assert World(bare=True).send(create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})).code == 201


def test_a_pod_needs_its_service_account() -> None:
    world = World()
    assert world.refused(create(pod(serviceAccountName="me"))) == (
        403,
        "Forbidden",
        'pods "p" is forbidden: error looking up service account a/me: serviceaccount "me" not found',
    )
    world.done(Delete(key=("ServiceAccount", "a", "default")))
    assert 'serviceaccount "default" not found' in world.refused(create(pod(name="")))[2]


def test_a_pod_gets_its_account_and_pull_secrets() -> None:
    world = World()
    account = {"name": "me", "namespace": "a"}
    world.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account, "imagePullSecrets": [{"name": "s"}]})
    made = world.make(pod(serviceAccountName="me"))
    assert (made.spec.service_account_name, made.spec.service_account) == ("me", "me")
    assert to_json(made)["spec"]["imagePullSecrets"] == [{"name": "s"}]
    own = world.make(pod("q", serviceAccountName="me", imagePullSecrets=[{"name": "own"}]))
    assert to_json(own)["spec"]["imagePullSecrets"] == [{"name": "own"}]
    assert world.make(pod("r")).spec.service_account_name == "default"


def test_a_pod_gets_its_accounts_token() -> None:
    world = World(Options(extra_root_bundles=(("extra", "ca.crt"),)))
    mounted = {"name": "x", "image": "x:1", "volumeMounts": [{"name": "own", "mountPath": TOKEN}]}
    spec = {"containers": [{"name": "app", "image": "x:1"}, mounted], "initContainers": [{"name": "i", "image": "x:1"}]}
    own = {"name": "own", "emptyDir": {}}
    made = to_json(world.make(pod(**spec, volumes=[own])))["spec"]
    first, volume = made["volumes"]
    assert first == own
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == 21
    mount = {"name": volume["name"], "readOnly": True, "mountPath": TOKEN}
    assert made["containers"][0]["volumeMounts"] == made["initContainers"][0]["volumeMounts"] == [mount]
    assert made["containers"][1]["volumeMounts"] == mounted["volumeMounts"]
    sources = volume["projected"]["sources"]
    assert volume["projected"]["defaultMode"] == 420
    assert sources[0] == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    assert [source["configMap"]["name"] for source in sources if "configMap" in source] == ["kube-root-ca.crt", "extra"]
    assert to_json(world.make(pod("q", containers=[mounted], volumes=[own])))["spec"]["volumes"] == [own]


@pytest.mark.parametrize(
    ("of_pod", "of_account", "mounted"),
    [(None, None, True), (None, False, False), (True, False, True), (False, True, False), (None, True, True)],
)
def test_pod_and_account_say_whether_the_token_is_mounted(
    of_pod: bool | None, of_account: bool | None, mounted: bool
) -> None:
    world = World()
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "me", "namespace": "a"}}
    world.make(account if of_account is None else {**account, "automountServiceAccountToken": of_account})
    wish = {} if of_pod is None else {"automountServiceAccountToken": of_pod}
    assert bool(world.make(pod(serviceAccountName="me", **wish)).spec.volumes) is mounted


def test_pods_of_one_template_share_what_admission_makes_of_it_but_no_token_volume() -> None:
    world = World()
    template = from_json(pod()).spec
    first, second = (
        world.done(Create(object=from_json(pod(name)).__class__(metadata=from_json(pod(name)).metadata, spec=template)))
        for name in ("p", "q")
    )
    assert first.spec.tolerations is second.spec.tolerations
    assert first.spec.volumes != second.spec.volumes
    world.done(Delete(key=("ServiceAccount", "a", "default")))
    metadata = from_json(pod("r")).metadata
    assert world.send(Create(object=type(first)(metadata=metadata, spec=template))).code == 403


def test_a_new_node_is_tainted() -> None:
    world = World(bare=True)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    made = to_json(world.make(node))
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    taints = [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]
    again = to_json(world.make({**node, "metadata": {"name": "m"}, "spec": {"taints": taints}}))
    assert again["spec"]["taints"] == taints


def priority_class(name: str, value: int, **fields: Any) -> dict[str, Any]:
    meta = {"name": name}
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": meta, "value": value, **fields}


def test_priority() -> None:
    world = World()
    plain = world.make(pod()).spec
    assert (plain.priority, plain.preemption_policy) == (0, "PreemptLowerPriority")
    world.make(priority_class("high", 1000, preemptionPolicy="Never"))
    high = world.make(pod("q", priorityClassName="high")).spec
    assert (high.priority, high.preemption_policy) == (1000, "Never")
    assert world.refused(create(pod("r", priorityClassName="none"))) == (
        403,
        "Forbidden",
        'pods "r" is forbidden: no PriorityClass with name none was found',
    )
    assert "integer value of priority (5) must not" in world.refused(create(pod("r", priority=5)))[2]
    assert "string value of preemptionPolicy (Never)" in world.refused(create(pod("r", preemptionPolicy="Never")))[2]
    assert world.make(pod("same", priority=0)).spec.priority == 0


def test_the_lowest_default_priority_class_wins() -> None:
    world = World()
    world.make(priority_class("b", 20, globalDefault=True))
    api, world.api = world.api, World(Options(admission=False)).api
    world.make(priority_class("c", 10, globalDefault=True))
    world.api = api
    assert world.make(pod()).spec.priority == 10


NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
BOTH = [(NOT_READY, "NoExecute", 300), (UNREACHABLE, "NoExecute", 300)]


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], BOTH),
        ([{"key": "other", "operator": "Exists"}], BOTH),
        ([{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute"}], BOTH[1:]),
        ([{"key": NOT_READY, "operator": "Exists", "effect": "NoSchedule"}], BOTH),
        ([{"key": UNREACHABLE, "operator": "Exists"}], BOTH[:1]),
        ([{"operator": "Exists"}], []),
        ([{"operator": "Exists", "effect": "NoSchedule"}], BOTH),
    ],
)
def test_tolerations_of_failed_nodes(given: list[Any], added: list[Any]) -> None:
    made = World().make(pod(tolerations=given)).spec.tolerations
    assert [(each.key, each.effect, each.toleration_seconds) for each in made[len(given) :]] == added


def test_a_pod_that_is_created_with_a_node_has_its_topology_labels() -> None:
    world = World()
    labels = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "other": "x"}
    world.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}})
    assert world.make(pod(nodeName="n")).metadata.labels == {key: labels[key] for key in labels if key != "other"}
    assert world.make(pod("q", nodeName="gone")).metadata.labels == {}
    assert world.make(pod("r")).metadata.labels == {}


def test_templates_are_left_alone() -> None:
    made = World().make(workload("ReplicaSet"))
    assert (made.spec.template.spec.priority, made.spec.template.spec.tolerations) == (None, ())


def test_admission_can_be_turned_off() -> None:
    world = World(Options(admission=False), bare=True)
    assert world.make(pod()).spec.tolerations == ()


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_stay(name: str) -> None:
    world = World()
    world.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert world.refused(Delete(key=("Namespace", "", name))) == (
        403,
        "Forbidden",
        f'namespaces "{name}" is forbidden: this namespace may not be deleted',
    )


def test_objects_of_those_names_go() -> None:
    world = World()
    assert world.send(Delete(key=("ServiceAccount", "a", "default"))).ok


def test_there_is_one_default_priority_class_at_most() -> None:
    world = World()
    world.make(priority_class("b", 20, globalDefault=True))
    assert world.refused(create(priority_class("c", 10, globalDefault=True))) == (
        403,
        "Forbidden",
        'priorityclasses.scheduling.k8s.io "c" is forbidden: PriorityClass b is already marked as default. '
        "Only one default can exist",
    )
    world.make(priority_class("c", 10))
    world.done(Patch(key=("PriorityClass", "", "b"), body={"description": "the usual"}))


def test_an_object_is_found_valid_before_plugins_look_at_it() -> None:
    world = World()
    limits = [{"type": "Container", "max": {"cpu": "1"}}]
    meta = {"name": "l", "namespace": "a"}
    world.make({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": limits}})
    big = pod("", containers=[{"name": "app", "image": "i:1", "resources": {"limits": {"cpu": "2"}}}])
    code, _, text = world.refused(create(big))
    assert code == 403 and "maximum cpu usage per Container is 1, but limit is 2" in text
    assert len(text.partition('"')[2].partition('"')[0]) == len("p-12345"), "the name is made before"
    assert world.refused(create({**big, "spec": {**big["spec"], "restartPolicy": "Sometimes"}}))[0] == 422
