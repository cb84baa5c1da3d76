"""The order in which Kubernetes lists ports, addresses and subsets.

Addresses go by IP and UID. Ports and subsets go by a hash (FNV-1a, 128 bits) of a dump of the Go value, so the order
looks random but is the same everywhere. The dump of a port also tells whether two ports are the same.
Source: pkg/api/v1/endpoints/util.go: SortSubsets; staging/src/k8s.io/endpointslice/util/controller_utils.go:
NewPortMapKey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeVar

from k8sfsm.objects import (
    EndpointAddress,
    EndpointPort,
    EndpointSlicePort,
    EndpointSubset,
    ObjectReference,
)

T = TypeVar("T")
_PRIME: Final = (1 << 88) + 0x13B
_BASIS: Final = 0x6C62272E07BB014262B821756295C58D
_MASK: Final = (1 << 128) - 1


def go_hash(dump: str) -> int:
    """FNV-1a with 128 bits of a dump."""
    value = _BASIS
    for byte in dump.encode():
        value = ((value ^ byte) * _PRIME) & _MASK
    return value


_small_hash = lru_cache(maxsize=4096)(go_hash)


def _pointer(value: object) -> str:
    return "<nil>" if value is None else str(value)


def port_dump(port: EndpointPort) -> str:
    """The members of an Endpoints port as Go dumps them."""
    return (
        f"{{Name:(string){port.name} Port:(int32){port.port} Protocol:(v1.Protocol){port.protocol}"
        f" AppProtocol:(*string){_pointer(port.app_protocol)}}}"
    )


def slice_port_dump(port: EndpointSlicePort) -> str:
    """The members of an EndpointSlice port as Go dumps them."""
    return (
        f"{{Name:(*string){_pointer(port.name)} Protocol:(*v1.Protocol){_pointer(port.protocol)}"
        f" Port:(*int32){_pointer(port.port)} AppProtocol:(*string){_pointer(port.app_protocol)}}}"
    )


def _reference_dump(reference: ObjectReference | None) -> str:
    if reference is None:
        return "<nil>"
    return (
        f"{{Kind:(string){reference.kind} Namespace:(string){reference.namespace} Name:(string){reference.name}"
        f" UID:(types.UID){reference.uid} APIVersion:(string){reference.api_version}"
        f" ResourceVersion:(string){reference.resource_version} FieldPath:(string){reference.field_path}}}"
    )


def _address_dump(address: EndpointAddress) -> str:
    return (
        f"{{IP:(string){address.ip} Hostname:(string){address.hostname} NodeName:(*string){_pointer(address.node_name)}"
        f" TargetRef:(*v1.ObjectReference){_reference_dump(address.target_ref)}}}"
    )


def _list_dump(type_name: str, items: Iterable[T], dump: Callable[[T], str]) -> str:
    inner = " ".join(map(dump, items))
    return f"([]v1.{type_name})" + (f"[{inner}]" if inner else "<nil>")


def _subset_dump(subset: EndpointSubset) -> str:
    return (
        f"(v1.EndpointSubset){{Addresses:{_list_dump('EndpointAddress', subset.addresses, _address_dump)}"
        f" NotReadyAddresses:{_list_dump('EndpointAddress', subset.not_ready_addresses, _address_dump)}"
        f" Ports:{_list_dump('EndpointPort', subset.ports, port_dump)}}}"
    )


def in_port_order(ports: Iterable[EndpointPort]) -> tuple[EndpointPort, ...]:
    """Ports of a subset in their order."""
    return tuple(sorted(ports, key=lambda port: _small_hash("(v1.EndpointPort)" + port_dump(port))))


def in_slice_port_order(ports: Iterable[EndpointSlicePort]) -> tuple[EndpointSlicePort, ...]:
    """Ports of a slice in their order."""
    return tuple(sorted(ports, key=lambda port: _small_hash("(v1.EndpointPort)" + slice_port_dump(port))))


def in_subset_order(subsets: Iterable[EndpointSubset]) -> tuple[EndpointSubset, ...]:
    """Subsets in their order."""
    found = tuple(subsets)
    return found if len(found) < 2 else tuple(sorted(found, key=lambda subset: go_hash(_subset_dump(subset))))


def address_key(address: EndpointAddress) -> str:
    """What tells addresses apart, IP and UID of the pod, as a text that sorts as Kubernetes sorts addresses."""
    reference = address.target_ref
    return f"{address.ip}\0{reference.uid}" if reference is not None and reference.uid else address.ip
