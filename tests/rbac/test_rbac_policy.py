"""The bootstrap policy, and what a real cluster's API server said of requests (annotations of its audit log)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.apiserver.rbac.authorizer import forbidden, impersonations, judge
from k8sfsm.apiserver.rbac.bootstrap import bootstrap_objects
from k8sfsm.apiserver.rbac.policy import Policy, aggregated, covers, matcher_of, policy_from, policy_of
from k8sfsm.apiserver.rbac.users import Asked, account_of, impersonated, is_component, user_of
from k8sfsm.objects import ClusterRole, LabelSelector, ObjectMeta, PolicyRule, from_json, key_of, to_json
from k8sfsm.store import Snapshot, Store

DATA = Path(__file__).parents[1] / "data" / "rbac"
NOTHING = Snapshot()


def lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def role(name: str, *rules: dict[str, Any], kind: str = "Role", namespace: str = "a", **more: Any) -> Any:
    meta = {"name": name, **({"namespace": namespace} if kind == "Role" else {}), **more.pop("metadata", {})}
    version = "rbac.authorization.k8s.io/v1"
    return from_json({"apiVersion": version, "kind": kind, "metadata": meta, "rules": list(rules), **more})


def binding(name: str, ref: tuple[str, str], *subjects: dict[str, str], namespace: str = "a") -> Any:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    group = "rbac.authorization.k8s.io"
    body = {"roleRef": {"apiGroup": group, "kind": ref[0], "name": ref[1]}, "subjects": list(subjects)}
    return from_json({"apiVersion": f"{group}/v1", "kind": kind, "metadata": meta, **body})


def bob(kind: str = "User", name: str = "bob", **more: str) -> dict[str, str]:
    return {"kind": kind, "name": name, **more}


def test_the_bootstrap_policy_is_upstreams() -> None:
    known = {(row["kind"], row["namespace"], row["name"]): row for row in lines("bootstrap")}
    found = {(each.kind, each.metadata.namespace, each.metadata.name): to_json(each) for each in bootstrap_objects()}
    assert list(found) == list(known)
    for key, document in found.items():
        assert document["metadata"]["labels"] == known[key]["labels"], key
        for part in ("rules", "roleRef", "subjects", "aggregationRule"):
            assert document.get(part) == known[key].get(part), key


def test_recorded_requests_get_the_recorded_answer() -> None:
    rows = lines("decisions")
    assert len(rows) > 100
    for row in rows:
        user = user_of(row["user"])
        parts = (row["verb"], row["group"], row["resource"], row["subresource"], row["namespace"])
        asked = Asked(user, *parts)
        verdict = judge(policy_of(NOTHING, row["namespace"]), asked, NOTHING)
        assert (verdict.allowed, verdict.reason) == (True, row["reason"]), row
        assert sorted(user.groups) == sorted(row["groups"])


def test_admin_holds_edit_and_edit_holds_view() -> None:
    policy = policy_of(NOTHING, "a")
    rules = {name: policy.roles[("ClusterRole", "", name)].rules for name in ("admin", "edit", "view")}
    assert all(rule in rules["edit"] for rule in rules["view"])
    assert all(rule in rules["admin"] for rule in rules["edit"])
    assert (len(rules["view"]), len(rules["edit"]), len(rules["admin"])) == (11, 25, 27)


def test_a_label_makes_a_role_part_of_view() -> None:
    more = role(
        "crontabs",
        {"verbs": ["get"], "apiGroups": ["stable.example.com"], "resources": ["crontabs"]},
        kind="ClusterRole",
        metadata={"labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
    )
    policy = policy_from((more, binding("b", ("ClusterRole", "view"), bob())))
    asked = Asked(user_of("bob"), "get", "stable.example.com", "crontabs", "", "a", "x")
    assert judge(policy, asked, NOTHING).allowed
    assert not judge(policy_of(NOTHING, "a"), asked, NOTHING).allowed


def test_what_a_selector_that_makes_no_sense_selects() -> None:
    assert not matcher_of(LabelSelector(match_labels={"-": "x"}))({"-": "x"})
    assert aggregated(ClusterRole(metadata=ObjectMeta(name="x")), ()) == ()


def test_a_dump_of_a_whole_cluster_gets_no_roles_beside_its_own() -> None:
    admin = role("cluster-admin", {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, kind="ClusterRole")
    assert list(policy_from((admin,)).roles) == [("ClusterRole", "", "cluster-admin")]
    assert len(policy_from((role("x"),)).roles) > 60


RULE = {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments", "*/scale"], "resourceNames": ["web"]}
COVERED = [
    (RULE, "get apps deployments - web", True),
    (RULE, "list apps deployments - web", False),
    (RULE, "get - deployments - web", False),
    (RULE, "get apps deployments status web", False),
    (RULE, "get apps deployments - other", False),
    (RULE, "get apps replicasets scale web", True),
    (RULE, "get apps replicasets - web", False),
    ({**RULE, "verbs": ["*"]}, "list apps deployments - web", True),
    ({**RULE, "apiGroups": ["*"]}, "get - deployments - web", True),
    ({**RULE, "resources": ["*"]}, "get apps deployments status web", True),
    ({**RULE, "resourceNames": []}, "get apps deployments - other", True),
    ({"verbs": ["get"], "nonResourceURLs": ["/healthz"]}, "get - pods - -", False),
]


@pytest.mark.parametrize(("rule", "words", "expected"), COVERED)
def test_what_a_rule_covers(rule: dict[str, Any], words: str, expected: bool) -> None:
    verb, group, resource, subresource, name = (word.replace("-", "") for word in words.split())
    asked = Asked(user_of("bob"), verb, group, resource, subresource, "a", name)
    assert covers(role("r", rule).rules[0], asked) is expected


URLS = [
    ("/healthz", "/healthz", True),
    ("/healthz", "/healthz/etcd", False),
    ("/healthz/*", "/healthz/etcd", True),
    ("*", "/x", True),
    ("/a*", "/b", False),
]


@pytest.mark.parametrize(("url", "path", "expected"), URLS)
def test_which_paths_a_rule_covers(url: str, path: str, expected: bool) -> None:
    rule = PolicyRule(verbs=("get",), non_resource_urls=(url,), api_groups=("*",), resources=("*",))
    assert covers(rule, Asked(user_of("bob"), "get", path=path)) is expected
    assert not covers(rule, Asked(user_of("bob"), "post", path=path))


SUBJECTS = [
    (bob(), "bob", (), True),
    (bob(), "eve", (), False),
    (bob("Group", "devs"), "bob", ("devs",), True),
    (bob("Group", "devs"), "devs", (), False),
    (bob("User", "devs"), "bob", ("devs",), False),
    (bob("ServiceAccount", "web", namespace="a"), "system:serviceaccount:a:web", (), True),
    (bob("ServiceAccount", "web"), "system:serviceaccount:a:web", (), True),
    (bob("ServiceAccount", "web", namespace="b"), "system:serviceaccount:a:web", (), False),
    (bob("ServiceAccount", "bob", namespace="a"), "bob", (), False),
    (bob("Robot", "bob"), "bob", (), False),
]


@pytest.mark.parametrize(("subject", "name", "groups", "expected"), SUBJECTS)
def test_whom_a_binding_means(subject: dict[str, str], name: str, groups: tuple[str, ...], expected: bool) -> None:
    rules = role("r", {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]})
    policy = policy_from((rules, binding("b", ("Role", "r"), subject)))
    asked = Asked(user_of(name, groups), "get", "", "pods", "", "a", "p")
    assert judge(policy, asked, NOTHING).allowed is expected
    elsewhere = Asked(user_of(name, groups), "get", "", "pods", "", "b", "p")
    assert not judge(policy, elsewhere, NOTHING).allowed


def test_who_is_refused_hears_why() -> None:
    policy = policy_from((binding("b", ("Role", "gone"), bob()), binding("c", ("ClusterRole", "lost"), bob())))
    asked = Asked(user_of("bob"), "delete", "apps", "deployments", "scale", "a", "web")
    verdict = judge(policy, asked, NOTHING)
    assert not verdict.allowed and verdict.by == "nobody"
    assert str(forbidden(asked, verdict.reason)) == (
        'deployments.apps "web" is forbidden: User "bob" cannot delete resource "deployments/scale" in API group "apps"'
        ' in the namespace "a": RBAC: [role.rbac.authorization.k8s.io "gone" not found, '
        'clusterrole.rbac.authorization.k8s.io "lost" not found]'
    )
    nodes = Asked(user_of("bob"), "list", "", "nodes")
    text = 'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" at the cluster scope'
    assert str(forbidden(nodes)) == text
    assert str(forbidden(Asked(user_of("bob"), "get", path="/x"))) == 'forbidden: User "bob" cannot get path "/x"'


def test_a_role_binding_names_itself_with_its_namespace() -> None:
    policy = policy_from((binding("b", ("ClusterRole", "view"), bob("ServiceAccount", "web", namespace="c")),))
    asked = Asked(user_of("system:serviceaccount:c:web"), "get", "", "pods", "", "a", "p")
    reason = 'RBAC: allowed by RoleBinding "b/a" of ClusterRole "view" to ServiceAccount "web/c"'
    assert judge(policy, asked, NOTHING).reason == reason


GROUPS = [
    ("bob", ["system:authenticated"]),
    ("user", ["system:masters", "system:authenticated"]),
    ("", ["system:masters", "system:authenticated"]),
    ("system:anonymous", ["system:unauthenticated"]),
    ("system:node:n", ["system:nodes", "system:authenticated"]),
    (
        "system:serviceaccount:a:web",
        ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"],
    ),
    ("system:serviceaccount:a", ["system:authenticated"]),
    ("system:serviceaccount:a:", ["system:authenticated"]),
]


@pytest.mark.parametrize(("name", "groups"), GROUPS)
def test_groups_of_a_name(name: str, groups: list[str]) -> None:
    assert list(user_of(name).groups) == groups


ACTORS = [
    ("kubelet", "n", "system:node:n"),
    ("kube-proxy", "", "system:kube-proxy"),
    ("kube-scheduler", "", "system:kube-scheduler"),
    ("garbage-collector", "", "system:serviceaccount:kube-system:generic-garbage-collector"),
    ("daemonset-controller", "", "system:serviceaccount:kube-system:daemon-set-controller"),
    ("taint-eviction-controller", "", "system:serviceaccount:kube-system:node-controller"),
    ("node-ipam-controller", "", "system:serviceaccount:kube-system:node-controller"),
    ("kube-controller-manager", "", "system:kube-controller-manager"),
    ("apiserver", "", "system:apiserver"),
    ("apiextensions-apiserver", "", "system:apiserver"),
    ("serviceaccount-token-controller", "", "system:kube-controller-manager"),
    ("replicaset-controller", "", "system:serviceaccount:kube-system:replicaset-controller"),
]


@pytest.mark.parametrize(("actor", "node", "account"), ACTORS)
def test_accounts_of_actors(actor: str, node: str, account: str) -> None:
    assert account_of(actor, node) == account
    assert is_component(actor)
    assert not is_component("my-operator")


def test_who_acts_as_another_needs_the_right_to() -> None:
    alice = user_of("alice")
    asked = impersonations(alice, "bob", ("devs",))
    assert [(each.verb, each.resource, each.name) for each in asked] == [
        ("impersonate", "users", "bob"),
        ("impersonate", "groups", "devs"),
    ]
    account = impersonations(alice, "system:serviceaccount:a:web", ())
    assert [(each.resource, each.namespace, each.name) for each in account] == [("serviceaccounts", "a", "web")]
    policy = policy_from((binding("b", ("ClusterRole", "edit"), bob(name="alice")),))
    assert judge(policy, account[0], NOTHING).allowed
    assert not judge(policy, asked[0], NOTHING).allowed


def test_groups_that_are_given_take_the_place_of_an_accounts_own() -> None:
    assert impersonated("bob", ["a", "b", "a"]).groups == ("a", "b", "system:authenticated")
    assert impersonated("system:anonymous", ["a"]).groups == ("a", "system:unauthenticated")
    assert impersonated("bob").groups == ("system:authenticated",)
    assert impersonated("user").groups == ("system:authenticated",)


def test_the_policy_of_a_namespace_is_found_again_until_it_changes() -> None:
    store = Store.starting_at(0)
    store, _ = store.put(binding("b", ("ClusterRole", "view"), bob()))
    first = policy_of(store.snapshot, "a")
    assert policy_of(store.snapshot, "a") is first
    assert all(each.metadata.name != "b" for each in policy_of(store.snapshot, "b").bindings)
    store, _ = store.remove(key_of(first.bindings[-1]))
    assert policy_of(store.snapshot, "a") is not first


def test_bindings_of_the_cluster_come_first() -> None:
    many: Policy = policy_from((binding("a", ("Role", "x")), binding("b", ("ClusterRole", "x"), namespace="")))
    own = [each.kind for each in many.bindings if each.metadata.name in ("a", "b")]
    assert own == ["ClusterRoleBinding", "RoleBinding"]
