"""`kubectl drain`: cordon a node, evict its pods, try again what a disruption budget refuses, wait until all are gone.

What becomes of a pod stands in the tables `drain-pod`, `drain-eviction` and `drain-wait` of `specs/kubectl/verbs.yaml`.
Source: staging/src/k8s.io/kubectl/pkg/drain/filters.go, drain.go; pkg/cmd/drain/drain.go: RunDrain, deleteOrEvictPods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, TypeAlias

from attrs import define, evolve, field, frozen

from k8sfsm.law import Law
from k8sfsm.objects import Pod, controller_of, format_duration
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Evict, Key, Outcome, Write
from k8sfsm.scenario.order import Order, Refused
from k8sfsm.store import Store
from k8sfsm.table import Decision

law = Law("kubectl")

MIRROR: Final = "kubernetes.io/config.mirror"
_GONE: Final = 404
_TOO_MANY: Final = 429
Answer: TypeAlias = Literal["accepted", "gone", "refused-by-budget", "failed"]


@frozen(kw_only=True)
class DrainOptions:
    """--force, --ignore-daemonsets, --delete-emptydir-data, --timeout (ns; 0: for ever)."""

    force: bool = False
    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    timeout: int = 0


@frozen(kw_only=True)
class Drained:
    """A pod on a node that is drained: the case of the table `drain-pod`."""

    pod: Pod
    options: DrainOptions


@frozen(kw_only=True)
class Leaving:
    """A pod that is to go: the case of the tables `drain-eviction` and `drain-wait`.

    `due`: when it is looked at next (ns). `shown`: the pod of that name, if there is any. `deadline`: ns, 0 for none.
    """

    key: Key
    uid: str
    due: int
    deadline: int
    stage: Literal["evict", "wait"] = "evict"
    shown: Pod | None = None
    outcome: Outcome | None = None


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def pod_over(case: Drained) -> bool:
    """The Pod's phase is Succeeded or Failed."""
    return case.pod.status.phase in ("Succeeded", "Failed")


@law.fact
def mirror(case: Drained) -> bool:
    """The Pod shows a static pod of the kubelet."""
    return MIRROR in case.pod.metadata.annotations


@law.fact
def controller_kind(case: Drained) -> str:
    """The kind of the Pod's controller; "" where it has none."""
    owner = controller_of(case.pod)
    return owner.kind if owner is not None else ""


@law.fact
def keeps_local_data(case: Drained) -> bool:
    """The Pod has an emptyDir volume (filters.go: hasLocalStorage)."""
    return any(volume.get("emptyDir") is not None for volume in case.pod.spec.volumes)


@law.fact
def forces_drain(case: Drained) -> bool:
    """--force."""
    return case.options.force


@law.fact
def ignores_daemonsets(case: Drained) -> bool:
    """--ignore-daemonsets."""
    return case.options.ignore_daemonsets


@law.fact
def deletes_local_data(case: Drained) -> bool:
    """--delete-emptydir-data."""
    return case.options.delete_emptydir_data


@law.fact
def time_is_up(case: Leaving) -> bool:
    """--timeout has passed."""
    return bool(case.deadline) and case.due >= case.deadline


@law.fact
def eviction_answered(case: Leaving) -> Answer:
    """What the API server said to the eviction."""
    assert case.outcome is not None
    if case.outcome.ok:
        return "accepted"
    return {_GONE: "gone", _TOO_MANY: "refused-by-budget"}.get(case.outcome.code, "failed")  # type: ignore[return-value]


@law.fact
def still_there(case: Leaving) -> bool:
    """The Pod itself, not another one of its name, is there."""
    return case.shown is not None and case.shown.metadata.uid == case.uid


# -- which pods -------------------------------------------------------------------------------------------------------


@frozen
class Selection:
    """The pods of a node: those to evict, and what is to be said of others: text -> names."""

    evict: tuple[Pod, ...]
    warnings: Mapping[str, tuple[str, ...]]
    errors: Mapping[str, tuple[str, ...]]


def selected(store: Store, node: str, options: DrainOptions) -> Selection:
    """What is to be done about each pod of a node (drain.go: GetPodsForDeletion)."""
    evict: list[Pod] = []
    said: dict[str, dict[str, list[str]]] = {"warning": {}, "error": {}}
    for pod in store.snapshot.on_node(node):
        outputs = law.decide("drain-pod", Drained(pod=pod, options=options)).outputs
        if outputs["verdict"] == "evict":
            evict.append(pod)
        for kind, texts in said.items():
            if outputs[kind]:
                texts.setdefault(outputs[kind], []).append(f"{pod.metadata.namespace}/{pod.metadata.name}")
    warnings, errors = ({text: tuple(names) for text, names in said[kind].items()} for kind in ("warning", "error"))
    return Selection(tuple(evict), warnings, errors)


def _listed(texts: Mapping[str, Iterable[str]]) -> list[str]:
    return [f"{text}: {', '.join(names)}" for text, names in sorted(texts.items())]


def _together(errors: list[str]) -> str:
    """Several errors as Go joins them (apimachinery/pkg/util/errors: aggregate.Error)."""
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"


def _after() -> Mapping[str, tuple[Literal["evict", "wait"], int]]:
    """What is done with a pod that is not gone, by the column `next`, and after how long (ns)."""
    return {
        "retry": ("evict", law.constant("drain_retry") * SECOND),
        "look": ("wait", 0),
        "wait": ("wait", law.constant("drain_poll") * SECOND),
    }


# -- the command ------------------------------------------------------------------------------------------------------


@define
class Drain:
    """A drain under way, which `step` carries on. After `over`: `failed`, and what kubectl has printed in `lines`.

    `read`: the store as it is; `send`: a write to the API server; `due`: when there is something to do next (ns).
    """

    node: str
    options: DrainOptions
    cordon: Callable[[Store], Order]
    read: Callable[[], Store]
    send: Callable[[Write], Outcome]
    now: Callable[[], int]
    due: int
    latency: int
    lines: list[str] = field(factory=list)
    outcomes: list[Outcome] = field(factory=list)
    over: bool = False
    failed: bool = False
    _leaving: list[Leaving] = field(factory=list)
    _errors: list[str] = field(factory=list)
    _cordoned: bool = False
    _chosen: bool = False

    def step(self) -> None:
        """Do what is due now."""
        if not self._cordoned:
            self._mark_node()
        elif not self._chosen:
            self._choose()
        else:
            self._leaving = [left for each in self._leaving for left in self._look(each)]
        if self._chosen and not self.over and not self._leaving:
            self._end()
        if self._leaving:
            self.due = min(each.due for each in self._leaving)

    def _mark_node(self) -> None:
        self._cordoned = True
        self.due = self.now() + self.latency
        try:
            order = self.cordon(self.read())
        except Refused as error:
            self._stop([str(error)])
            return
        for write in order.writes:
            outcome = self._sent(write)
            if not outcome.ok:
                self._stop([f"Error from server ({outcome.reason}): {outcome.message}"])
                return
        self.lines.append(order.says)

    def _sent(self, write: Write) -> Outcome:
        outcome = self.send(write)
        self.outcomes.append(outcome)
        return outcome

    def _choose(self) -> None:
        self._chosen = True
        found = selected(self.read(), self.node, self.options)
        if found.errors:
            self._refuse(_listed(found.errors))
            return
        if found.warnings:
            self.lines.append(f"Warning: {'; '.join(_listed(found.warnings))}")
        now = self.now()
        deadline = now + self.options.timeout if self.options.timeout else 0
        self._leaving = [
            Leaving(
                key=("Pod", pod.metadata.namespace, pod.metadata.name), uid=pod.metadata.uid, due=now, deadline=deadline
            )
            for pod in found.evict
        ]

    def _look(self, leaving: Leaving) -> tuple[Leaving, ...]:
        """What is left to do about a pod: nothing where it is gone or given up."""
        if leaving.due > self.now():
            return (leaving,)
        if leaving.stage == "wait":
            shown = self.read().get(*leaving.key)
            leaving = evolve(leaving, shown=shown)
            return self._next(law.decide("drain-wait", leaving), leaving)
        self.lines.append(f"evicting pod {leaving.key[1]}/{leaving.key[2]}")
        timed_out = time_is_up(leaving)
        outcome = None if timed_out else self._sent(Evict(key=leaving.key))
        leaving = evolve(leaving, outcome=outcome)
        return self._next(law.decide("drain-eviction", leaving), leaving)

    def _next(self, decision: Decision, leaving: Leaving) -> tuple[Leaving, ...]:
        _, namespace, name = leaving.key
        outputs, outcome = decision.outputs, leaving.outcome
        text = (outputs["says"] or "").format(
            name=name,
            namespace=namespace,
            message=outcome.message if outcome is not None else "",
            timeout=format_duration(self.options.timeout),
        )
        if outputs["next"] == "fail":
            self._errors.append(text)
            return ()
        if text:
            self.lines.append(text)
        if outputs["next"] == "done":
            return ()
        stage, pause = _after()[outputs["next"]]
        return (evolve(leaving, stage=stage, due=self.now() + pause),)

    def _end(self) -> None:
        if not self._errors:
            self.lines.append(f"node/{self.node} drained")
            self.over = True
            return
        told = _together(self._errors)
        self.lines.append(f'There are pending pods in node "{self.node}" when an error occurred: {told}')
        left = selected(self.read(), self.node, self.options).evict
        self.lines += [f"pod/{pod.metadata.name}" for pod in left]
        self._refuse(self._errors)

    def _refuse(self, errors: list[str]) -> None:
        """The drain failed; the node stays cordoned."""
        self.lines.append(
            f'error: unable to drain node "{self.node}" due to error: {_together(errors)}, continuing command...'
        )
        self._stop(["There are pending nodes to be drained:", f" {self.node}", *errors])

    def _stop(self, lines: list[str]) -> None:
        self.lines += lines
        self.over = self.failed = self._chosen = True
        self._leaving = []

    @property
    def text(self) -> str:
        """What kubectl has printed, on both of its streams."""
        return "\n".join(self.lines)
