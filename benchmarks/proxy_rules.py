"""Rules of kube-proxy for 5,000 Services with 50,000 endpoints: all of them, and after one endpoint has changed.

Run: python -m benchmarks.proxy_rules [services] [endpoints of each]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final

from attrs import evolve

from k8sfsm.network.proxy.backends import BACKENDS
from k8sfsm.network.proxy.iptables.proxier import IptablesProxier
from k8sfsm.network.proxy.node import Place, ProxyNode, ProxySettings
from k8sfsm.network.proxy.tracker import portals_of
from k8sfsm.objects import EndpointSlice, Service, from_json

CHANGES: Final = 20
NODES: Final = 100


def service(number: int) -> Service:
    meta = {"name": f"web-{number}", "namespace": "default"}
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]
    spec: dict[str, Any] = {
        "type": "ClusterIP",
        "clusterIP": f"10.96.{number // 250}.{number % 250 + 1}",
        "ports": ports,
    }
    if number % 5 == 0:
        spec |= {"type": "NodePort", "ports": [{**ports[0], "nodePort": 30000 + number // 5 % 2767}]}
    found: Service = from_json({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    return found


def slice_of(number: int, endpoints: int) -> EndpointSlice:
    places = [
        {
            "addresses": [f"10.{128 + each // 65536}.{each // 256 % 256}.{each % 256}"],
            "nodeName": f"node-{each % NODES}",
            "conditions": {"ready": True, "serving": True, "terminating": False},
        }
        for each in range(number * endpoints, (number + 1) * endpoints)
    ]
    labels = {"kubernetes.io/service-name": f"web-{number}"}
    found: EndpointSlice = from_json(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"web-{number}-1", "namespace": "default", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": places,
        }
    )
    return found


def without_one(found: EndpointSlice) -> EndpointSlice:
    """The slice after its first endpoint has gone."""
    return evolve(found, endpoints=found.endpoints[1:])


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """(seconds of the clock, of the processor, what the work returned)."""
    began, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - began, time.process_time() - cpu, result


def main(services: int = 5_000, endpoints: int = 10) -> None:
    place = Place(ProxyNode("node-0", ("192.168.0.1",)), ProxySettings.for_cidr("10.128.0.0/9"))
    objects = [service(number) for number in range(services)]
    slices = [slice_of(number, endpoints) for number in range(services)]
    proxier = IptablesProxier(place)

    def whole() -> int:
        for obj in (*objects, *slices):
            proxier.tracker.see(obj)
        return len(proxier.sync())

    took, cpu, lines = timed(whole)
    print(
        f"kube-proxy, {services} Services, {services * endpoints} endpoints: {lines} lines of iptables in {took:.2f} s"
        f" ({cpu:.2f} s of the processor)"
    )
    worst, total = 0.0, 0.0
    for change in range(CHANGES):
        changed = without_one(slices[change * services // CHANGES])

        def one(changed: EndpointSlice = changed) -> int:
            proxier.tracker.see(changed)
            return len(proxier.sync())

        took, cpu, lines = timed(one)
        worst, total = max(worst, took), total + cpu
    print(
        f"  one endpoint gone: {lines} lines; at most {worst * 1000:.1f} ms, "
        f"{total / CHANGES * 1000:.1f} ms of the processor"
    )
    for name, build in BACKENDS.items():
        took, cpu, _ = timed(lambda build=build: build(portals_of((*objects, *slices), place), place))  # type: ignore[misc]
        print(f"  {name} from nothing: {took:.2f} s ({cpu:.2f} s of the processor)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
