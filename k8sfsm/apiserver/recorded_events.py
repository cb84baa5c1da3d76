"""The short way of Events that recorders make.

Such an Event is well-formed and complete. What may refuse it is its name, its namespace, and admission or a gate that
asks more; for all Events of an account in a namespace these are asked once, the name aside. So after the first of them
a recorder makes its Events as they are to be stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sfsm.apiserver.admission import Admission
from k8sfsm.apiserver.answer import Sender
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.names import Chance
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.rbac.gate import Gate
from k8sfsm.apiserver.strategy import generation_of
from k8sfsm.apiserver.validation import invalid, sound_name_of
from k8sfsm.objects import Event, ObjectMeta, changer_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create
from k8sfsm.store import Store
from k8sfsm.value import value

_NO_META: Final = ObjectMeta()
_born: Final = changer_of(
    ObjectMeta, "name", "namespace", "uid", "creation_timestamp", "generation", "resource_version"
)


@value
class Way:
    """That Events may go the short way, as long as the namespace and the tables are the same.

    `sound`: says whether an Event may have a name.
    """

    namespace: Any
    edition: object
    sound: Callable[[str], bool]
    generation: int

    def metadata(self, namespace: str, name: str, uid: str, revision: int, now: int) -> ObjectMeta:
        """What an Event that is created at `now` (ns) is stored with."""
        return _born(_NO_META, name, namespace, uid, now - now % SECOND, self.generation, str(revision))


class RecordedEvents:
    """Which Events of recorders go the short way."""

    __slots__ = ("_gate", "_options", "_ways")

    def __init__(self, options: Options, gate: Gate) -> None:
        self._options = options
        self._gate = gate
        self._ways: dict[tuple[str, str | tuple[str, ...]], Way] = {}

    def way(self, store: Store, namespace: str, sender: Sender) -> Way | None:
        """The short way of a sender's Events in a namespace; None where none is known, or where it is closed now."""
        way = self._ways.get((namespace, sender.role))
        if way is None or way.edition is not law.edition:
            return None
        return way if way.namespace is store.snapshot.objects.get(("Namespace", "", namespace)) else None

    def learn(self, store: Store, write: Create, sender: Sender, chance: Chance) -> None:
        """Find out whether Events like this one may go the short way from now on."""
        event: Event = write.object
        judged = Admission(event, store, self._options, chance)
        if self._options.admission and law.collect("create", judged):
            return
        if not self._gate.knows(sender, write) or invalid(None, event):
            return
        namespace = event.metadata.namespace
        self._ways[namespace, sender.role] = Way(
            namespace=store.snapshot.objects.get(("Namespace", "", namespace)),
            edition=law.edition,
            sound=sound_name_of(event),
            generation=generation_of(event.kind),
        )
