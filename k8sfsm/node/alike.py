"""Pods that are alike: when what a kubelet comes to about one is what it comes to about the next.

Pods of one template that were bound, started and pulled at the same moments differ in name, uid, node, addresses, the
name of their token volume and the ids of their containers: in their parts. What their kubelets come to differs in these
too, and in nothing else. So the tables are asked for some of them, and the answer is cast anew for the others
(`k8sfsm.node.looks`).

Two looks are alike where all is the same that a look reads, parts aside: the history of what the kubelet remembers (its
`Likeness`: which looks made it), the runtime's state, and how long ago everything was. A look that reads more than that
(other pods, other objects, the moments at which a kubelet looks for ended containers) is like no other one.

There are two ways to find that out. `mark` compares looks at the same moment: then the `Course` of what was remembered
and the runtime's `Past` tell all at once. `question` compares looks at any moments.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

import attrs
from attrs import define

from k8sfsm.law import Law
from k8sfsm.node.memory import EVICTION, PodMemory
from k8sfsm.node.references import token_volume
from k8sfsm.node.runtime_state import BARE, EMPTY, NODE, Image, Instance, PodRuntime
from k8sfsm.node.session import Session, Settings, addresses_of
from k8sfsm.node.starting import pulled_text
from k8sfsm.node.template import Template
from k8sfsm.objects import Container, HostIP, Node, Pod
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.sameness import same_in
from k8sfsm.view import View

law = Law("kubelet")

_SIZE: Final = 8192
_VARIANTS: Final = 8
"""So many templates of one heading are known."""


_TIMES: Final = ("started_at", "finished_at", "stopping_since", "noticed_at")
_of_run: Final = attrgetter(*(each.name for each in attrs.fields(Instance) if each.name not in ("id", *_TIMES)))
_times_of_run: Final = attrgetter(*_TIMES)
_times_of_pull: Final = attrgetter("asked_at", "started_at", "finished_at")
_same_pod: Final = same_in("uid", "generation", "owner_references", "annotations", "finalizers", "extra")
"""A kubelet looks at no label of a pod."""
_MOMENTS: Final = 24
"""A memory of more moments is like no other one: that of a pod which has been probed for long."""


# -- what is remembered -----------------------------------------------------------------------------------------------


class Likeness:
    """What memories have in common that the same looks at pods of one template have made."""

    __slots__ = ("_reported", "template")

    def __init__(self, template: Template) -> None:
        self.template = template
        self._reported: Likeness | None = None

    @property
    def reported(self) -> Likeness:
        """The likeness after the status was sent."""
        if self._reported is None:
            self._reported = Likeness(self.template)
        return self._reported


class Course:
    """What memories have in common that were made alike, at the same moments: `times` (ns) and `stamps`, whole seconds.

    There may be several of the same content, none of which stands for another. `latest`: what the latest look at one of
    them read, and how it was cast.
    """

    __slots__ = ("_reported", "latest", "likeness", "stamps", "times")

    def __init__(self, likeness: Likeness, times: tuple[int, ...], stamps: tuple[int, ...]) -> None:
        self.likeness, self.times, self.stamps = likeness, times, stamps
        self.latest: tuple[Any, Any] | None = None
        self._reported: Course | None = None

    @property
    def reported(self) -> Course:
        """The course after the status was sent."""
        if self._reported is None:
            self._reported = Course(self.likeness.reported, self.times, self.stamps)
        return self._reported


_TEMPLATES: dict[Hashable, list[Likeness]] = {}
_BIRTHS: dict[Hashable, Course] = {}


Habits: TypeAlias = tuple[Hashable, ...]


def habits_of(settings: Settings) -> Habits:
    """The flags of a kubelet on which it depends what it comes to about a pod."""
    return settings.relist_offset, settings.probing, settings.jitter, settings.reads_cgroups


def born(habits: Habits, pod: Pod, now: int) -> tuple[Course, tuple[Any, ...]] | None:
    """What the memory of a pod that is taken at `now` (ns) has in common with others of its template, and the parts of
    its spec that are its own.
    """
    spec = pod.spec
    if not pod.metadata.generate_name:
        return None
    volume = token_volume(spec)
    name = "" if volume is None else str(volume["name"])
    containers = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)
    likeness, stamps = _newcomer(habits, pod, containers, name)
    birth = (likeness, now, pod.metadata.creation_timestamp, stamps)
    course = _BIRTHS.get(birth)
    if course is None:
        if len(_BIRTHS) >= _SIZE:
            _BIRTHS.clear()
        seconds = dict.fromkeys((*stamps, pod.metadata.creation_timestamp or 0))
        course = _BIRTHS[birth] = Course(likeness, (now,), tuple(filter(None, seconds)))
    return course, (name, *containers)


def _newcomer(
    habits: Habits, pod: Pod, containers: Sequence[Container], token: str
) -> tuple[Likeness, tuple[int, ...]]:
    """What the pod has in common with others that were admitted, and the whole seconds that its status has."""
    meta, spec = pod.metadata, pod.spec
    counts = (len(spec.init_containers), len(spec.containers))
    known = _known_of((meta.namespace, meta.generate_name, meta.generation, *counts, *habits))
    for each in known:
        stamps = each.template.stamps_of(pod, containers, token)
        if stamps is not None:
            return each, stamps
    if len(known) >= _VARIANTS:
        known.clear()
    known.append(Likeness(Template(pod, containers, token)))
    return known[-1], known[-1].template.stamps


def _known_of(heading: Hashable) -> list[Likeness]:
    """The newcomers of one heading that are known."""
    found = _TEMPLATES.get(heading)
    if found is None:
        if len(_TEMPLATES) >= _SIZE:
            _TEMPLATES.clear()
        found = _TEMPLATES[heading] = []
    return found


def _noted(moment: int | None, times: list[int]) -> bool | int | None:
    """Whether there is a moment; it is noted among `times`."""
    if not moment:
        return moment
    times.append(moment)
    return True


# -- what is looked at ------------------------------------------------------------------------------------------------


Mark: TypeAlias = tuple[Course, tuple[Hashable, ...], tuple[Any, ...]]
"""What a look reads at this moment: the course, what there is without the pod's parts, beginning with past and moment,
and the parts.
"""
_HOME, _OWN, _TOLD = 9, 10, 11
GROUPS: Final = (_HOME, _OWN, _TOLD)
"""The places of parts that are tuples of parts: of the Node, of the pod's spec, and what the runtime told."""


@define
class Question:
    """What a look reads at any moment: the `key`, `times` (ns), and all `moments` of a mould.

    `kind`: looks of the same one differ in nothing but in the `ages` (ns), how long ago each of the times was.
    `shape`: looks of the same one may differ in what led to them, too.
    """

    kind: Hashable
    ages: tuple[int, ...]
    shape: Hashable
    times: tuple[int, ...]
    moments: tuple[int, ...]

    @property
    def key(self) -> Hashable:
        """What looks that are alike have in common."""
        return self.ages, self.kind


def mark(home: Home, view: View, key: Any, pod: Pod, memory: PodMemory) -> Mark | None:
    """What a look at a pod that is in the API is about; None: it may read more than that."""
    meta, known, sent, stored, alike = pod.metadata, memory.pod, memory.sent, pod.status, memory.alike
    if alike is None or meta.deletion_timestamp is not None or home.settings.tries:
        return None
    if pod is not known and (pod.spec is not known.spec or not _same_pod(meta, known.metadata)):
        return None
    if stored is not sent and (stored is not known.status or _is_newer(meta.resource_version, memory.sent_at)):
        return None
    uid, state, node = meta.uid, view.runtime, home.told(view)
    runtime: PodRuntime = state.get(uid, EMPTY)
    past, box, work = runtime.past, runtime.sandbox, memory.work
    if past is None or node is None or (EVICTION, uid) in view.memory:
        return None
    (traits, told), ip = node, "" if box is None else box.ip
    template, images = alike.likeness.template, state.get(NODE, BARE).images
    what = (past, view.now, law.edition, stored is sent, pod is known, traits, told[1] == ip, template.found_in(images))
    said: tuple[str | None, ...] = ()
    if work.doing == "pull":
        said = (_said_of_pull(images, runtime, template, work.name),)
    if runtime.containers:
        said = (*said, *_ids(runtime, template))
    own = memory.own
    return alike, what, (memory.sent_at, pod, known, key, uid, meta.name, ip, memory.generated, sent, told, own, said)


def _ids(runtime: PodRuntime, template: Template) -> list[str]:
    return [run.id for name in template.containers for run in runtime.containers.get(name, ())]


def _said_of_pull(images: Mapping[str, Image], runtime: PodRuntime, template: Template, container: str) -> str | None:
    """What is said of the pull that the pod waits for, once it is done: how long it took differs with its node."""
    image = template.images[template.containers.index(container)]
    pull, found = runtime.pulls.get(image), images.get(image)
    return None if pull is None or pull.state != "done" or found is None else pulled_text(image, pull, found)


def _is_newer(version: str, sent_at: int) -> bool:
    return sent_at > 0 and int(version or 0) > sent_at


Told: TypeAlias = tuple[tuple[bool, bool], tuple[str, str, str, tuple[HostIP, ...]]]
"""Of a Node: whether it has neither address nor network for its pods; its name, its address, that network, and how a
status tells the address.
"""


class Home:
    """The Node of a kubelet, as far as it tells apart what is said of pods: looked up once while it is the same."""

    __slots__ = ("_nodes", "_seen", "_told", "node", "settings")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.node = settings.node
        self._nodes: Any = None
        self._seen: Node | None = None
        self._told: Told | None = None

    def seen(self, view: View) -> Node | None:
        """The Node, as the kubelet sees it."""
        nodes = view.snapshot("Node")
        if nodes is not self._nodes:
            node = nodes.get(("Node", "", self.node))
            if self._nodes is None or node is not self._seen:
                self._seen, self._told = node, self._found(node)
            self._nodes = nodes
        return self._seen

    def told(self, view: View) -> Told | None:
        """What the Node tells of itself; None where it has several addresses."""
        if view.snapshot("Node") is not self._nodes:
            self.seen(view)
        return self._told

    def _found(self, node: Node | None) -> Told | None:
        hosts = addresses_of(node, self.settings)
        host, cidr = hosts[0].ip if hosts else "", "" if node is None else node.spec.pod_cidr
        return ((not host, not cidr), (self.node, host, cidr, hosts)) if len(hosts) < 2 else None


def question(session: Session, known: Mark) -> Question | None:
    """What the look is about, whenever it is; None: it may read more than that. `known`: what it reads now."""
    course, now = session.memory.alike, session.now
    times = [now, *course.times]
    runtime = _of_runtime(session, times)
    if runtime is None or len(times) > _MOMENTS:
        return None
    second, what = now // SECOND, (*known[1][2:], *runtime)
    ages = tuple([each - now for each in times])
    seconds = tuple([2 * (each // SECOND - second) + (not each % SECOND) for each in (*times, *course.stamps)])
    moments = (*times, *[each - each % SECOND for each in times], *course.stamps)
    shape = (course.likeness.template, len(moments), len(known[2][_TOLD]), *what)
    kind = (course.likeness, seconds, *what)
    return Question(kind, ages, shape, tuple(dict.fromkeys(times)), moments)


def _of_runtime(session: Session, times: list[int]) -> tuple[Any, ...] | None:
    """All that the runtime knows of a pod but its address and ids; its moments are added to `times`."""
    pod = session.runtime
    if pod.removed:
        return None
    found: list[Any] = []
    for container in session.containers:
        runs, pull = pod.containers.get(container.name, ()), pod.pulls.get(container.image)
        found += [(_of_run(run), *[_noted(each, times) for each in _times_of_run(run)]) for run in runs]
        if pull is not None:
            found.append((pull.state, pull.message, *[_noted(each, times) for each in _times_of_pull(pull)]))
        found.append(None)
    box = pod.sandbox
    if box is not None:
        flags = (_noted(box.started_at, times), _noted(box.stopped_at, times))
        found.append((box.attempt, box.ip == "", box.ready, *flags))
    return (*found, _noted(pod.settled_at, times), pod.mounted, pod.cleaned)
