"""How a kubelet waits for a pod's volumes before it makes the sandbox."""

from __future__ import annotations

from collections.abc import Iterable

from k8sfsm.law import Decision, Law
from k8sfsm.node.memory import Work
from k8sfsm.node.references import missing_volume, unattached_volume
from k8sfsm.node.session import Session
from k8sfsm.node.starting import finish_sync
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Step

law = Law("kubelet")


@law.fact
def volumes_mounted(session: Session) -> bool:
    """The pod's volumes are mounted."""
    return session.runtime.mounted


@law.fact
def volume_missing(session: Session) -> bool:
    """A volume's ConfigMap or Secret does not exist."""
    return missing_volume(session.view, session.pod) is not None


@law.fact
def volume_unattached(session: Session) -> bool:
    """A volume is not attached yet, as far as the Node's status says."""
    return unattached_volume(session.view, session.pod, session.settings) is not None


@law.fact
def mounted_in_time(session: Session) -> bool:
    """The sync has not waited for its volumes for too long."""
    return session.now - session.memory.work.began < int(law.constant("mount_timeout")) * SECOND


@law.action
def make_sandbox(session: Session, decision: Decision) -> Iterable[Step]:
    """Make the pod's sandbox."""
    work = evolve(session.memory.work, doing="sandbox", since=session.now)
    session.remember(work=work)
    node = session.view.get("Node", "", session.settings.node)
    cidr = "" if node is None else node.spec.pod_cidr
    return (session.call("run-sandbox", attempt=work.attempt, pod_cidr=cidr),)


@law.action
def mount_volumes(session: Session, decision: Decision) -> Iterable[Step]:
    """Have the pod's volumes mounted."""
    session.remember(work=evolve(session.memory.work, doing="mount", since=session.now))
    return (session.call("mount-volumes"),)


@law.action
def await_volumes(session: Session, decision: Decision) -> Iterable[Step]:
    """Try again to mount the volumes, each time after twice the time. Source: exponentialbackoff.Update"""
    work, found = session.memory.work, missing_volume(session.view, session.pod)
    initial, longest = int(law.constant("mount_retry") * SECOND), int(law.constant("mount_retry_maximum")) * SECOND
    delay = min(2 * work.delay, longest) if work.delay else initial
    session.remember(work=evolve(work, doing="volumes", since=session.now, delay=delay))
    session.wake(session.now + delay)
    if (
        found is None
    ):  # not attached yet, of which no Event tells: operation_generator.go: VerifyControllerAttachedVolume
        return ()
    volume, kind, name = found
    text = f'MountVolume.SetUp failed for volume "{volume}" : {kind.lower()} "{name}" not found'
    return (session.record("Warning", "FailedMount", text),)


@law.action
def retry_mount(session: Session, decision: Decision) -> Iterable[Step]:
    """A volume is still missing: go on waiting, or give up for now."""
    return law.perform(law.decide("mount_retry", session), session)  # type: ignore[return-value]


@law.action
def give_up_volumes(session: Session, decision: Decision) -> Iterable[Step]:
    """The volumes are not there: the sync ends with an error. Source: kubelet.go: SyncPod"""
    found = missing_volume(session.view, session.pod)
    unattached = unattached_volume(session.view, session.pod, session.settings)
    assert found is not None or unattached is not None
    name = found[0] if found is not None else unattached.label if unattached is not None else ""
    text = (
        f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
        "failed to process volumes=[]: context deadline exceeded"
    )
    session.remember(work=Work(failed=True))
    return (session.record("Warning", "FailedMount", text), *finish_sync(session))
