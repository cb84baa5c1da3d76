# ruff: noqa: E501 (one case per line)
"""Tokens, and the controllers that look after identities."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from test_rbac_policy import role

from k8sfsm.apiserver import Refusal
from k8sfsm.apiserver.tokens import ISSUER, Wish, claims_of, requested_token, reviewed, signed
from k8sfsm.apiserver.tokens import law as tokens
from k8sfsm.controllers.clusterroleaggregation import ClusterRoleAggregationController
from k8sfsm.controllers.rootca import BUNDLE, RootCAPublisher, bundle_of
from k8sfsm.controllers.serviceaccounttoken import NAME, TYPE, UID, TokenController
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.play import Play
from k8sfsm.view import View

NOW = 1_700_000_000_000_000_000


def thing(kind: str, name: str, namespace: str = "a", version: str = "v1", **body: Any) -> Any:
    meta = {
        "name": name,
        "uid": f"u-{name}",
        **({"namespace": namespace} if namespace else {}),
        **body.pop("metadata", {}),
    }
    return from_json({"apiVersion": version, "kind": kind, "metadata": meta, **body})


ACCOUNT = thing("ServiceAccount", "web")
POD = thing("Pod", "p", spec={"serviceAccountName": "web", "nodeName": "n", "containers": []})
OTHER = thing("Pod", "q", spec={"serviceAccountName": "other", "containers": []})
OBJECTS = (ACCOUNT, POD, OTHER, thing("Node", "n", ""), thing("Secret", "s"))


def wish(*objects: Any, account: str = "web", **spec: Any) -> Wish:
    snapshot: Any = View.of(objects or OBJECTS).snapshots
    return Wish(snapshot, "a", account, spec, NOW)


def bound(kind: str = "Pod", name: str = "p", version: str = "v1", uid: str = "") -> dict[str, str]:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid}


REFUSED = [
    ({"account": "none"}, 404, 'serviceaccounts "none" not found'),
    (
        {"expirationSeconds": 599},
        422,
        'TokenRequest.authentication.k8s.io "web" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    ),
    (
        {"expirationSeconds": 2**32 + 1},
        422,
        'TokenRequest.authentication.k8s.io "web" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds',
    ),
    ({"boundObjectRef": bound("Job")}, 400, "cannot bind token to object of type v1, Kind=Job"),
    ({"boundObjectRef": bound(version="v2")}, 400, "cannot bind token to object of type v2, Kind=Pod"),
    ({"boundObjectRef": bound(name="x")}, 404, 'pods "x" not found'),
    (
        {"boundObjectRef": bound(name="q")},
        400,
        'cannot bind token for serviceaccount "web" to pod running with different serviceaccount name.',
    ),
    (
        {"boundObjectRef": bound(uid="z")},
        409,
        "the UID in the bound object reference (z) does not match the UID in record. The object might have been deleted and then recreated",
    ),
]


@pytest.mark.parametrize(("spec", "code", "text"), REFUSED)
def test_requests_that_are_not_answered(spec: dict[str, Any], code: int, text: str) -> None:
    with pytest.raises(Refusal) as refusal:
        requested_token(wish(**spec))
    assert (refusal.value.code, refusal.value.message) == (code, text)
    assert refusal.value.reason == {400: "BadRequest", 404: "NotFound", 409: "Conflict", 422: "Invalid"}[code]


def test_a_token_of_no_account() -> None:
    with pytest.raises(Refusal) as refusal:
        requested_token(wish(account="nobody"))
    assert (refusal.value.code, refusal.value.reason) == (404, "NotFound")
    assert refusal.value.message == 'serviceaccounts "nobody" not found'


@pytest.mark.parametrize(("spec", "rule"), [({}, "unbound"), ({"boundObjectRef": bound(uid="u-p")}, "bound")])
def test_requests_that_are_answered(spec: dict[str, Any], rule: str) -> None:
    decision = tokens.decide("request", wish(**spec))
    assert decision.rule == f"Token/request/{rule}"
    assert decision.outputs == {"code": 0, "reason": "", "text": ""}


def claims(**spec: Any) -> Any:
    return claims_of(requested_token(wish(**spec))["token"])


def test_what_a_token_claims() -> None:
    own = claims()
    assert own["aud"] == [ISSUER] and own["sub"] == "system:serviceaccount:a:web"
    assert own["exp"] - own["iat"] == 3600 and own["nbf"] == NOW // SECOND
    assert own["kubernetes.io"] == {"namespace": "a", "serviceaccount": {"name": "web", "uid": "u-web"}}
    tied = claims(boundObjectRef=bound(uid="u-p"), audiences=["vault"], expirationSeconds=600)
    assert tied["aud"] == ["vault"] and tied["exp"] - tied["iat"] == 600
    assert tied["kubernetes.io"]["pod"] == {"name": "p", "uid": "u-p"}
    assert tied["kubernetes.io"]["node"] == {"name": "n", "uid": "u-n"}
    assert claims(boundObjectRef=bound("Secret", "s"))["kubernetes.io"]["secret"]["uid"] == "u-s"
    assert claims(boundObjectRef=bound("Node", "n"))["kubernetes.io"]["node"]["uid"] == "u-n"


def test_a_kubelets_usual_token_lasts_a_year() -> None:
    usual = {"expirationSeconds": 3607, "boundObjectRef": bound()}
    own = claims(**usual)
    assert own["exp"] - own["iat"] == 365 * 24 * 3600
    assert own["kubernetes.io"]["warnafter"] - own["iat"] == 3607
    assert requested_token(wish(**usual))["expirationTimestamp"] == "2024-11-13T22:13:20Z"
    for other in ({**usual, "expirationSeconds": 3608}, {**usual, "audiences": ["x"]}, {"expirationSeconds": 3607}):
        assert claims(**other)["exp"] - own["iat"] == other["expirationSeconds"]


def review(token: str, *objects: Any, later: int = 0, audiences: tuple[str, ...] = (ISSUER,)) -> tuple[str, str]:
    snapshot: Any = View.of(objects or OBJECTS).snapshots
    user, text = reviewed(snapshot, token, NOW + later * SECOND, audiences)
    return "" if user is None else user.name, text


def test_whether_a_token_is_good() -> None:
    token = requested_token(wish(boundObjectRef=bound()))["token"]
    good = ("system:serviceaccount:a:web", "")
    assert review(token) == good and review(token, later=3599) == good
    assert review(token, later=3600) == ("", "service account token has expired")
    assert review(token, later=-1) == ("", "service account token is not valid yet")
    assert review("x" + token) == review("") == ("", "invalid bearer token")
    text = f'token audiences ["{ISSUER}"] is invalid for the target audiences ["vault" "x"]'
    assert review(token, audiences=("vault", "x")) == ("", text)
    assert review(token, POD) == ("", 'serviceaccounts "web" not found')
    anew = evolve(ACCOUNT, metadata=evolve(ACCOUNT.metadata, uid="new"))
    assert review(token, anew, POD) == ("", "service account UID (new) does not match claim (u-web)")
    assert review(token, ACCOUNT) == ("", "service account token has been invalidated")
    again = evolve(POD, metadata=evolve(POD.metadata, uid="new"))
    assert review(token, ACCOUNT, again) == ("", "pod UID (new) does not match service account pod ref claim (u-p)")
    unbound = requested_token(wish())["token"]
    assert review(unbound, ACCOUNT) == good


def test_what_is_deleted_invalidates_a_token_a_minute_later() -> None:
    token = requested_token(wish(boundObjectRef=bound()))["token"]
    going = evolve(POD, metadata=evolve(POD.metadata, deletion_timestamp=NOW))
    assert review(token, ACCOUNT, going, later=60)[1] == ""
    assert review(token, ACCOUNT, going, later=61)[1] == "service account token has been invalidated"
    account = evolve(ACCOUNT, metadata=evolve(ACCOUNT.metadata, deletion_timestamp=NOW))
    assert review(token, account, POD, later=61)[1] == "service account a/web has been deleted"


def test_a_token_of_other_claims() -> None:
    assert claims_of(signed({"a": 1})) == {"a": 1} and claims_of("a.b.c") is None


# -- controllers ------------------------------------------------------------------------------------------------------


def secret(**metadata: Any) -> Any:
    annotations = {NAME: "web", **metadata.pop("annotations", {})}
    return thing("Secret", "t", type=TYPE, metadata={"annotations": annotations, "resourceVersion": "7"}, **metadata)


def steps(controller: Any, key: tuple[str, str, str], *objects: Any) -> Any:
    return controller.reconcile(View.of(objects), key).steps


def test_token_secrets() -> None:
    key = ("Secret", "a", "t")
    token = TokenController()
    assert steps(token, key) == ()
    assert steps(token, key, thing("Secret", "t", type="Opaque", metadata={"annotations": {NAME: "web"}})) == ()
    (fill,) = steps(token, key, secret(), ACCOUNT)
    data = fill.object.extra["data"]
    assert base64.b64decode(data["namespace"]) == b"a" and base64.b64decode(data["ca.crt"]).decode() == BUNDLE
    assert claims_of(base64.b64decode(data["token"]).decode())["sub"] == "system:serviceaccount:a:web"  # type: ignore[index]
    assert fill.object.metadata.annotations[UID] == "u-web"
    assert steps(token, key, fill.object, ACCOUNT) == ()
    (gone,) = steps(token, key, secret())
    assert (gone.key, gone.uid, gone.resource_version) == (key, "u-t", "7")
    (stale,) = steps(token, key, secret(annotations={UID: "old"}), ACCOUNT)
    assert stale.key == key and fill.why.rule == "Token/secret/empty" and stale.why.rule == "Token/secret/another"


def test_the_root_ca_of_namespaces() -> None:
    publisher, key = RootCAPublisher(), ("Namespace", "", "a")
    open_ = thing("Namespace", "a", "", status={"phase": "Active"})
    (create,) = steps(publisher, key, open_)
    assert create.object == bundle_of("a")
    assert steps(publisher, key, open_, bundle_of("a")) == ()
    (restore,) = steps(publisher, key, open_, thing("ConfigMap", "kube-root-ca.crt", data={"x": "y"}))
    assert restore.object.extra["data"] == {"ca.crt": BUNDLE} and restore.object.metadata.annotations
    plain = evolve(bundle_of("a"), metadata=evolve(bundle_of("a").metadata, annotations={}))
    assert len(steps(publisher, key, open_, plain)) == 1
    assert steps(publisher, key) == ()
    assert steps(publisher, key, thing("Namespace", "a", "", status={"phase": "Terminating"})) == ()


def test_aggregated_roles() -> None:
    get = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    selectors = {"clusterRoleSelectors": [{"matchLabels": {"to": "x"}}]}
    sum_ = role("sum", kind="ClusterRole", aggregationRule=selectors)
    part = role("part", get, kind="ClusterRole", metadata={"labels": {"to": "x"}})
    key, controller = ("ClusterRole", "", "sum"), ClusterRoleAggregationController()
    (write,) = steps(controller, key, sum_, part)
    assert write.body == {"rules": [get]} and write.key == key
    assert steps(controller, key, role("sum", get, kind="ClusterRole", aggregationRule=selectors), part) == ()
    assert steps(controller, key, part) == ()
    assert steps(controller, ("ClusterRole", "", "part"), sum_, part) == ()


STORY = """
cluster: {root_ca: true}
manifests:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: shop}}
- apiVersion: v1
  kind: Secret
  metadata: {name: token, namespace: shop, annotations: {kubernetes.io/service-account.name: web}}
  type: kubernetes.io/service-account-token
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: sum}
  aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: sum}}]}
  rules: []
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: part, labels: {to: sum}}
  rules: [{verbs: [get], apiGroups: [""], resources: [pods]}]
actions:
- {at: 5s, delete: {object: serviceaccount/web, namespace: shop}}
expect:
- {that: configmap/kube-root-ca.crt exists, namespace: shop}
- {at: 4s, that: secret/token exists, namespace: shop}
- {that: secret/token is gone, namespace: shop}
- clusterrole/sum rules[0].verbs[0] is get
"""


def test_a_story_of_identities() -> None:
    played = Play.of(read_story(STORY, "story.yaml", Path("."))).run()
    assert not played.misses, played.misses
    lines = [line for line in played.lines if line.actor == "serviceaccount-token-controller"]
    assert lines and not [line for line in played.lines if getattr(line, "code", 0) == 403]
