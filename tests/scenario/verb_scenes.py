"""Commands on a small store, and what kubectl would send and say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from k8sfsm.objects import from_json
from k8sfsm.request import Create, Delete, Evict, Outcome, Patch
from k8sfsm.scenario import nodes, rollouts, verbs
from k8sfsm.scenario.draining import Drain, DrainOptions
from k8sfsm.scenario.order import Order, Refused, key_called
from k8sfsm.store import Store

NOW = 1_767_225_600_000_000_000
REVISION = "deployment.kubernetes.io/revision"
CAUSE = "kubernetes.io/change-cause"


def template(image: str, hash: str = "") -> dict[str, Any]:
    labels = {"app": "web", **({"pod-template-hash": hash} if hash else {})}
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}


def deployment(name: str = "web", image: str = "web:2", paused: bool = False) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "generation": 2,
            "annotations": {REVISION: "2", "note": "old"},
            "labels": {"tier": "front"},
        },
        "spec": {
            "replicas": 3,
            **({"paused": True} if paused else {}),
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template(image),
        },
        "status": {"observedGeneration": 1},
    }


def replica_set(owner: str, revision: str, image: str) -> dict[str, Any]:
    reference = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": owner,
        "uid": f"uid-{owner}",
        "controller": True,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{owner}-{revision}",
            "namespace": "default",
            "annotations": {REVISION: revision, CAUSE: f"cause {revision}", "note": f"note {revision}"},
            "ownerReferences": [reference],
        },
        "spec": {"replicas": 0, "template": template(image, "hash")},
    }


def node(name: str, cordoned: bool = False) -> dict[str, Any]:
    taints = [{"key": "old", "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"unschedulable": cordoned, "taints": taints},
    }


def pod(name: str, node: str, owner: str = "", phase: str = "Running", mirror: bool = False) -> dict[str, Any]:
    owners = [{"apiVersion": "apps/v1", "kind": owner, "name": "o", "uid": "u", "controller": True}] if owner else []
    marks = {"kubernetes.io/config.mirror": "x"} if mirror else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "ownerReferences": owners, "annotations": marks},
        "spec": {"nodeName": node, "containers": [{"name": "a", "image": "i"}]},
        "status": {"phase": phase},
    }


OBJECTS = (
    deployment(),
    replica_set("web", "1", "web:1"),
    replica_set("web", "2", "web:2"),
    replica_set("web", "none", "web:0"),
    deployment("paused", paused=True),
    replica_set("paused", "1", "web:1"),
    replica_set("paused", "2", "web:2"),
    deployment("new"),
    replica_set("new", "1", "web:2"),
    node("n1"),
    node("n2", cordoned=True),
    node("n3"),
    pod("owned", "n1", "ReplicaSet"),
    pod("static", "n1", mirror=True),
    pod("over", "n1", phase="Succeeded"),
    pod("daemon", "n2", "DaemonSet"),
    pod("daemon-over", "n1", "DaemonSet", phase="Failed"),
    pod("alone", "n3"),
    {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {"template": template("db:1"), "replicas": 1},
    },
)


def store() -> Store:
    made = Store.starting_at(0)
    for document in OBJECTS:
        made, _ = made.put(from_json(document), NOW)
    return made


def answered(write: Any, code: int) -> Outcome:
    return Outcome(request=write, code=code, reason="Because", message="no")


def drained(name: str, *codes: int, stays: int = 0, **options: Any) -> Order:
    """A drain to its end. `codes`: the answers to evictions; `stays`: for how many looks an evicted pod is there."""
    kept, clock, looks = [node_pods()], [0], [stays]
    writes: list[Any] = []
    left = list(codes)

    def send(write: Any) -> Outcome:
        writes.append(write)
        if isinstance(write, Patch):
            return answered(write, 200)
        outcome = answered(write, left.pop(0) if left else 201)
        if outcome.ok and not stays:
            kept[0], _ = kept[0].remove(write.key)
        return outcome

    def read() -> Store:
        found = [write.key for write in writes if isinstance(write, Evict)]
        looks[0] -= bool(found)
        if found and stays and looks[0] < 0 and kept[0].get(*found[-1]) is not None:
            kept[0], _ = kept[0].remove(found[-1])
        return kept[0]

    drain = Drain(
        node=name,
        options=DrainOptions(**options),
        cordon=lambda found: nodes.cordon(found, name),
        read=read,
        send=send,
        now=lambda: clock[0],
        due=0,
        latency=0,
    )
    while not drain.over:
        clock[0] = drain.due
        drain.step()
    return Order(writes=tuple(writes), says=f"{drain.text} ({clock[0] // 10**9} s{', failed' if drain.failed else ''})")


def node_pods() -> Store:
    made = store()
    for document in (local("local", "n4", "Job"), local("local-over", "n5", "", "Succeeded"), node("n4"), node("n5")):
        made, _ = made.put(from_json(document), NOW)
    return made


def local(name: str, place: str, owner: str, phase: str = "Running") -> dict[str, Any]:
    document = pod(name, place, owner, phase)
    document["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    return document


def manifest(**changes: Any) -> dict[str, Any]:
    document = deployment()
    for name in ("uid", "generation"):
        del document["metadata"][name]
    del document["status"]
    document["metadata"]["annotations"] = {"note": "old"}
    return {**document, **changes}


def applied_before() -> Store:
    """A store whose Deployment was made by `apply`."""
    made = Store.starting_at(0)
    order = verbs.apply(made, manifest())
    created = order.writes[0]
    assert isinstance(created, Create)
    made, _ = made.put(created.object, NOW)
    return made


def reapplied(change: Callable[[dict[str, Any]], None]) -> Order:
    wanted = manifest()
    change(wanted)
    return verbs.apply(applied_before(), wanted)


def key(target: str) -> Any:
    return key_called(target)


def summary(scene: Callable[[], Order]) -> str:
    """The writes and what is said, or the refusal, in one line."""
    try:
        order = scene()
    except Refused as error:
        return f"! {error}"
    return " ; ".join([*map(_write, order.writes), order.says])


def _write(write: Any) -> str:
    if isinstance(write, Create):
        return f"create {write.object.kind}"
    if isinstance(write, Evict):
        return f"evict {write.key[2]}"
    if isinstance(write, Delete):
        return f"delete {write.propagation} {write.grace_seconds}"
    assert isinstance(write, Patch)
    body = write.body
    if isinstance(body, Mapping):
        body = _without_note(dict(body))
    return f"{write.type}{'/' + write.subresource if write.subresource else ''} {body}"


def _without_note(body: dict[str, Any]) -> dict[str, Any]:
    """What `apply` notes is tested by itself."""
    annotations = body.get("metadata", {}).get("annotations", {})
    if "kubectl.kubernetes.io/last-applied-configuration" in annotations:
        rest = {name: text for name, text in annotations.items() if "last-applied" not in name}
        metadata = {**body["metadata"], "annotations": rest}
        metadata = {name: part for name, part in metadata.items() if part}
        body = {name: part for name, part in {**body, "metadata": metadata}.items() if part}
    return body


def drop_label(document: dict[str, Any]) -> None:
    del document["metadata"]["labels"]["tier"]


def recreate(document: dict[str, Any]) -> None:
    document["spec"]["strategy"] = {"type": "Recreate"}


def add_container(document: dict[str, Any]) -> None:
    document["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})


def other_container(document: dict[str, Any]) -> None:
    document["spec"]["template"]["spec"]["containers"] = [{"name": "other", "image": "other:1"}]


WEB, PAUSED = "deployment.apps/web", "deployment.apps/paused"
NO_OWNER = "cannot delete Pods that declare no controller (use --force to override): default/alone"
DAEMON = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/daemon"
LOCAL = "cannot delete Pods with local storage (use --delete-emptydir-data to override): default/local"
EVICTING = 'error when evicting pods/"local" -n "default"'
RETRY = f"{EVICTING} (will retry after 5s): no"
FAILS = f"{EVICTING}: no"
LATE = f"{EVICTING}: global timeout reached: 5s"
STAYS = 'error when waiting for pod "local" in namespace "default" to terminate: global timeout reached: 2s'


def pending(problem: str) -> str:
    return (
        f'There are pending pods in node "n4" when an error occurred: {problem}\npod/local\n'
        f'error: unable to drain node "n4" due to error: {problem}, continuing command...\n'
        f"There are pending nodes to be drained:\n n4\n{problem}"
    )


SCENES: dict[str, tuple[Callable[[], Order], str]] = {
    "create": (
        lambda: verbs.create(store(), {**manifest(), "metadata": {"name": "x"}}),
        "create Deployment ; deployment.apps/x created",
    ),
    "apply-create": (lambda: verbs.apply(Store.starting_at(0), manifest()), f"create Deployment ; {WEB} created"),
    "apply-same": (lambda: reapplied(lambda document: None), f"{WEB} unchanged"),
    "apply-replicas": (
        lambda: reapplied(lambda document: document["spec"].update(replicas=5)),
        f"strategic {{'spec': {{'replicas': 5}}}} ; {WEB} configured",
    ),
    "apply-drop-label": (
        lambda: reapplied(drop_label),
        f"strategic {{'metadata': {{'labels': {{'tier': None}}}}}} ; {WEB} configured",
    ),
    "apply-recreate": (
        lambda: reapplied(recreate),
        "strategic {'spec': {'strategy': {'type': 'Recreate', 'rollingUpdate': None, '$retainKeys': ['type']}}}"
        f" ; {WEB} configured",
    ),
    "apply-add-container": (
        lambda: reapplied(add_container),
        "strategic {'spec': {'template': {'spec': {'$setElementOrder/containers': [{'name': 'app'}, {'name': 'side'}],"
        f" 'containers': [{{'name': 'side', 'image': 'side:1'}}]}}}}}}}} ; {WEB} configured",
    ),
    "apply-other-container": (
        lambda: reapplied(other_container),
        "strategic {'spec': {'template': {'spec': {'$setElementOrder/containers': [{'name': 'other'}],"
        " 'containers': [{'name': 'other', 'image': 'other:1'}, {'$patch': 'delete', 'name': 'app'}]}}}}"
        f" ; {WEB} configured",
    ),
    "apply-generated": (
        lambda: verbs.apply(store(), {**manifest(), "metadata": {"generateName": "x-"}}),
        "! error: from x-: cannot use generate name with apply",
    ),
    "scale": (
        lambda: verbs.scale(store(), key("deployment/web"), 5),
        f"merge/scale {{'spec': {{'replicas': 5}}}} ; {WEB} scaled",
    ),
    "scale-other": (
        lambda: verbs.scale(store(), key("deploy/web"), 5, current=4),
        "! error: Expected replicas to be 4, was 3",
    ),
    "scale-missing": (
        lambda: verbs.scale(store(), key("deploy/no"), 5),
        '! Error from server (NotFound): deployments.apps "no" not found',
    ),
    "image": (
        lambda: verbs.image(store(), key("deploy/web"), "app", "web:3"),
        "strategic {'spec': {'template': {'spec': {'$setElementOrder/containers': [{'name': 'app'}],"
        f" 'containers': [{{'image': 'web:3', 'name': 'app'}}]}}}}}}}} ; {WEB} image updated",
    ),
    "image-same": (lambda: verbs.image(store(), key("deploy/web"), "*", "web:2"), ""),
    "image-none": (
        lambda: verbs.image(store(), key("deploy/web"), "no", "web:3"),
        '! error: unable to find container named "no"',
    ),
    "delete": (
        lambda: verbs.delete(store(), key("po/owned")),
        'delete Background None ; pod "owned" deleted from default namespace',
    ),
    "delete-given": (
        lambda: verbs.delete(store(), key("po/owned"), "Foreground", grace=7),
        'delete Foreground 7 ; pod "owned" deleted from default namespace',
    ),
    "delete-zero": (
        lambda: verbs.delete(store(), key("po/owned"), grace=0),
        'delete Background 1 ; pod "owned" deleted from default namespace',
    ),
    "delete-force": (
        lambda: verbs.delete(store(), key("po/owned"), force=True),
        'delete Background 0 ; pod "owned" force deleted from default namespace',
    ),
    "delete-force-zero": (
        lambda: verbs.delete(store(), key("no/n1"), grace=0, force=True),
        'delete Background 0 ; node "n1" force deleted',
    ),
    "delete-contradiction": (
        lambda: verbs.delete(store(), key("po/owned"), grace=7, force=True),
        "! error: --force and --grace-period greater than 0 cannot be specified together",
    ),
    "label": (
        lambda: verbs.label(store(), key("deploy/web"), {"a": "b"}),
        f"merge {{'metadata': {{'labels': {{'a': 'b'}}}}}} ; {WEB} labeled",
    ),
    "label-taken": (
        lambda: verbs.label(store(), key("deploy/web"), {"tier": "b"}),
        "! error: 'tier' already has a value (front), and --overwrite is false",
    ),
    "label-overwrite": (
        lambda: verbs.label(store(), key("deploy/web"), {"tier": "b"}, True),
        f"merge {{'metadata': {{'labels': {{'tier': 'b'}}}}}} ; {WEB} labeled",
    ),
    "label-same": (lambda: verbs.label(store(), key("deploy/web"), {"tier": "front"}), f"{WEB} not labeled"),
    "label-remove": (
        lambda: verbs.label(store(), key("deploy/web"), {"tier": None}),
        f"merge {{'metadata': {{'labels': {{'tier': None}}}}}} ; {WEB} unlabeled",
    ),
    "annotate": (
        lambda: verbs.annotate(store(), key("deploy/web"), {"a": "b"}),
        f"merge {{'metadata': {{'annotations': {{'a': 'b'}}}}}} ; {WEB} annotated",
    ),
    "patch": (
        lambda: verbs.patch(store(), key("deploy/web"), {"spec": {"replicas": 9}}),
        f"strategic {{'spec': {{'replicas': 9}}}} ; {WEB} patched",
    ),
    "patch-same": (
        lambda: verbs.patch(store(), key("deploy/web"), {"spec": {"replicas": 3}}, "merge"),
        f"merge {{'spec': {{'replicas': 3}}}} ; {WEB} patched (no change)",
    ),
    "restart": (
        lambda: rollouts.restart(store(), key("deploy/web"), NOW),
        "strategic {'spec': {'template': {'metadata': {'annotations': {'kubectl.kubernetes.io/restartedAt':"
        f" '2026-01-01T00:00:00Z'}}}}}}}}}} ; {WEB} restarted",
    ),
    "restart-paused": (
        lambda: rollouts.restart(store(), key("deploy/paused"), NOW),
        "! error: can't restart paused deployment (run rollout resume first)",
    ),
    "restart-pod": (lambda: rollouts.restart(store(), key("po/owned"), NOW), "! error: restarting is not supported"),
    "pause": (
        lambda: rollouts.pause(store(), key("deploy/web")),
        f"strategic {{'spec': {{'paused': True}}}} ; {WEB} paused",
    ),
    "pause-paused": (
        lambda: rollouts.pause(store(), key("deploy/paused")),
        '! error: deployments.apps "paused" is already paused',
    ),
    "pause-pod": (lambda: rollouts.pause(store(), key("po/owned")), '! error: pods "owned" pausing is not supported'),
    "resume": (
        lambda: rollouts.resume(store(), key("deploy/paused")),
        f"strategic {{'spec': {{'paused': None}}}} ; {PAUSED} resumed",
    ),
    "resume-running": (
        lambda: rollouts.resume(store(), key("deploy/web")),
        '! error: deployments.apps "web" is not paused',
    ),
    "resume-pod": (
        lambda: rollouts.resume(store(), key("po/owned")),
        '! error: pods "owned" resuming is not supported',
    ),
    "undo": (
        lambda: rollouts.undo(store(), key("deploy/web")),
        "json [{'op': 'replace', 'path': '/spec/template', 'value': {'metadata': {'labels': {'app': 'web'}}, 'spec':"
        " {'containers': [{'name': 'app', 'resources': {}, 'image': 'web:1'}]}}}, {'op': 'replace', 'path':"
        " '/metadata/annotations', 'value': {'deployment.kubernetes.io/revision': '2',"
        f" 'kubernetes.io/change-cause': 'cause 1', 'note': 'note 1'}}}}] ; {WEB} rolled back",
    ),
    "undo-same": (
        lambda: rollouts.undo(store(), key("deploy/web"), 2),
        f"{WEB} skipped rollback (current template already matches revision 2)",
    ),
    "undo-unknown": (
        lambda: rollouts.undo(store(), key("deploy/web"), 9),
        "! error: unable to find specified revision 9 in history",
    ),
    "undo-new": (
        lambda: rollouts.undo(store(), key("deploy/new")),
        '! error: no rollout history found for deployment "new"',
    ),
    "undo-paused": (
        lambda: rollouts.undo(store(), key("deploy/paused")),
        "! error: you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again",
    ),
    "undo-other": (
        lambda: rollouts.undo(store(), key("sts/db")),
        "! error: no rollbacker has been implemented for this kind",
    ),
    "status": (
        lambda: rollouts.status(store(), key("deploy/web")),
        "Waiting for deployment spec update to be observed...",
    ),
    "history": (
        lambda: rollouts.history(store(), key("deploy/new")),
        "deployment.apps/new \nREVISION  CHANGE-CAUSE\n1         cause 1",
    ),
    "cordon": (lambda: nodes.cordon(store(), "n1"), "strategic {'spec': {'unschedulable': True}} ; node/n1 cordoned"),
    "cordoned": (lambda: nodes.cordon(store(), "node/n2"), "node/n2 already cordoned"),
    "uncordon": (
        lambda: nodes.uncordon(store(), "n2"),
        "strategic {'spec': {'unschedulable': None}} ; node/n2 uncordoned",
    ),
    "uncordoned": (lambda: nodes.uncordon(store(), "n1"), "node/n1 already uncordoned"),
    "drain": (
        lambda: drained("n1"),
        "strategic {'spec': {'unschedulable': True}} ; evict owned ; evict over ; evict daemon-over ; "
        "node/n1 cordoned\nevicting pod default/owned\nevicting pod default/over\nevicting pod default/daemon-over\n"
        "pod/owned evicted\npod/over evicted\npod/daemon-over evicted\nnode/n1 drained (0 s)",
    ),
    "drain-daemon": (
        lambda: drained("n2"),
        f'node/n2 already cordoned\nerror: unable to drain node "n2" due to error: {DAEMON}, continuing command...\n'
        f"There are pending nodes to be drained:\n n2\n{DAEMON} (0 s, failed)",
    ),
    "drain-ignore": (
        lambda: drained("n2", ignore_daemonsets=True),
        "node/n2 already cordoned\nWarning: ignoring DaemonSet-managed Pods: default/daemon\nnode/n2 drained (0 s)",
    ),
    "drain-alone": (
        lambda: drained("n3"),
        "strategic {'spec': {'unschedulable': True}} ; node/n3 cordoned\n"
        f'error: unable to drain node "n3" due to error: {NO_OWNER}, continuing command...\n'
        f"There are pending nodes to be drained:\n n3\n{NO_OWNER} (0 s, failed)",
    ),
    "drain-force": (
        lambda: drained("n3", force=True),
        "strategic {'spec': {'unschedulable': True}} ; evict alone ; node/n3 cordoned\n"
        "Warning: deleting Pods that declare no controller: default/alone\n"
        "evicting pod default/alone\npod/alone evicted\nnode/n3 drained (0 s)",
    ),
    "drain-local": (
        lambda: drained("n4", force=True),
        "strategic {'spec': {'unschedulable': True}} ; node/n4 cordoned\n"
        f'error: unable to drain node "n4" due to error: {LOCAL}, continuing command...\n'
        f"There are pending nodes to be drained:\n n4\n{LOCAL} (0 s, failed)",
    ),
    "drain-local-data": (
        lambda: drained("n4", delete_emptydir_data=True),
        "strategic {'spec': {'unschedulable': True}} ; evict local ; node/n4 cordoned\n"
        "evicting pod default/local\npod/local evicted\nnode/n4 drained (0 s)",
    ),
    "drain-local-over": (
        lambda: drained("n5"),
        "strategic {'spec': {'unschedulable': True}} ; evict local-over ; node/n5 cordoned\n"
        "evicting pod default/local-over\npod/local-over evicted\nnode/n5 drained (0 s)",
    ),
    "drain-budget": (
        lambda: drained("n4", 429, 429, delete_emptydir_data=True),
        "strategic {'spec': {'unschedulable': True}} ; evict local ; evict local ; evict local ; node/n4 cordoned\n"
        f"evicting pod default/local\n{RETRY}\nevicting pod default/local\n{RETRY}\n"
        "evicting pod default/local\npod/local evicted\nnode/n4 drained (10 s)",
    ),
    "drain-too-late": (
        lambda: drained("n4", 429, 429, delete_emptydir_data=True, timeout=5 * 10**9),
        "strategic {'spec': {'unschedulable': True}} ; evict local ; node/n4 cordoned\n"
        f"evicting pod default/local\n{RETRY}\nevicting pod default/local\n"
        f"{pending(LATE)} (5 s, failed)",
    ),
    "drain-gone": (
        lambda: drained("n4", 404, delete_emptydir_data=True),
        "strategic {'spec': {'unschedulable': True}} ; evict local ; node/n4 cordoned\n"
        "evicting pod default/local\nnode/n4 drained (0 s)",
    ),
    "drain-fails": (
        lambda: drained("n4", 500, delete_emptydir_data=True),
        "strategic {'spec': {'unschedulable': True}} ; evict local ; node/n4 cordoned\n"
        f"evicting pod default/local\n{pending(FAILS)} (0 s, failed)",
    ),
    "drain-slow": (
        lambda: drained("n4", stays=3, delete_emptydir_data=True),
        "strategic {'spec': {'unschedulable': True}} ; evict local ; node/n4 cordoned\n"
        "evicting pod default/local\npod/local evicted\nnode/n4 drained (3 s)",
    ),
    "drain-slow-too-late": (
        lambda: drained("n4", stays=9, delete_emptydir_data=True, timeout=2 * 10**9),
        "strategic {'spec': {'unschedulable': True}} ; evict local ; node/n4 cordoned\n"
        f"evicting pod default/local\n{pending(STAYS)} (2 s, failed)",
    ),
    "drain-nowhere": (lambda: drained("no"), 'Error from server (NotFound): nodes "no" not found (0 s, failed)'),
    "taint": (
        lambda: nodes.taint(store(), "n1", ["a=b:NoExecute"]),
        "strategic {'spec': {'taints': [{'key': 'old', 'effect': 'NoSchedule'},"
        " {'key': 'a', 'value': 'b', 'effect': 'NoExecute'}]}}"
        " ; node/n1 tainted",
    ),
    "untaint": (
        lambda: nodes.taint(store(), "n1", ["old:NoSchedule-"]),
        "strategic {'spec': {'taints': []}} ; node/n1 untainted",
    ),
    "untaint-missing": (lambda: nodes.taint(store(), "n1", ["no-"]), '! error: taint "no" not found on node "n1"'),
    "taint-taken": (
        lambda: nodes.taint(store(), "n1", ["old=1:NoSchedule"]),
        "! error: node n1 already has old taint(s) with same effect(s) and --overwrite is false",
    ),
    "taint-wrong": (
        lambda: nodes.taint(store(), "n1", ["old"]),
        "! error: invalid taint 'old', expected KEY=VALUE:EFFECT with NoSchedule, PreferNoSchedule or NoExecute",
    ),
}
