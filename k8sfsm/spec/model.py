"""The contents of spec files as values: what the loader gives, what lint, show, mutate and the law read.

Every row knows its position (`at`), so findings and mutants can point at it. The JSON schemas in `specs/schema`
describe the same fields; a test keeps both in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from k8sfsm.spec.mistakes import NOWHERE, Position
from k8sfsm.spec.unary import Test

Hit: TypeAlias = Literal["unique", "first", "collect"]
InvariantType: TypeAlias = Literal["safety", "transition", "convergence"]
WatchedAs: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED", "none"]
ABSENT = "Absent"
"""The implicit state of an object before its creation and after its removal."""


@frozen(kw_only=True)
class Queue:
    """A controller's work queue: parallel workers, and the exponential back-off of a key that failed.

    `retry_qps`, `retry_burst`: the rate limit that the retries of all its keys share; 0: none.
    """

    workers: int = 1
    base_delay_ms: float = 5
    max_delay_s: float = 1000
    max_retries: int | None = None
    retry_qps: float = 10
    retry_burst: int = 100
    doc: str = ""
    source: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Watch:
    """A kind that a controller watches; `key` names the function from a change to the keys to reconcile."""

    kind: str
    key: str
    doc: str = ""
    source: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Rule:
    """A row of a decision table. `cells` holds the YAML values of the table's own columns."""

    cells: Mapping[str, Any] = field(factory=dict)
    cells_at: Mapping[str, Position] = field(factory=dict)
    tests: Mapping[str, Test] = field(factory=dict)
    outputs: Mapping[str, Any] = field(factory=dict)
    then: tuple[str, ...] = ()
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Table:
    """A decision table: `inputs` name facts, `outputs` name columns with values, `rules` are its rows in order."""

    hit: Hit
    inputs: tuple[str, ...]
    rules: Mapping[str, Rule]
    outputs: tuple[str, ...] = ()
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Rank:
    """A row of an ordered comparison: by a fact of one item, or by a comparison function."""

    by: str | None = None
    first: Literal["lower", "higher"] | None = None
    compare: str | None = None
    final: bool = False
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Comparison:
    """An ordered comparison: the first row that differs decides which item goes first."""

    rows: Mapping[str, Rank]
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Controller:
    """A `controller.yaml` (or another file of tables in a room)."""

    controller: str
    reconciles: str = ""
    source: str = ""
    doc: str = ""
    queue: Queue = Queue()
    watches: tuple[Watch, ...] = ()
    tables: Mapping[str, Table] = field(factory=dict)
    comparisons: Mapping[str, Comparison] = field(factory=dict)
    at: Position = NOWHERE

    @property
    def prefix(self) -> str:
        """First part of the paths of the file's rules: what it reconciles, else the controller's name."""
        return self.reconciles or self.controller


@frozen(kw_only=True)
class State:
    """A row of a region's classifier; it names the state where it is the first whose `when` holds."""

    when: Mapping[str, Any]
    when_at: Mapping[str, Position] = field(factory=dict)
    tests: Mapping[str, Test] = field(factory=dict)
    final: bool = False
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Transition:
    """A named edge: a change of state that `actors` may make where all `guards` hold. `from` is one state or more."""

    from_: tuple[str, ...]
    to: str
    actors: tuple[str, ...]
    guards: tuple[str, ...] = ()
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Region:
    """One state machine of a kind: its states are read off the object, its transitions are what writes may change."""

    states: Mapping[str, State]
    transitions: Mapping[str, Transition]
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Machine:
    """A `machine.yaml`: the regions of one kind."""

    kind: str
    regions: Mapping[str, Region]
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Invariant:
    """A property of the cluster; `holds` names the function that checks it.

    `of`: the kinds of which a write can break it (none: all). `each`: it is about one object of these at a time.
    `fresh`: who writes can keep to it only where it sees the cluster as it is. `verbs`, `changes`: the requests, and
    the changes that a watch shows of them (`none`: it shows none), that can break it (none: all).
    """

    type: InvariantType
    holds: str
    of: tuple[str, ...] = ()
    each: bool = False
    fresh: bool = False
    verbs: tuple[str, ...] = ()
    changes: tuple[WatchedAs, ...] = ()
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Invariants:
    """An `invariants.yaml`."""

    kind: str
    invariants: Mapping[str, Invariant]
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Constant:
    """A timer, limit or default of Kubernetes; `value` as written, in `unit`."""

    value: Any
    unit: str = ""
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Scenario:
    """A runnable story. Its parts are read by `run`; here they are only carried."""

    cluster: Any = None
    manifests: Any = None
    environment: Any = None
    load: Any = None
    cloud: Any = None
    actions: Any = None
    faults: Any = None
    switches: Any = None
    figures: Any = None
    invariants: Any = None
    expect: Any = None
    properties: Any = None
    allow: Any = None
    until: Any = None
    source: str = ""
    doc: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class Room:
    """The files of one folder of `specs/`; `tables` are its table files by file name, `controller.yaml` first."""

    name: str
    machine: Machine | None = None
    tables: Mapping[str, Controller] = field(factory=dict)
    invariants: Invariants | None = None


@frozen(kw_only=True)
class Specs:
    """A whole spec directory."""

    path: str
    rooms: Mapping[str, Room]
    constants: Mapping[str, Constant]
