"""`k8sfsm packet` and `k8sfsm proxy`: the way of a packet through a node's rules, and these rules."""

from __future__ import annotations

import json
from typing import Any

import click
from attrs import asdict
from rich.table import Table

from k8sfsm.network.proxy.backends import BACKENDS
from k8sfsm.network.proxy.packet import Outcome
from k8sfsm.network.proxy.question import Answer, Question, ask, rules_on
from k8sfsm.scenario.state import State, read_state
from k8sfsm_cli.durations import duration
from k8sfsm_cli.printing import print_table

_STATE = "STATE: a scenario, recording, history or dump (`kubectl get -o json`); - for standard input."


@click.command()
@click.argument("state", metavar="STATE")
@click.option(
    "--from", "sender", required=True, metavar="WHO", help="pod/NAME, pod/NAMESPACE/NAME, node/NAME or an IP."
)
@click.option(
    "--to", required=True, metavar="WHERE", help="SERVICE:PORT, NAMESPACE/SERVICE:PORT, node/NAME:PORT or IP:PORT."
)
@click.option("--namespace", "-n", default="", help="Of names without one; else the pod's.")
@click.option("--node", default="", help="Whose proxy is asked about packets from outside; else that with the address.")
@click.option("--backend", type=click.Choice(list(BACKENDS)), default="iptables", show_default=True)
@click.option(
    "--protocol", type=click.Choice(["tcp", "udp", "sctp"], case_sensitive=False), help="Else the Service's, or tcp."
)
@click.option(
    "--cluster-cidr", metavar="CIDR", help='Where pods have their addresses; "" for none. Else told by the nodes.'
)
@click.option("--at", callback=duration, metavar="DURATION", help="So long after the start of STATE; else at its end.")
@click.option("--seen", default="", metavar="IP:PORT", help="The endpoint that served this client lately (affinity).")
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", help="Form of the result.")
def packet(state: str, output: str, at: int | None, **asked: Any) -> None:
    """Send a packet through STATE: a scenario (played to its end), a recording, a history, or a dump.

    Shows each chain and rule that the first packet of a connection passes on its node, what it is translated to, and
    the backends with their probabilities. Exit code 2 where the question cannot be understood.
    """
    found = read_state(state, at)
    answer = ask(
        found.view,
        Question(
            **{name: value or "" for name, value in asked.items() if name != "cluster_cidr"},
            cluster_cidr=asked["cluster_cidr"],
        ),
    )
    _notes(found)
    if output == "json":
        click.echo(json.dumps(_as_json(answer), indent=2))
    else:
        _print(answer)


@click.command()
@click.argument("state", metavar="STATE")
@click.option("--node", default="", help="The node; else the first.")
@click.option("--backend", type=click.Choice(list(BACKENDS)), default="iptables", show_default=True)
@click.option(
    "--cluster-cidr", metavar="CIDR", help='Where pods have their addresses; "" for none. Else told by the nodes.'
)
def proxy(state: str, node: str, backend: str, cluster_cidr: str | None) -> None:
    """Print what the proxy of a node has written for STATE, as iptables-save, nft or ipvsadm print it; or the maps.

    STATE is a scenario, a recording, a history or a dump. Exit code 2 where it cannot be read.
    """
    found = read_state(state)
    _notes(found)
    click.echo(rules_on(found.view, node, backend, cluster_cidr).text(), nl=False)


def _notes(state: State) -> None:
    for note in state.notes:
        click.echo(f"note: {note}", err=True)


def _print(answer: Answer) -> None:
    packet = answer.packet
    where = f"{packet.source} > {packet.destination}:{packet.port}/{packet.protocol}"
    title = f"{where} on {answer.place.node.name} ({answer.rendered.backend})"
    table = Table("hook", "table", "chain", "rule", "effect", "chance", title=title)
    for step in answer.way.passed():
        table.add_row(step.hook, step.table, step.chain, step.rule, step.effect, str(step.chance))
    print_table(table)
    ends = Table("end", "pod", "chance", "source")
    for outcome in answer.way.outcomes:
        ends.add_row(outcome.endpoint or outcome.fate, _pod(answer, outcome), _chance(outcome), _source(outcome))
    print_table(ends)
    for note in _remarks(answer):
        click.echo(f"note: {note}", err=True)


def _chance(outcome: Outcome) -> str:
    return f"{outcome.chance} ({float(outcome.chance):.1%})"


def _source(outcome: Outcome) -> str:
    if outcome.fate != "endpoint":
        return ""
    return "becomes the node's (SNAT)" if outcome.masqueraded else "stays"


def _pod(answer: Answer, outcome: Outcome) -> str:
    return answer.names.get(outcome.endpoint.rpartition(":")[0].strip("[]"), "")


def _remarks(answer: Answer) -> list[str]:
    found = [f"enters {answer.service}"] if answer.service else ["enters no Service"]
    if answer.sticky:
        found.append(f"a client that was served in the last {answer.sticky} s stays with its endpoint (--seen)")
    if not answer.rule.endswith("/none"):
        found.append(f"{answer.rendered.backend} differs from the other back ends here: {answer.rule}")
    return found


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "packet": {name: value for name, value in asdict(answer.packet).items() if name != "seen" or value},
        "node": answer.place.node.name,
        "backend": answer.rendered.backend,
        "service": answer.service,
        "steps": [{**asdict(step), "chance": str(step.chance)} for step in answer.way.passed()],
        "outcomes": [
            {
                "fate": outcome.fate,
                "endpoint": outcome.endpoint,
                "pod": _pod(answer, outcome),
                "chance": str(outcome.chance),
                "probability": float(outcome.chance),
                "masqueraded": outcome.masqueraded,
            }
            for outcome in answer.way.outcomes
        ],
        "backends": {name: float(chance) for name, chance in answer.way.backends().items()},
        "difference": "" if answer.rule.endswith("/none") else answer.rule,
        "affinity_seconds": answer.sticky,
    }
