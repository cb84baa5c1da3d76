"""`k8sfsm dns`: what the DNS of a cluster answers."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from k8sfsm.law import constant
from k8sfsm.network.dns import Zone, reverse_name
from k8sfsm.network.resolver import Lookup, Resolver, look_up, resolver_of
from k8sfsm.objects import Pod
from k8sfsm.scenario.state import State, read_state
from k8sfsm_cli.durations import duration
from k8sfsm_cli.printing import print_table

TYPES: Final = ("A", "AAAA", "CNAME", "PTR", "SRV", "TXT")
_FINDINGS: Final = 1
_SAID: Final = {
    "NODATA": "the name exists, and has no such record",
    "NXDOMAIN": "there is no such name",
    "FORWARDED": "this is left to the resolver of the node: it is no name of the cluster",
}


@click.command()
@click.argument("name")
@click.argument("state", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--from", "client", metavar="NAMESPACE/POD", help="Ask as this pod does: its DNS policy, search domains.")
@click.option("--type", "kind", type=click.Choice(TYPES, case_sensitive=False), help="Only records of this type.")
@click.option("--zone", metavar="DOMAIN", default="", help="The cluster's domain; else cluster.local.")
@click.option("--at", callback=duration, metavar="DURATION", help="So long after the start of STATE; else at its end.")
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", help="Form of the result.")
def dns(name: str, state: Path, client: str | None, kind: str | None, zone: str, at: int | None, output: str) -> None:
    """Look NAME up in the DNS of the cluster in STATE. An IP address stands for its reverse name.

    STATE is a scenario, which is played to its end, a recording's folder, an audit log, watch output, a k8sfsm trace,
    or what `kubectl get services,endpointslices,pods -o json` printed ("-": standard input). Exit code 0: there is an
    answer; 1: there is none.
    """
    found = read_state(state, at)
    names = Zone.of(found.view, zone or str(constant("dns_zone")))
    resolver = resolver_of(_pod(found, client), names.domain) if client else None
    lookup = look_up(names, _reverse(name) or name, kind or "", resolver)
    if output == "json":
        click.echo(json.dumps(_as_json(name, kind, lookup, resolver), indent=2))
    else:
        _print(lookup, resolver)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if lookup.status in ("NODATA", "NXDOMAIN"):
        raise click.exceptions.Exit(_FINDINGS)


def _reverse(name: str) -> str:
    """The name for an IP address; "" where the text is none."""
    try:
        ip_address(name)
    except ValueError:
        return ""
    return reverse_name(name)


def _pod(state: State, client: str) -> Pod:
    namespace, slash, name = client.partition("/")
    if not (namespace and slash and name):
        raise click.ClickException(f"--from '{client}' is no pod, expected NAMESPACE/POD")
    pod: Pod | None = state.view.get("Pod", namespace, name)
    if pod is None:
        here = ", ".join(sorted(each.metadata.name for each in state.view.list("Pod", namespace))[:5])
        raise click.ClickException(f"{state.source} has no pod {client}, found there: {here or 'none'}")
    return pod


def _print(lookup: Lookup, resolver: Resolver | None) -> None:
    if lookup.answer.records:
        table = Table("name", "ttl", "type", "data", "rule")
        for record in lookup.answer.records:
            table.add_row(record.name, str(record.ttl), record.type, record.data, record.rule)
        print_table(table)
    for answer in lookup.tried:
        if not answer.records:
            click.echo(f"{answer.name} {answer.status} ({answer.rule})", err=True)
    if lookup.status != "NOERROR":
        click.echo(f"{lookup.status}: {_SAID[lookup.status]}{_whom(resolver)}", err=True)


def _whom(resolver: Resolver | None) -> str:
    """Why a pod's question does not reach the cluster's DNS; "" where it does."""
    if resolver is None or resolver.asks == "cluster":
        return ""
    if resolver.asks == "none":
        return f"; the pod asks {', '.join(resolver.nameservers) or 'nobody'} by its dnsConfig"
    return "; the pod asks its node's resolver by its DNS policy"


def _as_json(name: str, kind: str | None, lookup: Lookup, resolver: Resolver | None) -> dict[str, Any]:
    said: dict[str, Any] = {"name": name, "type": kind, "status": lookup.status}
    if resolver is not None:
        said["resolver"] = {
            "asks": resolver.asks,
            "searches": list(resolver.searches),
            "ndots": resolver.dots,
            "nameservers": list(resolver.nameservers),
        }
    said["tried"] = [{"name": answer.name, "status": answer.status, "rule": answer.rule} for answer in lookup.tried]
    said["answers"] = [
        {"name": each.name, "ttl": each.ttl, "type": each.type, "data": each.data, "rule": each.rule}
        for each in lookup.answer.records
    ]
    return said
