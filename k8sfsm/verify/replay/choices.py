"""What a real cluster left to chance, taken from its recording: generated names, uids, and ties of the scheduler."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any, Final

from k8sfsm.engine.choices import Seeded
from k8sfsm.request import Key
from k8sfsm.trace.history import Recording

_TOKEN_VOLUME: Final = "kube-api-access-"


class RecordedChoices:
    """Chooses what the recorded cluster chose where that is one of the possible choices, else by a seed.

    Only chance is taken from the recording: a name's random suffix, a uid, one of several equally good nodes. `strays`
    collects the pods whose recorded node was not among the best ones.
    """

    def __init__(self, recording: Recording) -> None:
        self._seeded = Seeded(1)
        self._uids: dict[Key, deque[str]] = defaultdict(deque)
        self._names: dict[tuple[str, str, str], deque[str]] = defaultdict(deque)
        self._nodes: dict[Key, deque[str]] = defaultdict(deque)
        self._volumes: dict[Key, str] = {}
        self._addresses: dict[tuple[str, Key], str] = {}
        self._subject: Key = ("", "", "")
        self.strays: list[tuple[Key, str, tuple[str, ...]]] = []
        for write in recording.changes():
            if write.new is not None:
                self._learn(write.key, write.type or "", write.new.json, write.verb)

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
            spec = obj.get("spec", {})
            self._addresses.setdefault(("clusterIP", key), spec.get("clusterIP", ""))
            for port in spec.get("ports") or ():
                self._addresses.setdefault((f"nodePort/{port['port']}", key), str(port.get("nodePort", "")))
        if verb == "bind":
            self._nodes[key].append(obj.get("spec", {}).get("nodeName", ""))

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

    def node(self, candidates: tuple[str, ...], pod: Key) -> str:
        """The recorded node, where it is one of the best."""
        waiting = self._nodes.get(pod)
        if not waiting:
            return candidates[0]
        recorded = waiting.popleft()
        if recorded in candidates:
            return recorded
        self.strays.append((pod, recorded, candidates))
        return candidates[0]

    def delay(self, base: int) -> int:
        """As long as it takes."""
        return base

    def index(self, count: int) -> int:
        """Any."""
        return self._seeded.index(count)

    def recorded(self, purpose: str, key: Key) -> str:
        """The recorded address or port."""
        return self._addresses.get((purpose, key), "")

    def fork(self) -> RecordedChoices:
        """Choices that share what is left to choose: a replay is not forked."""
        return self
