"""What a real cluster left to chance, taken from its recording: generated names, uids, and ties of the scheduler."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from k8sfsm.apiserver import Sender
from k8sfsm.engine.choices import Lot, Seeded
from k8sfsm.law import constant
from k8sfsm.objects import key_of
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Bind, Create, Delete, DeleteCollection, Evict, Key, Patch, PatchStatus, Update, Write
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.verify.replay.contents import alike, content_of, recorded_content

_NEVER: Final = 1 << 63
_TOKEN_VOLUME: Final = "kube-api-access-"


Route: TypeAlias = tuple[str, str, str, str, Key]
"""(actor, node, verb, subresource, object)."""


def _route(actor: str, node: str, verb: str, subresource: str, key: Key) -> Route:
    return (actor, node if actor == "kubelet" else "", verb, subresource, key)


def requests_of(recording: Recording) -> Iterator[RecordedWrite]:
    """One write per request, Events aside."""
    seen: set[int] = set()
    for write in recording.writes:
        if write.request not in seen and write.key[0] != "Event":
            seen.add(write.request)
            yield write


def metadata_of(write: RecordedWrite) -> Mapping[str, Any]:
    """The metadata of the object that a write is about; of a refused creation, what its request says."""
    document = write.new or write.old
    if document is not None:
        return document.json.get("metadata") or {}
    body = write.body if isinstance(write.body, Mapping) else {}
    return body.get("metadata") or {}


def _refused_suffix(write: RecordedWrite, base: str) -> str:
    """The generated part of the name that a refused creation had got, which only the answer tells; "" if none."""
    found = re.search(rf'"{re.escape(base)}([^"]+)"', write.message) if base and not write.ok else None
    return found[1] if found else ""


def named(write: RecordedWrite) -> Key:
    """The object's key; for one with a generated name, that with the base of the name."""
    kind, namespace, _ = write.key
    base = metadata_of(write).get("generateName", "")
    return (kind, namespace, base) if write.verb == "create" and base else write.key


_OWNERS: Final[dict[str, str]] = {
    "replicaset-controller": "ReplicaSet",
    "replication-controller": "ReplicationController",
    "deployment-controller": "Deployment",
}
"""Controllers that write objects which their keys own."""


_SLICERS: Final[dict[str, str]] = {
    "endpointslice-controller": "Service",
    "endpointslicemirroring-controller": "Endpoints",
}
"""Controllers that write EndpointSlices, and the kind of their keys."""


def reconciled(write: RecordedWrite) -> Key:
    """The key that an actor was working on when it sent a request."""
    kind, namespace, name = write.key
    wanted = _OWNERS.get(write.actor)
    if write.actor == "endpoint-controller":
        return ("Service", namespace, name)
    if write.actor == "garbage-collector" and write.verb == "patch" and write.old is not None:
        return _orphaned_by(write.old.json, namespace) or write.key
    meta = metadata_of(write)
    if not meta or wanted == kind:
        return write.key
    if write.actor in _SLICERS:
        return (_SLICERS[write.actor], namespace, (meta.get("labels") or {}).get("kubernetes.io/service-name", name))
    sides = [side.json for side in (write.new, write.old) if side is not None] or [{"metadata": meta}]
    owners = [owner for side in sides for owner in _owners(side)]
    owner = next(
        (owner for owner in owners if wanted and owner.get("kind") == wanted), None
    )  # one that is released had one
    return (owner["kind"], namespace, owner["name"]) if owner is not None else write.key


def _owners(obj: Mapping[str, Any]) -> Sequence[Any]:
    return obj.get("metadata", {}).get("ownerReferences") or ()


def _banishes(write: RecordedWrite) -> bool:
    """Whether a write adds a NoExecute taint to a node."""
    sides = [() if side is None else side.json.get("spec", {}).get("taints") or () for side in (write.old, write.new)]
    before, after = (sum(taint.get("effect") == "NoExecute" for taint in taints) for taints in sides)
    return bool(after > before)


def _orphaned_by(obj: Mapping[str, Any], namespace: str) -> Key | None:
    """The owner for whose sake the garbage collector changes an object's owner references."""
    return next(((owner["kind"], namespace, owner["name"]) for owner in _owners(obj) if owner.get("controller")), None)


def address_of(write: Write) -> tuple[str, str, Key]:
    """(verb, subresource, object) of a write that is about to be sent."""
    if isinstance(write, Create):
        kind, namespace, name = key_of(write.object)
        return "create", "", (kind, namespace, name or write.object.metadata.generate_name)
    if isinstance(write, Update):
        return "update", write.subresource, key_of(write.object)
    if isinstance(write, DeleteCollection):
        return "deletecollection", "", (write.kind, write.namespace, "")
    subresource = "status" if isinstance(write, PatchStatus) else getattr(write, "subresource", "")
    return _VERBS[type(write)], subresource, write.key


_VERBS: Final[dict[type[Any], str]] = {
    Patch: "patch",
    PatchStatus: "patch",
    Delete: "delete",
    Bind: "bind",
    Evict: "evict",
}


def _sent(write: RecordedWrite) -> int:
    """When (ns) a request was sent, as far as that is known."""
    return min(write.time, write.received or write.time)


def _allocated(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the API server chose for a Service, by purpose."""
    yield "clusterIP", spec.get("clusterIP")
    yield "healthCheckNodePort", spec.get("healthCheckNodePort")
    for place, address in enumerate(spec.get("clusterIPs") or ()):
        yield f"clusterIPs/{place}", address
    for port in spec.get("ports") or ():
        yield f"nodePort/{port['port']}", port.get("nodePort")


class RecordedChoices:
    """Chooses what the recorded cluster chose where that is one of the possible choices, else by a seed.

    Only chance is taken from the recording: a name's random suffix, a uid, one of several equally good nodes, and how
    fast a component was. `nodes`: the node to which each pod was bound; `deleted`: when a controller deleted a pod;
    `paired`: numbers of recorded requests that a predicted write has been paired with.
    """

    def __init__(self, recording: Recording) -> None:
        self._seeded = Seeded(1)
        self._timed = recording.format != "watch"  # what people watched has whole seconds, often derived ones
        self._uids: dict[Key, deque[str]] = defaultdict(deque)
        self._names: dict[tuple[str, str, str], deque[str]] = defaultdict(deque)
        self.nodes: dict[Key, str] = {}
        self._volumes: dict[Key, str] = {}
        self._starts: dict[tuple[str, Key], deque[tuple[int, int]]] = defaultdict(deque)
        self.deleted: dict[Key, int] = {}
        self._arrivals: dict[Route, deque[RecordedWrite]] = defaultdict(deque)
        self.paired: set[int] = set()
        self._tainted: dict[Key, list[int]] = defaultdict(list)
        self._now = 0
        self._addresses: dict[tuple[str, Key], str] = {}
        self._subject: Key = ("", "", "")
        self._removed = {
            write.request: write.time
            for write in recording.writes
            if write.verb == "delete" and write.type == "DELETED"
        }  # a deletion without grace first marks the pod, and is done when it is gone
        for write in recording.writes:
            if write.type and write.new is not None:
                self._learn(write.key, write.type, write.new.json, write.verb)
            elif write.verb == "create" and not write.ok:
                self._learn_refused(write)
        for write in sorted(requests_of(recording), key=lambda entry: entry.time):
            route = _route(write.actor, write.node, write.verb, write.subresource, named(write))
            self._arrivals[route].append(write)
            if write.verb == "delete" and write.actor in (*_OWNERS, *_SLICERS):
                self.deleted.setdefault(write.key, write.time)
            if write.key[0] == "Node" and _banishes(write):
                self._tainted[write.key].append(write.time)
        for write in sorted(requests_of(recording), key=lambda entry: entry.received or entry.time):
            self._starts[write.actor, reconciled(write)].append((write.received or write.time, write.request))

    def _learn(self, key: Key, change: str, obj: Mapping[str, Any], verb: str) -> None:
        meta = obj.get("metadata", {})
        if change == "ADDED":
            self._uids[key].append(meta.get("uid", ""))
            base = meta.get("generateName", "")
            if base and key[2].startswith(base):
                self._names[key[0], key[1], base].append(key[2][len(base) :])
            for volume in obj.get("spec", {}).get("volumes", ()) if key[0] == "Pod" else ():
                if volume.get("name", "").startswith(_TOKEN_VOLUME):
                    self._volumes[key] = volume["name"][len(_TOKEN_VOLUME) :]
        if key[0] == "Service":
            for purpose, chosen in _allocated(obj.get("spec", {})):
                if chosen:
                    self._addresses.setdefault((purpose, key), str(chosen))
        if verb == "bind":
            self.nodes.setdefault(key, obj.get("spec", {}).get("nodeName", ""))

    def _learn_refused(self, write: RecordedWrite) -> None:
        base = metadata_of(write).get("generateName", "")
        suffix = _refused_suffix(write, base)
        if suffix:
            self._names[write.key[0], write.key[1], base].append(suffix)

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        """The suffix of the next recorded object of that base name, and of its token volume."""
        if base == _TOKEN_VOLUME and self._subject in self._volumes:
            return self._volumes[self._subject]
        waiting = self._names.get((kind, namespace, base))
        return waiting.popleft() if waiting else self._seeded.suffix(kind, namespace, base)

    def uid(self, key: Key) -> str:
        """The uid that the recorded object of that name got."""
        self._subject = key
        waiting = self._uids.get(key)
        return waiting.popleft() if waiting else self._seeded.uid(key)

    def lot(self, key: Key) -> Lot:
        """The same."""
        return self.uid(key)

    def node(self, candidates: Sequence[str], pod: Key) -> str:
        """The recorded node, where it is one of the best."""
        recorded = self.nodes.get(pod)
        return recorded if recorded is not None and recorded in candidates else candidates[0]

    @property
    def exact(self) -> bool:
        """Starts and arrivals have recorded times."""
        return False

    def delay(self, base: int) -> int:
        """As long as it takes."""
        return base

    def tie(self, key: Key) -> int:
        """Pods in the order in which the recorded controllers deleted them, nodes in that in which they were tainted
        for eviction next; those that they left alone come last. EndpointSlices the other way round: the first is
        written over when there is too much room, and stays.
        """
        if key[0] == "EndpointSlice":
            return -self.deleted.get(key, _NEVER)
        if key[0] == "Node":
            return next((at for at in self._tainted.get(key, ()) if at >= self._now), _NEVER)
        return self.deleted.get(key, _NEVER)

    def start(self, sender: Sender, key: Key, now: int) -> int:
        """Just before the recorded actor sent its next request about the key, where that is near; else at once.

        How long a key waits for a worker is chance. What the actor does with it is not taken from the recording.
        """
        self._now = now
        if sender.node:  # what a kubelet sees of its runtime has recorded times of its own
            return now
        waiting = self._starts.get((sender.actor, key))
        late = constant("replay_latency_late") * MILLISECOND
        while waiting and (waiting[0][0] < now - late or waiting[0][1] in self.paired):
            waiting.popleft()
        if not waiting or waiting[0][0] > now + constant("replay_latency_window") * MILLISECOND:
            return now
        return max(waiting[0][0], now)

    def arrival(self, write: Write, sender: Sender, now: int, base: int) -> int:
        """The recorded time of the actor's next write of this kind to this object, where it was sent about now; else as
        usual.

        How fast a component is at a moment is chance, and so is how long the API server takes to answer. What is
        written is not taken from the recording. Of objects with generated names the first that is predicted gets the
        name of the first that is recorded, and so on; their requests are paired likewise, and may be apart as far as
        their times may.
        """
        waiting = self._arrivals.get(_route(sender.actor, sender.node, *address_of(write)))
        window: int = constant("replay_latency_window") * MILLISECOND
        named_by_chance = isinstance(write, Create) and not write.object.metadata.name
        while waiting and waiting[0].time < now - window and not named_by_chance:
            waiting.popleft()
        if isinstance(write, Bind) and write.key not in self.nodes:
            return now + window  # the recorded scheduler was slower than what made the pod go
        content = content_of(write)
        reported = bool(sender.node) and isinstance(write, Patch | PatchStatus | Delete)
        if named_by_chance or reported or (content is not None and self._timed):
            window = constant("replay_time_tolerance") * SECOND
        same = next((each for each in waiting or () if alike(content, recorded_content(each))), None)
        if waiting is None or same is None or not (named_by_chance or _sent(same) <= now + window):
            return now + base
        waiting.remove(same)
        self.paired.add(same.request)
        done = self._removed.get(same.request, same.time)
        return max(done, now + min(base, MILLISECOND)) if _sent(same) <= now + window else now + base

    def index(self, count: int) -> int:
        """Any."""
        return self._seeded.index(count)

    def recorded(self, purpose: str, key: Key) -> str:
        """The recorded address or port."""
        return self._addresses.get((purpose, key), "")

    def fork(self) -> RecordedChoices:
        """Choices that share what is left to choose: a replay is not forked."""
        return self
