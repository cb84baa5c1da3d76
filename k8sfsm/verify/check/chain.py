"""Why an object is as it is, back to a request or the environment, and what it caused: read off a check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import field, frozen

from k8sfsm.request import Key
from k8sfsm.trace.history import EnvironmentFact
from k8sfsm.verify.check.judging import BY_THE_CLOCK, method_of
from k8sfsm.verify.check.report import Judged, Report

_LONGEST: Final = 64
"""More hops than any chain of causes has."""


@frozen(kw_only=True)
class Hop:
    """One step of a chain. `after`: ns since the hop before; None for the first."""

    at: int
    actor: str
    what: str
    key: Key
    rule: str = ""
    facts: dict[str, Any] = field(factory=dict)
    line: str = ""
    after: int | None = None


class Chains:
    """The causal chains of a checked history."""

    def __init__(self, report: Report) -> None:
        self._judged = report.judged
        self._environment = tuple(report.environment)
        self._by_revision = {revision: each for each in report.judged for revision in each.revisions}

    def writes_of(self, key: Key) -> tuple[Judged, ...]:
        """The requests that changed an object, in order."""
        return tuple(each for each in self._judged if each.revisions and each.write.key == key)

    def objects(self) -> tuple[Key, ...]:
        """All objects that were written, in order of first appearance."""
        return tuple(dict.fromkeys(each.write.key for each in self._judged if each.revisions))

    def back(self, last: Judged) -> tuple[Hop, ...]:
        """From the cause of all to a write."""
        links: list[Judged | EnvironmentFact] = [last]
        while len(links) < _LONGEST:
            before = self._cause(links[0])
            if before is None or before in links:
                break
            links.insert(0, before)
        return _hops(links)

    def forward(self, first: Judged) -> Iterator[Judged]:
        """The writes that a write caused, and what those caused."""
        seen, waiting = {id(first)}, [first]
        for each in self._judged:
            cause = self._cause(each)
            if id(each) not in seen and any(cause is known for known in waiting):
                seen.add(id(each))
                waiting.append(each)
                yield each

    def _cause(self, link: Judged | EnvironmentFact) -> Judged | EnvironmentFact | None:
        if isinstance(link, EnvironmentFact):
            return self._bound(link)
        if link.why is None:
            return None
        if link.write.actor == "kubelet":
            return self._container(link)
        if method_of(link.write.actor) == BY_THE_CLOCK:
            return self._node(link)
        return self._by_revision.get(link.why.cause)

    def _node(self, link: Judged) -> Judged | EnvironmentFact | None:
        """What became of the node before a controller with rounds or timers acted: it fell silent, or was marked."""
        write = link.write
        document = write.old or write.new
        if write.key[0] == "Pod" and write.verb == "delete":
            marked = [each for each in self.writes_of(write.key) if each.write.actor == write.actor]
            if marked and marked[0] is not link:
                return marked[0]
        pod = write.key[0] == "Pod" and document is not None
        name = str(document.json.get("spec", {}).get("nodeName", "")) if pod and document is not None else write.key[2]
        marks = [
            each
            for each in self.writes_of(("Node", "", name))
            if each is not link and each.write.actor == "node-controller" and each.write.time <= write.time
        ]
        facts = [each for each in self._environment if each.node == name and not each.uid and each.time <= write.time]
        mark, fact = marks[-1] if marks else None, facts[-1] if facts else None
        if mark is None or (fact is not None and fact.time > mark.write.time):
            return fact
        return mark

    def _container(self, link: Judged) -> Judged | EnvironmentFact | None:
        """What a kubelet last heard of a pod before it wrote: from its runtime, or from the API."""
        at = link.write.received or link.write.time
        facts = [each for each in self._environment if each.uid == link.write.uid and each.time <= at]
        heard = [
            each
            for each in self._judged
            if each.revisions and each.write.uid == link.write.uid and each.write.actor != "kubelet"
            and each.write.time <= at and each is not link
        ]  # fmt: skip
        fact, write = facts[-1] if facts else None, heard[-1] if heard else None
        if fact is None or (write is not None and write.write.time > fact.time):
            return write
        return fact

    def _bound(self, fact: EnvironmentFact) -> Judged | EnvironmentFact | None:
        """What made a runtime act: the fact before it about the same pod, or the pod's last change by the API."""
        earlier = [each for each in self._environment if each.uid == fact.uid and each.time < fact.time and fact.uid]
        writes = [
            each
            for each in self._judged
            if each.revisions and each.write.uid == fact.uid and each.write.actor != "kubelet"
            and each.write.time < fact.time and fact.uid
        ]  # fmt: skip
        before, write = earlier[-1] if earlier else None, writes[-1] if writes else None
        if before is None or (write is not None and write.write.time > before.time):
            return write
        return before


def _hops(links: list[Judged | EnvironmentFact]) -> tuple[Hop, ...]:
    hops: list[Hop] = []
    for link in links:
        hop = hop_of(link, hops[-1].at if hops else None)
        hops.append(hop)
    return tuple(hops)


def hop_of(link: Judged | EnvironmentFact, before: int | None = None) -> Hop:
    """A write or a fact as a hop; `before`: the time (ns) of the hop before."""
    if isinstance(link, EnvironmentFact):
        where = f" {link.container}" if link.container else ""
        actor = f"runtime of {link.node}" if link.uid else f"node {link.node}"
        return Hop(
            at=link.time, actor=actor, what=f"{link.event}{where}", key=link.pod or ("", "", ""),
            line=str(link.line), after=None if before is None else link.time - before,
        )  # fmt: skip
    write = link.write
    what = f"{write.verb} {write.subresource}".rstrip()
    if write.verb == "bind" and write.new is not None:
        what += f" to {write.new.json.get('spec', {}).get('nodeName', '')}"
    return Hop(
        at=write.time, actor=write.actor, what=what, key=write.key, rule=link.why.rule if link.why else "",
        facts=link.why.facts if link.why else {}, line=str(write.line),
        after=None if before is None else write.time - before,
    )  # fmt: skip


def mermaid(hops: tuple[Hop, ...]) -> str:
    """The chain as a Mermaid sequence diagram."""
    lines = ["sequenceDiagram"]
    for hop in hops:
        name = hop.actor.replace("-", "_").replace(" ", "_")
        lines.append(f"    participant {name} as {hop.actor}")
    lines = list(dict.fromkeys(lines))
    lines.insert(1, "    participant api as kube-apiserver")
    for hop in hops:
        name = hop.actor.replace("-", "_").replace(" ", "_")
        since = "" if hop.after is None else f" (+{hop.after / 1e9:.3f} s)"
        lines.append(f"    {name}->>api: {hop.what} {hop.key[0]} {hop.key[2]}{since}")
        if hop.rule:
            lines.append(f"    Note over {name}: {hop.rule}")
    return "\n".join(lines)
