"""Adapters of the Deployment targets: they ask the same tables and run the same controller as the engine."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve, frozen

from k8sfsm.controllers.deployment import DeploymentController
from k8sfsm.controllers.deployment.finding import active_or_latest, find, oldest_first
from k8sfsm.controllers.deployment.history import clean_up_history
from k8sfsm.controllers.deployment.progress import rollout_status
from k8sfsm.controllers.deployment.revision import (
    annotations_for_new,
    last_revision,
    max_revision,
)
from k8sfsm.controllers.deployment.rolling import (
    clean_up_unhealthy,
    new_rs_size,
    reconcile_new,
    reconcile_old,
    scale_down_available,
)
from k8sfsm.controllers.deployment.scaling import proportion, saturated, scale
from k8sfsm.controllers.deployment.script import Phase
from k8sfsm.controllers.deployment.status import calculate, is_progressing, is_timed_out
from k8sfsm.controllers.deployment.template_hash import dump, replica_set_name, template_hash
from k8sfsm.controllers.deployment.working import DESIRED_REPLICAS, MAX_REPLICAS, Working, active
from k8sfsm.kinds import deployment_rollout as rollout
from k8sfsm.kinds.deployment import REVISION, is_complete, same_template
from k8sfsm.kinds.deployment_bounds import law, max_surge, max_unavailable, min_available, replicas_of, resolve
from k8sfsm.law import Decision
from k8sfsm.objects import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    ReplicaSet,
    RollingUpdateDeployment,
    key_of,
    to_json,
)
from k8sfsm.request import Key
from k8sfsm.verify.vectors import same, target
from k8sfsm.verify.vectors.deployment_api import Api, read, time_of
from k8sfsm.view import View

ALONE = Decision("Deployment/vectors")
"""Stands for the rule that orders an action, where a vector asks for the action alone."""


def _working(given: dict[str, Any], api: Api, deployment: Deployment) -> Working:
    """The working copies when `newRS` names the new ReplicaSet and all others are old."""
    replica_sets = [obj for obj in api.objects.values() if obj.kind == "ReplicaSet"]
    name = given.get("newRS")
    case = Working(View.of(list(api.objects.values()), now=time_of(given)), deployment, tuple(replica_sets))
    case.new_rs = next((rs for rs in replica_sets if rs.metadata.name == name), None)
    case.old_rss = tuple(rs for rs in replica_sets if rs.metadata.name != name)
    return case


def _start(given: dict[str, Any]) -> tuple[Api, Working]:
    deployment = read(given["deployment"])
    api = Api.of(read(document) for document in given["replicaSets"] or ())
    return api, _working(given, api, deployment)


def _sizes(api: Api) -> dict[str, int]:
    return {name: replicas_of(obj) for (kind, _, name), obj in api.objects.items() if kind == "ReplicaSet"}


@target("deployment_fenceposts")
def fenceposts(given: dict[str, Any]) -> Any:
    """Bounds as numbers of pods."""
    rolling = given["strategyType"] == "RollingUpdate"
    surge, unavailable = given["maxSurge"], given["maxUnavailable"]
    rolling_update = RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    strategy = DeploymentStrategy(type=given["strategyType"], rolling_update=rolling_update if rolling else None)
    deployment = Deployment(spec=DeploymentSpec(replicas=given["replicas"], strategy=strategy))
    out: dict[str, Any] = {"surge": 0, "unavailable": 0, "error": None}
    try:
        posts = resolve(surge, unavailable, given["replicas"])
        out |= {"surge": posts.surge, "unavailable": posts.unavailable}
    except ValueError as error:
        out["error"] = str(error)
    least = min_available(deployment) if rolling else 0
    return {
        **out,
        "maxSurge": max_surge(deployment),
        "maxUnavailable": max_unavailable(deployment),
        "minAvailable": least,
    }


@target("deployment_newrs_replicas")
def newrs_replicas(given: dict[str, Any]) -> Any:
    """The size that the new ReplicaSet may have, and what its turn in a rolling update does."""
    api, case = _start(given)
    assert case.new_rs is not None
    size = new_rs_size(case.deployment, case.all_rss, case.new_rs)
    api.play_phase(lambda: reconcile_new(case, ALONE))
    reconcile = {"scaled": case.scaled, "replicas": _sizes(api), "error": api.error or None}
    return {"newRSNewReplicas": size, "reconcile": reconcile, "error": None}


@target("deployment_rolling_down")
def rolling_down(given: dict[str, Any]) -> Any:
    """Three ways in which old ReplicaSets lose pods, each from the same start."""
    api, case = _start(given)
    api.play_phase(lambda: reconcile_old(case, ALONE))
    whole = {"scaled": case.scaled, "replicas": _sizes(api), "events": api.events, "error": api.error or None}
    return {
        "reconcileOldReplicaSets": whole,
        "cleanupUnhealthyReplicas": _shrunk(given, limit=given["maxCleanupCount"]),
        "scaleDownOldReplicaSetsForRollingUpdate": _shrunk(given, limit=None),
    }


def _shrunk(given: dict[str, Any], limit: int | None) -> dict[str, Any]:
    api, case = _start(given)
    count = 0

    def phase() -> Phase:
        nonlocal count
        old = active(case.old_rss)
        if limit is None:
            count = (yield from scale_down_available(case, old)).cut
        else:
            count = (yield from clean_up_unhealthy(case, old, limit)).cut

    api.play_phase(phase)
    return {"count": count, "replicas": _sizes(api), "error": api.error or None}


@target("deployment_proportion")
def deployment_proportion(given: dict[str, Any]) -> Any:
    """One ReplicaSet's part in a change of scale."""
    rs, deployment = read(given["replicaSet"]), read(given["deployment"])
    return {"proportion": proportion(deployment, rs, given["replicasToAdd"], given["replicasAdded"])}


@target("deployment_scale")
def deployment_scale(given: dict[str, Any]) -> Any:
    """A whole change of scale."""
    api, case = _start(given)
    api.play_phase(lambda: scale(case, ALONE))
    noted = {
        obj.metadata.name: {
            name: obj.metadata.annotations[name]
            for name in (DESIRED_REPLICAS, MAX_REPLICAS)
            if name in obj.metadata.annotations
        }
        for obj in api.objects.values()
    }
    return {"replicas": _sizes(api), "annotations": noted, "events": api.events, "error": api.error or None}


@target("deployment_status")
def deployment_status(given: dict[str, Any]) -> Any:
    """The calculated status, what it says of progress, and the status at the end of a rollout's sync."""
    _, case = _start(given)
    status = calculate(case)
    return {
        "status": to_json(status),
        "complete": is_complete(case.deployment, status),
        "progressing": is_progressing(case.deployment, status),
        "timedOut": is_timed_out(case.deployment, status, case.view.now),
        "rolloutStatus": to_json(rollout_status(case)),
        "error": None,
    }


@target("deployment_find_rs")
def find_rs(given: dict[str, Any]) -> Any:
    """New and old ReplicaSets and what is derived from them."""
    api, case = _start(given)
    found = find(case.deployment, case.claimed)
    case.new_rs, case.old_rss = found.new, law.order("newest-first", found.old, None)
    template = case.deployment.spec.template
    latest = active_or_latest(case)
    return {
        "newRS": None if found.new is None else found.new.metadata.name,
        "oldRSsWithPods": [rs.metadata.name for rs in active(found.old)],
        "allOldRSs": [rs.metadata.name for rs in found.old],
        "activeOrLatest": None if latest is None else latest.metadata.name,
        "equalIgnoreHash": {rs.metadata.name: same_template(rs.spec.template, template) for rs in api.objects.values()},
        "maxRevisionOfOld": max_revision(found.old),
        "lastRevision": last_revision(case.claimed),
        "isSaturated": saturated(case),
    }


@target("deployment_cleanup")
def cleanup(given: dict[str, Any]) -> Any:
    """Old ReplicaSets that are deleted."""
    api = Api.of(read(document) for document in given["oldReplicaSets"] or ())
    case = _working({**given, "newRS": None}, api, read(given["deployment"]))
    api.play_phase(lambda: clean_up_history(case, ALONE))
    return {"deleted": [action["name"] for action in api.actions], "error": api.error or None}


@target("deployment_annotations")
def new_annotations(given: dict[str, Any]) -> Any:
    """Annotations of a new ReplicaSet, and the revision on the Deployment."""
    deployment, rs = read(given["deployment"]), read(given["replicaSet"])
    revision = given["newRevision"]
    noted = annotations_for_new(
        deployment,
        rs,
        int(revision),
        exists=given["exists"],
        history_limit=given["revHistoryLimitInChars"],
    )
    before = deployment.metadata.annotations
    return {
        "changed": noted.changed,
        "annotations": noted.annotations,
        "setDeploymentRevision": {
            "updated": before.get(REVISION, "") != revision,
            "annotations": {**before, REVISION: revision},
        },
    }


@target("deployment_template_hash")
def deployment_template_hash(given: dict[str, Any]) -> Any:
    """The pod template hash, the text that it is made of, and the ReplicaSet's name."""
    hashed = template_hash(given["template"], given["collisionCount"])
    name = replica_set_name(given["deploymentName"], hashed)
    return {"hash": hashed, "replicaSetName": name, "dump": dump(given["template"])}


def _comparable(out: Any) -> Any:
    """A result without the kind of objects (Go leaves it out of some), with patches as JSON, ReplicaSets by name."""
    if isinstance(out, list):
        return [_comparable(item) for item in out]
    if not isinstance(out, dict):
        return out
    shown = {name: _comparable(item) for name, item in out.items() if name != "kind" or "metadata" not in out}
    if "metadata" in out:
        shown.pop("apiVersion", None)
    if "patch" in out:
        shown["patch"] = json.loads(out["patch"])
    if shown.get("subresource") == "":
        del shown["subresource"]
    if "replicaSets" in shown and isinstance(shown["replicaSets"], list):
        shown["replicaSets"] = sorted(shown["replicaSets"], key=lambda rs: rs["metadata"]["name"])
    return shown


def _same_sync(expected: Any, got: Any) -> bool:
    return same(_comparable(expected), _comparable(got))


@target("deployment_sync", compare=_same_sync)
def sync(given: dict[str, Any]) -> Any:
    """One sync of the controller."""
    objects = [read(given["deployment"]), *(read(document) for document in given["replicaSets"] or ())]
    objects += [read(document, "Pod") for document in given.get("pods") or ()]
    api = Api.of(objects)
    key = key_of(objects[0])
    api.play(DeploymentController().reconcile(View.of(objects, now=time_of(given)), key))
    stored = [obj for obj in api.objects.values() if obj.kind == "ReplicaSet"]
    return {
        "error": api.error or None,
        "actions": api.actions,
        "events": api.events,
        "deployment": to_json(api.objects[key]),
        "replicaSets": [to_json(rs) for rs in oldest_first(stored)],
    }


@target("deployment_rollout")
def whole_rollout(given: dict[str, Any]) -> Any:
    """A whole rollout: the controller syncs, then the ReplicaSets come nearer to what they are to be."""
    documents = [given["deployment"], *(given["replicaSets"] or ())]
    api = Api.of(read(document) for document in documents)
    key = key_of(read(given["deployment"]))
    steps: list[dict[str, Any]] = []
    known = frozenset(document["metadata"]["name"] for document in given["replicaSets"] or ())
    ready = Readiness(known, given["newPods"], time_of(given))
    quiet = 0
    while (quiet < 2 or len(steps) <= given["resizeAtStep"]) and len(steps) < 40:
        before = dict(api.objects)
        if len(steps) == given["resizeAtStep"]:
            api.objects[key] = _resized(api.objects[key], given["resizeTo"])
        api.events.clear()
        api.play(DeploymentController().reconcile(View.of(api.objects.values(), now=time_of(given)), key))
        steps.append(_rollout_step(api, key))
        for other, obj in list(api.objects.items()):
            if obj.kind == "ReplicaSet":
                api.objects[other] = ready.advance(obj)
        quiet = quiet + 1 if before == api.objects else 0
    return {"steps": steps}


def _resized(deployment: Deployment, replicas: int) -> Deployment:
    metadata = evolve(deployment.metadata, generation=deployment.metadata.generation + 1)
    return evolve(deployment, metadata=metadata, spec=evolve(deployment.spec, replicas=replicas))


def _rollout_step(api: Api, key: Key) -> dict[str, Any]:
    status = api.objects[key].status
    replica_sets = [obj for obj in api.objects.values() if obj.kind == "ReplicaSet"]
    return {
        "error": api.error or None,
        "events": sorted(api.events),
        "replicaSets": {
            rs.metadata.name: {
                "spec": replicas_of(rs),
                "available": rs.status.available_replicas,
                "revision": rs.metadata.annotations.get(REVISION, ""),
            }
            for rs in replica_sets
        },
        "conditions": {item.type: f"{item.status}/{item.reason}" for item in status.conditions},
        "status": {
            "replicas": status.replicas,
            "updated": status.updated_replicas,
            "ready": status.ready_replicas,
            "available": status.available_replicas,
            "unavailable": status.unavailable_replicas,
        },
    }


@frozen
class Readiness:
    """The vectors' stand-in for the ReplicaSet controller and kubelets. `known`: ReplicaSets of the start."""

    known: frozenset[str]
    new_pods: str
    now: int

    def advance(self, rs: ReplicaSet) -> ReplicaSet:
        """The ReplicaSet one step later: all wanted pods exist, and some more of them are available."""
        wanted, available = replicas_of(rs), self._available(rs)
        status = evolve(
            rs.status,
            replicas=wanted,
            fully_labeled_replicas=wanted,
            ready_replicas=available,
            available_replicas=available,
            observed_generation=1,
        )
        metadata = rs.metadata
        if not metadata.uid:
            uid = f"new-{metadata.name}"
            metadata = evolve(metadata, generation=1, uid=uid, creation_timestamp=self.now)
        return evolve(rs, metadata=metadata, status=status)

    def _available(self, rs: ReplicaSet) -> int:
        wanted, status = replicas_of(rs), rs.status
        if rs.metadata.name in self.known:
            grown = max(0, wanted - status.replicas)
            return min(wanted, status.available_replicas + grown)
        slow = min(wanted, status.available_replicas + 1)
        return {"prompt": wanted, "slow": slow, "stuck": 0}[self.new_pods]


@target("rollout_status")
def kubectl_rollout_status(given: dict[str, Any]) -> Any:
    """What `kubectl rollout status` says."""
    said = rollout.rollout_status(given["object"], given["revision"])
    return {"message": said.message, "done": said.done, "error": said.error or None}
