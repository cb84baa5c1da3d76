# ruff: noqa: E501 (the texts are the real ones, whole)
"""Pod Security: what the levels let pods do, by the labels of their namespace."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, pod, workload

from k8sfsm.apiserver import Options
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.podsecurity import Turn, Violation, Written, label_errors, policies
from k8sfsm.apiserver.podsecurity_checks import Level, Policy, Secured, violations
from k8sfsm.objects import from_json
from k8sfsm.request import Create, Patch, Update

LATEST = 1 << 16
GOOD: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
PREFIX = "pod-security.kubernetes.io/"


def labelled(**labels: str) -> dict[str, Any]:
    """A namespace `s`; "_" in labels stands for a hyphen."""
    marks = {PREFIX + name.replace("_", "-"): value for name, value in labels.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "s", "labels": marks}}


def world_with(options: Options | None = None, **labels: str) -> World:
    world = World(options)
    world.make(labelled(**labels))
    world.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "s"}})
    return world


def inside(manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": "s"}}


def create(manifest: dict[str, Any]) -> Create:
    return Create(object=from_json(inside(manifest)))


def container(name: str = "app", *, good: bool = True, **fields: Any) -> dict[str, Any]:
    security = {**(GOOD if good else {}), **fields.pop("security", {})}
    return {"name": name, "image": "i:1", **({"securityContext": security} if security else {}), **fields}


def found(level: Level, spec: dict[str, Any], minor: int = LATEST, notes: dict[str, str] | None = None) -> str:
    policy = Policy(level, "latest", minor)
    return ", ".join(f"{reason} ({detail})" for reason, detail in violations(Secured(policy, spec, notes or {})))


def of(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"containers": list(containers) or [container()], **spec}


RESTRICTED = (
    'allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false), '
    'unrestricted capabilities (container "app" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "app" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)


def test_a_pod_that_breaks_what_is_enforced_is_refused_in_the_real_words() -> None:
    world = world_with(enforce="restricted")
    assert world.refused(create(pod())) == (
        403,
        "Forbidden",
        f'pods "p" is forbidden: violates PodSecurity "restricted:latest": {RESTRICTED}',
    )
    world.done(create(pod(containers=[container()])))
    world.make(pod())  # in another namespace


def test_what_is_only_warned_of_or_noted_is_stored() -> None:
    world = world_with(warn="restricted", audit="baseline", audit_version="v1.30")
    outcome = world.send(create(pod(hostNetwork=True)))
    text = f'would violate PodSecurity "restricted:latest": host namespaces (hostNetwork), {RESTRICTED}'
    assert outcome.ok and outcome.warnings == (text,)
    assert outcome.notes == {"audit": 'would violate PodSecurity "baseline:v1.30": host namespaces (hostNetwork)'}
    assert world.send(create(pod("good", containers=[container()]))).warnings == ()


def test_templates_are_warned_of_and_never_refused() -> None:
    world = world_with(enforce="restricted")
    text = f'would violate PodSecurity "restricted:latest": {RESTRICTED}'
    for kind in ("Deployment", "ReplicaSet"):
        outcome = world.send(create(workload(kind)))
        assert outcome.ok and outcome.warnings == (text,)
    template = {"spec": {"containers": [container(good=False)], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    assert world.send(create(job)).warnings == (text,)
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}}
    cron["spec"] = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}
    assert world.send(create(cron)).warnings == (text,)
    plain = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t"}, "template": template}
    assert world.send(create(plain)).warnings == (text,)
    empty = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "r"}, "spec": {}}
    assert "PodSecurity" not in str(world.send(create(empty)))
    scaled = Patch(key=("Deployment", "s", "d"), body={"spec": {"replicas": 2}}, subresource="scale")
    assert world.send(scaled).warnings == ()
    assert world.send(Patch(key=("Deployment", "s", "d"), body={"spec": {"replicas": 3}})).warnings == (text,)


def test_only_updates_that_matter_are_judged() -> None:
    world = world_with()
    world.done(create(pod()))
    world.done(Patch(key=("Namespace", "", "s"), body={"metadata": {"labels": {f"{PREFIX}enforce": "restricted"}}}))
    key = ("Pod", "s", "p")
    world.done(Patch(key=key, body={"metadata": {"labels": {"a": "b"}}}))
    images = {"spec": {"containers": [{"name": "app", "image": "other:1"}]}}
    assert world.refused(Patch(key=key, body=images, type="strategic"))[0] == 403
    seccomp = {"metadata": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "x"}}}
    assert world.refused(Patch(key=key, body=seccomp))[0] == 403
    debugger = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i:1"}]}}
    assert (
        'containers "app", "d" must'
        in world.refused(Patch(key=key, body=debugger, type="strategic", subresource="ephemeralcontainers"))[2]
    )
    world.done(Patch(key=key, body={"status": {"message": "x"}}, subresource="status"), "kubelet")


def test_who_is_exempt() -> None:
    for options in (Options(exempt_namespaces=("s",)), Options(exempt_runtime_classes=("r",))):
        world = world_with(options, enforce="restricted")
        world.make({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "r"}, "handler": "r"})
        world.done(create(pod(runtimeClassName="r")))
    world = world_with(Options(exempt_users=("system:serviceaccount:x",)), enforce="restricted")
    assert world.send(create(pod())).code == 403
    from k8sfsm.apiserver import Sender

    answer = world.api.handle(
        world.store, create(pod()), Sender("user", "system:serviceaccount:x"), world.now, world.chance
    )
    assert answer.outcome.ok
    bare = world_with(Options(admission=False), enforce="restricted")
    assert bare.send(create(pod())).ok


# -- policies ----------------------------------------------------------------------------------------------------------


def texts(**labels: str) -> dict[str, str]:
    marks = labelled(**labels)["metadata"]["labels"]
    return {mode: str(policy) for mode, policy in policies(marks).items()}


def test_levels_and_versions_by_label() -> None:
    open_ = "privileged:latest"
    assert texts() == {"enforce": open_, "audit": open_, "warn": open_}
    assert texts(enforce="baseline", enforce_version="v1.20") == {
        "enforce": "baseline:v1.20",
        "audit": open_,
        "warn": "baseline:v1.20",
    }
    assert texts(enforce="restricted", warn="baseline")["warn"] == "baseline:latest"
    assert texts(enforce="restricted", enforce_version="v1.2", warn_version="v1.9")["warn"] == "restricted:v1.9"
    assert texts(enforce="wrong", warn="wrong", audit="wrong", enforce_version="2") == {
        "enforce": "restricted:latest",
        "audit": open_,
        "warn": open_,
    }


def test_labels_have_to_be_valid() -> None:
    world = World()
    level = 'Invalid value: "strict": must be one of privileged, baseline, restricted'
    assert world.refused(Create(object=from_json(labelled(enforce="strict")))) == (
        422,
        "Invalid",
        f'Namespace "s" is invalid: metadata.labels[{PREFIX}enforce]: {level}',
    )
    both = label_errors(labelled(warn="strict", audit_version="1.2")["metadata"]["labels"])
    version = 'Invalid value: "1.2": must be "latest" or "v1.x"'
    assert both == f"[metadata.labels[{PREFIX}audit-version]: {version}, metadata.labels[{PREFIX}warn]: {level}]"
    world.make(labelled(warn_version="latest"))
    wrong = {"metadata": {"labels": {f"{PREFIX}warn": "strict"}}}
    assert world.refused(Patch(key=("Namespace", "", "s"), body=wrong))[0] == 422


def test_labels_that_were_wrong_before_may_stay() -> None:
    world = World(Options(admission=False))
    world.make(labelled(warn="strict"))
    world.api = World().api
    world.done(Patch(key=("Namespace", "", "s"), body={"metadata": {"labels": {"a": "b"}}}))


def enforcing(world: World, level: str, **more: str) -> tuple[str, ...]:
    marks = {PREFIX + "enforce": level, **{PREFIX + name.replace("_", "-"): text for name, text in more.items()}}
    return world.send(Patch(key=("Namespace", "", "s"), body={"metadata": {"labels": marks}})).warnings


def test_pods_that_are_there_are_told_of_when_labels_change() -> None:
    world = world_with()
    for name, spec in (
        ("b", {}),
        ("a", {}),
        ("c", {}),
        ("x", {"hostPID": True}),
        ("ok", {"containers": [container()]}),
    ):
        world.done(create(pod(name, **spec)))
    reasons = "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile"
    assert enforcing(world, "restricted") == (
        'existing pods in namespace "s" violate the new PodSecurity enforce level "restricted:latest"',
        f"a (and 2 other pods): {reasons}",
        f"x: host namespaces, {reasons}",
    )
    assert enforcing(world, "restricted") == () and enforcing(world, "baseline") == ()
    assert enforcing(world, "baseline", enforce_version="v1.20")[1:] == ("x: host namespaces",)
    assert enforcing(world, "privileged", enforce_version="v1.21") == ()
    pair = world_with()
    for name in ("one", "two"):
        pair.done(create(pod(name, hostIPC=True)))
    assert enforcing(pair, "baseline")[1:] == ("one (and 1 other pod): host namespaces",)
    assert enforcing(pair, "baseline", warn="privileged") == ()
    exempt = world_with(Options(exempt_namespaces=("s",)))
    exempt.done(create(pod()))
    assert enforcing(exempt, "restricted") == ()
    runtime = world_with(Options(exempt_runtime_classes=("r",)))
    runtime.make({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "r"}, "handler": "r"})
    runtime.done(create(pod(runtimeClassName="r")))
    assert enforcing(runtime, "restricted") == ()


# -- checks ------------------------------------------------------------------------------------------------------------

SYSCTL = {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}, {"name": "x", "value": "1"}]}}
ALIVE = {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_keepalive_time", "value": "1"}]}}
RESERVED = {"securityContext": {"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports", "value": "1"}]}}
ENGINE = {"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}
UNMASKED = container(security={"procMount": "Unmasked"})
HOST = {"httpGet": {"port": 1, "host": "h"}}
SOCKET = {"tcpSocket": {"port": 1, "host": "g"}}
MOUNTED = 'procMount (container "app" must not set securityContext.procMount to "Unmasked")'
ROOT = "runAsUser=0 (pod must not set runAsUser=0)"
NON_ROOT = 'runAsNonRoot != true (container "app" must not set securityContext.runAsNonRoot=false)'
PROFILES = 'forbidden AppArmor profiles (pod and container "app" must not set AppArmor profile type to "Other", "Un")'


@pytest.mark.parametrize(
    ("level", "spec", "minor", "said"),
    [
        ("privileged", of(hostPID=True), LATEST, ""),
        ("baseline", of(container(good=False)), LATEST, ""),
        ("restricted", of(), LATEST, ""),
        ("baseline", of(hostPID=True, hostIPC=True, hostNetwork=False), LATEST, "host namespaces (hostIPC, hostPID)"),
        ("restricted", of(hostPID=True), 0, "host namespaces (hostPID)"),
        ("baseline", of(container(security={"privileged": True})), LATEST, 'privileged (container "app" must not set securityContext.privileged=true)'),
        ("restricted", of(container("a", security={"privileged": True}), container("b", security={"privileged": True})), LATEST, 'privileged (containers "a", "b" must not set securityContext.privileged=true)'),
        ("baseline", of(initContainers=[container("i", security={"privileged": True})]), 0, 'privileged (container "i" must not set securityContext.privileged=true)'),
        ("baseline", of(ephemeralContainers=[container("e", security={"privileged": True})]), 0, 'privileged (container "e" must not set securityContext.privileged=true)'),
        ("baseline", of(container(ports=[{"hostPort": 80}, {"hostPort": 0}, {}])), LATEST, 'hostPort (container "app" uses hostPort 80)'),
        ("restricted", of(container("a", ports=[{"hostPort": 90}]), container("b", ports=[{"hostPort": 80}])), LATEST, 'hostPort (containers "a", "b" use hostPorts 80, 90)'),
        ("baseline", of(container(security={"capabilities": {"add": ["SYS_TIME", "CHOWN"]}})), LATEST, 'non-default capabilities (container "app" must not include "SYS_TIME" in securityContext.capabilities.add)'),
        ("restricted", of(container(security={"capabilities": {"add": ["SYS_TIME", "CHOWN"]}})), 21, 'non-default capabilities (container "app" must not include "SYS_TIME" in securityContext.capabilities.add)'),
        ("restricted", of(container(security={"capabilities": {"add": ["CHOWN", "NET_BIND_SERVICE"], "drop": ["ALL"]}})), 22, 'unrestricted capabilities (container "app" must not include "CHOWN" in securityContext.capabilities.add)'),
        ("restricted", of(container(security={"capabilities": {"add": ["CHOWN"], "drop": ["KILL"]}})), 22, 'unrestricted capabilities (container "app" must set securityContext.capabilities.drop=["ALL"]; container "app" must not include "CHOWN" in securityContext.capabilities.add)'),
        ("restricted", of(container(security={"allowPrivilegeEscalation": True})), 8, 'allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false)'),
        ("restricted", of(container(security={"allowPrivilegeEscalation": True})), 7, ""),
        ("baseline", of(volumes=[{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "nfs": {}}]), LATEST, 'hostPath volumes (volume "v")'),
        ("restricted", of(volumes=[{"name": "v", "hostPath": {}}, {"name": "w", "nfs": {}}, {"name": "x", "secret": {}}]), LATEST, 'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")'),
        ("restricted", of(volumes=[{"name": "v", "hostPath": {}}]), LATEST, 'restricted volume types (volume "v" uses restricted volume type "hostPath")'),
        ("restricted", of(volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "projected": {}}, {"name": "x", "csi": {}}, {"name": "y", "configMap": {}}, {"name": "z", "downwardAPI": {}}, {"name": "p", "persistentVolumeClaim": {}}, {"name": "e", "ephemeral": {}}]), LATEST, ""),
        ("baseline", of(UNMASKED), LATEST, MOUNTED),
        ("baseline", of(UNMASKED, hostUsers=False), LATEST, ""),
        ("baseline", of(UNMASKED, hostUsers=False), 34, MOUNTED),
        ("restricted", of(UNMASKED, hostUsers=False), LATEST, MOUNTED),
        ("restricted", of(UNMASKED, hostUsers=False), 34, MOUNTED),
        ("restricted", of(UNMASKED), 34, MOUNTED),
        ("baseline", of(**SYSCTL), LATEST, "forbidden sysctls (x)"),
        ("restricted", of(**SYSCTL), 31, "forbidden sysctls (net.ipv4.tcp_rmem, x)"),
        ("baseline", of(**ALIVE), 29, ""),
        ("baseline", of(**ALIVE), 28, "forbidden sysctls (net.ipv4.tcp_keepalive_time)"),
        ("restricted", of(**RESERVED), 27, ""),
        ("restricted", of(**RESERVED), 26, "forbidden sysctls (net.ipv4.ip_local_reserved_ports)"),
        ("baseline", of(**ENGINE), 31, ""),
        ("restricted", of(securityContext={"seLinuxOptions": {"type": "t"}}), 31, 'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "t")'),
        ("baseline", of(**ENGINE), 30, 'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")'),
        ("restricted", of(**ENGINE), 30, 'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")'),
        ("baseline", of(container(security={"seLinuxOptions": {"type": "t", "user": "u", "role": "r"}}), securityContext={"seLinuxOptions": {"type": "s"}}), LATEST, 'seLinuxOptions (pod and container "app" set forbidden securityContext.seLinuxOptions: types "s", "t"; user may not be set; role may not be set)'),
        ("baseline", of(securityContext={"seLinuxOptions": {"user": "u"}}), LATEST, "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: user may not be set)"),
        ("baseline", of(container(security={"windowsOptions": {"hostProcess": True}}), securityContext={"windowsOptions": {"hostProcess": True}}), LATEST, 'hostProcess (pod and container "app" must not set securityContext.windowsOptions.hostProcess=true)'),
        ("restricted", of(securityContext={"windowsOptions": {"hostProcess": True}}), 0, "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"),
        ("baseline", of(container(security={"seccompProfile": {"type": "Unconfined"}})), 19, 'seccompProfile (container "app" must not set securityContext.seccompProfile.type to "Unconfined")'),
        ("baseline", of(container(security={"seccompProfile": {"type": "Unconfined"}})), 18, ""),
        ("restricted", of(container(good=False, security={"seccompProfile": {"type": "Unconfined"}, **{k: v for k, v in GOOD.items() if k != "seccompProfile"}})), 19, 'seccompProfile (container "app" must not set securityContext.seccompProfile.type to "Unconfined")'),
        ("restricted", of(container(good=False), securityContext={"seccompProfile": {"type": "Localhost"}, "runAsNonRoot": True}), 7, ""),
        ("restricted", of(container(security={"runAsNonRoot": False})), 34, NON_ROOT),
        ("restricted", of(container(security={"runAsNonRoot": False})), LATEST, NON_ROOT),
        ("restricted", of(container(security={"runAsNonRoot": False}), hostUsers=False), 34, NON_ROOT),
        ("restricted", of(container(security={"runAsNonRoot": False}), hostUsers=False), LATEST, ""),
        ("restricted", of(securityContext={"runAsNonRoot": False}), LATEST, "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)"),
        ("restricted", of(securityContext={"runAsUser": 0}), LATEST, ROOT),
        ("restricted", of(securityContext={"runAsUser": 0}, hostUsers=False), LATEST, ""),
        ("restricted", of(securityContext={"runAsUser": 0}, hostUsers=False), 34, ROOT),
        ("restricted", of(securityContext={"runAsUser": 0}), 22, ""),
        ("restricted", of(container(security={"runAsUser": 0}), securityContext={"runAsUser": 7}), 23, 'runAsUser=0 (container "app" must not set runAsUser=0)'),
        ("baseline", of(container("b", livenessProbe=HOST), container("a", lifecycle={"preStop": SOCKET})), 34, 'probe or lifecycle host (containers "a", "b" use probe or lifecycle hosts "g", "h")'),
        ("restricted", of(container(readinessProbe=HOST)), 34, 'probe or lifecycle host (container "app" uses probe or lifecycle host "h")'),
        ("baseline", of(container(startupProbe=SOCKET)), 33, ""),
        ("baseline", of(container(security={"appArmorProfile": {"type": "Un"}}), securityContext={"appArmorProfile": {"type": "Other"}}), LATEST, PROFILES),
        ("restricted", of(container(security={"appArmorProfile": {"type": "Localhost"}}), securityContext={"appArmorProfile": {"type": "Un"}}), 0, 'forbidden AppArmor profile (pod must not set AppArmor profile type to "Un")'),
    ],
)  # fmt: skip
def test_checks(level: Level, spec: dict[str, Any], minor: int, said: str) -> None:
    assert found(level, spec, minor) == said


def test_annotations_about_profiles() -> None:
    key = "container.apparmor.security.beta.kubernetes.io/app"
    said = 'forbidden AppArmor profile (annotation must not set AppArmor profile type to "container.apparmor.security.beta.kubernetes.io/app=\\"unconfined\\"")'
    assert found("baseline", of(), notes={key: "unconfined"}) == said
    assert found("restricted", of(), notes={key: "unconfined"}) == said
    for text in ("runtime/default", "localhost/x", ""):
        assert found("baseline", of(), notes={key: text}) == ""
    old, one = "seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/app"
    assert (
        found("baseline", of(), 18, {old: "x", one: "y"})
        == f'seccompProfile (forbidden annotations {one}="y", {old}="x")'
    )
    assert found("restricted", of(), 18, {old: "x"}) == f'seccompProfile (forbidden annotation {old}="x")'
    assert found("baseline", of(), 19, {old: "x"}) == ""
    for text in ("runtime/default", "docker/default", "localhost/x"):
        assert found("baseline", of(), 18, {old: text}) == ""


def test_a_pod_level_profile_speaks_for_its_containers() -> None:
    whole = {"seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True}
    bare = container(good=False, security={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}})
    assert found("restricted", of(bare, securityContext=whole)) == ""


def test_updates_that_change_nothing_are_not_judged() -> None:
    world = world_with()
    stored = world.done(create(pod()))
    world.done(Patch(key=("Namespace", "", "s"), body={"metadata": {"labels": {f"{PREFIX}enforce": "restricted"}}}))
    assert world.send(Update(object=stored)).ok


def test_tables_say_what_is_judged_and_how() -> None:
    stored = from_json(inside(pod()))
    assert law.decide("security-judged", Written(stored, stored, "")).outputs == {"as": "nothing"}
    assert texts(audit="wrong")["audit"] == "privileged:latest" and texts(warn="wrong", enforce="baseline")["warn"] == (
        "privileged:latest"
    )
    bare = container(good=False, security={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}})
    lacking = 'runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true)'
    profile = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert found("restricted", of(bare, securityContext=profile), 34) == lacking
    assert found("restricted", of(bare, securityContext=profile)) == lacking


def test_tables_say_what_templates_and_relaxed_namespaces_come_to() -> None:
    deployment = from_json(inside(workload()))
    assert law.decide("security-judged", Written(deployment, None, "")).outputs == {"as": "template"}
    assert law.decide("security-effect", Violation("enforce", "template")).outputs == {"effect": "nothing", "text": ""}
    strict, open_ = Policy("restricted", "latest", LATEST), Policy("privileged", "v1.20", 20)
    assert law.decide("security-recheck", Turn(strict, open_)).outputs == {"looks": False}
