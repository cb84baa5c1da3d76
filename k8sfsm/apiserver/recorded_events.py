"""The short way of Events that recorders make.

Such an Event is well-formed and complete. What may refuse it is its name, its namespace, and admission or a gate that
asks more; for all Events of an account in a namespace these are asked once, the name aside. Everything else of it is
shared by all that are let through.
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
from k8sfsm.request import Create
from k8sfsm.store import Store
from k8sfsm.value import value

SECOND: Final = 1_000_000_000
_born: Final = changer_of(ObjectMeta, "uid", "creation_timestamp", "generation", "resource_version")
_with_metadata: Final = changer_of(Event, "metadata")


@value
class _Way:
    """That Events may go the short way, as long as these are the same. `sound`: says whether a name is."""

    namespace: Any
    edition: object
    sound: Callable[[str], bool]
    generation: int


class RecordedEvents:
    """Which Events of recorders go the short way, and what the server makes of one that does."""

    __slots__ = ("_gate", "_options", "_ways")

    def __init__(self, options: Options, gate: Gate) -> None:
        self._options = options
        self._gate = gate
        self._ways: dict[tuple[str, str | tuple[str, ...]], _Way] = {}

    def stored(self, store: Store, write: Create, sender: Sender, now: int, chance: Chance) -> Event | None:
        """The Event as it is to be stored, with a uid from `chance`, at `now` (ns).

        None where it has to go the way of all other writes.
        """
        event: Event = write.object
        meta = event.metadata
        objects = store.snapshot.objects
        key = ("Event", meta.namespace, meta.name)
        if (
            key in objects
            or meta.generate_name
            or meta.labels
            or meta.annotations
            or meta.owner_references
            or meta.finalizers
        ):
            return None
        way = self._ways.get((meta.namespace, sender.role))
        if (
            way is None
            or way.namespace is not objects.get(("Namespace", "", meta.namespace))
            or way.edition is not law.edition
        ):
            way = self._found(store, write, sender, chance)
        if way is None or not way.sound(meta.name):
            return None
        version = str(store.snapshot.revision + 1)
        return _with_metadata(event, _born(meta, chance.uid(key), now - now % SECOND, way.generation, version))

    def _found(self, store: Store, write: Create, sender: Sender, chance: Chance) -> _Way | None:
        """The way of Events like this one; None where somebody has to look at each of them."""
        event: Event = write.object
        judged = Admission(event, store, self._options, chance)
        if self._options.admission and law.collect("create", judged):
            return None
        if not self._gate.knows(sender, write) or invalid(None, event):
            return None
        namespace = event.metadata.namespace
        way = _Way(
            namespace=store.snapshot.objects.get(("Namespace", "", namespace)),
            edition=law.edition,
            sound=sound_name_of(event),
            generation=generation_of(event.kind),
        )
        self._ways[namespace, sender.role] = way
        return way
