"""What a proxy knows of Services and EndpointSlices, and which ports of Services a change concerns.

Source: pkg/proxy/servicechangetracker.go; pkg/proxy/endpointschangetracker.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from k8sfsm.network.proxy.endpoints import SERVICE_NAME, ProxyEndpoint, endpoints_of
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.services import PortKey, ServicePortInfo, is_watched, ports_of
from k8sfsm.objects import EndpointSlice, Service

Name: TypeAlias = tuple[str, str]
"""(namespace, Service)."""


class Tracker:
    """The portals of one node, kept up to date change by change.

    `watched_only`: leave out objects that the proxy's informers do not show it (table watched). `portals` is by port
    key; `dirty` are the Services that have changed since `refresh` was called.
    """

    def __init__(self, place: Place, watched_only: bool = True) -> None:
        self.place = place
        self.watched_only = watched_only
        self.portals: dict[PortKey, Portal] = {}
        self.total_endpoints = 0
        self._infos: dict[Name, tuple[ServicePortInfo, ...]] = {}
        self._slices: dict[Name, dict[str, EndpointSlice]] = {}
        self._keys: dict[Name, tuple[PortKey, ...]] = {}
        self._dirty: dict[Name, None] = {}

    def see(self, obj: Service | EndpointSlice) -> None:
        """Take a new or changed object. Raises TypeError for another kind."""
        if self.watched_only and not is_watched(obj):
            self.forget(obj)
        elif isinstance(obj, Service):
            name = (obj.metadata.namespace, obj.metadata.name)
            self._infos[name] = ports_of(obj, self.place.settings.family)
            self._dirty[name] = None
        elif isinstance(obj, EndpointSlice):
            name = _service_of(obj)
            self._slices.setdefault(name, {})[obj.metadata.name] = obj
            self._dirty[name] = None
        else:
            raise TypeError(f"expected a Service or an EndpointSlice, got {obj!r}")

    def forget(self, obj: Service | EndpointSlice) -> None:
        """An object is gone."""
        if isinstance(obj, Service):
            name = (obj.metadata.namespace, obj.metadata.name)
            self._infos.pop(name, None)
        else:
            name = _service_of(obj)
            self._slices.get(name, {}).pop(obj.metadata.name, None)
        self._dirty[name] = None

    def refresh(self) -> dict[PortKey, Portal | None]:
        """Bring `portals` up to date. Returns those that are new or may have changed; None: gone."""
        changed: dict[PortKey, Portal | None] = {}
        for name in self._dirty:
            for key in self._keys.get(name, ()):
                self.total_endpoints -= len(self.portals.pop(key).endpoints)
                changed[key] = None
            infos = self._infos.get(name, ())
            found = self._endpoints(name) if infos else {}
            for info in infos:
                portal = Portal(info, found.get(info.key, ()), self.place)
                self.portals[info.key] = changed[info.key] = portal
                self.total_endpoints += len(portal.endpoints)
            self._keys[name] = tuple(dict.fromkeys(info.key for info in infos))
        self._dirty.clear()
        return changed

    def _endpoints(self, name: Name) -> Mapping[PortKey, tuple[ProxyEndpoint, ...]]:
        slices = self._slices.get(name, {})
        return endpoints_of([slices[each] for each in sorted(slices)], self.place.settings.family)


def _service_of(obj: EndpointSlice) -> Name:
    return (obj.metadata.namespace, obj.metadata.labels.get(SERVICE_NAME, ""))


def portals_of(
    objects: Iterable[Service | EndpointSlice], place: Place, watched_only: bool = True
) -> tuple[Portal, ...]:
    """The portals of one node, by name; from scratch."""
    tracker = Tracker(place, watched_only)
    for obj in objects:
        tracker.see(obj)
    tracker.refresh()
    return tuple(tracker.portals[key] for key in sorted(tracker.portals))
