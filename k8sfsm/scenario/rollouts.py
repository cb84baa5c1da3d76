"""`kubectl rollout`: restart, pause, resume, undo, status, history.

Source: staging/src/k8s.io/kubectl/pkg/polymorphichelpers.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from k8sfsm.controllers.deployment.revision import NOT_COPIED, revision_of
from k8sfsm.kinds.deployment import POD_TEMPLATE_HASH, same_template
from k8sfsm.kinds.deployment_rollout import rollout_status
from k8sfsm.law import Decision, Law
from k8sfsm.objects import Deployment, ReplicaSet, format_time, to_json
from k8sfsm.request import Key, Patch
from k8sfsm.scenario.order import Order, Refused, called, found, resource_of
from k8sfsm.scenario.verbs import edit
from k8sfsm.store import Store

law = Law("kubectl")

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
_WITH_ROLLOUTS: Final = ("Deployment", "DaemonSet", "StatefulSet")


@frozen(kw_only=True)
class Rollout:
    """A command about a rollout. `target`: the ReplicaSet of the revision `wanted` (0: the one before the latest)."""

    stored: Any
    wanted: int = 0
    target: ReplicaSet | None = None


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def has_rollouts(case: Rollout) -> bool:
    """The object is of a kind that rolls out a Pod template."""
    return case.stored.kind in _WITH_ROLLOUTS


@law.fact
def is_deployment(case: Rollout) -> bool:
    """The object is a Deployment."""
    return isinstance(case.stored, Deployment)


@law.fact
def paused_rollout(case: Rollout) -> bool:
    """spec.paused."""
    return isinstance(case.stored, Deployment) and case.stored.spec.paused


@law.fact
def wanted_revision(case: Rollout) -> int:
    """The revision that the user asks for; 0: none."""
    return case.wanted


@law.fact
def revision_found(case: Rollout) -> bool:
    """A ReplicaSet of the Deployment has that revision."""
    return case.target is not None


@law.fact
def template_unchanged(case: Rollout) -> bool:
    """The Deployment has the template of that revision already."""
    assert case.target is not None
    return same_template(case.target.spec.template, case.stored.spec.template)


# -- commands ---------------------------------------------------------------------------------------------------------


def restart(store: Store, key: Key, now: int) -> Order:
    """`kubectl rollout restart`: note the time (`now`, ns) in the Pod template."""
    stored = found(store, key)
    _refuse(law.decide("restart", Rollout(stored=stored)), "error: {refusal}")
    modified = to_json(stored)
    meta = modified["spec"]["template"].setdefault("metadata", {})
    meta["annotations"] = {**(meta.get("annotations") or {}), RESTARTED_AT: format_time(now)}
    return edit(key, stored, modified, "restarted")


def pause(store: Store, key: Key) -> Order:
    """`kubectl rollout pause`."""
    return _pause(store, key, "pause", True, "paused")


def resume(store: Store, key: Key) -> Order:
    """`kubectl rollout resume`."""
    return _pause(store, key, "resume", None, "resumed")


def _pause(store: Store, key: Key, table: str, value: bool | None, says: str) -> Order:
    stored = found(store, key)
    decision = law.decide(table, Rollout(stored=stored))
    _refuse(decision, f'error: {resource_of(key[0])} "{key[2]}" {{refusal}}')
    body = {"spec": {"paused": value}}
    return Order(writes=(Patch(key=key, body=body, type="strategic", why=decision.why),), says=f"{called(key)} {says}")


def undo(store: Store, key: Key, revision: int = 0) -> Order:
    """`kubectl rollout undo`; revision 0: the one before the latest. Source: rollback.go: DeploymentRollbacker."""
    stored = found(store, key)
    target = _of_revision(store, stored, revision) if isinstance(stored, Deployment) else None
    decision = law.decide("undo", Rollout(stored=stored, wanted=revision, target=target))
    text = decision.outputs["text"].format(name=key[2], wanted=revision)
    if decision.outputs["outcome"] == "refuse":
        raise Refused(f"error: {text}")
    body = {"patch": _rollback, "skip": _no_patch}[decision.outputs["outcome"]](stored, target)
    writes = (Patch(key=key, body=body, type="json", why=decision.why),) if body else ()
    return Order(writes=writes, says=f"{called(key)} {text}")


def _no_patch(deployment: Deployment, target: ReplicaSet | None) -> list[Any]:
    return []


def _rollback(deployment: Deployment, target: ReplicaSet | None) -> list[Any]:
    """Source: rollback.go: getDeploymentPatch."""
    assert target is not None
    return [
        {"op": "replace", "path": "/spec/template", "value": _plain_template(target)},
        {"op": "replace", "path": "/metadata/annotations", "value": _annotations(deployment, target)},
    ]


def status(store: Store, key: Key, revision: int = 0) -> Order:
    """`kubectl rollout status --watch=false`: what it says now. Raises Refused where the rollout has failed."""
    stored = found(store, key)
    if stored.kind not in _WITH_ROLLOUTS:
        raise Refused(f"error: no status viewer has been implemented for {stored.kind}")
    said = rollout_status(to_json(stored), revision)
    if said.error:
        raise Refused(f"error: {said.error}")
    return Order(says=said.message.rstrip("\n"))


def history(store: Store, key: Key) -> Order:
    """`kubectl rollout history`: the revisions and why they came."""
    from k8sfsm.printer import printed_table

    stored = found(store, key)
    if not isinstance(stored, Deployment):
        raise Refused(f"error: no history viewer has been implemented for {stored.kind}")
    causes = {revision_of(rs) or 0: rs.metadata.annotations.get(CHANGE_CAUSE) for rs in replica_sets(store, stored)}
    rows = [(revision, causes[revision] or "<none>") for revision in sorted(causes)]
    return Order(says=f"{called(key)} \n{printed_table(('REVISION', 'CHANGE-CAUSE'), rows, 2)}".rstrip("\n"))


def replica_sets(store: Store, deployment: Deployment) -> tuple[ReplicaSet, ...]:
    """The ReplicaSets of a Deployment, in order of creation."""
    return tuple(store.snapshot.series("owned", "ReplicaSet", deployment.metadata.uid))


def _of_revision(store: Store, deployment: Deployment, wanted: int) -> ReplicaSet | None:
    """Source: rollback.go: deploymentRevision."""
    numbered = [(revision_of(rs), rs) for rs in replica_sets(store, deployment)]
    known = [(revision, rs) for revision, rs in numbered if revision is not None]
    if wanted:
        return next((rs for revision, rs in known if revision == wanted), None)
    ranked = sorted(known, key=lambda entry: entry[0], reverse=True)
    return ranked[1][1] if len(ranked) > 1 else None


def _plain_template(target: ReplicaSet) -> Any:
    template = to_json(target)["spec"]["template"]
    template["metadata"].get("labels", {}).pop(POD_TEMPLATE_HASH, None)
    return template


def _annotations(deployment: Deployment, target: ReplicaSet) -> dict[str, str]:
    kept = {name: text for name, text in deployment.metadata.annotations.items() if name in NOT_COPIED}
    copied = {name: text for name, text in target.metadata.annotations.items() if name not in NOT_COPIED}
    return kept | copied


def _refuse(decision: Decision, text: str) -> None:
    """Raise Refused where the decision has a refusal; `text` says where in the answer it stands."""
    refusal = decision.outputs["refusal"]
    if refusal:
        raise Refused(text.format(refusal=refusal))
