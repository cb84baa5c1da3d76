"""Pods that are alike: what a kubelet comes to about one, found again for the next.

Pods of one template that were bound, started and pulled at the same moments differ in name, uid, node, addresses, the
name of their token volume and the ids of their containers: in their parts. What their kubelets come to differs in these
too, and in nothing else. So the tables are asked for some of them, and the answer is cast anew for the others
(`k8sfsm.mould`).

Two looks are alike where all is the same that a look reads, parts aside: the history of what the kubelet remembers (its
`Likeness`: which looks made it), the runtime's state, and how long ago everything was. A look that reads more than that
(other pods, other objects, the moments at which a kubelet looks for ended containers) is not cast. The first casts of
every look are compared with what the tables say, and given up where they differ; where K8SFSM_FROZEN is set, as it is
in the tests, all are, and one that differs is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

import attrs
from attrs import define

from k8sfsm.law import Law, LawError
from k8sfsm.mould import Mould, Shapeless
from k8sfsm.node.memory import PodMemory
from k8sfsm.node.references import token_volume
from k8sfsm.node.runtime import Instance, node_of
from k8sfsm.node.session import SECOND, Session
from k8sfsm.objects import Container, ObjectMeta, Pod, PodCondition, PodSpec, PodStatus, evolve
from k8sfsm.request import Step
from k8sfsm.value import value
from k8sfsm.view import View

law = Law("kubelet")

COMPARED: Final = 1
"""How many casts of a look are compared with what the tables say."""
_SIZE: Final = 8192
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
_LISTS: Final = ("containers", "init_containers", "ephemeral_containers")
_PLACE: Final = object()
"""Stands for the likeness of the memory that a look leaves."""
_SENT: Final = object()
"""Stands for the revision at which the pod's status was sent."""


def _but(cls: type[Any], *names: str) -> Callable[[Any], tuple[Any, ...]]:
    """What an object of a class holds in all its attributes but some."""
    return attrgetter(*(each.name for each in attrs.fields(cls) if each.name not in names))


_of_spec: Final = _but(PodSpec, "node_name", "volumes", *_LISTS)
_of_container: Final = _but(Container, "volume_mounts")
_of_status: Final = _but(PodStatus, "conditions")
_of_condition: Final = _but(PodCondition, "last_probe_time", "last_transition_time", "extra")
_TIMES: Final = ("started_at", "finished_at", "stopping_since", "noticed_at")
_of_run: Final = _but(Instance, "id", *_TIMES)
_times_of_run: Final = attrgetter(*_TIMES)
_times_of_pull: Final = attrgetter("asked_at", "started_at", "finished_at")
_MOMENTS: Final = 24
"""A memory of more moments is like no other one: that of a pod which has been probed for long."""
_of_metadata: Final = attrgetter("annotations", "owner_references", "finalizers", "extra")
"""A kubelet looks at no label of a pod."""


@value
class _Own:
    """The parts of a pod that stay: its token volume's name and its containers; and its `stamps`, whole seconds."""

    parts: tuple[Any, ...]
    stamps: tuple[int, ...]


class Likeness:
    """What memories of pods have in common that the same looks have made. `kept`: what its key names by identity."""

    __slots__ = ("_reported", "kept")

    def __init__(self, kept: Any = None) -> None:
        self.kept = kept
        self._reported: Likeness | None = None

    @property
    def reported(self) -> Likeness:
        """The likeness after the status was sent."""
        if self._reported is None:
            self._reported = Likeness()
        return self._reported


class _Look:
    """A look, as it came out for one pod. `left`: the likeness of the memories that it leaves."""

    __slots__ = ("compared", "hopeless", "left", "met", "mould")

    def __init__(self) -> None:
        self.left = Likeness()
        self.met = 0
        self.compared = 0
        self.hopeless = False
        self.mould: Mould | None = None


_NEWCOMERS: dict[Any, Likeness] = {}
_LOOKS: dict[Any, _Look] = {}


def begin(session: Session) -> None:
    """The pod was admitted, and nothing else has happened to it: it is alike with others of its template."""
    pod, memory = session.pod, session.memory
    if not pod.metadata.generate_name or memory != PodMemory(pod=pod, added_at=memory.added_at, stage="syncing"):
        return
    meta, spec = pod.metadata, pod.spec
    volume = token_volume(spec)
    name = "" if volume is None else str(volume["name"])
    kept = [*_of_spec(spec), *_of_metadata(meta), *_of_status(pod.status)]
    for each in spec.volumes:
        kept += _others(each, name)
    containers = tuple(each for place in _LISTS for each in getattr(spec, place))
    for container in containers:
        kept += _of_container(container)
        for mount in container.volume_mounts:
            kept += _others(mount, name)
    conditions = pod.status.conditions
    stamps: list[int] = []
    flags = [_noted(each.last_transition_time, stamps) for each in conditions]
    kept += [each.extra for each in conditions]
    flags += [_noted(meta.creation_timestamp, stamps), *(each.last_probe_time for each in conditions)]
    counts = (len(spec.init_containers), len(spec.containers), name != "")
    key = (meta.namespace, meta.generation, *counts, *map(_of_condition, conditions), *flags, *map(id, kept))
    found = _NEWCOMERS.get(key)
    if found is None:
        if len(_NEWCOMERS) >= _SIZE:
            _NEWCOMERS.clear()
        found = _NEWCOMERS[key] = Likeness(kept)
    own = _Own((name, *containers), tuple(dict.fromkeys(stamps)))
    session.memory = evolve(memory, alike=(found, own, (memory.added_at,)))


def _noted(moment: int | None, times: list[int]) -> bool | int | None:
    """Whether there is a moment; it is noted among `times`."""
    if not moment:
        return moment
    times.append(moment)
    return True


def _others(item: Mapping[str, Any], name: str) -> Iterable[Any]:
    """The item; of one that has the token volume's name, the rest."""
    if not name or item.get("name") != name:
        return (item,)
    return (part for field in sorted(item) if field != "name" for part in (field, item[field]))


def reported(alike: Any) -> Any:
    """What memories have in common after the status was sent."""
    return None if alike is None else (alike[0].reported, *alike[1:])


@define
class _Question:
    """What a look reads: without the pod's parts the `key`, and the `parts`; `own` and `times` stay in the memory."""

    key: Any
    parts: tuple[Any, ...]
    own: _Own
    times: tuple[int, ...]


def looked(session: Session, plain: Callable[[Session], list[Step]]) -> list[Step]:
    """What `plain` comes to about the pod: the steps; memory and status are left in the session."""
    question = _question(session)
    if question is None:
        return plain(session)
    look = _LOOKS.get(question.key)
    if look is None:
        if len(_LOOKS) >= _SIZE:
            _LOOKS.clear()
        look = _LOOKS[question.key] = _Look()
    if look.mould is None:
        return _learnt(look, session, plain, question)
    made = look.mould.cast((*question.parts, session.memory.sent_at, (look.left, question.own, question.times)))
    if look.compared < COMPARED or _CHECKED:
        return _compared(look, made, session, plain, question)
    steps, session.memory, session.status, session.status_why = made
    return steps  # type: ignore[no-any-return]


def _question(session: Session) -> _Question | None:
    """What the look is about; None: it may read more than that."""
    memory, pod, settings, now = session.memory, session.pod, session.settings, session.now
    if memory.alike is None or session.object_gone or settings.tries or session.eviction is not None:
        return None
    known: Pod = memory.pod
    meta, sent, stored = pod.metadata, memory.sent, pod.status
    if meta.deletion_timestamp is not None or pod.spec is not known.spec or not _same_metadata(meta, known.metadata):
        return None
    if stored is not sent and (stored is not known.status or _is_newer(meta.resource_version, memory.sent_at)):
        return None
    likeness, own, before = memory.alike
    ids: list[str] = []
    times = [now, *before]
    runtime = _of_runtime(session, ids, times)
    node = _of_node(session)
    if runtime is None or node is None or len(times) > _MOMENTS:
        return None
    second, sandbox = now // SECOND, session.runtime.sandbox
    ip = "" if sandbox is None else sandbox.ip
    key = (
        likeness,
        law.table("pod_sync"),
        (settings.relist_offset, settings.probing, settings.jitter, settings.reads_cgroups),
        (stored is sent, sent is None, pod is known, *map(bool, node), node[0] == ip),
        runtime,
        tuple([each - now for each in times]),
        tuple([2 * (each // SECOND - second) + (not each % SECOND) for each in (*times, *own.stamps)]),
    )
    wholes = [each - each % SECOND for each in times]
    parts = (*times, *wholes, *own.stamps, pod, known, session.key, meta.uid, meta.name, settings.node, *node, ip)
    return _Question(key, (*parts, memory.generated, sent, *own.parts, *ids), own, tuple(dict.fromkeys(times)))


def _same_metadata(new: ObjectMeta, known: ObjectMeta) -> bool:
    same = new is known or _of_metadata(new) == _of_metadata(known)
    return same and new.generation == known.generation


def _is_newer(version: str, sent_at: int) -> bool:
    return sent_at > 0 and int(version or 0) > sent_at


_NODES: dict[str, tuple[Any, str, tuple[str, str] | None]] = {}


def _of_node(session: Session) -> tuple[str, str] | None:
    """The node's address and the network of its pods; None where it has several addresses."""
    settings = session.settings
    node = session.view.get("Node", "", settings.node)
    known = _NODES.get(settings.node)
    if known is not None and known[0] is node and known[1] == settings.host_ip:
        return known[2]
    hosts = session.host_ips
    cidr = "" if node is None else node.spec.pod_cidr
    found = (hosts[0].ip if hosts else "", cidr) if len(hosts) < 2 else None
    _NODES[settings.node] = (node, settings.host_ip, found)
    return found


def _of_runtime(session: Session, ids: list[str], times: list[int]) -> tuple[Any, ...] | None:
    """All that the runtime knows of a pod but its address; its ids and moments are added to `ids` and `times`."""
    pod, images = session.runtime, node_of(session.view.runtime).images
    if pod.removed:
        return None
    found: list[Any] = []
    for container in session.containers:
        for run in pod.containers.get(container.name, ()):
            ids.append(run.id)
            found.append((_of_run(run), *[_noted(each, times) for each in _times_of_run(run)]))
        pull = pod.pulls.get(container.image)
        if pull is not None:
            found.append((pull.state, pull.message, *[_noted(each, times) for each in _times_of_pull(pull)]))
        found.append(images.get(container.image))
    box = pod.sandbox
    if box is not None:
        flags = (_noted(box.started_at, times), _noted(box.stopped_at, times))
        found.append((box.attempt, box.ip == "", box.ready, *flags))
    return (*found, _noted(pod.settled_at, times), pod.mounted, pod.cleaned)


class _Watched:
    """A view that notes whether more is asked of it than what a question tells."""

    def __init__(self, view: View, node: str) -> None:
        self.view = view
        self.node = node
        self.strange = False

    def get(self, kind: str, namespace: str, name: str) -> Any:
        self.strange = self.strange or (kind, name) != ("Node", self.node)
        return self.view.get(kind, namespace, name)

    def __getattr__(self, name: str) -> Any:
        self.strange = self.strange or name not in ("now", "runtime")
        return getattr(self.view, name)


def _learnt(look: _Look, session: Session, plain: Callable[[Session], list[Step]], question: _Question) -> list[Step]:
    """Look at the pod; at the second one that is alike a mould is made of what comes out."""
    look.met += 1
    if look.hopeless or look.met == 1:
        return _followed(look, session, plain(session), question)
    sent_at = session.memory.sent_at
    watched: Any = _Watched(session.view, session.settings.node)
    session.view = watched
    steps = plain(session)
    session.view = watched.view
    try:
        if watched.strange or session.asked_for_relist or session.deadline is not None:
            raise Shapeless("it depends on more than the question tells")
        if session.memory.sent_at != sent_at:
            raise Shapeless("it changes what was sent")
        memory = evolve(session.memory, alike=_PLACE, sent_at=_SENT)
        made = [steps, memory, session.status, session.status_why]
        look.mould = Mould(made, (*question.parts, _SENT, _PLACE))
    except Shapeless:
        look.hopeless = True
    return _followed(look, session, steps, question)


def _followed(look: _Look, session: Session, steps: list[Step], question: _Question) -> list[Step]:
    """The memory after a look is alike with those after a look that is alike."""
    if session.writes or session.forgotten or session.memory.stage != "syncing" or session.asked_for_relist:
        look.hopeless, look.mould = True, None
    if not look.hopeless:
        session.memory = evolve(session.memory, alike=(look.left, question.own, question.times))
    return steps


def _compared(
    look: _Look, made: Any, session: Session, plain: Callable[[Session], list[Step]], question: _Question
) -> list[Step]:
    """The steps that `plain` gives; a look whose cast is something else is not cast any more."""
    steps = plain(session)
    if made == [steps, session.memory, session.status, session.status_why]:
        look.compared += 1
    elif look.compared >= COMPARED:
        raise LawError(f"kubelet: {session.key} is not alike with others: {made} is not what the tables say")
    else:
        look.hopeless, look.mould = True, None
    return _followed(look, session, steps, question)
