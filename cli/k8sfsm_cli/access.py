"""`k8sfsm can-i`: who may do what."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from k8sfsm.apiserver.rbac.authorizer import Verdict, forbidden, refusal_text
from k8sfsm.apiserver.rbac.users import Asked, User
from k8sfsm.objects import PolicyRule, to_json
from k8sfsm.scenario.access import Access, answer_json, asked_by_words, binding_json, who
from k8sfsm.scenario.order import DEFAULT_NAMESPACE, Refused
from k8sfsm.scenario.state import read_state
from k8sfsm_cli.durations import duration
from k8sfsm_cli.errors import BadInput
from k8sfsm_cli.printing import print_table

_NO = 1


@click.command("can-i")
@click.argument("verb", required=False)
@click.argument("resource", required=False, metavar="[RESOURCE[/SUBRESOURCE]]")
@click.argument("name", required=False, default="")
@click.option("--as", "as_user", metavar="USER", default="", help="Who asks; else an administrator.")
@click.option("--as-group", "groups", multiple=True, metavar="GROUP", help="A group of that user (may be repeated).")
@click.option("--user", "real", metavar="USER", default="", help="Who acts as USER of --as, and needs the right to.")
@click.option("-n", "--namespace", default=DEFAULT_NAMESPACE, show_default=True, help="The namespace.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="In all namespaces.")
@click.option(
    "-f",
    "files",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Manifests, a dump, a scenario or a history with roles and bindings; else a new cluster.",
)
@click.option("--at", callback=duration, metavar="DURATION", help="So long after the start of -f; else at its end.")
@click.option("--list", "listing", is_flag=True, help="All that the user may do in the namespace.")
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", help="Form of the result.")
def can_i(
    verb: str | None,
    resource: str | None,
    name: str,
    as_user: str,
    groups: tuple[str, ...],
    real: str,
    namespace: str,
    everywhere: bool,
    files: Path | None,
    at: int | None,
    listing: bool,
    output: str,
) -> None:
    """Say whether a user may do VERB with RESOURCE (pods, deployments.apps, pods/log, or a path such as /healthz).

    Exit code 0: yes; 1: no. The binding and the rule that allow it are told on stderr, or with -o json.
    """
    access = Access.of(read_state(files, at) if files is not None else None)
    try:
        user, needed = who(as_user, groups, real)
    except Refused as error:
        raise BadInput(str(error)) from None
    for asked in needed:
        verdict = access.judge(asked)
        if not verdict.allowed:
            click.echo("no")
            click.echo(str(forbidden(asked, verdict.reason)), err=True)
            raise click.exceptions.Exit(_NO)
    if listing:
        _list(access, user, "" if everywhere else namespace, output)
        return
    if verb is None or resource is None:
        raise BadInput("expected VERB and RESOURCE, such as: k8sfsm can-i get pods (or --list)")
    asked = asked_by_words(user, verb, resource, name, namespace, everywhere)
    verdict = access.judge(asked)
    if output == "json":
        click.echo(json.dumps(answer_json(asked, verdict), indent=2, ensure_ascii=False))
    else:
        click.echo("yes" if verdict.allowed else "no")
        click.echo(_why(asked, verdict), err=True)
    if not verdict.allowed:
        raise click.exceptions.Exit(_NO)


def _why(asked: Asked, verdict: Verdict) -> str:
    if verdict.allowed:
        return verdict.reason or f"allowed by {verdict.by}"
    return refusal_text(asked) + (f": {verdict.reason}" if verdict.reason else "")


def _list(access: Access, user: User, namespace: str, output: str) -> None:
    found = list(access.granted(user, namespace))
    if output == "json":
        rows = [{"rule": to_json(rule), "binding": binding_json(grant)} for grant, rule in found]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table("resources", "urls", "names", "verbs", "binding")
    for grant, rule in found:
        binding = f"{grant.binding.kind} {grant.binding.metadata.name}"
        names = (" ".join(rule.non_resource_urls), " ".join(rule.resource_names), " ".join(rule.verbs))
        table.add_row(_resources(rule), *names, binding)
    print_table(table)


def _resources(rule: PolicyRule) -> str:
    """Resources as kubectl writes them: with their API group behind a dot."""
    found = [f"{each}.{group}" if group else each for group in rule.api_groups for each in rule.resources]
    return " ".join(found)
