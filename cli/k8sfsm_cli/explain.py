"""`k8sfsm explain`: the causal chain of an object in a recorded history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from k8sfsm.objects import format_micro_time, parse_time
from k8sfsm.request import Key
from k8sfsm.scheduler.placement import PlacementReport
from k8sfsm.trace.reading import FORMATS, read_history
from k8sfsm.verify.check.chain import Chains, Hop, hop_of, mermaid
from k8sfsm.verify.check.check import check
from k8sfsm.verify.check.report import Judged
from k8sfsm_cli.placement import (
    is_history,
    placement_json,
    placement_section,
    print_placement,
    print_section,
    whole_file,
)


@click.command()
@click.argument("path", metavar="[PATH]", type=click.Path(path_type=Path))
@click.argument("obj", metavar="OBJECT", required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Format of PATH; told by its content otherwise.")
@click.option("--at", "at", default="", help="As it was at a time (RFC 3339) or resourceVersion; else at the end.")
@click.option("--field", "field", default="", help="Why this field is as it is: status.readyReplicas.")
@click.option(
    "-o", "output", type=click.Choice(["text", "json", "mermaid"]), default="text", help="Form of the answer."
)
def explain(path: Path, obj: str | None, form: Any, at: str, field: str, output: str) -> None:
    """Explain OBJECT (KIND/NAME or KIND/NAMESPACE/NAME) in PATH: what led to it, and what it caused.

    PATH is a history; without it, or with -, standard input. Of a pod also where it could go, node by node: which
    filter refused a node, or what each plugin gave it, at the moment before it was bound. For this, PATH may also be a
    scenario, a dump (`kubectl get -o json`) or manifests.
    """
    if obj is None:
        path, obj = Path("-"), str(path)
    with whole_file(path) as path:
        placed = placement_section(path, obj, at)
        if placed is not None and not is_history(path):
            print_section(placed, output)
        else:
            _explain_history(path, obj, form, at, field, output, placed)


def _explain_history(
    path: Path, obj: str, form: Any, at: str, field: str, output: str, placed: PlacementReport | None
) -> None:
    chains = Chains(check(read_history(path, format=form)))
    last = _chosen(chains, _key(chains, obj), at, field)
    hops = chains.back(last)
    caused = tuple(hop_of(each, last.write.time) for each in chains.forward(last))
    if output == "json":
        answer: dict[str, Any] = {
            "because": [_as_json(hop) for hop in hops],
            "caused": [_as_json(hop) for hop in caused],
        }
        if placed is not None:
            answer["placement"] = placement_json(placed)
        click.echo(json.dumps(answer, indent=2, default=str))
    elif output == "mermaid":
        click.echo(mermaid(hops))
    else:
        for hop in hops:
            click.echo(_text(hop))
        for hop in caused:
            click.echo(f"  then {_text(hop)}")
        if placed is not None:
            print_placement(placed)


def _key(chains: Chains, obj: str) -> Key:
    parts = obj.split("/")
    found = [key for key in chains.objects() if key[0].lower() == parts[0].lower() and key[2] == parts[-1]]
    if len(parts) == 3:
        found = [key for key in found if key[1] == parts[1]]
    if len(parts) not in (2, 3) or not found:
        raise click.UsageError(
            f"no object '{obj}' was written in this history, expected KIND/NAME or KIND/NAMESPACE/NAME"
        )
    if len(found) > 1:
        raise click.UsageError(f"'{obj}' is in several namespaces, expected KIND/NAMESPACE/NAME")
    return found[0]


def _chosen(chains: Chains, key: Key, at: str, field: str) -> Judged:
    writes = [each for each in chains.writes_of(key) if _before(each, at)]
    if field:
        writes = [each for each in writes if _value(each.write.old, field) != _value(each.write.new, field)]
    if not writes:
        raise click.UsageError(f"nothing wrote {field or 'it'} {'until ' + at if at else 'in this history'}")
    return writes[-1]


def _before(judged: Judged, at: str) -> bool:
    if not at:
        return True
    if at.isdigit():
        return (judged.write.revision or 0) <= int(at)
    try:
        return judged.write.time <= parse_time(at)
    except ValueError:
        raise click.UsageError(f"'{at}' is no time, expected RFC 3339 or a resourceVersion") from None


def _value(document: Any, field: str) -> Any:
    value: Any = document.json if document is not None else None
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(hop: Hop) -> str:
    since = "" if hop.after is None else f" +{hop.after / 1e9:.3f}s"
    thing = "/".join(part for part in hop.key if part)
    rule = f" by {hop.rule}" if hop.rule else ""
    facts = ", ".join(f"{name}={value}" for name, value in hop.facts.items() if isinstance(value, bool | int | float))
    return f"{format_micro_time(hop.at)}{since} {hop.actor}: {hop.what} {thing}{rule}{f' ({facts})' if facts else ''}"


def _as_json(hop: Hop) -> dict[str, Any]:
    plain = {name: value for name, value in hop.facts.items() if isinstance(value, bool | int | float)}
    return {
        "at": hop.at, "after": hop.after, "actor": hop.actor, "what": hop.what,
        "object": "/".join(part for part in hop.key if part), "rule": hop.rule, "facts": plain, "line": hop.line,
    }  # fmt: skip
