"""Admission plugins, in their order: what they add to a new object, and what they refuse.

Source: pkg/kubeapiserver/options/plugins.go: AllOrderedPlugins; the plugins under plugin/pkg/admission.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.apiserver import runtime_classes
from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.binding import topology_labels
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.limits import ANNOTATION, with_limits
from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.names import Chance
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.token_volume import with_token
from k8sfsm.law import constant
from k8sfsm.objects import KINDS, Pod, PodSpec, Taint, Toleration, evolve
from k8sfsm.objects.gotext import quote
from k8sfsm.store import Store

_WISHES: Final = {"priority": "integer value of priority", "preemptionPolicy": "string value of preemptionPolicy"}
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"


@frozen
class Admission:
    """A new object at the door. `account`: the ServiceAccount that it names, where it is a Pod."""

    object: Any
    store: Store
    options: Options
    chance: Chance

    @property
    def limit_ranges(self) -> Any:
        """The LimitRanges of the object's namespace."""
        return self.store.snapshot.series("in", "LimitRange", self.object.metadata.namespace)

    @property
    def runtime_class(self) -> Any:
        """The Pod's RuntimeClass, or None."""
        name = self.object.spec.runtime_class_name
        return None if name is None else self.store.get("RuntimeClass", "", name)

    @property
    def account(self) -> Any:
        """The Pod's ServiceAccount, or None."""
        name = self.object.spec.service_account_name or "default"
        return self.store.get("ServiceAccount", self.object.metadata.namespace, name)


@frozen
class Tolerated:
    """A taint that a pod may tolerate already."""

    tolerations: tuple[Toleration, ...]
    taint: str


@frozen
class Doomed:
    """An object that is to be deleted."""

    object: Any


@law.fact
def admitted_kind(case: Admission) -> str:
    """The kind of the new object."""
    return str(case.object.kind)


@law.fact
def namespace_state(case: Admission) -> Literal["active", "missing", "terminating", "none"]:
    """The state of the namespace that the object is to be in; `none` for cluster-scoped objects."""
    name = case.object.metadata.namespace
    if not name:
        return "none"
    namespace = case.store.get("Namespace", "", name)
    if namespace is None:
        return "missing"
    return "active" if namespace.metadata.deletion_timestamp is None else "terminating"


@law.fact
def limited(case: Admission) -> bool:
    """Whether LimitRanges bound pods in the namespace."""
    return any(True for _ in case.limit_ranges)


@law.fact
def service_account_found(case: Admission) -> bool:
    """Whether the Pod's ServiceAccount exists (true for other kinds)."""
    return case.object.kind != "Pod" or case.account is not None


@law.fact
def token_volume_wanted(case: Admission) -> bool:
    """Whether the account's token is to be mounted: the Pod's wish, else the account's, else yes."""
    if case.object.kind != "Pod" or case.account is None:
        return False
    wish = case.object.spec.automount_service_account_token
    if wish is None:
        wish = case.account.automount_service_account_token
    return wish is not False


@law.fact
def runtime_class_found(case: Admission) -> bool:
    """Whether the RuntimeClass that a Pod names exists (true where it names none, and for other kinds)."""
    named = case.object.kind == "Pod" and case.object.spec.runtime_class_name is not None
    return not named or case.runtime_class is not None


@law.fact
def class_overhead(case: Admission) -> runtime_classes.Overhead:
    """How the Pod's overhead goes with that of its class: the class says it, another one than the Pod, or none."""
    return runtime_classes.overhead_state(case.object.spec, case.runtime_class)


@law.fact
def class_schedules(case: Admission) -> bool:
    """Whether the Pod's class says where its Pods may run."""
    return runtime_classes.schedules(case.runtime_class)


@law.fact
def class_clashes(case: Admission) -> bool:
    """Whether the Pod wants other nodes than its class."""
    return runtime_classes.clash(case.object.spec, case.runtime_class) is not None


@law.fact
def node_ready(case: Admission) -> bool:
    """Whether a new Node needs no taint, because it has it already (true for other kinds)."""
    return case.object.kind != "Node" or any(taint.key == NOT_READY for taint in case.object.spec.taints)


@law.fact
def tolerated_already(case: Tolerated) -> bool:
    """Whether a toleration names the taint, or every key, with effect NoExecute or every effect."""
    return any(
        toleration.key in (case.taint, "") and toleration.effect in ("NoExecute", "") for toleration in case.tolerations
    )


@frozen
class Recipe:
    """What admission makes of every Pod with one spec.

    `limits_said`: the annotation of what LimitRanges added.
    `token`, `topology`: whether each Pod is to get a token volume, and its node's topology labels.
    """

    spec: PodSpec
    token: bool
    topology: bool
    limits_said: str = ""


_RECIPES: Final = Memo()


def admit(obj: Any, store: Store, options: Options, chance: Chance) -> tuple[Any, Any]:
    """The object as the plugins leave it. Raises Refusal where one of them refuses it.

    The second part stands for its spec: what has the same one differs in the name of its token volume at most.
    """
    if not options.admission:
        return obj, None
    case = Admission(obj, store, options, chance)
    if isinstance(obj, Pod):
        return _admit_pod(case)
    for decision in law.collect("create", case):
        obj = _PLUGINS[decision.outputs["plugin"]](Admission(obj, store, options, chance))
    return obj, None


def _admit_pod(case: Admission) -> tuple[Pod, Recipe]:
    """A Pod as the plugins leave it.

    Those that look at its spec and account alone are asked once for all Pods of a template; they change other fields
    than the rest, so that their order among the rest does not matter.
    """
    pod: Pod = case.object
    namespace = case.store.get("Namespace", "", pod.metadata.namespace)
    classes = case.store.snapshot.series("in", "PriorityClass", "")
    parts = (pod.spec, case.account, namespace, classes, case.limit_ranges, case.runtime_class, law.table("create"))
    recipe: Recipe | None = _RECIPES.get(parts)
    if recipe is None:
        recipe = _recipe(case)
        _RECIPES.put(parts, recipe)
    spec = recipe.spec
    if recipe.token:
        spec = with_token(spec, pod.metadata.namespace, case.options, case.chance)
    pod = evolve(pod, spec=spec)
    if recipe.limits_said:
        noted = {**pod.metadata.annotations, ANNOTATION: recipe.limits_said}
        pod = evolve(pod, metadata=evolve(pod.metadata, annotations=noted))
    return (_with_topology_labels(case, pod) if recipe.topology and spec.node_name else pod), recipe


def _recipe(case: Admission) -> Recipe:
    spec: PodSpec = case.object.spec
    plugins = [decision.outputs["plugin"] for decision in law.collect("create", case)]
    for plugin in plugins:
        if plugin in _SPEC_PLUGINS:
            spec = _SPEC_PLUGINS[plugin](case, spec)
        elif plugin in _PLUGINS:
            _PLUGINS[plugin](case)
    said = with_limits(case.object.spec, case.limit_ranges)[1] if "limits" in plugins else ""
    return Recipe(spec, "token-volume" in plugins, "topology-labels" in plugins, said)


@law.fact
def deleted_kind(case: Doomed) -> str:
    """The kind of an object that is to be deleted."""
    return str(case.object.kind)


@law.fact
def deleted_name(case: Doomed) -> str:
    """The name of an object that is to be deleted."""
    return str(case.object.metadata.name)


def refuse_deletion(obj: Any) -> None:
    """Raises Refusal (403) for an object that may not be deleted."""
    if not law.decide("deletion", Doomed(obj)).outputs["allowed"]:
        kind, name = KINDS[obj.kind].resource, obj.metadata.name
        raise Refusal(403, "Forbidden", f'{kind} "{name}" is forbidden: this namespace may not be deleted')


def _refuse_missing_namespace(case: Admission) -> Any:
    raise Refusal(404, "NotFound", f'namespaces "{case.object.metadata.namespace}" not found')


def _refuse_terminating_namespace(case: Admission) -> Any:
    meta = case.object.metadata
    raise Refusal(
        403,
        "Forbidden",
        f'{KINDS[case.object.kind].resource} "{meta.name}" is forbidden: unable to create new content in namespace '
        f"{meta.namespace} because it is being terminated",
    )


def _refuse_missing_account(case: Admission) -> Any:
    name = case.object.spec.service_account_name or "default"
    place = f"{case.object.metadata.namespace}/{name}"
    raise _forbidden(case, f'error looking up service account {place}: serviceaccount "{name}" not found')


def _forbidden(case: Admission, text: str) -> Refusal:
    meta = case.object.metadata
    return Refusal(403, "Forbidden", f'pods "{meta.name or meta.generate_name}" is forbidden: {text}')


def _refuse_missing_class(case: Admission) -> Any:
    name = quote(case.object.spec.runtime_class_name)
    raise _forbidden(case, f"pod rejected: RuntimeClass {name} not found")


def _refuse_other_overhead(case: Admission) -> Any:
    raise _forbidden(case, f"pod rejected: {runtime_classes.OTHER}")


def _refuse_clash(case: Admission) -> Any:
    found = runtime_classes.clash(case.object.spec, case.runtime_class)
    assert found is not None
    key, wanted, own = found
    text = f"runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; pod.spec.nodeSelector[{key}] = {own}"
    raise _forbidden(case, f"conflict: {text}")


def _runtime_overhead(case: Admission, spec: PodSpec) -> PodSpec:
    return runtime_classes.with_overhead(spec, case.runtime_class)


def _runtime_scheduling(case: Admission, spec: PodSpec) -> PodSpec:
    return runtime_classes.with_scheduling(spec, case.runtime_class)


def _limits(case: Admission, spec: PodSpec) -> PodSpec:
    """Source: plugin/pkg/admission/limitranger/admission.go: Admit."""
    return with_limits(spec, case.limit_ranges)[0]


def _service_account(case: Admission, spec: PodSpec) -> PodSpec:
    name = spec.service_account_name or "default"
    secrets = spec.image_pull_secrets or case.account.image_pull_secrets
    return evolve(spec, service_account_name=name, service_account=name, image_pull_secrets=secrets)


def _taint_not_ready(case: Admission) -> Any:
    node = case.object
    return evolve(node, spec=evolve(node.spec, taints=(*node.spec.taints, Taint(key=NOT_READY, effect="NoSchedule"))))


def _priority(case: Admission, spec: PodSpec) -> PodSpec:
    value, policy = _priority_class(case)
    for field, wish, given in (
        ("priority", spec.priority, value),
        ("preemptionPolicy", spec.preemption_policy, policy),
    ):
        if wish not in (None, "", given):
            computed = f"priority admission controller computed {given} from the given PriorityClass name"
            raise _forbidden(case, f"the {_WISHES[field]} ({wish}) must not be provided in pod spec; {computed}")
    return evolve(spec, priority=value, preemption_policy=policy)


def _priority_class(case: Admission) -> tuple[int, str]:
    """The Pod's priority and preemption policy, by its PriorityClass or the default one."""
    name = case.object.spec.priority_class_name
    if name:
        found = case.store.get("PriorityClass", "", name)
        if found is None:
            raise _forbidden(case, f"no PriorityClass with name {name} was found")
    else:
        classes = tuple(case.store.snapshot.series("in", "PriorityClass", ""))
        defaults = sorted(
            (entry for entry in classes if entry.extra.get("globalDefault")), key=lambda entry: entry.extra["value"]
        )
        found = defaults[0] if defaults else None
    if found is None:
        return 0, "PreemptLowerPriority"
    return found.extra.get("value", 0), found.extra.get("preemptionPolicy", "PreemptLowerPriority")


def _default_tolerations(case: Admission, spec: PodSpec) -> PodSpec:
    added = tuple(
        Toleration(
            key=taint, operator="Exists", effect="NoExecute", toleration_seconds=constant("default_toleration_seconds")
        )
        for taint in (NOT_READY, UNREACHABLE)
        if law.decide("default-toleration", Tolerated(spec.tolerations, taint)).outputs["add"]
    )
    return evolve(spec, tolerations=(*spec.tolerations, *added)) if added else spec


def _with_topology_labels(case: Admission, pod: Pod) -> Pod:
    """The Pod, created with a node, with that node's topology labels."""
    labels = topology_labels(case.store.get("Node", "", pod.spec.node_name))
    if not labels:
        return pod
    return evolve(pod, metadata=evolve(pod.metadata, labels={**pod.metadata.labels, **labels}))


_SPEC_PLUGINS: Final[dict[str, Callable[[Admission, PodSpec], PodSpec]]] = {
    "limits": _limits,
    "service-account": _service_account,
    "priority": _priority,
    "default-tolerations": _default_tolerations,
    "runtime-overhead": _runtime_overhead,
    "runtime-scheduling": _runtime_scheduling,
}
"""Plugins whose work depends on the Pod's spec and account and on classes, and on nothing else."""
_PLUGINS: Final[dict[str, Callable[[Admission], Any]]] = {
    "refuse-missing-namespace": _refuse_missing_namespace,
    "refuse-terminating-namespace": _refuse_terminating_namespace,
    "refuse-missing-account": _refuse_missing_account,
    "refuse-missing-class": _refuse_missing_class,
    "refuse-other-overhead": _refuse_other_overhead,
    "refuse-clash": _refuse_clash,
    "taint-not-ready": _taint_not_ready,
}
"""Plugins that refuse an object, or change a whole one."""
