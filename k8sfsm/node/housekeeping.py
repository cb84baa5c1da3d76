"""Pods that only the runtime knows: their containers are stopped, and they are forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from k8sfsm.law import Decision, Law
from k8sfsm.node.memory import remembered
from k8sfsm.node.runtime_state import NODE, Instance, PodRuntime
from k8sfsm.objects import Container, ObjectMeta, Pod
from k8sfsm.request import Call, Record, Step
from k8sfsm.view import View

law = Law("kubelet")


@frozen
class Orphan:
    """A pod in the runtime of `node` that the kubelet does not work on."""

    node: str
    uid: str
    runtime: PodRuntime

    @property
    def runs(self) -> list[tuple[str, Instance]]:
        """Its containers that run."""
        newest = ((name, runs[-1]) for name, runs in sorted(self.runtime.containers.items()))
        return [(name, run) for name, run in newest if run.state == "running"]

    def call(self, verb: str, container: str = "", **arguments: object) -> Call:
        """An order to the runtime."""
        return Call(
            node=self.node, verb=verb, pod=self.runtime.key, uid=self.uid, container=container, arguments=arguments
        )

    def record(self, reason: str, message: str, container: str) -> Record:
        """An Event about one of its containers; all that is known of the pod is what the runtime has."""
        _, namespace, name = self.runtime.key
        pod = Pod(metadata=ObjectMeta(name=name, namespace=namespace, uid=self.uid))
        path = f"spec.containers{{{container}}}"
        return Record(regarding=pod, type="Normal", reason=reason, message=message, field_path=path)


@law.fact
def orphan_running(orphan: Orphan) -> bool:
    """A container of it runs."""
    return bool(orphan.runs)


@law.fact
def orphan_told(orphan: Orphan) -> bool:
    """All that run were told to stop."""
    return all(run.stopped for _, run in orphan.runs)


@law.fact
def orphan_sandbox_up(orphan: Orphan) -> bool:
    """Its sandbox is ready."""
    return orphan.runtime.sandbox is not None and orphan.runtime.sandbox.ready


@law.action
def stop_orphan(orphan: Orphan, decision: Decision) -> Iterable[Step]:
    """Stop its containers, with hardly any grace, and say so.

    Source: pkg/kubelet/kuberuntime/kuberuntime_container.go: killContainer
    """
    grace = int(law.constant("orphan_grace"))
    for name, run in orphan.runs:
        if not run.stopped:
            yield orphan.record("Killing", f"Stopping container {name}", name)
            yield orphan.call(
                "stop-container",
                name,
                grace=grace,
                attempt=run.attempt,
                spec=Container(name=name, image=run.wanted_image),
                pre_stop=None,
            )


@law.action
def stop_orphan_sandbox(orphan: Orphan, decision: Decision) -> Iterable[Step]:
    """Stop its sandbox."""
    return (orphan.call("stop-sandbox"),)


@law.action
def remove_orphan(orphan: Orphan, decision: Decision) -> Iterable[Step]:
    """Have the runtime forget it."""
    return (orphan.call("remove-pod"),)


def orphans(view: View, node: str) -> tuple[Orphan, ...]:
    """The pods of the runtime that are not in the API and that no worker has. Those in the API are about to get one."""
    if not view.runtime:
        return ()
    workers = (entry.pod.metadata.uid for entry in remembered(view.memory))
    known = {NODE, *(pod.metadata.uid for pod in view.on_node(node)), *workers}
    return tuple(Orphan(node, uid, view.runtime[uid]) for uid in sorted(view.runtime) if uid not in known)


def keep_house(view: View, node: str) -> list[Step]:
    """What to do about orphans now. Source: pkg/kubelet/kubelet_pods.go: HandlePodCleanups"""
    return [step for each in orphans(view, node) for step in law.perform(law.decide("orphan", each), each)]  # type: ignore[misc]
