"""Reads scenarios: from YAML text to a checked `Story`. Every mistake has its file, line and column."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve

from k8sfsm.apiserver.cel import CelError, compiled
from k8sfsm.engine.offer import KINDS
from k8sfsm.node.scripted import parse_script
from k8sfsm.objects import Quantity, QuantityError
from k8sfsm.objects.yamltext import Document, YAMLTextError, read_documents
from k8sfsm.scenario.expect import FigureTest, read_expectation, read_figure_test
from k8sfsm.scenario.figures import read_figure
from k8sfsm.scenario.manifests import without_tabs
from k8sfsm.scenario.model import (
    FAULTS,
    TIMED_FAULTS,
    Behaviour,
    ClusterSetting,
    Expectation,
    Fault,
    Figure,
    Invariant,
    LatencySetting,
    Measure,
    NodeSetting,
    Option,
    Promise,
    Property,
    Story,
    Switch,
    Timed,
    Wanted,
)
from k8sfsm.scenario.model_actions import VERBS, Action, DrainVerb
from k8sfsm.scenario.model_outside import CloudSetting, LoadSetting
from k8sfsm.scenario.nodes import TAINT
from k8sfsm.scenario.order import Refused, key_called, kind_called
from k8sfsm.scenario.parts import Parts
from k8sfsm.scenario.switches import option_of
from k8sfsm.spec.mistakes import Position, SpecError, did_you_mean
from k8sfsm.spec.model import Scenario
from k8sfsm.spec.source import Located, LocatedList, read_yaml
from k8sfsm.spec.structure import keys_of, structure, type_name

T = TypeVar("T")

MOST_NODES: Final = 5000
MACHINE: Final = ("gone", "shutdown", "started")
"""What happens to machines of a cloud."""
DOCUMENTS: Final = ("apply", "create")
"""Verbs that take manifests."""


def is_scenario(text: str) -> bool:
    """Whether a text is a scenario: one mapping that has no kind, and a key of a scenario."""
    try:
        documents = tuple(read_documents(without_tabs(text), ""))
    except YAMLTextError:
        return False
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        return False
    value = documents[0].value
    return "kind" not in value and "apiVersion" not in value and any(key in value for key in keys_of(Scenario))


def load_story(path: Path) -> Story:
    """Read a scenario file. Raises SpecError with every mistake, and OSError."""
    return read_story(path.read_text("utf-8"), str(path), path.parent)


def read_story(text: str, name: str, folder: Path | None = None) -> Story:
    """Read a scenario. `name`: the file's, for positions; `folder`: where files that it names are. Raises SpecError."""
    raw, mistakes = read_yaml(text, name)
    scenario, more = structure(raw, Scenario)
    reading = _Reading(name=name, folder=folder or Path(), mistakes=[*mistakes, *more])
    if scenario is None:
        raise SpecError(reading.mistakes)
    story = reading.story(raw, text)
    if reading.mistakes:
        raise SpecError(reading.mistakes)
    return story


def default_nodes(count: int) -> tuple[NodeSetting, ...]:
    """Nodes node-1, node-2, ..."""
    return tuple(NodeSetting(name=f"node-{number}") for number in range(1, count + 1))


class _Reading(Parts):
    """One scenario being read."""

    def story(self, raw: Located, text: str) -> Story:
        """The whole scenario."""
        if not self.mistakes:
            found = tuple(read_documents(text, self.name))
            self.document = found[0] if found else Document({})
        cluster = self.part(raw.get("cluster", Located(raw.at)), ClusterSetting) or ClusterSetting()
        until = raw.get("until")
        story = Story(
            name=self.name,
            cluster=cluster,
            nodes=self.nodes(cluster, raw),
            manifests=self.given(raw.get("manifests"), ("manifests",), raw.at),
            environment=tuple(self.parts(raw, "environment", Behaviour)),
            load=tuple(self.load(raw)),
            cloud=self.cloud(raw),
            actions=tuple(self.actions(raw)),
            faults=tuple(self.faults(raw)),
            switches=tuple(self.switches(raw)),
            figures=tuple(self.figures(raw)),
            invariants=tuple(self.invariants(raw)),
            expect=tuple(self.expectations(raw)),
            properties=tuple(self.properties(raw)),
            allow=self.allowance(raw),
            until=None if until is None else self.duration(until, raw.value_at["until"]),
            doc=str(raw.get("doc", "")),
        )
        self.check_scripts(story)
        self.check_latencies(cluster.latencies)
        self.check_end(story)
        self.check_names(story)
        return story

    # -- the cluster --------------------------------------------------------------------------------------------------

    def nodes(self, cluster: ClusterSetting, raw: Located) -> tuple[NodeSetting, ...]:
        """The nodes that the file asks for."""
        asked = cluster.nodes
        at = raw["cluster"].value_at.get("nodes", raw.at) if isinstance(raw.get("cluster"), Located) else raw.at
        if isinstance(asked, int) and not isinstance(asked, bool):
            if not 0 <= asked <= MOST_NODES:
                self.wrong(at, f"{asked} nodes, expected a number from 0 to {MOST_NODES}")
                return ()
            return default_nodes(asked)
        if not isinstance(asked, LocatedList):
            self.wrong(at, f"{type_name(asked)} stands here, expected a number of nodes or a list of them")
            return ()
        found = tuple(self.parts(raw["cluster"], "nodes", NodeSetting))
        for node in found:
            self.check_node(node, [each.name for each in found if each is not node])
        return found

    def check_node(self, node: NodeSetting, others: list[str]) -> None:
        """Quantities and names of a node."""
        if node.name in others:
            self.wrong(node.at, f"node '{node.name}' stands twice, expected each name once")
        if node.joins:
            self.duration(node.joins, node.at)
        for taint in node.taints:
            if TAINT.fullmatch(taint) is None:
                self.wrong(node.at, f"'taints': '{taint}' is no taint, expected KEY=VALUE:EFFECT")
        for name in ("cpu", "memory"):
            try:
                Quantity.parse(str(getattr(node, name)))
            except QuantityError as error:
                self.wrong(node.at, f"'{name}': {error}")

    def check_latencies(self, latencies: LatencySetting) -> None:
        """Latencies are durations."""
        for value in (latencies.request, latencies.watch):
            self.duration(value, latencies.at)

    def check_scripts(self, story: Story) -> None:
        """Scripts are phrases that the runtime knows."""
        for behaviour in story.environment:
            try:
                parse_script(behaviour.script)
            except ValueError as error:
                self.wrong(behaviour.at, str(error))

    def check_end(self, story: Story) -> None:
        """Nothing is due after the end."""
        if story.until is None:
            return
        late = [(each.due, each.part.at) for each in (*story.actions, *story.faults)]
        late += [(each.deadline, each.at) for each in story.expect if each.deadline is not None]
        for due, at in late:
            if due > story.until:
                self.wrong(at, "this is due after `until`, expected a time before it")

    def check_names(self, story: Story) -> None:
        """Figures and switches that expectations name are there, and each once."""
        figures, switches = [each.name for each in story.figures], [each.name for each in story.switches]
        for what, names in (("figure", figures), ("switch", switches)):
            for name in dict.fromkeys(names):
                if names.count(name) > 1:
                    self.wrong(Position(self.name, 1, 1), f"{what} '{name}' stands twice, expected each name once")
        for wanted in story.expect:
            if isinstance(wanted.test, FigureTest) and wanted.test.name not in figures:
                self.wrong(wanted.at, unknown(wanted.test.name, figures, "figure"))
            for name, _ in wanted.when:
                if name not in switches:
                    self.wrong(wanted.at, unknown(name, switches, "switch"))

    # -- actions, faults, expectations --------------------------------------------------------------------------------

    def actions(self, raw: Located) -> Iterator[Timed]:
        """What the user does, in order of time."""
        found = []
        for number, item, at in self.rows(raw, "actions"):
            action = self.part(_spelled_out(item), Action) if isinstance(item, Located) else None
            if not isinstance(item, Located):
                self.wrong(at, f"{type_name(item)} stands here, expected an action: a time `at` and a verb")
            if action is None:
                continue
            verbs = [verb for verb in VERBS if verb in item]
            if len(verbs) != 1:
                these = " and ".join(verbs) or "none"
                self.wrong(at, f"an action has one verb, found {these}; expected one of: {', '.join(VERBS)}")
                continue
            self.check_target(getattr(action, verbs[0]))
            steps = ("actions", number, verbs[0])
            manifests = self.given(item[verbs[0]], steps, at) if verbs[0] in DOCUMENTS else ()
            due = self.duration(action.at_, item.value_at.get("at", at))
            found.append(Timed(due=due, part=action, manifests=manifests))
        yield from sorted(found, key=lambda each: each.due)

    def check_target(self, verb: Any) -> None:
        """The object of a verb is one, and its timeout a duration."""
        if isinstance(verb, DrainVerb):
            self.duration(verb.timeout, verb.at)
        target = getattr(verb, "object", None)
        if target is None:
            return
        try:
            key_called(target, verb.namespace)
        except Refused as error:
            self.wrong(verb.at, str(error))

    def faults(self, raw: Located) -> Iterator[Timed]:
        """What goes wrong, in order of time."""
        found = []
        for fault in self.parts(raw, "faults", Fault):
            named = [name for name in FAULTS if getattr(fault, name)]
            if len(named) != 1:
                self.wrong(fault.at, f"a fault is one of {', '.join(FAULTS)}, found {' and '.join(named) or 'none'}")
                continue
            must = named[0] in TIMED_FAULTS
            length = self.duration(fault.for_, fault.at) if must or fault.for_ is not None else None
            offset = self.offset(fault.by, fault.at) if named == ["skew"] else None
            due = self.duration(fault.at_, fault.at)
            found.append(Timed(due=due, part=evolve(fault, for_=length, by=offset)))
        yield from sorted(found, key=lambda each: each.due)

    def load(self, raw: Located) -> Iterator[Timed]:
        """What clients ask for, in order of time."""
        found = []
        for load in self.parts(raw, "load", LoadSetting):
            if load.rate < 0:
                self.wrong(load.at, f"'rate': {load.rate} stands here, expected a number that is not negative")
            found.append(Timed(due=self.duration(load.at_, load.at), part=load))
        yield from sorted(found, key=lambda each: each.due)

    def cloud(self, raw: Located) -> CloudSetting | None:
        """The cloud around the cluster, its times in ns."""
        if "cloud" not in raw:
            return None
        cloud = self.part(raw["cloud"], CloudSetting)
        if cloud is None:
            return None
        for topic in ("balancers", "routes", "volumes"):
            self.duration(getattr(cloud, topic), cloud.at)
        outages = [
            evolve(each, at_=self.duration(each.at_, each.at), for_=self.duration(each.for_, each.at))
            for each in cloud.outages
        ]
        machines = [evolve(each, at_=self.duration(each.at_, each.at)) for each in cloud.machines]
        for each in machines:
            named = [word for word in MACHINE if getattr(each, word)]
            if len(named) != 1:
                self.wrong(each.at, f"a machine is one of {', '.join(MACHINE)}, found {' and '.join(named) or 'none'}")
        return evolve(cloud, outages=tuple(outages), machines=tuple(machines))

    def switches(self, raw: Located) -> Iterator[Option]:
        """The parts of the law that the story can be told without."""
        for switch in self.parts(raw, "switches", Switch):
            try:
                yield option_of(switch)
            except ValueError as error:
                self.wrong(switch.at, str(error))

    def figures(self, raw: Located) -> Iterator[Measure]:
        """The numbers that the story prints."""
        for figure in self.parts(raw, "figures", Figure):
            per, since = self.duration(figure.per, figure.at), self.duration(figure.from_, figure.at)
            try:
                yield Measure(name=figure.name, of=read_figure(figure, per, since))
            except (ValueError, Refused) as error:
                self.wrong(figure.at, str(error))

    def invariants(self, raw: Located) -> Iterator[Invariant]:
        """What every write must keep, as expressions that can be read."""
        for invariant in self.parts(raw, "invariants", Invariant):
            try:
                compiled(invariant.holds)
                yield evolve(invariant, of=kind_called(invariant.of))
            except (CelError, Refused) as error:
                self.wrong(invariant.at, str(error))

    def expectations(self, raw: Located) -> Iterator[Wanted]:
        """What must hold; a bare sentence is about the end."""
        for _, item, at in self.rows(raw, "expect"):
            expectation = Expectation(that=item, at=at) if isinstance(item, str) else self.part(item, Expectation)
            if expectation is None:
                continue
            if expectation.at_ is not None and expectation.by is not None:
                self.wrong(expectation.at, "`at` and `by` stand together, expected one of them")
            time = expectation.at_ if expectation.at_ is not None else expectation.by
            deadline = None if time is None else self.duration(time, expectation.at)
            try:
                test = read_figure_test(expectation.that) or read_expectation(expectation.that, expectation.namespace)
                when = _when(expectation.when)
            except ValueError as error:
                self.wrong(expectation.at, str(error))
                continue
            if isinstance(test, FigureTest) and deadline is not None:
                self.wrong(expectation.at, "figures are known at the end, expected no time")
            text = " ".join(expectation.that.split())
            early = expectation.by is not None
            yield Wanted(text=text, test=test, deadline=deadline, early=early, at=expectation.at, when=when)

    def properties(self, raw: Located) -> Iterator[Promise]:
        """What must hold in every run."""
        for row in self.parts(raw, "properties", Property):
            if bool(row.always) == bool(row.finally_):
                self.wrong(row.at, "a property is one of always, finally, expected one sentence")
                continue
            text = " ".join((row.always or row.finally_).split())
            since = 0 if row.from_ is None else self.duration(row.from_, row.at)
            try:
                test = read_expectation(text, row.namespace)
            except ValueError as error:
                self.wrong(row.at, str(error))
                continue
            yield Promise(text=text, test=test, always=bool(row.always), since=since, at=row.at)

    def allowance(self, raw: Located) -> Mapping[str, int] | None:
        """The faults that chance may add: kind -> how many."""
        found = raw.get("allow")
        if found is None:
            return None
        if not isinstance(found, Located):
            self.wrong(raw.value_at["allow"], f"{type_name(found)} stands here, expected kinds of faults and numbers")
            return None
        for kind, count in found.items():
            if kind not in KINDS:
                self.wrong(found.key_at[kind], unknown(kind, tuple(KINDS), "kind of fault"))
            elif not isinstance(count, int) or isinstance(count, bool) or count < 0:
                what = f"{type_name(count)} stands here, expected how many faults of the kind"
                self.wrong(found.value_at[kind], what)
        return {kind: count for kind, count in found.items() if isinstance(count, int)}


def _spelled_out(action: Located) -> Located:
    """`restart: deployment/web` and `cordon: node-1` as the mappings that they stand for."""
    for verb in VERBS:
        value = action.get(verb)
        if isinstance(value, str) and verb not in DOCUMENTS:
            key = "node" if verb in ("cordon", "uncordon", "drain", "taint") else "object"
            long = Located(action.key_at[verb])
            long[key] = value
            long.key_at[key] = long.value_at[key] = action.value_at[verb]
            action[verb] = long
    return action


def _when(text: str) -> tuple[tuple[str, bool], ...]:
    """The switches that an expectation depends on, each with whether it is on. Raises ValueError."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, position = part.rpartition(" ")
        if not name or position not in ("on", "off"):
            raise ValueError(f"'when': '{part}' stands here, expected the name of a switch and on or off")
        found.append((name, position == "on"))
    return tuple(found)


def unknown(name: str, known: Collection[str], what: str) -> str:
    """The sentence about a name that is not known."""
    return f"no {what} is called '{name}', {did_you_mean(name, known)}"
