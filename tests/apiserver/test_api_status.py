"""Validation of what is reported of an object: every error, word for word, and that nothing sound is refused."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, pod, service, workload
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.apiserver.valid.glance import surely_sound
from k8sfsm.apiserver.validation import faults
from k8sfsm.objects import evolve, from_json, part_from_json
from k8sfsm.objects.pod import PodStatus
from k8sfsm.request import Create, Patch, PatchStatus, Update

LOW = "Invalid value: -1: must be greater than or equal to 0"
NEGATIVE = "Invalid value: -1: must be a non-negative integer"
QUALIFIED = (
    "Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
NO_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
ENDED = {"name": "app", "state": {"terminated": {"exitCode": 1}}}
GOING = {"name": "app", "state": {"running": {}}}
STUCK = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"


def judged(manifest: dict[str, Any], status: Any, before: Any = None) -> list[str]:
    """The errors of a status, by the tables alone."""
    plain = defaulted(from_json(manifest))
    old = plain if before is None else from_json({**manifest, "status": before})
    old = evolve(old, spec=plain.spec)
    new = evolve(old, status=from_json({**manifest, "status": status}).status)
    return [str(fault) for fault in faults(old, new, subresource="status")]


def user(**linux: Any) -> dict[str, Any]:
    return {"name": "app", "user": {"linux": {"uid": 0, "gid": 0, **linux}}}


IDS = "must be between 0 and 2147483647, inclusive"
DEVICES = {
    "name": "app",
    "allocatedResourcesStatus": [
        {"name": "cpu", "resources": [{"resourceID": "a", "health": "Healthy"}]},
        {
            "name": "gpu",
            "resources": [{"resourceID": "a", "health": "Unhealthy"}, {"resourceID": "a", "health": "Sick"}],
        },
        {"name": "claim:c/r", "resources": [{"resourceID": "b", "health": "Unknown"}]},
        {"name": "claim:c"},
    ],
}
DEVICE_ERRORS = [
    'status.{}[0].allocatedResourcesStatus[1].name: Invalid value: "gpu": must match one of the container\'s resource '
    "requests",
    'status.{}[0].allocatedResourcesStatus[1].resources[1].health: Unsupported value: "Sick": supported values: '
    '"Healthy", "Unhealthy", "Unknown"',
    'status.{}[0].allocatedResourcesStatus[1].resources[1].resourceID: Duplicate value: "a"',
    'status.{}[0].allocatedResourcesStatus[3].name: Invalid value: "claim:c": must match one of the container\'s '
    "resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty",
]
HAVING = {"requests": {"cpu": "1"}, "claims": [{"name": "c", "request": "r"}]}
PODS: list[tuple[str, dict[str, Any], dict[str, Any], Any, list[str]]] = [
    ("nothing", {}, {}, {}, []),
    (
        "conditions",
        {},
        {"conditions": [{"type": "Ready"}, {"type": "x.org/fine"}, {"type": "a b", "observedGeneration": -1}]},
        {},
        [f"status.conditions[2].observedGeneration: {NEGATIVE}", f"status.conditions[2].Type: {QUALIFIED}"],
    ),
    ("nominated", {}, {"nominatedNodeName": "N_"}, {}, [f'status.nominatedNodeName: Invalid value: "N_": {SUBDOMAIN}']),
    ("nominated-before", {"nodeName": "n"}, {"nominatedNodeName": "N_"}, {"nominatedNodeName": "N_"}, []),
    (
        "nominated-late",
        {"nodeName": "n"},
        {"nominatedNodeName": "m"},
        {},
        ["status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node"],
    ),
    ("generation", {}, {"observedGeneration": -1}, {}, [f"status.observedGeneration: {NEGATIVE}"]),
    (
        "quality",
        {},
        {"qosClass": "Burstable"},
        {"qosClass": "BestEffort"},
        ['status.qosClass: Invalid value: "Burstable": field is immutable'],
    ),
    ("ended", {"restartPolicy": "Never"}, {"containerStatuses": [GOING]}, {"containerStatuses": [ENDED]}, [STUCK]),
    ("restarted", {"restartPolicy": "OnFailure"}, {"containerStatuses": [GOING]}, {"containerStatuses": [ENDED]}, []),
    ("still-ended", {"restartPolicy": "Never"}, {"containerStatuses": [ENDED]}, {"containerStatuses": [ENDED]}, []),
    ("forgotten", {"restartPolicy": "Never"}, {"containerStatuses": []}, {"containerStatuses": [ENDED]}, []),
    (
        "stranger",
        {"restartPolicy": "Always"},
        {"containerStatuses": [{**GOING, "name": "x"}]},
        {"containerStatuses": [{**ENDED, "name": "x"}]},
        [STUCK],
    ),
    (
        "together",
        {
            "restartPolicy": "Never",
            "initContainers": [{"name": "i", "image": "i"}],
            "containers": [
                {
                    "name": "app",
                    "image": "i",
                    "restartPolicy": "Never",
                    "restartPolicyRules": [
                        {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
                    ],
                }
            ],
        },
        {"containerStatuses": [GOING], "initContainerStatuses": [{**GOING, "name": "i"}]},
        {"containerStatuses": [ENDED], "initContainerStatuses": [{**ENDED, "name": "i"}]},
        [],
    ),
    (
        "init",
        {"restartPolicy": "Never", "initContainers": [{"name": "app", "image": "i"}]},
        {"initContainerStatuses": [GOING]},
        {"initContainerStatuses": [ENDED]},
        [STUCK.replace("containerS", "initContainerS")],
    ),
    (
        "sidecar",
        {"restartPolicy": "Never", "initContainers": [{"name": "s", "image": "i", "restartPolicy": "Always"}]},
        {"initContainerStatuses": [{**GOING, "name": "s"}]},
        {"initContainerStatuses": [{**ENDED, "name": "s"}]},
        [],
    ),
    (
        "ephemeral",
        {"ephemeralContainers": [{"name": "app", "image": "i"}]},
        {"ephemeralContainerStatuses": [GOING]},
        {"ephemeralContainerStatuses": [ENDED]},
        [STUCK.replace("containerS", "ephemeralContainerS")],
    ),
    (
        "claims",
        {"resourceClaims": [{"name": "c", "resourceClaimName": "x"}]},
        {"resourceClaimStatuses": [{"name": "c"}, {"name": "d", "resourceClaimName": "A"}, {"name": "c"}]},
        {},
        [
            'status.resourceClaimStatuses[1].name: Invalid value: "d": must match the name of an entry in '
            "`spec.resourceClaims`",
            f'status.resourceClaimStatuses[1].name: Invalid value: "A": {SUBDOMAIN}',
            'status.resourceClaimStatuses[2].name: Duplicate value: "c"',
        ],
    ),
    ("addresses", {}, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, {}, []),
    ("no-address", {}, {"podIPs": [{"ip": "x"}]}, {}, [f'status.podIPs[0]: Invalid value: "x": {NO_IP}']),
    ("old-address", {}, {"podIPs": [{"ip": "x"}]}, {"podIPs": [{"ip": "x"}]}, []),
    (
        "families",
        {},
        {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]},
        {},
        [
            'status.podIPs: Invalid value: [{"IP":"10.0.0.1"},{"IP":"10.0.0.2"}]: may specify no more than one IP for '
            "each IP family"
        ],
    ),
    ("host", {}, {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}]}, {}, []),
    (
        "hosts",
        {},
        {"hostIP": "10.0.0.9", "hostIPs": [{"ip": "10.0.0.1"}, {"ip": "x"}]},
        {},
        [
            'status.hostIPs[0].ip: Invalid value: "10.0.0.1": must be equal to `hostIP`',
            f'status.hostIPs[1]: Invalid value: "x": {NO_IP}',
            'status.hostIPs: Invalid value: [{"IP":"10.0.0.1"},{"IP":"x"}]: may specify no more than one IP for each '
            "IP family",
        ],
    ),
    (
        "users",
        {},
        {"containerStatuses": [user(uid=-1, gid=2**31, supplementalGroups=[1, -2])]},
        {},
        [
            f"status.containerStatuses[0].user.linux.uid: Invalid value: -1: {IDS}",
            f"status.containerStatuses[0].user.linux.gid: Invalid value: 2147483648: {IDS}",
            f"status.containerStatuses[0].user.linux.supplementalGroups[1]: Invalid value: -2: {IDS}",
        ],
    ),
    (
        "other-users",
        {},
        {"initContainerStatuses": [user(uid=-1)], "ephemeralContainerStatuses": [user(gid=-1)]},
        {},
        [
            f"status.initContainerStatuses[0].user.linux.uid: Invalid value: -1: {IDS}",
            f"status.ephemeralContainerStatuses[0].user.linux.gid: Invalid value: -1: {IDS}",
        ],
    ),
    (
        "windows",
        {"os": {"name": "windows"}},
        {"containerStatuses": [user(uid=-1)]},
        {},
        ["status.containerStatuses[0].user.linux: Forbidden: cannot be set for a windows pod"],
    ),
    (
        "devices",
        {"containers": [{"name": "app", "image": "i", "resources": HAVING}]},
        {"containerStatuses": [DEVICES, {**DEVICES, "name": "gone", "allocatedResourcesStatus": [{"name": "gpu"}]}]},
        {},
        [each.format("containerStatuses") for each in DEVICE_ERRORS],
    ),
    (
        "init-devices",
        {"initContainers": [{"name": "app", "image": "i", "resources": HAVING}], "containers": []},
        {"initContainerStatuses": [DEVICES]},
        {},
        [each.format("initContainerStatuses") for each in DEVICE_ERRORS],
    ),
    (
        "ephemeral-devices",
        {},
        {"ephemeralContainerStatuses": [{**DEVICES, "name": "e"}]},
        {},
        [
            "status.ephemeralContainerStatuses[0].allocatedResourcesStatus: Forbidden: must not be specified in "
            "container status"
        ],
    ),
]


@pytest.mark.parametrize(
    ("spec", "status", "before", "errors"), [case[1:] for case in PODS], ids=[case[0] for case in PODS]
)
def test_pods(spec: dict[str, Any], status: dict[str, Any], before: Any, errors: list[str]) -> None:
    assert judged(pod(**spec), status, before) == errors


@pytest.mark.parametrize(
    ("old", "new", "errors"),
    [
        (
            {"kubernetes.io/config.mirror": "x", "container.apparmor.security.beta.kubernetes.io/app": "a"},
            {"container.apparmor.security.beta.kubernetes.io/app": "b"},
            [
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/app]: Forbidden: may not remove "
                "or update AppArmor annotations",
                "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod "
                "annotation",
            ],
        ),
        (
            {},
            {
                "kubernetes.io/config.mirror": "x",
                "container.apparmor.security.beta.kubernetes.io/app": "a",
                "other": "",
            },
            [
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/app]: Forbidden: may not add "
                "AppArmor annotations",
                "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation",
            ],
        ),
    ],
)
def test_annotations_that_say_where_a_pod_comes_from(old: Any, new: Any, errors: list[str]) -> None:
    before = defaulted(from_json(pod(nodeName="n")))
    before = evolve(before, metadata=evolve(before.metadata, annotations=old))
    after = evolve(before, metadata=evolve(before.metadata, annotations=new))
    for subresource in ("status", "") if new == {} or "other" in new else ("status", "", "ephemeralcontainers"):
        found = [str(fault) for fault in faults(before, after, subresource=subresource)]
        mirror = subresource == "ephemeralcontainers"
        assert found == ([": Forbidden: static pods do not support ephemeral containers"] if mirror else errors)


def test_annotations_may_not_be_added_by_the_way_of_ephemeral_containers() -> None:
    before = defaulted(from_json(pod(nodeName="n")))
    after = evolve(before, metadata=evolve(before.metadata, annotations={"kubernetes.io/config.mirror": "x"}))
    [fault] = faults(before, after, subresource="ephemeralcontainers")
    assert fault.detail == "may not add mirror pod annotation"


def node(status: Any = None, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": spec, "status": status or {}}


TAINTS = [
    {"key": "a", "effect": "NoSchedule"},
    {"key": "a", "value": "v", "effect": "NoSchedule"},
    {"key": "a", "effect": "NoExecute"},
    {"key": "a b", "value": "c d", "effect": ""},
    {"key": "c", "effect": "Never"},
]
LABEL_VALUE = (
    "Invalid value: \"c d\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex "
    "used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
TAINT_ERRORS = [
    'metadata.taints[1]: Duplicate value: {"Key":"a","Value":"v","Effect":"NoSchedule","TimeAdded":null}: taints must '
    "be unique by key and effect pair",
    f"metadata.taints[3].key: {QUALIFIED}",
    f"metadata.taints[3].value: {LABEL_VALUE}",
    "metadata.taints[3].effect: Required value",
    'metadata.taints[4].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", '
    '"NoExecute"',
]
AMOUNTS = {"capacity": {"pods": "1.5", "cpu": "-1"}, "allocatable": {"memory": "-2Mi"}}
AMOUNT_ERRORS = [
    'status.capacity.pods: Invalid value: "1500m": must be an integer',
    'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
    'status.allocatable.memory: Invalid value: "-2Mi": must be greater than or equal to 0',
]
RANGES = ["10.0.0.0/24", "x", "10.0.0.0/24"]
NEW_NODES: list[tuple[dict[str, Any], list[str]]] = [
    (node({"capacity": {"cpu": "4", "pods": "110"}}, taints=TAINTS[:1], podCIDRs=["10.0.0.0/24", "fd00::/64"]), []),
    (node(taints=TAINTS), TAINT_ERRORS),
    (node(AMOUNTS), AMOUNT_ERRORS),
    (
        node(podCIDRs=RANGES),
        [
            'spec.podCIDRs[1]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
            'spec.podCIDRs: Invalid value: ["10.0.0.0/24","x","10.0.0.0/24"]: may specify no more than one CIDR for '
            "each IP family",
            'spec.podCIDRs[2]: Duplicate value: "10.0.0.0/24"',
        ],
    ),
    (
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "N"}},
        [f'metadata.name: Invalid value: "N": {SUBDOMAIN}'],
    ),
]


@pytest.mark.parametrize(("manifest", "errors"), NEW_NODES)
def test_new_nodes(manifest: dict[str, Any], errors: list[str]) -> None:
    assert [str(fault) for fault in faults(None, from_json(manifest))] == errors


HOME = {"type": "InternalIP", "address": "10.0.0.1"}
CHANGED_NODES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (node(), node({"addresses": [HOME]}, podCIDRs=["10.0.0.0/24"], providerID="p", unschedulable=True), []),
    (node(), node(AMOUNTS), AMOUNT_ERRORS),
    (
        node(),
        node({"addresses": [HOME, {**HOME, "type": "Hostname"}, HOME]}),
        ['status.addresses[2]: Duplicate value: {"Type":"InternalIP","Address":"10.0.0.1"}'],
    ),
    (
        node(podCIDRs=["10.0.0.0/24"], providerID="p"),
        node(podCIDRs=["10.0.1.0/24"], providerID="q"),
        [
            'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
            'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
        ],
    ),
    (node(), node(taints=TAINTS), TAINT_ERRORS),
    (node(), node(externalID="x"), ["spec.externalID: Forbidden: may not be updated"]),
    (
        node(),
        {**node(), "metadata": {"name": "n", "uid": "other"}},
        ['metadata.uid: Invalid value: "other": field is immutable'],
    ),
]


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize(("old", "new", "errors"), CHANGED_NODES)
def test_changed_nodes(old: dict[str, Any], new: dict[str, Any], errors: list[str], subresource: str) -> None:
    found = faults(from_json(old), from_json(new), subresource=subresource)
    assert [str(fault) for fault in found] == errors


FEW = "cannot be greater than status.replicas"
COUNTS = ("replicas", "readyReplicas", "availableReplicas", "observedGeneration")
OF_DEPLOYMENTS = (*COUNTS, "updatedReplicas", "unavailableReplicas", "collisionCount")
OF_SETS = (*COUNTS, "fullyLabeledReplicas")
OF_BUDGETS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "a"}}
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": {"name": "d", "namespace": "a"},
    "spec": {"selector": {"app": "web"}, "template": workload()["spec"]["template"]},
}
NUMBERED = {
    "Deployment": (workload(), OF_DEPLOYMENTS),
    "ReplicaSet": (workload("ReplicaSet"), OF_SETS),
    "ReplicationController": (CONTROLLER, OF_SETS),
    "PodDisruptionBudget": ({**BUDGET, "spec": {}}, OF_BUDGETS),
}
NEGATIVES = [(kind, field) for kind, (_, names) in NUMBERED.items() for field in names]


@pytest.mark.parametrize(("kind", "field"), NEGATIVES)
def test_numbers_are_not_negative(kind: str, field: str) -> None:
    status = {"replicas": 0, "observedGeneration": 1, field: -1}
    found = [error for error in judged(NUMBERED[kind][0], status) if "cannot be greater than" not in error]
    assert found == [f"status.{field}: {LOW}"]


PARTS = [
    ("Deployment", {"updatedReplicas": 2}, [f"status.updatedReplicas: Invalid value: 2: {FEW}"]),
    ("Deployment", {"readyReplicas": 2}, [f"status.readyReplicas: Invalid value: 2: {FEW}"]),
    ("Deployment", {"readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, []),
    ("ReplicaSet", {"fullyLabeledReplicas": 2}, [f"status.fullyLabeledReplicas: Invalid value: 2: {FEW}"]),
    ("ReplicaSet", {"readyReplicas": 2}, [f"status.readyReplicas: Invalid value: 2: {FEW}"]),
    ("ReplicaSet", {"readyReplicas": 1, "fullyLabeledReplicas": 1, "availableReplicas": 1}, []),
]
MORE = [
    f"status.availableReplicas: Invalid value: 2: {FEW}",
    "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
]


@pytest.mark.parametrize(
    ("kind", "status", "errors"),
    [
        *PARTS,
        *((kind, {"availableReplicas": 2}, MORE) for kind in ("Deployment", "ReplicaSet", "ReplicationController")),
    ],
)
def test_a_part_is_not_more_than_all(kind: str, status: dict[str, Any], errors: list[str]) -> None:
    assert judged(NUMBERED[kind][0], {"replicas": 1, **status}) == errors


@pytest.mark.parametrize(
    ("before", "after", "shown"), [(2, 1, 1), (2, None, 0), (1, 2, None), (None, 1, None), (2, 2, None)]
)
def test_collisions_are_never_fewer(before: int | None, after: int | None, shown: int | None) -> None:
    status = [{} if count is None else {"collisionCount": count} for count in (before, after)]
    text = f"status.collisionCount: Invalid value: {shown}: cannot be decremented"
    assert judged(workload(), status[1], status[0]) == ([] if shown is None else [text])


BALANCED = service(type="LoadBalancer")
REASON = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    "'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', "
    "regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')"
)
GOOD = {"type": "A", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Fine"}
PHASE = "status.Phase: Invalid value: {}: may only be '{}' if `deletionTimestamp` is {}"
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
DYING = {**NAMESPACE, "metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
OTHERS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (BALANCED, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ipMode": "VIP"}, {"hostname": "a.b"}]}}, []),
    (
        service(),
        {"loadBalancer": {"ingress": [{"ip": "x"}]}},
        ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
    ),
    (
        BALANCED,
        {
            "loadBalancer": {
                "ingress": [
                    {"ip": "x"},
                    {"ipMode": "VIP", "hostname": "A"},
                    {"ip": "1.2.3.4", "ipMode": "V", "hostname": "1.2.3.4"},
                ]
            }
        },
        [
            f'status.loadBalancer.ingress[0].ip: Invalid value: "x": {NO_IP}',
            "status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set",
            "status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
            f'status.loadBalancer.ingress[1].hostname: Invalid value: "A": {SUBDOMAIN}',
            'status.loadBalancer.ingress[2].ipMode: Unsupported value: "V": supported values: "Proxy", "VIP"',
            'status.loadBalancer.ingress[2].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        ],
    ),
    ({**BUDGET, "spec": {}}, {"conditions": [GOOD]}, []),
    (
        {**BUDGET, "spec": {}},
        {"conditions": [GOOD, {**GOOD, "status": "Yes", "observedGeneration": -1, "reason": "1"}]},
        [
            'status.conditions[1].type: Duplicate value: "A"',
            'status.conditions[1].status: Unsupported value: "Yes": supported values: "False", "True", "Unknown"',
            "status.conditions[1].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
            f'status.conditions[1].reason: Invalid value: "1": {REASON}',
        ],
    ),
    (
        {**BUDGET, "spec": {}},
        {"conditions": [{"type": "a b", "reason": "", "message": "m" * 32769}, {**GOOD, "reason": "R" * 1025}]},
        [
            f"status.conditions[0].type: {QUALIFIED}",
            'status.conditions[0].status: Unsupported value: "": supported values: "False", "True", "Unknown"',
            "status.conditions[0].lastTransitionTime: Required value: must be set",
            "status.conditions[0].reason: Required value: must be set",
            "status.conditions[0].message: Too long: may not be more than 32768 bytes",
            "status.conditions[1].reason: Too long: may not be more than 1024 bytes",
        ],
    ),
    (NAMESPACE, {"phase": "Active"}, []),
    (NAMESPACE, {"phase": "Terminating"}, [PHASE.format('"Terminating"', "Active", "empty")]),
    (DYING, {"phase": "Terminating"}, []),
    (DYING, {}, [PHASE.format('""', "Terminating", "not empty")]),
]


@pytest.mark.parametrize(("manifest", "status", "errors"), OTHERS)
def test_others(manifest: dict[str, Any], status: dict[str, Any], errors: list[str]) -> None:
    assert judged(manifest, status) == errors


REPORTED = [pod(), node(), *(manifest for manifest, _ in NUMBERED.values()), service(), NAMESPACE]


@pytest.mark.parametrize("manifest", REPORTED, ids=[each["kind"] for each in REPORTED])
def test_the_metadata_are_judged_with_the_status(manifest: dict[str, Any]) -> None:
    old = evolve(defaulted(from_json(manifest)), status=type(from_json(manifest).status)())
    if manifest["kind"] == "Namespace":
        old = evolve(old, status=evolve(old.status, phase="Active"))
    new = evolve(old, metadata=evolve(old.metadata, uid="other"))
    text = 'metadata.uid: Invalid value: "other": field is immutable'
    assert [str(fault) for fault in faults(old, new, subresource="status")] == [text]


def test_a_bad_status_is_refused_whoever_sends_it() -> None:
    world = World()
    made = world.make(pod(restartPolicy="Never"))
    status = evolve(made.status, observed_generation=-1)
    text = f'Pod "p" is invalid: status.observedGeneration: {NEGATIVE}'
    key = ("Pod", "a", "p")
    assert world.refused(PatchStatus(key=key, uid=made.metadata.uid, status=status), "kubelet") == (
        422,
        "Invalid",
        text,
    )
    assert world.refused(Update(object=evolve(made, status=status), subresource="status")) == (422, "Invalid", text)
    body = {"status": {"observedGeneration": -1}}
    assert world.refused(Patch(key=key, body=body, subresource="status")) == (422, "Invalid", text)
    both = {**body, "metadata": {"annotations": {"x": "y"}}}
    assert world.refused(Patch(key=key, body=both, subresource="status")) == (422, "Invalid", text)
    assert (
        world.done(Patch(key=key, body={"status": {"message": "fine"}}, subresource="status")).status.message == "fine"
    )


def test_an_address_of_a_load_balancer_has_a_mode() -> None:
    world = World()
    world.done(Create(object=from_json(BALANCED)))
    body = {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5", "ipMode": "Proxy"}]}}}
    made = world.done(Patch(key=("Service", "a", "s"), body=body, subresource="status"))
    assert [each.ip_mode for each in made.status.load_balancer.ingress] == ["VIP", "Proxy"]
    named = {"status": {"loadBalancer": {"ingress": [{"hostname": "a.b"}]}}}
    made = world.done(Patch(key=("Service", "a", "s"), body=named, subresource="status"))
    assert [each.ip_mode for each in made.status.load_balancer.ingress] == [None]


STATES = st.sampled_from(
    ({"running": {}}, {"waiting": {}}, {"terminated": {"exitCode": 0}}, {"terminated": {"exitCode": 1}})
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(("app", "x")), "state": STATES},
        optional={
            "user": st.sampled_from(({"linux": {"uid": 0, "gid": 0}}, {"linux": {"uid": -1, "gid": 0}})),
            "allocatedResourcesStatus": st.just([{"name": "gpu"}]),
        },
    ),
    max_size=2,
)
ADDRESSES = st.lists(
    st.sampled_from(({"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "01.2.3.4"}, {"ip": "x"})), max_size=2
)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "conditions": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(("Ready", "x.org/y", "a b"))},
                optional={"observedGeneration": st.integers(-1, 1)},
            ),
            max_size=2,
        ),
        "nominatedNodeName": st.sampled_from(("n", "N_")),
        "observedGeneration": st.integers(-1, 2),
        "qosClass": st.sampled_from(("Burstable", "BestEffort")),
        "containerStatuses": CONTAINERS,
        "initContainerStatuses": CONTAINERS,
        "ephemeralContainerStatuses": CONTAINERS,
        "resourceClaimStatuses": st.just([{"name": "c"}]),
        "podIPs": ADDRESSES,
        "hostIP": st.sampled_from(("10.0.0.1", "x")),
        "hostIPs": ADDRESSES,
    },
)


@settings(max_examples=300)
@given(STATUSES, STATUSES, st.sampled_from(("Always", "OnFailure", "Never")), st.sampled_from(("", "n")))
def test_what_is_sound_at_a_glance_is_sound(before: Any, after: Any, policy: str, where: str) -> None:
    made = defaulted(from_json(pod(restartPolicy=policy, nodeName=where)))
    old = evolve(made, status=part_from_json(PodStatus, before))
    new = evolve(made, status=part_from_json(PodStatus, after))
    if surely_sound("PodReport", new, old):
        assert faults(old, new, subresource="status") == ()


def test_a_plain_status_is_sound_at_a_glance() -> None:
    made = defaulted(from_json(pod()))
    status = {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 1},
            {"type": "PodReadyToStartContainers", "status": "True"},
        ],
        "containerStatuses": [GOING],
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "hostIP": "10.0.0.9",
        "hostIPs": [{"ip": "10.0.0.9"}],
    }
    new = evolve(made, status=part_from_json(PodStatus, status))
    assert surely_sound("PodReport", new, made)
    crashed = evolve(
        new,
        status=evolve(
            new.status, container_statuses=part_from_json(PodStatus, {"containerStatuses": [ENDED]}).container_statuses
        ),
    )
    assert surely_sound("PodReport", crashed, new) and surely_sound("PodReport", new, crashed)
    for manifest, table in (
        (node(), "ChangedNode"),
        (workload(), "DeploymentReport"),
        (workload("ReplicaSet"), "ReplicaSetReport"),
    ):
        there = defaulted(from_json(manifest))
        assert surely_sound(table, there, there)
