"""Renewals of leases: most of what a cluster writes, and each is like the one before.

Where a request and what it left differ from the last ones of the same lease in their revision and their moments alone,
what was found of the last one about anything else holds of this one, too: it is judged by its order and its time.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import define, field

from k8sfsm.objects import Lease, LeaseSpec, ObjectMeta, changer_of, evolve, parse_time
from k8sfsm.request import Key
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.lines import Json
from k8sfsm.trace.renewal import RenewedLease

_LEASE: Final = "Lease"
_renewed: Final = changer_of(Lease, "metadata", "spec")
_versioned: Final = changer_of(ObjectMeta, "resource_version")
_at: Final = changer_of(LeaseSpec, "renew_time")
_MOVES: Final = ("renewTime",)
_VERSION: Final = ("resourceVersion",)
_MOST: Final = 100_000
"""So many leases are known at once."""


@define
class Renewals:
    """The latest write of each lease that was judged whole, with its verdict."""

    known: dict[Key, tuple[RecordedWrite, str]] = field(factory=dict)
    moment: int | None = None
    """The moment (ns) that the write names on which there was a verdict last."""

    def judged(self, write: RecordedWrite, verdict: str) -> None:
        """A write was judged whole, and nothing was found."""
        if write.key[0] == _LEASE and write.type == "MODIFIED" and write.verb == "update":
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known[write.key] = (write, verdict)

    def doubted(self, key: Key) -> None:
        """Something else happened to a lease, or something was found."""
        self.known.pop(key, None)

    def verdict(self, write: RecordedWrite) -> str:
        """The verdict on a renewal that is like the last one; "" for any other write."""
        found = self.known.get(write.key)
        if found is None or write.type != "MODIFIED" or write.new is None or write.old is None or write.derived:
            return ""
        last, verdict = found
        if last.new is None or (write.old is not last.new and write.old.json is not last.new.json):
            return ""
        self.moment = _renewed_at(write.new)
        if self.moment is None:
            return ""
        if write.like is not None and write.like is last.like:
            return verdict
        alike = _same_request(write, last) and _alike(last.new.json, write.new.json) and _alike(last.body, write.body)
        return verdict if alike and _alike(last.answer, write.answer) else ""

    def revision(self, key: Key) -> int | None:
        """The revision of the lease after the write on which there was a verdict last."""
        return self.known[key][0].revision

    def renewed(self, write: RecordedWrite, stored: Lease, version: str) -> Lease:
        """The lease after the renewal on which there was a verdict, typed, at a version; `stored`: as it was."""
        self.known[write.key] = (write, self.known[write.key][1])
        return _renewed(stored, _versioned(stored.metadata, version), _at(stored.spec, self.moment))


def without_renewals(recording: Recording) -> Recording:
    """A portion without the renewals that are cast from others: nothing is by chance in them."""
    return evolve(recording, writes=tuple([write for write in recording.writes if write.like is None]))


def _renewed_at(lease: Document) -> int | None:
    text = lease.renewed_at if type(lease) is RenewedLease else lease.json.get("spec", {}).get("renewTime")
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _same_request(left: RecordedWrite, right: RecordedWrite) -> bool:
    names = ("account", "node", "actor", "verb", "subresource", "code", "query", "body_trimmed", "trimmed", "reference")
    return all(getattr(left, name) == getattr(right, name) for name in names) and not left.inferred


def _alike(left: Any, right: Any) -> bool:
    """Whether two leases in JSON form differ in their revision and the time of their renewal alone."""
    if left is None or right is None:
        return left is right
    if not isinstance(left, dict) or not isinstance(right, dict) or left.keys() != right.keys():
        return False
    return all(
        _but(left[name], right[name], _BUT[name]) if name in _BUT else left[name] == right[name] for name in left
    )


def _but(left: Json, right: Json, names: tuple[str, ...]) -> bool:
    if left.keys() != right.keys():
        return False
    return all(left[name] == right[name] or (name in names and isinstance(right[name], str)) for name in left)


_BUT: Final = {"metadata": _VERSION, "spec": _MOVES}
