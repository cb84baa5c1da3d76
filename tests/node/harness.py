"""A small world for one kubelet: an agenda, a store of objects, and a runtime. No API server, no rate limits."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any

from attrs import evolve
from immutables import Map

from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.runtime import Runtime, RuntimeEvent, apply
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import Pod, PodCondition, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Call, Create, Delete, Key, Outcome, PatchStatus, Plan, Record, Remember, Update
from k8sfsm.view import View


class World:
    """Runs one kubelet. `history`: the pod's statuses as they were written, `events`: (reason, message)."""

    def __init__(self, kubelet: Kubelet, runtime: Runtime | None = None, now: int = 1_000 * SECOND) -> None:
        self.kubelet = kubelet
        self.runtime = runtime if runtime is not None else ScriptedRuntime()
        self.now = now
        self.objects: dict[Key, Any] = {}
        self.memory: Map[Any, Any] = Map()
        self.state: Map[str, Any] = Map()
        self.agenda: list[tuple[int, int, Any]] = []
        self.history: list[Pod] = []
        self.events: list[Record] = []
        self.deletes: list[Delete] = []
        self.calls: list[Call] = []
        self.rules: list[str] = []
        self.version = 0
        self._number = 0
        self.looks = 0

    def put(self, obj: Any, *, wake: bool = True) -> Any:
        self.version += 1
        obj = evolve(obj, metadata=evolve(obj.metadata, resource_version=str(self.version)))
        self.objects[key_of(obj)] = obj
        if wake:
            self.at(self.now, key_of(obj))
        return obj

    def remove(self, key: Key) -> None:
        del self.objects[key]
        self.at(self.now, key)

    def delete(self, key: Key, grace: int) -> None:
        pod = self.objects[key]
        meta = evolve(
            pod.metadata,
            deletion_timestamp=self.now + grace * SECOND,
            deletion_grace_period_seconds=grace,
            generation=pod.metadata.generation + 1,
        )
        self.put(evolve(pod, metadata=meta))

    def at(self, due: int, what: Any) -> None:
        self._number += 1
        heappush(self.agenda, (due, self._number, what))

    def run(self, seconds: float) -> None:
        until = self.now + int(seconds * SECOND)
        while self.agenda and self.agenda[0][0] <= until:
            due, _, what = heappop(self.agenda)
            self.now = max(self.now, due)
            if isinstance(what, RuntimeEvent):
                self.state = apply(self.state, what)
                what = what.pod
            self._look(what)
        self.now = until

    def view(self) -> View:
        return View.of(self.objects.values(), self.now, self.memory, self.state)

    def _look(self, key: Key) -> None:
        self.looks += 1
        plan: Plan | None = self.kubelet.reconcile(self.view(), key)
        while plan is not None:
            outcomes = tuple(filter(None, [self._do(step) for step in plan.steps]))
            if plan.requeue_after is not None:
                self.at(self.now + plan.requeue_after, key)
            plan = plan.then(outcomes) if plan.then is not None else None

    def _do(self, step: Any) -> Outcome | None:
        if getattr(step, "why", None) is not None:
            self.rules.append(step.why.rule)
        if isinstance(step, Remember):
            known = self.memory
            self.memory = known.set(step.key, step.value) if step.value is not None else known.delete(step.key)
        elif isinstance(step, Record):
            self.events.append(step)
        elif isinstance(step, Call):
            self.calls.append(step)
            for due, event in self.runtime.answer(step, self.now, self.state):
                if due <= self.now:
                    self.state = apply(self.state, event)
                    self.at(self.now, event.pod)
                else:
                    self.at(due, event)
        else:
            return self._write(step)
        return None

    def _write(self, write: Any) -> Outcome:
        if isinstance(write, Create | Update):
            return Outcome(request=write, code=200, object=self.put(write.object, wake=False))
        stored = self.objects.get(write.key)
        if stored is None or (write.uid and stored.metadata.uid != write.uid):
            return Outcome(request=write, code=404)
        if isinstance(write, PatchStatus):
            stored = self.put(evolve(stored, status=write.status))
            self.history.append(stored)
            return Outcome(request=write, code=200, object=stored)
        self.deletes.append(write)
        if not stored.metadata.finalizers:
            self.remove(write.key)
        return Outcome(request=write, code=200)


def pod_named(name: str, containers: Iterable[Any], inits: Iterable[Any] = (), **spec: Any) -> Pod:
    """A scheduled pod on node-1."""
    base = Pod()
    meta = evolve(base.metadata, name=name, namespace="test", uid=f"uid-{name}", generation=1)
    fields = {"restart_policy": "Always", "termination_grace_period_seconds": 30, "node_name": "node-1", **spec}
    scheduled = PodCondition(type="PodScheduled", status="True", last_transition_time=1_000 * SECOND)
    return evolve(
        base,
        metadata=meta,
        spec=evolve(base.spec, containers=tuple(containers), init_containers=tuple(inits), **fields),
        status=evolve(base.status, phase="Pending", qos_class="BestEffort", conditions=(scheduled,)),
    )


def key(name: str) -> Key:
    return ("Pod", "test", name)
