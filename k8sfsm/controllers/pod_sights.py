"""What controllers see of a pod: each state of a pod is looked at once for all of them.

A dozen controllers ask the same few things of every state of every pod, and thousands of pods of a template are alike
in them. What was found is one value for all states that are alike, and is kept with each state (`Pod.sight`): it
follows from that very (immutable) object alone, so that forks may share it. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from k8sfsm.controllers.endpoints_addresses import normal_ip
from k8sfsm.kinds.pod_readiness import ready_condition
from k8sfsm.objects import OwnerReference, Pod, PodCondition, controller_of
from k8sfsm.objects.pod import DISRUPTION_TARGET, Sighted
from k8sfsm.value import value

_LIMIT: Final = 8192


@value(eq=False)
class Look:
    """What the tables of Endpoints and EndpointSlices ask of a pod, but its name, uid, node, addresses and labels.

    `shared` keeps alive what tells looks apart by identity: lists of ports.
    """

    shared: tuple[Any, ...]


@value(eq=False)
class Sight:
    """All that controllers ask of states that are alike. `ready`: the status of the condition, None where there is
    none, and `since`: when it last changed (ns); `content`: the same value for labels that say the same; `targeted`:
    the pod is about to be disrupted, or was; `placed`: it is bound to a node.
    """

    look: Look
    namespace: str
    references: tuple[OwnerReference, ...]
    labels: Mapping[str, str]
    content: frozenset[tuple[str, str]]
    owned: bool
    deleting: bool
    targeted: bool
    placed: bool
    phase: str
    ready: str | None
    since: int | None


def sight_of(pod: Pod) -> Sight:
    """What is seen of a pod."""
    return getattr(pod, "sight", None) or look_at(pod)


def sights_of(pods: Sequence[Pod]) -> list[Sight]:
    """What is seen of each of some pods, most of which have been looked at."""
    try:
        return list(map(_KEPT, pods))
    except AttributeError:
        return list(map(sight_of, pods))


_KEPT: Final = attrgetter("sight")
_keep: Final[Callable[[Pod, Sight], None]] = Sighted.sight.__set__
_LOOKS: Final[dict[tuple[Any, ...], Look]] = {}
_SIGHTS: Final[dict[tuple[Any, ...], Sight]] = {}


def look_at(pod: Pod) -> Sight:
    """What is seen of a pod at which nobody has looked yet; it is kept with the pod."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    containers, ips, ip = spec.containers, status.pod_ips, status.pod_ip
    _, condition, targeted = _CONDITIONS.get(id(status.conditions)) or _learn_conditions(pod)
    form = (
        id(containers[0].ports) if len(containers) == 1 else tuple([id(each.ports) for each in containers]),
        tuple([(id(each.ports), each.restart_policy) for each in spec.init_containers]) if spec.init_containers else (),
        spec.hostname,
        spec.subdomain,
        meta.namespace,
        meta.deletion_timestamp is None,
        status.phase,
        None if condition is None else condition.status,
        normal_ip(ip)[0] if ip else "",
        tuple([normal_ip(each.ip)[0] if each.ip else "" for each in ips]) if ips else (),
    )
    since = None if condition is None else condition.last_transition_time
    content = (_CONTENTS.get(id(meta.labels)) or _learn_content(meta.labels))[1]
    facts = (form, id(meta.owner_references), content, targeted, bool(spec.node_name), since)
    found = _SIGHTS.get(facts)
    if found is None:
        if len(_SIGHTS) >= _LIMIT:
            _SIGHTS.clear()
        found = _SIGHTS[facts] = _sight(pod, form, content, targeted, condition)
    _keep(pod, found)
    return found


def _sight(
    pod: Pod,
    form: tuple[Any, ...],
    content: frozenset[tuple[str, str]],
    targeted: bool,
    condition: PodCondition | None,
) -> Sight:
    meta, spec = pod.metadata, pod.spec
    look = _LOOKS.get(form)
    if look is None:
        if len(_LOOKS) >= _LIMIT:
            _LOOKS.clear()
        look = _LOOKS[form] = Look(tuple([each.ports for each in (*spec.containers, *spec.init_containers)]))
    return Sight(
        look,
        meta.namespace,
        meta.owner_references,
        meta.labels,
        content,
        controller_of(pod) is not None,
        meta.deletion_timestamp is not None,
        targeted,
        bool(spec.node_name),
        pod.status.phase,
        None if condition is None else condition.status,
        None if condition is None else condition.last_transition_time,
    )


_Conditions: TypeAlias = tuple[Any, PodCondition | None, bool]
"""Conditions that many share, the one that tells a pod's readiness, and whether the pod is about to be disrupted, or
was.
"""
_Content: TypeAlias = tuple[Any, frozenset[tuple[str, str]]]
"""Labels that many share, and the same value for those that say the same."""
_CONDITIONS: Final[dict[int, _Conditions]] = {}
_CONTENTS: Final[dict[int, _Content]] = {}


def _learn_conditions(pod: Pod) -> _Conditions:
    if len(_CONDITIONS) >= _LIMIT:
        _CONDITIONS.clear()
    conditions = pod.status.conditions
    targeted = DISRUPTION_TARGET in [each.type for each in conditions]
    found = _CONDITIONS[id(conditions)] = (conditions, ready_condition(pod), targeted)
    return found


def _learn_content(labels: Any) -> _Content:
    if len(_CONTENTS) >= _LIMIT:
        _CONTENTS.clear()
    found = _CONTENTS[id(labels)] = (labels, frozenset(labels.items()))
    return found


def forget_sights() -> None:
    """Let go of what many states share: it is found again where it is asked for."""
    for memory in (_LOOKS, _SIGHTS, _CONDITIONS, _CONTENTS):
        memory.clear()
