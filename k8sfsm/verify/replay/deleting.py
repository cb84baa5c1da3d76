"""The API server of a replay: it takes as long over a deletion as the recorded one did.

A deletion is prepared on the object as it was when the request came, and committed on what there is then: a pod that
was on no node has its grace period set to 0, although it may be bound meanwhile.
Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go: Delete;
staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go: BeforeDelete; pkg/registry/core/pod/strategy.go:
CheckGracefulDelete
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from attrs import evolve

from k8sfsm.apiserver import Answer, ApiServer, Sender
from k8sfsm.apiserver.deletion import DeleteCase
from k8sfsm.apiserver.names import Chance
from k8sfsm.law import constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Delete, Key, Write
from k8sfsm.store import Store
from k8sfsm.trace.history import Recording

_POD: Final = "Pod"
_BACK: Final = 512
"""So many revisions back an object is looked for: more than are written during a request."""


class RecordedServer(ApiServer):
    """An API server whose deletions of pods took as long as the recorded ones."""

    def __init__(self, server: ApiServer, recording: Recording) -> None:
        super().__init__(server.machines, server.options)
        self._received: dict[tuple[str, Key], list[tuple[int, int]]] = defaultdict(list)
        for write in recording.writes:
            if write.verb == "delete" and write.key[0] == _POD and write.received is not None:
                self._received[write.actor, write.key].append((write.received, write.time))

    def handle(self, store: Store, write: Write, sender: Sender, now: int, chance: Chance) -> Answer:
        """The answer of the server; a deletion has the grace period that it was prepared with."""
        if isinstance(write, Delete) and write.key[0] == _POD:
            write = self._prepared(store, write, sender, now)
        return super().handle(store, write, sender, now, chance)

    def _prepared(self, store: Store, write: Delete, sender: Sender, now: int) -> Delete:
        window = int(constant("replay_time_tolerance")) * SECOND
        times = self._received.get((sender.actor, write.key), ())
        received = next((began for began, done in times if began < now and abs(done - now) <= window), None)
        pod = store.snapshot.get(write.key)
        if received is None or pod is None or write.grace_seconds is not None:
            return write
        earlier = _as_of(store, write.key, received)
        if earlier is None or earlier is pod or earlier.metadata.uid != pod.metadata.uid:
            return write
        case = DeleteCase(earlier, write, now - now % SECOND)
        return evolve(write, grace_seconds=0) if case.seconds == 0 else write


def _as_of(store: Store, key: Key, at: int) -> Any:
    """An object as it was at a time (ns); None where it did not exist."""
    found = store.snapshot.get(key)
    since = max(store.history.base, store.revision - _BACK)
    changes = [change for change in store.changes(since, key[0]) if change.key == key]
    for change in reversed(changes):
        if change.at <= at:
            return change.new
        found = change.old
    return found
