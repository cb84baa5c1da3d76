"""The iptables proxy of a node: writes all rules, or those that a change concerns.

Source: pkg/proxy/iptables/proxier.go: syncProxyRules
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8sfsm.network.proxy.iptables.names import is_service_chain
from k8sfsm.network.proxy.iptables.render import (
    FILTER_CHAINS,
    NAT_CHAINS,
    Block,
    Comments,
    fixed_lines,
    jumps,
    render,
)
from k8sfsm.network.proxy.iptables.tables import Tables
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.services import PortKey
from k8sfsm.network.proxy.tracker import Tracker

CANARY = "KUBE-PROXY-CANARY"


class IptablesProxier:
    """Keeps the rules of a node up to date. `tracker` takes the changes, `tables` is what the kernel has.

    `sync` writes everything when it is first called, or when the comments on rules change because the cluster has
    become large or small; later only the chains of Services that have changed, and those that all share.
    """

    def __init__(self, place: Place, tables: Tables | None = None, watched_only: bool = True) -> None:
        self.place = place
        self.tables = Tables() if tables is None else tables
        self.tracker = Tracker(place, watched_only)
        self._blocks: dict[PortKey, Block] = {}
        self._order: list[PortKey] = []
        self._comments: Comments | None = None
        self._active: dict[str, int] = {}

    def sync(self) -> list[str]:
        """Bring the rules up to date. Returns the lines given to iptables-restore; nothing changed: none."""
        changed = self.tracker.refresh()
        comments = Comments.of(self.tracker.total_endpoints)
        full = comments != self._comments
        if not full and not changed:
            return []
        if full:
            self._comments = comments
            self._prepare()
            changed = {**dict.fromkeys(self._blocks), **self.tracker.portals}
        gone = self._render(changed, comments)
        lines = list(self._restored(list(changed), gone))
        self.tables.restore(lines)
        return lines

    def _prepare(self) -> None:
        """Chains and rules that only a full sync looks after."""
        for table in self.tables.tables:
            self.tables.ensure_chain(table, CANARY)
        for table, chain, to, rule in jumps(self.place):
            self.tables.ensure_chain(table, to)
            self.tables.ensure_rule(table, chain, rule)

    def _render(self, changed: dict[PortKey, Portal | None], comments: Comments) -> list[str]:
        """Render what has changed. Returns the chains that nothing needs any more, in order."""
        gone: list[str] = []
        for key, portal in changed.items():
            old = self._blocks.pop(key, None)
            if portal is not None:
                self._blocks[key] = block = render(portal, comments)
                for chain in block.chains:
                    self._active[chain] = self._active.get(chain, 0) + 1
            if old is not None:
                gone += self._released(old)
        if len(self._order) != len(self._blocks) or any(key not in self._blocks for key in self._order):
            self._order = sorted(self._blocks)
        return [chain for chain in gone if chain not in self._active]

    def _released(self, block: Block) -> Iterator[str]:
        for chain in block.chains:
            self._active[chain] -= 1
            if not self._active[chain]:
                del self._active[chain]
                yield chain

    def _restored(self, changed: Iterable[PortKey], gone: Iterable[str]) -> Iterator[str]:
        """The lines for iptables-restore: the filter table, then nat."""
        fixed = (*fixed_lines("iptables-fixed", self.place),)
        closing = (*fixed_lines("iptables-closing", self.place),)
        blocks = [self._blocks[key] for key in self._order]
        written = [self._blocks[key] for key in dict.fromkeys(changed) if key in self._blocks]
        stale = [*gone, *self._strange()]
        for table, own in (("filter", FILTER_CHAINS), ("nat", NAT_CHAINS)):
            yield f"*{table}"
            chains = [*own, *(chain for home, chain, _ in (*fixed, *closing) if home == table)]
            if table == "nat":
                chains += [chain for block in written for chain in block.chains]
                chains += stale
            yield from (f":{chain} - [0:0]" for chain in dict.fromkeys(chains))
            yield from (line for home, _, line in fixed if home == table)
            yield from (line for block in blocks for home, _, line in block.shared if home == table)
            if table == "nat":
                yield from (line for block in written for line in block.lines)
                yield from (f"-X {chain}" for chain in stale)
            yield from (line for home, _, line in closing if home == table)
            yield "COMMIT"

    def _strange(self) -> list[str]:
        """Chains of Services in the kernel that were there before the proxy."""
        if self._known:
            return []
        self._known = True
        return [chain for chain in self.tables.tables["nat"] if is_service_chain(chain) and chain not in self._active]

    _known = False


def rules_of(portals: Iterable[Portal], place: Place, tables: Tables | None = None) -> Tables:
    """All rules for portals, written into empty tables or `tables`; the plain way, without keeping anything."""
    written = Tables() if tables is None else tables
    found = tuple(portals)
    proxier = IptablesProxier(place, written)
    proxier.tracker.portals = {portal.info.key: portal for portal in found}
    proxier.tracker.total_endpoints = sum(len(portal.endpoints) for portal in found)
    proxier.sync()
    return written
