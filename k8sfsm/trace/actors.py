"""Which actor an account is."""

from __future__ import annotations

from typing import Any, Final

_CONTROLLER: Final = "system:serviceaccount:kube-system:"
_NODE: Final = "system:node:"
_NAMES: Final[dict[str, str]] = {
    "generic-garbage-collector": "garbage-collector",
    "daemon-set-controller": "daemonset-controller",
    "system:kube-scheduler": "kube-scheduler",
    "system:kube-controller-manager": "kube-controller-manager",
    "system:kube-proxy": "kube-proxy",
    "system:apiserver": "apiserver",
}
_CIDR_REASONS: Final = frozenset({"CIDRAssignmentFailed", "CIDRNotAvailable"})
_EVICTION_REASONS: Final = frozenset({"DeletionByTaintManager", "TaintManagerEviction"})


_MANAGER: Final = "system:kube-controller-manager"
_PEOPLE: Final = frozenset({"system:admin", "system:anonymous", "system:unsecured", "system:masters"})


def actor_of(account: str, user_agent: str = "") -> tuple[str, str]:
    """(actor, node) of a user name: controllers by their account's name, kubelets with their node, people "user".

    Where all controllers of a controller manager share its account, the end of `user_agent` names the controller.
    Source: staging/src/k8s.io/controller-manager/pkg/clientbuilder/client_builder.go: SimpleControllerClientBuilder
    """
    if account == _MANAGER:
        name = user_agent.rpartition("/")[2].removeprefix(_CONTROLLER)
        if name in _NAMES or name.endswith(("-controller", "-collector")):
            return _NAMES.get(name, name), ""
    if account.startswith(_NODE):
        return "kubelet", account.removeprefix(_NODE)
    if account.startswith(_CONTROLLER):
        name = account.removeprefix(_CONTROLLER)
        return _NAMES.get(name, name), ""
    if account in _NAMES:
        return _NAMES[account], ""
    if account.startswith("system:serviceaccount:"):
        return account.removeprefix("system:serviceaccount:").replace(":", "/"), ""
    if account.startswith("system:") and account not in _PEOPLE:
        return account.removeprefix("system:"), ""
    return "user", ""


def sharing_actor(actor: str, verb: str, kind: str, body: Any) -> str:
    """The actor behind an account that several share: two more controllers write as the node controller.

    The taint eviction controller deletes pods, announces that by a DisruptionTarget condition, and records the
    eviction; the node IPAM controller gives nodes their pod CIDRs.
    Source: pkg/controller/tainteviction/taint_eviction.go: addConditionAndDeletePod;
    pkg/controller/nodeipam/ipam/range_allocator.go: updateCIDRsAllocation.
    """
    if actor != "node-controller" or not isinstance(body, dict):
        return "taint-eviction-controller" if (actor, verb, kind) == ("node-controller", "delete", "Pod") else actor
    spec = body.get("spec")
    if (verb == "patch" and isinstance(spec, dict) and "podCIDR" in spec) or body.get("reason") in _CIDR_REASONS:
        return "node-ipam-controller"
    evicts = kind == "Pod" and verb == "delete"
    announces = any(condition.get("reason") in _EVICTION_REASONS for condition in _conditions(body))
    records = kind == "Event" and body.get("reason") in _EVICTION_REASONS
    return "taint-eviction-controller" if evicts or announces or records else actor


def _conditions(body: dict[str, Any]) -> list[dict[str, Any]]:
    status = body.get("status")
    found = status.get("conditions") if isinstance(status, dict) else None
    return [condition for condition in found or () if isinstance(condition, dict)]
