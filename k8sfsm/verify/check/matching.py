"""Whether a recorded request is the one that a rule orders, and how they differ where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import frozen

from k8sfsm.apiserver import ApiServer
from k8sfsm.objects import ObjectError, evolve, to_json
from k8sfsm.request import DeleteCollection, Evict, Key, Outcome, Patch, Update, Write
from k8sfsm.store import Store
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.check.course import Address
from k8sfsm.verify.check.judging import law
from k8sfsm.verify.check.verdicts import apart
from k8sfsm.verify.replay.choices import named
from k8sfsm.verify.replay.compare import differences

_TOKEN: Final = "kube-api-access-"


class Granting(ApiServer):
    """An API server that takes well-formed objects for granted: what is asked for here, a real one has accepted."""

    def _refuse_invalid(self, old: Any, new: Any, basis: Any = None, subresource: str = "") -> None:
        """Nothing is refused."""


@frozen
class Told:
    """What the API server chose for a recorded object: the API server's chance, as it fell."""

    write: RecordedWrite

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        """The rest of the recorded name, or of its token volume's."""
        if base == _TOKEN and self.write.new is not None:
            for volume in (self.write.new.json.get("spec") or {}).get("volumes") or ():
                if str(volume.get("name", "")).startswith(_TOKEN):
                    return str(volume["name"])[len(_TOKEN) :]
        name = self.write.key[2]
        return name[len(base) :] if name.startswith(base) else name

    def uid(self, key: Key) -> str:
        """The recorded uid."""
        return self.write.uid

    def index(self, count: int) -> int:
        """The first."""
        return 0

    def fork(self) -> Told:
        """The same: it has nothing to choose."""
        return self

    def recorded(self, purpose: str, key: Key) -> str:
        """Nothing: Services are the users' own."""
        return ""


def named_owners(write: RecordedWrite) -> Iterator[Key]:
    """The controllers that the body of a request names: all that a refused creation tells."""
    if write.new is not None or not isinstance(write.body, dict):
        return
    for reference in (write.body.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            yield (str(reference.get("kind")), write.key[1], str(reference.get("name")))


def recorded_address(write: RecordedWrite) -> Address:
    """(verb, subresource, object) of a recorded request; a deletion of a whole kind names no object."""
    kind, namespace, name = write.key
    if write.verb == "deletecollection":
        return write.verb, write.subresource, (kind, namespace, "")
    if write.verb == "create" and not name and isinstance(write.body, dict):
        base = str((write.body.get("metadata") or {}).get("generateName") or "")
        return write.verb, write.subresource, (kind, namespace, base)
    return write.verb, write.subresource, named(write)


def differs_from(writes: Sequence[RecordedWrite], answer: Any) -> str:
    """How the answer to an order differs from what was recorded; "" where it does not."""
    if not answer.outcome.ok:
        return f"it would be refused: {answer.outcome.message or answer.outcome.reason}"
    changed = _without_steps([write for write in writes if write.type is not None], len(answer.changes))
    if len(changed) != len(answer.changes):
        return f"it changes {len(answer.changes)} times, recorded are {len(changed)}"
    if writes[0].verb == "deletecollection":  # in any order
        order = {(write.key, write.type): place for place, write in enumerate(changed)}
        made = sorted(answer.changes, key=lambda change: order.get((change.key, change.type), -1))
    else:
        made = list(answer.changes)
    for write, change in zip(changed, made, strict=True):
        if (write.key, write.type) != (change.key, change.type):
            return f"it makes {change.type} {'/'.join(change.key)}"
        worked_out = write.derived and write.verb == "delete"
        if write.new is None or write.type == "DELETED" or worked_out or _same(write.new.typed, change.new):
            continue
        recorded, ordered = to_json(write.new.typed), to_json(change.new)
        found = sorted(
            differences(write.key[0], recorded, ordered, by=law), key=lambda each: each[0].startswith("metadata")
        )
        if found:
            return apart(write.key[0], *found[0])
    return ""


def status_written(writes: Sequence[RecordedWrite], order: Write, store: Store) -> Outcome | None:
    """The answer to an order to write a status, where just that status was recorded on the object as it was: the quick
    way. None where it takes the API server to tell.
    """
    write = writes[0]
    if len(writes) > 1 or not isinstance(order, Update) or order.subresource != "status" or write.type != "MODIFIED":
        return None
    stored = store.snapshot.get(write.key)
    if stored is None or write.new is None or write.trimmed:
        return None
    try:
        recorded, asked = write.new.typed, order.object
    except ObjectError:
        return None
    if type(recorded) is not type(stored) or asked.metadata != stored.metadata or asked.status != recorded.status:
        return None
    version, told = stored.metadata.resource_version, recorded.metadata
    if evolve(told, resource_version=version, extra=stored.metadata.extra) != stored.metadata:
        return None
    if evolve(recorded, metadata=stored.metadata, status=stored.status) != stored:
        return None
    metadata = evolve(stored.metadata, resource_version=store.next_version)
    return Outcome(request=order, code=200, object=evolve(stored, metadata=metadata, status=asked.status))


def may_be_idle(order: Write) -> bool:
    """Whether an order may change nothing, so that a log need not have it: a look at an object, or at an empty kind."""
    return isinstance(order, DeleteCollection | Evict) or (isinstance(order, Patch) and not order.body)


def _same(recorded: Any, ordered: Any) -> bool:
    """Whether two states of an object are the same but for what the API server gives them: the quick answer."""
    if type(recorded) is not type(ordered) or recorded.kind == "EndpointSlice":
        return False
    left, right = recorded.metadata, ordered.metadata
    meta = evolve(right, resource_version=left.resource_version, uid=left.uid, extra=left.extra)
    return bool(meta == left and evolve(ordered, metadata=left) == recorded)


def _without_steps(changed: list[RecordedWrite], wanted: int) -> list[RecordedWrite]:
    """The changes without those that a log is believed to imply, where a request made fewer."""
    if not changed or len(changed) == wanted or not all(write.derived for write in changed[:-1]):
        return changed
    return changed[-1:] if wanted == 1 and changed[-1].type == "DELETED" else changed
