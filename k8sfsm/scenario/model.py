"""The parts of a scenario, as its file has them. `specs/schema/scenario.schema.json` describes the same.

Times are durations since the start, in Go's notation (`1m30s`). As in all specs, `at` is the position of a row in its
file; the key `at` of the file is `at_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import evolve, field, frozen

from k8sfsm.objects.yamltext import Place
from k8sfsm.scenario.model_actions import ServerSide
from k8sfsm.scenario.model_outside import CloudSetting
from k8sfsm.spec.amendment import Amendment
from k8sfsm.spec.mistakes import NOWHERE, Position


@frozen(kw_only=True)
class NodeSetting:
    """A node of the cluster. `cpu`, `memory`: quantities; `taints` as `kubectl taint` writes them.

    `joins`: when its kubelet starts and registers it; it is there from the beginning otherwise.
    """

    name: str
    cpu: Any = 4
    memory: Any = "8Gi"
    pods: int = 110
    zone: str = ""
    labels: Mapping[str, str] = field(factory=dict)
    taints: tuple[str, ...] = ()
    joins: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class LatencySetting:
    """How long a request takes to the API server, and a change to those who watch."""

    request: str = "4ms"
    watch: str = "0s"
    at: Position = NOWHERE


@frozen(kw_only=True)
class ClusterSetting:
    """The cluster. `nodes`: their number, or a list of them; `limits`: the clients' rate limits.

    `rbac`: users other than `user`, who is an administrator, need roles. `root_ca`: namespaces get kube-root-ca.crt.
    """

    nodes: Any = 3
    seed: int = 0
    limits: bool = True
    rbac: bool = False
    root_ca: bool = False
    latencies: LatencySetting = LatencySetting()
    at: Position = NOWHERE


@frozen(kw_only=True)
class Behaviour:
    """How containers behave: `container` ("*": all) of Pods whose names match `pods` (`web-*`), as `script` says."""

    pods: str
    script: str
    container: str = "*"
    at: Position = NOWHERE


@frozen(kw_only=True)
class Invariant:
    """What every write of a kind must keep. `holds`: an expression in CEL over `object` and `oldObject`."""

    of: str
    holds: str
    says: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Fault:
    """What goes wrong at a time: exactly one of `FAULTS`. docs/scenarios.md says what each is.

    `for_`: how long; `kind`: of objects that an informer is about; `how`: a request goes wrong; `by`: how fast a clock
    is; `container`: of the Pods that it strikes.
    """

    at_: Any
    stop: str = ""
    start: str = ""
    crash: str = ""
    lag: str = ""
    resync: str = ""
    compact: str = ""
    disturb: str = ""
    partition: str = ""
    join: str = ""
    fail: str = ""
    boot: str = ""
    skew: str = ""
    kill: str = ""
    oom: str = ""
    cut: str = ""
    flap: str = ""
    kind: str = ""
    for_: Any = None
    how: Literal["conflict", "timeout", "lost"] | None = None
    by: Any = None
    container: str = ""
    at: Position = NOWHERE


FAULTS: tuple[str, ...] = (
    "stop",
    "start",
    "crash",
    "lag",
    "resync",
    "compact",
    "disturb",
    "partition",
    "join",
    "fail",
    "boot",
    "skew",
    "kill",
    "oom",
    "cut",
    "flap",
)
"""The members of a Fault of which it has one."""
TIMED_FAULTS: tuple[str, ...] = ("lag", "cut", "flap")
"""Faults that must say how long they take."""


@frozen(kw_only=True)
class Property:
    """What must hold in every run, whatever chance and faults do: `finally_` at its end, or `always`.

    `from_`: a time before which it need not hold; an object that it names and that does not exist is not judged.
    """

    always: str = ""
    finally_: str = ""
    from_: Any = None
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Without:
    """What the law says instead while a switch is off.

    `constants`: name -> value. `rules`: path of a row -> the cells that change, or null: the row is gone. `queues`:
    controller -> the fields of its `queue` that change.
    """

    constants: Mapping[str, Any] = field(factory=dict)
    rules: Mapping[str, Any] = field(factory=dict)
    queues: Mapping[str, Any] = field(factory=dict)
    at: Position = NOWHERE


@frozen(kw_only=True)
class Switch:
    """A part of the law that this story can be told without: `k8sfsm run --off NAME`."""

    name: str
    off: Without
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Which:
    """Which lines of the trace count: those in which all that is given is so. `kind`: as kubectl calls it; `by`: actor.

    `verb`: the request (create, delete, patch...) or an environment fact (container-exit...); `code`: HTTP status;
    `reason`: of an Event, of a refusal, or of an end; `rule`: what ordered it. `name`: a pattern of object names.
    """

    verb: str = ""
    kind: str = ""
    by: str = ""
    code: int = 0
    reason: str = ""
    rule: str = ""
    name: str = "*"
    at: Position = NOWHERE


@frozen(kw_only=True)
class Figure:
    """A number that a story prints at its end: exactly one of `count`, `peak`, `least`, `most`, `time`, `until`.

    `count`: how many lines there are; `peak`: the most of them `per` so long. `least`, `most`: of how many objects a
    sentence held at the same time. `time`: how long it held, and `until`: how long it took until it held for good; both
    in seconds. Only what is later than `from` counts.
    """

    name: str
    count: Which | None = None
    peak: Which | None = None
    least: str = ""
    most: str = ""
    time: str = ""
    until: str = ""
    per: Any = "1s"
    from_: Any = "0s"
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Expectation:
    """What must hold: `at` a time, `by` a time at the latest, or at the end.

    `when`: the switches that it depends on: `SWITCH on` or `SWITCH off`, commas between.
    """

    that: str
    at_: Any = None
    by: Any = None
    namespace: str = ""
    when: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Manifest:
    """An object that a user gives, in JSON form, and where it stands."""

    document: Mapping[str, Any]
    place: Place


@frozen(kw_only=True)
class Timed:
    """A part of a story and when it is due: ns since the start."""

    due: int
    part: Any
    manifests: tuple[Manifest, ...] = ()


@frozen(kw_only=True)
class Wanted:
    """An expectation that was read: `test` asks it; `deadline` ns since the start (None: the end); `early`: `by`.

    `when`: the switches that it depends on, each with whether that is on.
    """

    text: str
    test: Any
    deadline: int | None
    early: bool
    at: Position
    when: tuple[tuple[str, bool], ...] = ()


@frozen(kw_only=True)
class Measure:
    """A figure that was read: `of` the lines of a play makes its value."""

    name: str
    of: Any


@frozen(kw_only=True)
class Option:
    """A switch that was read: what becomes of the law while it is off."""

    name: str
    amendments: tuple[Amendment, ...]
    doc: str = ""


@frozen(kw_only=True)
class Promise:
    """A property that was read: `test` asks it; `always` from `since` (ns after the start) on, or at the end."""

    text: str
    test: Any
    always: bool
    since: int
    at: Position


@frozen(kw_only=True)
class Story:
    """A scenario that was read and checked. `until`: ns after the start, None: until the cluster is at rest.

    `off`: the names of the switches that are off. `server_side`: how its manifests are applied; None: by the client.
    `allow`: the faults that chance may add in `fuzz` and `explore`, by kind, and how many of each; None: not said.
    """

    name: str = ""
    cluster: ClusterSetting = ClusterSetting()
    nodes: tuple[NodeSetting, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    environment: tuple[Behaviour, ...] = ()
    load: tuple[Timed, ...] = ()
    cloud: CloudSetting | None = None
    actions: tuple[Timed, ...] = ()
    faults: tuple[Timed, ...] = ()
    switches: tuple[Option, ...] = ()
    off: frozenset[str] = frozenset()
    figures: tuple[Measure, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    expect: tuple[Wanted, ...] = ()
    properties: tuple[Promise, ...] = ()
    allow: Mapping[str, int] | None = None
    until: int | None = None
    doc: str = ""
    server_side: ServerSide | None = None

    def ended_at(self, until: int) -> Story:
        """The story with another end (ns after its start): what is due later is left out.

        Expectations of the end are left out as well where it comes before the story's own.
        """
        early = self.until is not None and until < self.until
        kept = [each for each in self.expect if (not early if each.deadline is None else each.deadline <= until)]
        return evolve(
            self,
            actions=tuple(timed for timed in self.actions if timed.due <= until),
            faults=tuple(timed for timed in self.faults if timed.due <= until),
            expect=tuple(kept),
            until=until,
        )
