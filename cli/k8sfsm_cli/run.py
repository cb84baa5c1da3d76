"""`k8sfsm run`: what Kubernetes would do with manifests, or in a scenario."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click
from attrs import evolve
from rich.table import Table

from k8sfsm.apiserver.own_rules import with_rules
from k8sfsm.objects import KINDS, ManifestError, format_duration, to_json
from k8sfsm.objects.yamltext import write_documents
from k8sfsm.printer import printed
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.loading import MOST_NODES, default_nodes, is_scenario, read_story
from k8sfsm.scenario.manifests import read_manifests
from k8sfsm.scenario.model import FAULTS, Manifest, Story
from k8sfsm.scenario.model_actions import ServerSide
from k8sfsm.scenario.output import final_objects, write_story_trace
from k8sfsm.scenario.play import Play
from k8sfsm.scenario.user import User
from k8sfsm.spec import SpecError
from k8sfsm_cli.durations import duration
from k8sfsm_cli.errors import BadInput
from k8sfsm_cli.figures import print_figures, titled, without
from k8sfsm_cli.printing import print_table
from k8sfsm_cli.timeline import timeline_rows

SHOWN: Final = ("Deployment", "ReplicaSet", "Pod", "Service", "EndpointSlice", "Node")
_FINDINGS: Final = 1
_UNUSABLE: Final = 2
_BAD_MANIFEST: Final = (400, 422)
_ENDINGS: Final = {
    "at rest": "at rest",
    "until": "ended by --until or `until`",
    "quiet": "nothing but probes and heartbeats goes on",
    "longest": "not at rest after an hour; give --until for more",
}


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--until", callback=duration, metavar="DURATION", help="Stop so long after the start (30s, 1m30s).")
@click.option("--seed", type=int, help="What chance decides: names, scheduler ties. The same seed, the same run.")
@click.option("--nodes", type=click.IntRange(0, MOST_NODES), metavar="N", help="The number of nodes; else 3.")
@click.option(
    "--trace", "trace", type=click.Path(path_type=Path, dir_okay=False), help="Write the trace (.itf.json: ITF)."
)
@click.option("--off", "off", multiple=True, metavar="SWITCH", help="Leave out that part of the law; several times.")
@click.option("--compare", metavar="SWITCH", help="Print only the figures, with the switch on and off.")
@click.option("--figures", "figures", is_flag=True, help="Print only the figures.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Rules of one's own for the API server; else those of K8SFSM_RULES.",
)
@click.option("--timeline/--no-timeline", default=True, help="Print what happened.")
@click.option("--server-side", is_flag=True, help="Apply manifests by the server, which notes who owns which fields.")
@click.option(
    "--field-manager", "manager", default="kubectl", show_default=True, help="Who applies, with --server-side."
)
@click.option("--force-conflicts", "force", is_flag=True, help="Take over the fields of others, with --server-side.")
@click.option("--events", is_flag=True, help="Show Events in the timeline too.")
@click.option(
    "-o", "output", type=click.Choice(["table", "json", "yaml"]), default="table", help="json, yaml: the final objects."
)
def run(
    files: tuple[str, ...],
    until: int | None,
    seed: int | None,
    nodes: int | None,
    trace: Path | None,
    off: tuple[str, ...],
    compare: str | None,
    figures: bool,
    rules: Path | None,
    timeline: bool,
    server_side: bool,
    manager: str,
    force: bool,
    events: bool,
    output: str,
) -> None:
    """Run FILE...: manifests (YAML or JSON, several documents; "-": standard input) or a scenario.

    The clock starts at 2026-01-01T00:00:00Z, in a cluster that is up. Without --until it runs until nothing is left to
    do. Exit code 0; 1 where an expectation fails or a request is refused; 2 for input that cannot be used.
    """
    click.get_current_context().with_resource(with_rules(rules))
    try:
        story, own = _story(files)
        story = without(_with_options(story, until, seed, nodes), off)
        if server_side:
            story = evolve(story, server_side=ServerSide(manager=manager, force=force))
        plays = [Play.of(each) for each in _told(story, compare, figures, output)]
    except (ManifestError, SpecError) as error:
        _unusable(str(error))
    play = plays[0]
    for namespace in play.made:
        click.echo(f"note: namespace {namespace} does not exist, created before the start", err=True)
    _refuse_invalid(play, own)
    initial = final_objects(play.engine.store)
    for each in plays:
        each.run()
    if trace is not None:
        with trace.open("w", encoding="utf-8", newline="\n") as stream:
            write_story_trace(stream, play, initial, itf=trace.name.endswith(".itf.json"))
    if figures or compare is not None:
        print_figures({titled(each.story): each.figures() for each in plays}, output)
    elif output == "table":
        _print(play, timeline, events)
    else:
        _dump(play, output)
    _conclude(plays)


# -- input ------------------------------------------------------------------------------------------------------------


def _story(files: Iterable[str]) -> tuple[Story, tuple[Manifest, ...]]:
    """The story of the files, and the manifests that are given by themselves."""
    story: Story | None = None
    manifests: list[Manifest] = []
    for name in files:
        text = _read(name)
        if not is_scenario(text):
            manifests += read_manifests(text, name)
            continue
        if story is not None:
            raise ManifestError(f"{name}:1:1: this is a second scenario, expected one (and manifests)")
        story = read_story(text, name, Path(name).parent)
    if story is None:
        story = Story(name=" ".join(files), nodes=default_nodes(3))
        if not manifests:
            raise ManifestError(f"{story.name}: no objects, expected manifests or a scenario")
    return evolve(story, manifests=(*story.manifests, *manifests)), tuple(manifests)


def _told(story: Story, compare: str | None, figures: bool, output: str) -> tuple[Story, ...]:
    """The ways in which the story is to be told. Raises ManifestError where it has no figures that are asked for."""
    if not figures and compare is None:
        return (story,)
    if not story.figures:
        raise ManifestError(f"{story.name}: no figures, expected a scenario with `figures`")
    if output == "yaml":
        raise ManifestError(f"{story.name}: -o yaml prints objects, expected -o table or -o json for figures")
    return (story,) if compare is None else (story, without(story, (compare,)))


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{name}: this is no UTF-8 text, expected YAML or JSON") from None


def _with_options(story: Story, until: int | None, seed: int | None, nodes: int | None) -> Story:
    if seed is not None:
        story = evolve(story, cluster=evolve(story.cluster, seed=seed))
    if nodes is not None:
        story = evolve(story, nodes=default_nodes(nodes))
    return story if until is None else story.ended_at(until)


def _refuse_invalid(play: Play, manifests: Iterable[Manifest]) -> None:
    """End with exit code 2 where the API server would not take a manifest of the command line, whatever it holds."""
    user, lines = User(play.engine.fork()), []
    for manifest in manifests:
        named = manifest.document["metadata"].get("name")
        reply = user.apply(manifest.document) if named else user.create(manifest.document)
        if reply.code in _BAD_MANIFEST:
            lines.append(f"{manifest.place}: {reply.outcomes[-1].message}")
    if lines:
        _unusable("\n".join(lines))


def _unusable(text: str) -> Any:
    click.echo(text, err=True)
    raise click.exceptions.Exit(_UNUSABLE)


# -- output -----------------------------------------------------------------------------------------------------------


def _print(play: Play, timeline: bool, events: bool) -> None:
    if timeline:
        table = Table("t/s", "actor", "object", "what happened", "rule", title="What happened")
        for row in timeline_rows(play.lines, START, events):
            table.add_row(*row)
        print_table(table)
    for line in _commands_and_faults(play):
        click.echo(line)
    objects = final_objects(play.engine.store)
    for kind in SHOWN:
        found = [obj for obj in objects if obj.kind == kind]
        spaces = {obj.metadata.namespace for obj in found}
        if found:
            several = " --all-namespaces" if spaces - {"", "default"} else ""
            click.echo(f"\n$ kubectl get {KINDS[kind].resource}{several}")
            click.echo(printed(kind, found, play.engine.now, namespaces=bool(several)), nl=False)
    if play.story.figures:
        click.echo("")
        print_figures({titled(play.story): play.figures()})


def _commands_and_faults(play: Play) -> Iterator[str]:
    """What the user did and heard, and what went wrong in between."""
    lines = [(told.at, f"$ {told.command}: {told.reply.text or 'nothing to change'}") for told in play.told]
    for timed in play.story.faults:
        name = next(each for each in FAULTS if getattr(timed.part, each))
        lines.append((START + timed.due, f"! {name} {getattr(timed.part, name)}"))
    for at, text in sorted(lines, key=lambda each: each[0]):
        yield f"{format_duration(at - START)} {text}"


def _dump(play: Play, output: str) -> None:
    """A v1 List of the final objects on stdout; Events and Leases are left out."""
    items = [to_json(obj) for obj in final_objects(play.engine.store) if obj.kind not in ("Event", "Lease")]
    document = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}
    if output == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(write_documents([document]), nl=False)


def _conclude(plays: Iterable[Play]) -> None:
    missed = False
    for play in plays:
        for line in (line for told in play.told for line in told.reply.warnings):
            click.echo(line, err=True)
        for miss in play.misses:
            click.echo(str(miss), err=True)
        missed = missed or bool(play.misses)
        engine, story = play.engine, play.story
        kept = f", {len(story.expect)} expectations" if story.expect else ""
        without_these = f", {titled(story)}" if story.off else ""
        click.echo(
            f"{_ENDINGS[play.ending]} after {format_duration(engine.now - START)}: {engine.steps} steps, "
            f"seed {story.cluster.seed}{without_these}{kept}, {len(play.misses)} findings",
            err=True,
        )
    if missed:
        raise click.exceptions.Exit(_FINDINGS)
