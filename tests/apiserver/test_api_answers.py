"""What tables of the API server answer, word for word, also where nobody can see all of the answer from outside."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, pod, service, workload
from attrs import evolve

from k8sfsm.apiserver.apply.asking import Asking
from k8sfsm.apiserver.daemonset import TEMPLATE_GENERATION
from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.eviction import EvictionCase
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.policies.admission import Checked, Given
from k8sfsm.apiserver.strategy import StrategyCase
from k8sfsm.apiserver.valid import judged
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.validation import faults
from k8sfsm.objects import from_json
from k8sfsm.request import Patch

# -- evictions --------------------------------------------------------------------------------------------------------

RUNNING = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
FORBIDDEN = 'poddisruptionbudget.policy "{name}" is forbidden: '
LATER = "Cannot evict pod as it would violate the pod's disruption budget."
SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
FULL = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"


def budget(policy: str = "", generation: int = 1, **status: Any) -> Any:
    meta = {"name": "b", "namespace": "a", "generation": generation}
    told = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 1, "desiredHealthy": 2, **status}
    spec = {"unhealthyPodEvictionPolicy": policy} if policy else {}
    return from_json(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec, "status": told}
    )


MANY = {f"p{number}": "2026-01-01T00:00:00Z" for number in range(2001)}
HEALTHY = {"currentHealthy": 2, "desiredHealthy": 2}
EVICTIONS: list[tuple[str, dict[str, Any], tuple[Any, ...], tuple[Any, ...]]] = [
    ("dispensable", {"phase": "Pending"}, (budget(), budget()), (0, "", "", False)),
    ("several", RUNNING, (budget(), budget()), (500, "", SEVERAL, False)),
    ("free", RUNNING, (), (0, "", "", False)),
    ("unhealthy-always", {"phase": "Running"}, (budget("AlwaysAllow", disruptionsAllowed=0),), (0, "", "", False)),
    ("unhealthy-beside", {"phase": "Running"}, (budget(disruptionsAllowed=0, **HEALTHY),), (0, "", "", False)),
    ("unobserved", RUNNING, (budget(generation=2),), (429, "TooManyRequests", LATER, False)),
    (
        "overdrawn",
        RUNNING,
        (budget(disruptionsAllowed=-1),),
        (403, "Forbidden", f"{FORBIDDEN}pdb disruptions allowed is negative", False),
    ),
    ("unconfirmed", RUNNING, (budget(disruptedPods=MANY),), (403, "Forbidden", FORBIDDEN + FULL, False)),
    ("used-up", RUNNING, (budget(disruptionsAllowed=0),), (429, "TooManyRequests", LATER, False)),
    ("granted", RUNNING, (budget(),), (0, "", "", True)),
    ("granted", {"phase": "Running"}, (budget(),), (0, "", "", True)),
]


@pytest.mark.parametrize(("rule", "status", "budgets", "answer"), EVICTIONS)
def test_evictions(rule: str, status: dict[str, Any], budgets: tuple[Any, ...], answer: tuple[Any, ...]) -> None:
    found = law.decide("eviction", EvictionCase(from_json({**pod(), "status": status}), 0, budgets))
    assert found.name == rule
    assert tuple(found.outputs[name] for name in ("code", "reason", "message", "counts")) == answer


# -- parts of objects -------------------------------------------------------------------------------------------------

NONE = {"spec": False, "status": False, "labels": False, "annotations": False, "finalizers": False}
META = {"labels": True, "annotations": True, "finalizers": True}
PARTS = [
    ("Pod", "", {**META, "spec": True, "status": False, "generation": True}),
    ("Deployment", "scale", {**NONE, "replicas": True, "generation": True}),
    ("Deployment", "status", {**META, "spec": False, "status": True, "labels": False, "generation": False}),
    ("Pod", "status", {**META, "spec": False, "status": True, "generation": False}),
    ("Pod", "ephemeralcontainers", {**NONE, "debuggers": True, "generation": True}),
    ("Pod", "resize", {**NONE, "resources": True, "generation": True}),
    ("Namespace", "finalize", {**NONE, "spec": True, "finalizers": True, "generation": False}),
    ("Pod", "binding", {**META, "spec": True, "status": False, "generation": False}),
]


@pytest.mark.parametrize(("kind", "subresource", "parts"), PARTS)
def test_parts_that_a_write_may_change(kind: str, subresource: str, parts: dict[str, bool]) -> None:
    found = law.decide("update-part", StrategyCase(kind, subresource)).outputs
    assert {name: value for name, value in found.items() if value is not None} == parts


STRATEGIES = [
    ("Pod", 1, "spec", "pending", None),
    ("Deployment", 1, "spec-or-annotations", "empty", None),
    ("StatefulSet", 1, "spec", "empty", None),
    ("EndpointSlice", 1, "content-or-labels", "given", None),
    ("PriorityClass", 1, "nothing", "given", None),
    ("ResourceQuota", 0, "nothing", "empty", None),
    ("Service", 0, "nothing", "empty", None),
    ("Namespace", 0, "nothing", "active", "kubernetes"),
    ("Secret", 0, "nothing", "given", None),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies(strategy: tuple[Any, ...]) -> None:
    found = law.decide("strategy", StrategyCase(strategy[0])).outputs
    assert (
        tuple(found[name] for name in ("generation", "grows_with", "initial_status", "own_finalizer")) == strategy[1:]
    )


def test_templates_of_daemonsets_are_counted() -> None:
    world = World()
    meta = {"name": "d", "namespace": "a"}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": workload()["spec"]["template"]}
    key = ("DaemonSet", "a", "d")

    def told(body: Any) -> str:
        return str(world.done(Patch(key=key, body=body)).metadata.annotations[TEMPLATE_GENERATION])

    made = world.make({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": spec})
    assert made.metadata.annotations[TEMPLATE_GENERATION] == "1"
    assert told({"spec": {"minReadySeconds": 1}}) == "1"
    assert told({"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}}) == "2"
    given = {**meta, "name": "e", "annotations": {TEMPLATE_GENERATION: "7"}}
    made = world.make({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": given, "spec": spec})
    assert made.metadata.annotations[TEMPLATE_GENERATION] == "7"


# -- server-side apply -------------------------------------------------------------------------------------------------


def test_an_apply_that_is_carried_out() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap"}
    found = law.decide("apply", Asking(("ConfigMap", "a", "c"), "v1", body, "me", False)).outputs
    assert found == {"code": 0, "reason": "", "text": ""}


EXPRESSIONS = [
    (Checked(True, "", False, ""), False, ""),
    (Checked(None, "broken", True, ""), False, ""),
    (Checked(None, "broken", False, ""), True, "expression '{expression}' resulted in error: {error}"),
    (Checked(False, "", False, "no"), True, "{message}"),
    (Checked(False, "", False, ""), True, "failed expression: {expression}"),
]


@pytest.mark.parametrize(("case", "denies", "text"), EXPRESSIONS)
def test_what_comes_of_expressions(case: Checked, denies: bool, text: str) -> None:
    assert law.decide("validation", case).outputs == {"denies": denies, "text": text}


@pytest.mark.parametrize(
    ("case", "use"),
    [
        (Given(False, False, False), "nothing"),
        (Given(True, True, False), "params"),
        (Given(True, False, True), "skip"),
        (Given(True, False, False), "refuse"),
    ],
)
def test_parameters_of_bindings(case: Given, use: str) -> None:
    assert law.decide("params", case).outputs["use"] == use


# -- bounds -----------------------------------------------------------------------------------------------------------


def found_in(table: str, part: dict[str, Any], kind: str = "Pod") -> list[str]:
    """What a table says of a part as it is written, zeros included."""
    return [str(fault) for fault in judged(Part(part, kind, path="x", table=table))]


TIMES = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def test_the_least_numbers_of_probes() -> None:
    least = {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 1, **dict.fromkeys(TIMES, 0)}
    assert found_in("ProbeFields", least) == []
    less = {**least, "terminationGracePeriodSeconds": 0, **dict.fromkeys(TIMES, -1)}
    low = [f"x.{name}: Invalid value: -1: must be greater than or equal to 0" for name in TIMES]
    grace = "x.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"
    assert found_in("ProbeFields", less) == [*low, grace]


NUMBERS: list[tuple[str, tuple[str, ...]]] = [
    (
        "DeploymentStatusFields",
        (
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "collisionCount",
        ),
    ),
    (
        "ReplicaSetStatusFields",
        ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"),
    ),
    ("PodStatusFields", ("observedGeneration",)),
]


@pytest.mark.parametrize(("table", "names"), NUMBERS)
def test_zeros_of_reports_are_sound(table: str, names: tuple[str, ...]) -> None:
    assert found_in(table, dict.fromkeys(names, 0)) == []


def test_zeros_of_conditions_are_sound() -> None:
    assert found_in("PodStatusFields", {"conditions": [{"type": "Ready", "observedGeneration": 0}]}) == []
    condition = {"type": "A", "status": "True", "lastTransitionTime": "t", "reason": "R", "observedGeneration": 0}
    assert found_in("ConditionFields", condition) == []


DEBUG = {"name": "shell", "image": "busybox"}


@pytest.mark.parametrize(
    ("after", "text"),
    [
        ([{**DEBUG, "image": "other"}], 'existing ephemeral containers "shell" may not be changed'),
        ([], 'existing ephemeral containers "shell" may not be removed\n'),
    ],
)
def test_ephemeral_containers_stay(after: list[Any], text: str) -> None:
    old, new = (defaulted(from_json(pod(ephemeralContainers=each))) for each in ([DEBUG], after))
    [fault] = faults(old, new, subresource="ephemeralcontainers")
    assert str(fault) == f"spec.ephemeralContainers: Forbidden: {text}"


ONE = {"name": "app", "image": "nginx:1"}
TEMPLATE = workload()["spec"]["template"]
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": {"name": "d", "namespace": "a"},
    "spec": {"selector": {"app": "web"}, "template": TEMPLATE, "replicas": 0, "minReadySeconds": 0},
}
SPREAD = {"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 1, "labelSelector": {}}
TOKEN = {"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}
LEAST: list[dict[str, Any]] = [
    workload(replicas=0, revisionHistoryLimit=0, minReadySeconds=0, progressDeadlineSeconds=1),
    workload("ReplicaSet", replicas=0),
    CONTROLLER,
    pod(topologySpreadConstraints=[SPREAD]),
    pod(serviceAccountName="default", volumes=[{"name": "v", "projected": {"sources": [TOKEN]}}]),
]


@pytest.mark.parametrize("manifest", LEAST, ids=[each["kind"] for each in LEAST])
def test_the_least_numbers_are_sound(manifest: dict[str, Any]) -> None:
    assert faults(None, defaulted(from_json(manifest))) == ()


@pytest.mark.parametrize("table", ["ReplicaSetFields", "ReplicationControllerFields"])
def test_zeros_that_are_written_are_sound(table: str) -> None:
    selector = {"app": "web"} if table[11] == "C" else {"matchLabels": {"app": "web"}}
    part = {"replicas": 0, "minReadySeconds": 0, "selector": selector}
    assert not [text for text in found_in(table, part) if "greater than" in text]


FORMATS: list[tuple[str, str, list[str]]] = [
    ("port-name", "p" * 15, []),
    ("port-name", "p" * 16, ["must be no more than 15 characters"]),
    ("dns-search", "s" * 253, []),
    ("dns-search", "s" * 254, ["must be no more than 253 characters"]),
    ("dns-label", "s" * 63, []),
    ("dns-label", "s" * 64, ["must be no more than 63 characters"]),
    ("dns-subdomain", "s" * 253, []),
    ("dns-subdomain", "s" * 254, ["must be no more than 253 characters"]),
    ("config-key", "s" * 253, []),
    ("config-key", "s" * 254, ["must be no more than 253 characters"]),
    ("sysctl", "s" * 253, []),
    ("path-segment", ".", ["may not be '.' or '..'"]),
    ("path-segment", "..", ["may not be '.' or '..'"]),
    ("path-segment", "...", []),
    ("http-header", "X-Name", []),
]


@pytest.mark.parametrize(("name", "text", "errors"), FORMATS)
def test_formats(name: str, text: str, errors: list[str]) -> None:
    assert format_errors(name, text) == errors


def test_a_sysctl_is_not_too_long() -> None:
    [text] = format_errors("sysctl", "s" * 254)
    assert text.startswith("must have at most 253 characters and match regex ^")


def test_headers_have_a_form() -> None:
    [text] = format_errors("http-header", "a b")
    assert text.startswith("a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name'")


# -- errors -----------------------------------------------------------------------------------------------------------

PAGES = {"requests": {"cpu": "1", "hugepages-2Mi": "1Mi"}, "limits": {"cpu": "1", "hugepages-2Mi": "1Mi"}}
ERRORS: list[tuple[dict[str, Any], list[str]]] = [
    (
        pod(containers=[{**ONE, "readinessProbe": {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 5}}]),
        [
            "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for "
            "readinessProbes"
        ],
    ),
    (
        pod(containers=[{**ONE, "resources": PAGES}]),
        [
            f'spec.containers[0].resources.{of}[hugepages-2Mi]: Invalid value: "1Mi": 1Mi is not positive integer '
            "multiple of hugepages-2Mi"
            for of in ("limits", "requests")
        ],
    ),
    (
        pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        ['spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ),
    (
        pod(containers=[{**ONE, "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]),
        ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ),
    (
        pod(containers=[{**ONE, "resources": {"requests": {"x.org/g": "2"}, "limits": {"x.org/g": "1"}}}]),
        ['spec.containers[0].resources.requests: Invalid value: "2": must be equal to x.org/g limit of 1'],
    ),
]


@pytest.mark.parametrize(("manifest", "errors"), ERRORS)
def test_errors(manifest: dict[str, Any], errors: list[str]) -> None:
    assert [str(fault) for fault in faults(None, defaulted(from_json(manifest)))] == errors


def test_the_role_of_a_binding_stays() -> None:
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    meta = {"name": "x", "namespace": "a"}
    bound = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": ref}
    old = from_json(bound)
    [fault] = faults(old, evolve(old, role_ref=evolve(old.role_ref, name="s")))
    assert fault.field == "roleRef" and fault.detail == "cannot change roleRef" and '"name":"s"' in fault.shown


BOTH = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack", "clusterIPs": ["10.0.0.1", "fd00::1"]}


def test_families_of_a_service_stay() -> None:
    """Whichever family changes, the error is that of the first."""
    old = defaulted(from_json(service(clusterIP="10.0.0.1", **BOTH)))
    new = evolve(old, spec=evolve(old.spec, ip_families=("IPv4", "IPv4")))
    texts = [str(fault) for fault in faults(old, new) if "may not change once set" in fault.detail]
    assert texts == ['spec.ipFamilies[0]: Invalid value: ["IPv4","IPv4"]: may not change once set']


def test_a_grace_period_that_makes_no_sense_is_the_shortest() -> None:
    assert defaulted(from_json(pod(terminationGracePeriodSeconds=-5))).spec.termination_grace_period_seconds == 1


def test_versions_of_fields_that_are_projected() -> None:
    items = [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]
    volume = {"name": "v", "projected": {"sources": [{"downwardAPI": {"items": items}}]}}
    made = defaulted(from_json(pod(volumes=[volume]))).spec.volumes[0]
    assert made["projected"]["sources"][0]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"
