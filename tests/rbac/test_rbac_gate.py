# ruff: noqa: E501 (one case per line)
"""The first door of the write path, escalation, and the command that asks the same questions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_rbac_policy import binding, bob, role

from k8sfsm.apiserver import ApiServer, Options, Sender
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.wiring import sender_of
from k8sfsm.machine import Machines
from k8sfsm.objects import Event, ObjectMeta, evolve, from_json
from k8sfsm.request import Bind, Create, Delete, DeleteCollection, Evict, Outcome, Patch, PatchStatus, Update, Write
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.play import play
from k8sfsm.store import Store
from k8sfsm_cli.app import main

NOW = 1_700_000_000_500_000_000
MACHINES = Machines.load()
READ_PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
ALL_PODS = {"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}


class Cluster:
    """An API server that judges people too."""

    def __init__(self, objects: Iterable[Any] = ()) -> None:
        self.api = ApiServer(MACHINES, Options(rbac=True))
        self.store = Store.starting_at(0)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "a"}}
        for obj in (from_json(namespace), from_json(account), *objects):
            assert self.send(Create(object=obj)).ok

    def send(self, write: Write, account: str = "user", sender: Sender | None = None) -> Outcome:
        answer = self.api.handle(self.store, write, sender or Sender("user", account), NOW, Seeded(1))
        self.store = answer.store
        return answer.outcome


def pod(name: str = "p", **spec: Any) -> Any:
    containers = [{"name": "app", "image": "nginx:1"}]
    meta = {"name": name, "namespace": "a"}
    return from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers, **spec}})


def test_people_need_a_role() -> None:
    cluster = Cluster([binding("b", ("ClusterRole", "edit"), bob())])
    assert cluster.send(Create(object=pod()), "bob").code == 201
    refused = cluster.send(Create(object=pod("q")), "eve")
    text = 'pods is forbidden: User "eve" cannot create resource "pods" in API group "" in the namespace "a"'
    assert (refused.code, refused.reason, refused.message) == (403, "Forbidden", text)
    assert cluster.store.get("Pod", "a", "q") is None


VERBS = [
    (Create(object=pod("q")), "create", "pods"),
    (Update(object=pod()), "update", "pods"),
    (Update(object=pod(), subresource="status"), "update", "pods/status"),
    (Patch(key=("Pod", "a", "p"), body={"spec": {}}), "patch", "pods"),
    (Patch(key=("Pod", "a", "p"), body={}), "get", "pods"),
    (PatchStatus(key=("Pod", "a", "p"), uid="", status=pod().status), "patch", "pods/status"),
    (Delete(key=("Pod", "a", "p")), "delete", "pods"),
    (DeleteCollection(kind="Pod", namespace="a"), "deletecollection", "pods"),
    (Bind(key=("Pod", "a", "p"), uid="", node="n"), "create", "pods/binding"),
    (Evict(key=("Pod", "a", "p")), "create", "pods/eviction"),
]


@pytest.mark.parametrize(("write", "verb", "resource"), VERBS)
def test_the_verb_of_a_request(write: Write, verb: str, resource: str) -> None:
    message = Cluster().send(write, "eve").message
    assert f'User "eve" cannot {verb} resource "{resource}" in API group "" in the namespace "a"' in message
    rules = {"verbs": [verb], "apiGroups": [""], "resources": [resource]}
    cluster = Cluster([role("r", rules), binding("b", ("Role", "r"), bob(name="eve")), pod()])
    assert cluster.send(write, "eve").code != 403


def test_components_are_held_to_their_roles() -> None:
    cluster = Cluster()
    scheduler, controller = sender_of("kube-scheduler"), sender_of("replicaset-controller")
    assert cluster.send(Create(object=pod()), sender=controller).code == 201
    refused = cluster.send(Create(object=pod("q")), sender=scheduler)
    assert refused.message.startswith('pods is forbidden: User "system:kube-scheduler" cannot create resource "pods"')
    secret = from_json({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}})
    assert cluster.send(Create(object=secret), sender=controller).code == 403
    assert cluster.send(Create(object=secret), sender=sender_of("my-operator")).code == 201


def test_a_right_of_a_component_is_judged_once() -> None:
    cluster = Cluster()
    controller, kubelet = sender_of("replicaset-controller"), sender_of("kubelet", "n")
    write = Create(object=pod())
    assert not cluster.api.gate.knows(controller, write)
    cluster.send(write, sender=controller)
    assert cluster.api.gate.knows(controller, Create(object=pod("other")))
    assert not cluster.api.gate.knows(kubelet, write)
    assert not cluster.api.gate.knows(controller, Delete(key=("Pod", "a", "p")))
    status = PatchStatus(key=("Pod", "a", "p"), uid="", status=pod().status)
    cluster.send(status, sender=kubelet)
    assert cluster.api.gate.knows(kubelet, status)
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n", "namespace": "a"}}
    patch = Patch(key=("Lease", "a", "n"), body={})
    cluster.send(Create(object=from_json(lease)))
    cluster.send(patch, sender=kubelet)
    assert not cluster.api.gate.knows(kubelet, patch), "whether it may depends on the name"


def test_what_one_kubelet_may_all_may_of_their_own() -> None:
    cluster = Cluster([from_json({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-node-lease"}})])
    first, second = sender_of("kubelet", "n"), sender_of("kubelet", "m")

    def renewal(name: str, namespace: str = "kube-node-lease") -> Patch:
        return Patch(key=("Lease", namespace, name), body={"spec": {"leaseDurationSeconds": 41}})

    def lease(name: str) -> Create:
        meta = {"name": name, "namespace": "kube-node-lease"}
        return Create(object=from_json({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}))

    assert not cluster.api.gate.knows(second, lease("m"))
    assert cluster.send(lease("n"), sender=first).ok and cluster.send(renewal("n"), sender=first).ok
    assert cluster.api.gate.knows(second, lease("m")) and cluster.api.gate.knows(second, renewal("m"))
    assert cluster.send(lease("m"), sender=second).ok
    for other in (renewal("n"), renewal("m", "a")):
        assert not cluster.api.gate.knows(second, other)
        assert cluster.send(other, sender=second).code == 403
    for stranger in (evolve(second, account="system:node:n"), evolve(second, node=""), evolve(second, groups=("g",))):
        assert not cluster.api.gate.knows(stranger, renewal("m"))


def test_a_role_that_one_node_has_is_not_for_all_kubelets() -> None:
    subject = {"kind": "User", "name": "system:node:n", "apiGroup": "rbac.authorization.k8s.io"}
    cluster = Cluster([role("scale", ALL_PODS), binding("b", ("Role", "scale"), subject)])
    cluster.send(Create(object=pod()))
    write = Evict(key=("Pod", "a", "p"))
    collection = DeleteCollection(kind="Pod", namespace="a")
    assert cluster.send(collection, sender=sender_of("kubelet", "n")).ok
    assert not cluster.api.gate.knows(sender_of("kubelet", "m"), collection)
    assert cluster.send(collection, sender=sender_of("kubelet", "m")).code == 403
    assert cluster.send(write, sender=sender_of("kubelet", "m")).code != 201


def test_what_people_may_is_looked_up_each_time() -> None:
    cluster = Cluster([binding("b", ("ClusterRole", "edit"), bob())])
    assert cluster.send(Create(object=pod()), "bob").ok
    assert cluster.send(Delete(key=("RoleBinding", "a", "b"))).ok
    assert cluster.send(Create(object=pod("q")), "bob").code == 403


def test_a_kubelet_keeps_to_its_node() -> None:
    cluster = Cluster([pod("mine", nodeName="n"), pod("yours", nodeName="m")])
    kubelet = sender_of("kubelet", "n")
    assert cluster.send(Delete(key=("Pod", "a", "mine"), grace_seconds=0), sender=kubelet).ok
    refused = cluster.send(Delete(key=("Pod", "a", "yours")), sender=kubelet)
    text = 'pods "yours" is forbidden: node "n" can only delete pods with spec.nodeName set to itself'
    assert (refused.code, refused.message) == (403, text)
    evicted = cluster.send(Evict(key=("Pod", "a", "yours")), sender=kubelet)
    assert evicted.message == 'pods "yours" is forbidden: node n can only evict pods with spec.nodeName set to itself'
    stored = cluster.store.get("Pod", "a", "yours")
    status = PatchStatus(key=("Pod", "a", "yours"), uid="", status=evolve(stored.status, phase="Failed"))
    assert "can only update pod status for pods" in cluster.send(status, sender=kubelet).message


def test_reports_are_open_to_the_kubelet_of_the_pods_node_where_the_right_is_known() -> None:
    cluster = Cluster()
    cluster.send(Create(object=pod(nodeName="n")))
    gate, stored = cluster.api.gate, cluster.store.get("Pod", "a", "p")
    kubelet, other = sender_of("kubelet", "n"), sender_of("kubelet", "m")

    def report(name: str = "p", namespace: str = "a") -> PatchStatus:
        return PatchStatus(key=("Pod", namespace, name), uid="", status=stored.status)

    assert not gate.is_open(kubelet, report(), stored)
    cluster.send(report(), sender=kubelet)
    senders = (
        kubelet,
        other,
        evolve(kubelet, groups=("g",)),
        evolve(kubelet, trusted=True),
        evolve(other, trusted=True),
    )
    for sender in senders:
        for write in (
            report(),
            report("q"),
            report("n"),
            report("p", "kube-node-lease"),
            Delete(key=("Pod", "a", "p")),
        ):
            assert gate.is_open(sender, write, stored) == (sender.node == "n" and gate.knows(sender, write)), write
    assert gate.is_open(kubelet, report("q"), stored) and not gate.is_open(other, report(), stored)
    assert not gate.is_open(kubelet, report("n"), stored)


def test_events_of_recorders_need_a_role_too() -> None:
    cluster = Cluster()
    event = Event(metadata=ObjectMeta(name="e", namespace="a"))
    for actor, code in (("replicaset-controller", 201), ("namespace-controller", 403)):
        named = evolve(event, metadata=evolve(event.metadata, name=actor))
        answer = cluster.api.record(cluster.store, Create(object=named), sender_of(actor), NOW, Seeded(1))
        assert answer.outcome.code == code, answer.outcome.message


# -- escalation -------------------------------------------------------------------------------------------------------

TEXT = 'user "bob" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
MAY_WRITE = binding("admin", ("ClusterRole", "admin"), bob())


def test_nobody_grants_what_he_does_not_have() -> None:
    cluster = Cluster([MAY_WRITE])
    more = role(
        "r",
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["nodes", "pods"]},
        {"verbs": ["get"], "apiGroups": ["x.org"], "resources": ["y"], "resourceNames": ["b", "a"]},
    )
    refused = cluster.send(Create(object=more), "bob")
    assert refused.message == (
        f'roles.rbac.authorization.k8s.io "r" is forbidden: {TEXT}'
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}\n'
        '{APIGroups:["x.org"], Resources:["y"], ResourceNames:["a"], Verbs:["get"]}\n'
        '{APIGroups:["x.org"], Resources:["y"], ResourceNames:["b"], Verbs:["get"]}'
    )
    assert cluster.send(Create(object=role("r", READ_PODS)), "bob").code == 201
    assert cluster.send(Update(object=role("r", ALL_PODS)), "bob").code == 403
    assert cluster.send(Patch(key=("Role", "a", "r"), body={"metadata": {"labels": {"x": "y"}}}), "bob").ok
    assert cluster.send(Update(object=more)).code == 200, "an administrator may"


def test_who_has_the_verb_escalate_may_grant_anything() -> None:
    escalate = {"verbs": ["escalate"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"]}
    cluster = Cluster([MAY_WRITE, role("e", escalate), binding("e", ("Role", "e"), bob())])
    nodes = {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}
    assert cluster.send(Create(object=role("r", nodes)), "bob").code == 201


def test_binding_a_role_needs_what_it_holds_or_the_verb_bind() -> None:
    bind = {"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]}
    only = {**bind, "resourceNames": ["cluster-admin"]}
    whole = binding("x", ("ClusterRole", "cluster-admin"), bob())
    cluster = Cluster([MAY_WRITE])
    refused = cluster.send(Create(object=whole), "bob").message
    head = 'rolebindings.rbac.authorization.k8s.io "x" is forbidden: '
    assert refused == head + TEXT + (
        '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}'
    )
    assert cluster.send(Create(object=binding("v", ("ClusterRole", "view"), bob())), "bob").code == 201
    missing = cluster.send(Create(object=binding("m", ("Role", "none"), bob())), "bob")
    assert (missing.code, missing.message) == (404, 'roles.rbac.authorization.k8s.io "none" not found')
    cluster = Cluster([MAY_WRITE, role("b", only), binding("b", ("Role", "b"), bob())])
    assert cluster.send(Create(object=binding("y", ("ClusterRole", "system:node"), bob())), "bob").code == 403
    assert cluster.send(Create(object=whole), "bob").code == 201


def test_an_aggregated_role_needs_everything() -> None:
    rules = {"verbs": ["*"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]}
    no_escalation = {**rules, "verbs": ["create", "update"]}
    some = Cluster(
        [role("w", no_escalation, kind="ClusterRole"), binding("w", ("ClusterRole", "w"), bob(), namespace="")]
    )
    selectors = {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}
    grown = role("g", kind="ClusterRole", aggregationRule=selectors)
    assert "{NonResourceURLs:" in some.send(Create(object=grown), "bob").message
    both = [
        role("w", no_escalation, kind="ClusterRole"),
        binding("w", ("ClusterRole", "cluster-admin"), bob(), namespace=""),
    ]
    assert Cluster(both).send(Create(object=grown), "bob").code == 201


def test_urls_are_held_by_their_beginning() -> None:
    write = {"verbs": ["create"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]}
    urls = {"verbs": ["get"], "nonResourceURLs": ["/api/*"]}
    cluster = Cluster(
        [role("w", write, urls, kind="ClusterRole"), binding("w", ("ClusterRole", "w"), bob(), namespace="")]
    )
    asked = {"verbs": ["get"], "nonResourceURLs": ["/api/v1"]}
    assert cluster.send(Create(object=role("r", asked, kind="ClusterRole")), "bob").code == 201
    other = {"verbs": ["get", "post"], "nonResourceURLs": ["/metrics"]}
    refused = cluster.send(Create(object=role("s", other, kind="ClusterRole")), "bob").message
    assert refused.endswith(
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}\n{NonResourceURLs:["/metrics"], Verbs:["post"]}'
    )


# -- validation, defaults ---------------------------------------------------------------------------------------------

RULE_FAULTS = [
    (
        "Role",
        {"apiGroups": [""], "resources": ["pods"]},
        "rules[0].verbs: Required value: verbs must contain at least one value",
    ),
    (
        "Role",
        {"verbs": ["get"], "nonResourceURLs": ["/x"]},
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ),
    (
        "ClusterRole",
        {"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["y"]},
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
    ),
    (
        "Role",
        {"verbs": ["get"], "resources": ["pods"]},
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
    ),
    (
        "Role",
        {"verbs": ["get"], "apiGroups": [""]},
        "rules[0].resources: Required value: resource rules must supply at least one resource",
    ),
]


@pytest.mark.parametrize(("kind", "rule", "text"), RULE_FAULTS)
def test_rules_that_are_none(kind: str, rule: dict[str, Any], text: str) -> None:
    cluster = Cluster()
    name = f'{kind}.rbac.authorization.k8s.io "r" is invalid: '
    assert cluster.send(Create(object=role("r", rule, kind=kind))).message == name + text
    assert cluster.send(Create(object=role("r", READ_PODS, kind=kind))).ok
    assert cluster.send(Update(object=role("r", rule, kind=kind))).message == name + text
    assert cluster.send(Create(object=role("u", {"verbs": ["get"], "nonResourceURLs": ["/x"]}, kind="ClusterRole"))).ok


def test_selectors_of_an_aggregated_role() -> None:
    selectors = {"clusterRoleSelectors": [{"matchLabels": {"-": "y"}}]}
    wrong = role("g", kind="ClusterRole", aggregationRule=selectors)
    cluster = Cluster([role("g", kind="ClusterRole")])
    for write in (Create(object=evolve(wrong, metadata=evolve(wrong.metadata, name="h"))), Update(object=wrong)):
        assert "aggregationRule.clusterRoleSelectors[0].matchLabels" in cluster.send(write).message


BINDING_FAULTS = [
    (("Thing", "x"), [], "a", 'roleRef.kind: Unsupported value: "Thing": supported values: "ClusterRole", "Role"'),
    (("Role", "x"), [], "", 'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'),
    (("Role", ""), [], "a", "roleRef.name: Required value"),
    (("Role", "a/b"), [], "a", "roleRef.name: Invalid value: \"a/b\": may not contain '/'"),
    (
        ("Role", "x"),
        [bob("Robot")],
        "a",
        'subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
    ),
    (("Role", "x"), [bob(name="")], "a", "subjects[0].name: Required value"),
    (("Role", "x"), [bob("ServiceAccount", "A B")], "a", "subjects[0].name: Invalid value"),
    (
        ("Role", "x"),
        [bob("ServiceAccount", apiGroup="x")],
        "a",
        'subjects[0].apiGroup: Unsupported value: "x": supported values: ""',
    ),
    (("ClusterRole", "x"), [bob("ServiceAccount")], "", "subjects[0].namespace: Required value"),
    (
        ("Role", "x"),
        [bob(apiGroup="x")],
        "a",
        'subjects[0].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
    ),
    (("Role", "x"), [bob("Group", apiGroup="x")], "a", 'subjects[0].apiGroup: Unsupported value: "x"'),
]


@pytest.mark.parametrize(("ref", "subjects", "namespace", "text"), BINDING_FAULTS)
def test_bindings_that_are_none(ref: tuple[str, str], subjects: list[Any], namespace: str, text: str) -> None:
    outcome = Cluster().send(Create(object=binding("b", ref, *subjects, namespace=namespace)))
    assert outcome.code == 422 and f": {text}" in outcome.message
    good = binding("b", ("ClusterRole", "x"), namespace=namespace)
    cluster = Cluster([good])
    assert text in cluster.send(Update(object=binding("b", ref, *subjects, namespace=namespace))).message


def test_a_binding_keeps_its_role_and_gets_its_groups() -> None:
    raw = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "b", "namespace": "a"},
    }
    subjects = [bob(), bob("Group"), bob("ServiceAccount")]
    cluster = Cluster([from_json({**raw, "roleRef": {"kind": "Role", "name": "x"}, "subjects": subjects})])
    stored = cluster.store.get("RoleBinding", "a", "b")
    group = "rbac.authorization.k8s.io"
    assert stored.role_ref.api_group == group
    assert [each.api_group for each in stored.subjects] == [group, group, ""]
    changed = cluster.send(Update(object=binding("b", ("Role", "y"))))
    assert "roleRef: Invalid value" in changed.message and changed.message.endswith("cannot change roleRef")
    wrong = from_json(
        {**raw, "metadata": {"name": "c", "namespace": "a"}, "roleRef": {"apiGroup": "x", "kind": "Role", "name": "x"}}
    )
    assert 'roleRef.apiGroup: Unsupported value: "x"' in cluster.send(Create(object=wrong)).message


# -- the command ------------------------------------------------------------------------------------------------------

MANIFESTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: devs, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    (tmp_path / "rbac.yaml").write_text(MANIFESTS)
    return str(tmp_path / "rbac.yaml")


def can_i(*words: str) -> Result:
    return CliRunner().invoke(main, ["can-i", *words])


def test_can_i(manifests: str) -> None:
    dev = ("--as", "bob", "--as-group", "devs", "-n", "shop", "-f", manifests)
    yes = can_i("create", "deploy", *dev)
    assert (yes.exit_code, yes.stdout) == (0, "yes\n")
    assert 'RBAC: allowed by RoleBinding "devs/shop" of ClusterRole "edit" to Group "devs"' in yes.stderr
    no = can_i("get", "nodes", *dev)
    assert (no.exit_code, no.stdout) == (1, "no\n")
    assert 'User "bob" cannot get resource "nodes" in API group "" at the cluster scope' in no.stderr
    assert can_i("create", "deployments.apps", "-A", *dev).exit_code == 1
    assert can_i("get", "pods/log", "p", *dev).exit_code == 0
    assert can_i("patch", "pods/status", "p", *dev).exit_code == 1
    assert can_i("get", "gadgets.example.com", *dev).exit_code == 1
    assert can_i("delete", "everything").stderr == "allowed by system:masters\n"
    assert can_i("get", "/healthz", "--as", "system:anonymous").exit_code == 0
    assert can_i("get", "/metrics", "--as", "system:anonymous").exit_code == 1


def test_can_i_in_json(manifests: str) -> None:
    answer = can_i("create", "pods", "--as", "bob", "--as-group", "devs", "-n", "shop", "-f", manifests, "-o", "json")
    said = json.loads(answer.stdout)
    assert said["allowed"] is True and said["by"] == "RBAC" and said["law"] == "Authorization/chain/role"
    assert said["binding"]["name"] == "devs" and said["binding"]["role"] == {"kind": "ClusterRole", "name": "edit"}
    assert "create" in said["rule"]["verbs"] and "pods" in said["rule"]["resources"]
    node = json.loads(can_i("create", "events", "--as", "system:node:n", "-o", "json").stdout)
    assert (node["by"], node["law"]) == ("Node", "Authorization/chain/node")
    denied = json.loads(can_i("get", "pods", "--as", "bob", "-o", "json").stdout)
    assert denied["by"] is None and denied["law"] == "Authorization/chain/refused" and "rule" not in denied


def test_can_i_list(manifests: str) -> None:
    listed = can_i("--list", "--as", "bob", "--as-group", "devs", "-n", "shop", "-f", manifests, "-o", "json")
    found = {row["binding"]["name"] for row in json.loads(listed.stdout)}
    assert found == {"system:basic-user", "system:discovery", "system:public-info-viewer", "devs"}
    table = can_i("--list", "--as", "bob")
    assert table.exit_code == 0 and "selfsubjectaccessreviews.authorization.k8s.io" in table.stdout


def test_can_i_by_somebody_else(manifests: str) -> None:
    refused = can_i("get", "pods", "--as", "bob", "--user", "alice")
    assert (refused.exit_code, refused.stdout) == (1, "no\n")
    text = 'users "bob" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope'
    assert text in refused.stderr


def test_can_i_with_words_missing() -> None:
    for words in (["get"], [], ["--as-group", "x", "get", "pods"]):
        result = can_i(*words)
        assert result.exit_code == 2 and "expected" in result.stderr and result.stderr.count("\n") == 1


STORY = """
cluster: {rbac: true}
manifests:
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: view, namespace: default}
  roleRef: {kind: ClusterRole, name: view}
  subjects: [{kind: User, name: bob}]
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
actions:
- {at: 1s, user: bob, delete: configmap/c, refused: 'User "bob" cannot delete resource "configmaps"'}
- {at: 2s, delete: configmap/c}
expect: [configmap/c is gone]
"""


def test_a_story_with_roles() -> None:
    played = play(read_story(STORY, "story.yaml", Path(".")))
    assert not played.misses
