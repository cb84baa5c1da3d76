"""The IP families of a Service: what a write leaves to the cluster, and what the cluster cannot do.

Source: pkg/registry/core/service/storage/alloc.go: initIPFamilyFields.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.service_revision import Revision
from k8sfsm.kinds.service import law
from k8sfsm.objects import Service
from k8sfsm.objects.gotext import quote

HEADLESS: Final = "None"
FAMILIES: Final = ("IPv4", "IPv6")
_POLICIES: Final = ("SingleStack", "PreferDualStack", "RequireDualStack")


def family_of(address: str) -> str:
    """The family of an IP address; "" where the text is none."""
    try:
        return f"IPv{ip_address(address).version}"
    except ValueError:
        return ""


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def same_type(case: Revision) -> bool:
    """The type does not change."""
    return case.before.type == case.now.type


@law.fact
def policy_before(case: Revision) -> str:
    """The stored policy of IP families; "" where there is none."""
    return case.before.ip_family_policy or ""


@law.fact
def policy_given(case: Revision) -> str:
    """The policy of IP families; "" where there is none (yet)."""
    return case.now.ip_family_policy or ""


@law.fact
def led_elsewhere(case: Revision) -> bool:
    """The Service is headless and selects no pods: somebody else says where it leads."""
    return case.now.cluster_ip == HEADLESS and not case.now.selector


@law.fact
def address_count(case: Revision) -> int:
    """How many cluster IPs there are."""
    return len(case.now.cluster_ips)


@law.fact
def family_count(case: Revision) -> int:
    """How many IP families there are."""
    return len(case.now.ip_families)


@law.fact
def families_before(case: Revision) -> int:
    """How many IP families the stored Service has."""
    return len(case.before.ip_families)


@law.fact
def fewer_addresses(case: Revision) -> bool:
    """The write names cluster IPs, and fewer than are stored."""
    return 0 < len(case.now.cluster_ips) < len(case.before.cluster_ips)


@law.fact
def fewer_families(case: Revision) -> bool:
    """The write names IP families, and fewer than are stored."""
    return 0 < len(case.now.ip_families) < len(case.before.ip_families)


@law.fact
def cluster_dual(case: Revision) -> bool:
    """The cluster has cluster IPs of both families."""
    return len(case.families) == 2


def _inferred(case: Revision) -> Iterator[tuple[int, str]]:
    """The cluster IPs (by place) beyond the families that are named, with their families."""
    for place, address in enumerate(case.now.cluster_ips):
        if address == HEADLESS:
            return
        if place >= len(case.now.ip_families):
            yield place, family_of(address)


@law.fact
def foreign_addresses(case: Revision) -> int:
    """Cluster IPs, of a family that is not named, which the cluster has none of."""
    return sum(1 for _, family in _inferred(case) if family not in case.families)


@law.fact
def foreign_families(case: Revision) -> int:
    """IP families that the cluster has no cluster IPs of."""
    return sum(1 for family in case.now.ip_families if family not in case.families)


# -- what is said against a write ------------------------------------------------------------------------------------


def invalid(service: Service, texts: list[str]) -> Refusal:
    """The refusal of a Service for these reasons, each with its field."""
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return Refusal(422, "Invalid", f'Service "{service.metadata.name}" is invalid: {text}')


def listed(addresses: tuple[str, ...]) -> str:
    """Cluster IPs as error texts show them."""
    return f"[{','.join(map(quote, addresses))}]"


def _errors(case: Revision, table: str) -> Iterator[str]:
    """The rules of a table that hold as texts; one of a list's items gives one for each item."""
    for row in law.collect(table, case):
        field, kind, detail = (row.outputs[name] for name in ("field", "value", "detail"))
        if kind == "addresses":
            for place, family in _inferred(case):
                if family not in case.families:
                    at = field.replace("[]", f"[{place}]")
                    yield f"{at}: Invalid value: {listed(case.now.cluster_ips)}: {detail.format(family=family)}"
        elif kind == "family":
            for place, family in enumerate(case.now.ip_families):
                if family not in case.families:
                    yield f"{field.replace('[]', f'[{place}]')}: Invalid value: {quote(family)}: {detail}"
        else:
            yield f"{field}: Invalid value: {quote(policy_given(case))}: {detail}"


def _refuse(case: Revision, table: str) -> None:
    texts = list(_errors(case, table))
    if texts:
        raise invalid(case.new, texts)


# -- families --------------------------------------------------------------------------------------------------------


def is_sound(case: Revision) -> bool:
    """Are families, policy and addresses such as validation may let pass? If not, nothing is worked out from them."""
    spec = case.now
    kinds = [HEADLESS if address == HEADLESS else family_of(address) for address in spec.cluster_ips]
    addresses = kinds == [HEADLESS] or (
        not {HEADLESS, ""} & set(kinds)
        and len(set(kinds)) == len(kinds)
        and all(kind == family for kind, family in zip(kinds, spec.ip_families, strict=False))
    )
    return (
        (spec.ip_family_policy or "SingleStack") in _POLICIES
        and set(spec.ip_families) <= set(FAMILIES)
        and len(set(spec.ip_families)) == len(spec.ip_families)
        and spec.cluster_ip == "".join(spec.cluster_ips[:1])
        and addresses
    )


def with_families(case: Revision) -> Revision:
    """The write with its policy and its IP families. Raises Refusal (422) where they cannot be had."""
    if not law.decide("family-review", case).outputs["reviewed"]:
        return case
    policy = law.decide("family-policy", case).outputs["policy"]
    policies = {"given": case.now.ip_family_policy, "before": case.before.ip_family_policy}
    case = case.with_spec(ip_family_policy=policies.get(policy, policy))
    drops = [row.outputs["drop"] for row in law.collect("second-dropped", case)]
    changes: dict[str, Any] = {}
    if "second-address" in drops:
        changes["cluster_ips"] = case.now.cluster_ips[:1]
    if "second-family" in drops:
        changes["ip_families"] = case.now.ip_families[:1]
    case = case.with_spec(**changes) if changes else case
    _refuse(case, "family-conflicts")
    named = (*case.now.ip_families, *(family for _, family in _inferred(case)))
    case = case.with_spec(ip_families=named)
    _refuse(case, "family-demands")
    families = named or case.families[:1]
    if law.decide("second-family", case).outputs["added"]:
        families = (*families, "IPv6" if families[0] == "IPv4" else "IPv4")
    return case.with_spec(ip_families=families)
