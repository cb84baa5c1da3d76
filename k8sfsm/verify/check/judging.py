"""What a write is judged as: the facts of the tables `check/judged` and `check/field`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from attrs import define, field, frozen

from k8sfsm.law import Law
from k8sfsm.request import Key
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.trace.lacking import in_hole
from k8sfsm.verify.check.outset import Outset
from k8sfsm.verify.check.silence import tells_stops
from k8sfsm.verify.replay.choices import reconciled
from k8sfsm.verify.replay.compare import FieldPair, time_of
from k8sfsm.verify.replay.predict import shows_leases

if TYPE_CHECKING:
    from k8sfsm.verify.check.past import Past

law = Law("check")

KUBELET: Final = "kubelet"
MIRROR: Final = "kubernetes.io/config.mirror"
"""The annotation of a pod that stands for one from a file."""
BY_THE_CLOCK: Final = "clock"
_LISTED: Final = ("Namespace", "PriorityClass", "Event", "Lease")
"""Kinds of which it does not matter to others how many there are."""
_EVENT: Final = "Event"
_MONITOR: Final = "node-controller"
_EMPTIES: Final = "namespace-controller"
"""It looks at everything in a namespace, whatever it watches."""
_SLIM: Final = ("Endpoints", "EndpointSlice", "Event")
"""Kinds whose writes a slim recording leaves out."""


@frozen
class Request:
    """A recorded request. `modelled`: its actor has rules; `wanted`: its actor is among those to judge; `scripted`: it
    is about a node without a kubelet; `blind`: its actor saw objects that the history does not show whole.
    """

    write: RecordedWrite
    modelled: bool
    wanted: bool
    scripted: bool = False
    blind: bool = False


@law.fact
def accepted(case: Request) -> bool:
    """Whether the API server did it."""
    return case.write.ok


@law.fact
def writer(case: Request) -> Literal["user", "apiserver", "modelled", "other"]:
    """Who asked."""
    if case.write.actor in ("user", "apiserver"):
        return "user" if case.write.actor == "user" else "apiserver"
    return "modelled" if case.modelled else "other"


@law.fact
def from_outside(case: Request) -> bool:
    """Whether a kubelet asked."""
    return case.write.actor == KUBELET


@law.fact
def subject(case: Request) -> Literal["scripted-node", "static-pod", "other"]:
    """What it is about: a node without a kubelet, a pod from a file, or neither."""
    if case.scripted:
        return "scripted-node"
    document = case.write.new or case.write.old
    notes = {} if document is None else document.json.get("metadata", {}).get("annotations") or {}
    return "static-pod" if MIRROR in notes and case.write.subresource == "" else "other"


@law.fact
def cache_whole(case: Request) -> bool:
    """Whether the history shows whole what the actor saw."""
    return not case.blind


def judged_as(case: Request) -> str:
    """What a request is judged as, by the table `judged`. It is asked once about all requests of which its facts are
    the same.
    """
    write = case.write
    traits = (
        law.edition, write.actor, write.key[0], write.ok, case.modelled, case.wanted, case.scripted, case.blind,
        subject(case), whole(case),
    )  # fmt: skip
    found = _JUDGED.get(traits)
    if found is None:
        if len(_JUDGED) >= _SORTS:
            _JUDGED.clear()
        found = _JUDGED[traits] = str(law.decide("judged", case).outputs["verdict"])
    return found


_JUDGED: Final[dict[tuple[object, ...], str]] = {}
_SORTS: Final = 4096


@frozen
class Writer:
    """An actor, by its name."""

    name: str


@law.fact
def writer_name(case: Writer) -> str:
    """The actor's name."""
    return case.name


@lru_cache(maxsize=256)
def method_of(actor: str) -> str:
    """How the rules behind an actor's writes are looked for: `views`, `containers` or `clock`."""
    return str(law.decide("method", Writer(actor)).outputs["method"])


@law.fact
def whole(case: Request) -> bool:
    """Whether the history shows the object as the request left it."""
    write = case.write
    return not write.trimmed and (write.new is not None or write.verb == "deletecollection")


@law.fact
def chosen(case: Request) -> bool:
    """Whether the writes of this actor are to be judged."""
    return case.wanted


@law.fact
def object_kind(case: Request | FieldPair) -> str:
    """The kind of the object."""
    return case.kind if isinstance(case, FieldPair) else case.write.key[0]


@law.fact
def field_name(case: FieldPair) -> str:
    """The field's path without positions in lists."""
    return case.path


@law.fact
def both_times(case: FieldPair) -> bool:
    """Whether both values are times."""
    return time_of(case.recorded) is not None and time_of(case.predicted) is not None


@define
class Known:
    """What a history shows, and what it does not."""

    kinds: set[str] = field(factory=set)
    trimmed: set[tuple[str, str]] = field(factory=set)
    """(kind, namespace) of objects that are shown in part."""
    older: set[tuple[str, str]] = field(factory=set)
    """(kind, namespace) of objects that are older than the history: there may be more of them."""
    new: set[Key] = field(factory=set)
    """Objects that have just shown for the first time, although they are older."""
    gapped: set[Key] = field(factory=set)
    """Those among them of which an earlier state is known."""
    followed: set[str] = field(factory=set)
    """Kinds of which the history shows objects."""
    written: dict[Key, int] = field(factory=dict)
    """Object -> when (ns) the history shows its last write."""
    bare: bool = False
    """Some requests that changed known objects are shown without them."""
    gaps: bool = False
    """Some writes are not shown at all."""
    recorded: bool = False
    """It is a recording, which shows changes beside requests."""
    silences: bool = False
    """Whether the history tells when nodes fell silent."""
    lost: bool = False
    """Whether a node was found lost."""
    slim: bool = False
    whole: bool = True
    holes: tuple[tuple[int, int], ...] = ()
    """When writes are lacking (ns)."""
    torn_at: set[Line] = field(factory=set)
    """Where changes are seen of which only part is known, because the line that theirs refers to is missing."""
    outset: Outset = field(factory=Outset)
    """How it began."""
    begun: bool = False

    def take(self, recording: Recording) -> None:
        """A portion of a history."""
        if not self.begun:
            self.outset, self.begun = Outset.of(recording), True
        self.recorded = recording.format == "recording"
        self.silences = self.silences or tells_stops(recording) or shows_leases(recording)
        self.slim |= bool(recording.about.get("slim"))
        self.torn_at |= recording.torn
        self.holes = recording.holes
        self.whole &= recording.format in ("recording", "k8sfsm") and not (
            recording.appeared or recording.torn or recording.holes
        )
        self.kinds |= {document.key[0] for document in recording.initial}
        self.kinds |= {write.key[0] for write in recording.writes}
        late = {each.key for each in recording.initial} if recording.format == "audit" else recording.appeared
        self.older |= {key[:2] for key in late if key[0] not in _LISTED}
        self.new |= late

    def changed(self, write: RecordedWrite) -> None:
        """A change is shown."""
        in_part = write.trimmed and self.is_torn(write)
        if write.trimmed and not in_part:
            self.trimmed.add(write.key[:2])
        if (not write.derived and not in_part) or write.type == "DELETED":
            self.new.discard(write.key)
            self.gapped.discard(write.key)
        self.followed.add(write.key[0])
        if write.key[0] == "Node" and write.actor == _MONITOR and write.subresource == "status":
            self.lost = True
        if write.type == "DELETED":
            self.written.pop(write.key, None)
        else:
            self.written[write.key] = write.time

    def torn(self, write: RecordedWrite) -> None:
        """Before a write there were others, which the history lacks."""
        self.gaps = True
        self.older.add(write.key[:2])
        if write.key not in self.new and write.old is not None:
            self.gapped.add(write.key)
        self.new.add(write.key)

    def cross(self, keys: Iterable[Key]) -> None:
        """Writes are lacking: what became of the objects that were known, and which others there are, is not known."""
        self.gaps = True
        known = set(keys)
        self.new |= known
        self.gapped |= known
        self.older |= {key[:2] for key in known}

    def is_torn(self, write: RecordedWrite) -> bool:
        """Whether only part of what a change left is known, because the line that its line refers to is missing."""
        return write.trimmed and write.seen in self.torn_at

    def hidden(self, write: RecordedWrite) -> None:
        """A granted request is shown without what it left."""
        if write.old is not None:
            self.bare = True
            self.torn(write)
        elif write.verb == "create" and write.key[0] in self.followed:
            self.bare = True
            self.older.add(write.key[:2])

    def shows(self, watched: Collection[str], kind: str, namespace: str) -> bool:
        """Whether a write of a kind would be in the history, and all that an actor which watches these kinds sees."""
        if self.slim and kind in _SLIM:
            return False
        seen = not any((each, namespace) in self.trimmed for each in watched)
        return seen and kind in self.kinds and (self.whole or set(watched) <= self.kinds) and not self.older

    @property
    def follows_nodes(self) -> bool:
        """Whether the history shows what controllers by the clock look at: nodes, and all that is written."""
        if self.lost and not self.silences:
            return False
        return not self.gaps and (self.whole or ("Node" in self.kinds and not self.older))

    def trimmed_for(self, write: RecordedWrite, kinds: Collection[str]) -> bool:
        """Whether an actor that watches these kinds saw objects that are shown in part."""
        return bool(self.trimmed) and any((kind, write.key[1]) in self.trimmed for kind in kinds)

    def unsure(self, write: RecordedWrite) -> bool:
        """Whether the state before a write is not known, or whether it changed anything."""
        if write.key in self.new or (write.old is None and write.type == "MODIFIED"):
            return True
        return bool(self.holes) and write.type is None and in_hole(self.holes, write.completed)

    def missing(self, write: RecordedWrite, past: Past) -> str:
        """Why it cannot be told whether a rule orders a write; "" where it can."""
        case = Basis(write, self, past)
        return str(law.decide("basis", case).outputs["says"])


@frozen
class Basis:
    """A write that no rule orders on what is known: the case of the table `basis`."""

    write: RecordedWrite
    known: Known
    past: Past


@law.fact
def state_before(case: Basis) -> Literal["known", "unknown"]:
    """Whether the history shows the object as it was before the write."""
    return "unknown" if case.known.unsure(case.write) else "known"


@law.fact
def outset(case: Basis) -> Literal["astir", "told-before", "timed", "quiet"]:
    """Whether the write follows from what was before the history: something was under way there just before it began,
    an Event tells of an earlier time, or its component counts times, and some ran already.
    """
    began, write = case.known.outset, case.write
    if began.told_before(write):
        return "told-before"
    if began.astir(write):
        return "astir"
    return "timed" if began.unwell and method_of(write.actor) == BY_THE_CLOCK else "quiet"


@law.fact
def silence_told(case: Basis) -> bool:
    """Whether the history tells when the nodes fell silent that were found lost, where the component counts from that:
    by leases, or by a record of what happened to machines.
    """
    return case.known.silences or not case.known.lost or method_of(case.write.actor) != BY_THE_CLOCK


@law.fact
def worked_on(case: Basis) -> Literal["shown", "unknown"]:
    """Whether the history shows the object that the actor worked on."""
    write = case.write
    if write.actor == KUBELET:
        return "shown"
    if write.actor == "kube-scheduler":
        return "shown" if "Node" in case.known.kinds else "unknown"
    if write.verb == "deletecollection":
        return "shown" if case.past.store.get("Namespace", "", write.key[1]) is not None else "unknown"
    return "shown" if reconciled(write)[0] in case.known.kinds else "unknown"


@law.fact
def place_shown(case: Basis) -> bool:
    """Whether what was created could be created as far as the history tells: its namespace is there and not on its way
    out, and so is a pod's account.
    """
    write, store = case.write, case.past.store
    if write.verb != "create" or not write.key[1] or write.key[0] == _EVENT:
        return True
    namespace = store.get("Namespace", "", write.key[1])
    if namespace is None or namespace.metadata.deletion_timestamp is not None:
        return False
    if write.key[0] != "Pod" or write.new is None:
        return True
    account = (write.new.json.get("spec") or {}).get("serviceAccountName") or "default"
    return store.get("ServiceAccount", write.key[1], str(account)) is not None


@law.fact
def all_shown(case: Basis) -> bool:
    """Whether the history shows all objects of the kinds that the actor watches, and not only those that changed."""
    actor = case.past.actors.get(case.write.actor)
    if actor is None or not case.known.older:
        return True
    if case.write.actor == _EMPTIES:
        inside = case.write.key[1] or case.write.key[2]
        return not any(space == inside for _, space in case.known.older)
    spaces = (case.write.key[1], "")
    return not any((kind, space) in case.known.older for kind in actor.watched for space in spaces)


@law.fact
def kinds_shown(case: Basis) -> bool:
    """Whether the history shows every kind that the actor watches."""
    actor = case.past.actors.get(case.write.actor)
    return actor is None or case.known.whole or actor.watched <= case.known.kinds
