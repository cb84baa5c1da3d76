"""A cluster for tests: kubectl, a clock, faults and questions. Every step is judged by the invariants of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from k8sfsm.engine.action import Boot, Disturb, Fail, Join, Lag, Part, Start, Stop, Strike
from k8sfsm.engine.cluster import MANAGER, Component
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.offer import usual_allowance
from k8sfsm.engine.policy import Random
from k8sfsm.objects import format_duration, parse_duration
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.expect import read_expectation
from k8sfsm.scenario.model import NodeSetting
from k8sfsm.scenario.starting import start
from k8sfsm.scenario.user import Reply, User
from k8sfsm.testing.controller import ControllerUnderTest
from k8sfsm.verify.invariants import Violation, check_convergence
from k8sfsm.verify.watch import Watch
from k8sfsm.view import View

_QUIET: Final = ("Event", "Lease")
_LAST: Final = 25
"""Lines that a failure shows."""
_RATE: Final = 30
"""One step in so many is a fault while a cluster is shaken."""


class BrokenInvariants(AssertionError):
    """Invariants that do not hold; `violations` has them one by one."""

    def __init__(self, violations: Iterable[Violation], story: str) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join([*map(str, self.violations), story]))


class Cluster:
    """A cluster at 2026-01-01T00:00:00Z, up and idle. Durations are texts such as `90s` and `1m30s`.

    `user` has the verbs of kubectl; they take effect at once, what follows needs time. Every method that lets time pass
    raises BrokenInvariants as soon as an invariant breaks; `strict` False: they do not look.
    """

    def __init__(self, nodes: int | Iterable[NodeSetting] = 2, seed: int = 0, strict: bool = True) -> None:
        self.lines: list[Line] = []
        self.strict = strict
        self.engine: Engine = start(nodes=nodes, seed=seed, tracer=self.lines.append).engine
        self.user = User(self.engine)
        self._watch = Watch(self.engine)
        self.engine.pace = self._step
        self._policy: Random | None = None

    # -- what people do -----------------------------------------------------------------------------------------------

    def apply(self, manifest: Any) -> Reply:
        """`kubectl apply`: an object or its JSON form. AssertionError where it is refused."""
        reply = self.user.apply(manifest)
        assert not reply.refused, reply.text
        return reply

    def add(self, controller: ControllerUnderTest) -> None:
        """Start a controller of your own in the cluster, in a process of its own."""
        self.engine.add_component(Component(name=controller.name, controllers=(controller,)))

    def get(self, target: str) -> Any:
        """The object that is called `deployment/web`; None where there is none."""
        return self.user.object(target)

    def list(self, kind: str, namespace: str = "default") -> tuple[Any, ...]:
        """The objects of a kind (`Pod`) in a namespace ("": of kinds without one)."""
        return tuple(self.engine.store.snapshot.series("in", kind, namespace))

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def age(self) -> str:
        """How long the cluster has been up."""
        return format_duration(self.engine.now - START)

    def advance(self, duration: str) -> None:
        """Let time pass."""
        self.engine.run(until=self.engine.now + parse_duration(duration))

    def settle(self, within: str = "30m") -> None:
        """Let time pass until nothing is left to do, and check that the cluster is as it should be then.

        AssertionError where it does not come to rest in time (crash loops and probes never rest: use `advance`).
        """
        end = self.engine.now + parse_duration(within)
        self.engine.run(until=end, stop=lambda engine: engine.at_rest)
        assert self.engine.at_rest, f"not at rest within {within}\n{self.story()}"
        self.converged()

    def shake(self, duration: str, seed: int = 0, faults: Mapping[str, int] | None = None) -> None:
        """Let time pass; chance decides the order of things and adds faults: kind -> how many (None: all kinds).

        The faults last as long as they last; give the cluster some minutes afterwards.
        """
        engine, self._policy = self.engine, Random(seed, _RATE)
        engine.allowance = dict(usual_allowance() if faults is None else faults)
        try:
            self.advance(duration)
        finally:
            engine.allowance, self._policy = {}, None

    def _step(self, engine: Engine) -> None:
        policy = self._policy
        fault = None if policy is None else policy.fault(engine)
        if fault is not None:
            self._blind(max((part.duration for _, part in fault.parts if isinstance(part, Lag)), default=0))
            engine.step(fault)
        elif policy is not None:
            engine.step_of(policy.index)
        else:
            engine.step()
        if self.strict:
            self.check()

    # -- faults -------------------------------------------------------------------------------------------------------

    def fail_node(self, node: str, duration: str = "") -> None:
        """The machine of a node goes off, for a time or for good."""
        self._fault(Fail(node), Boot(node), duration)

    def partition(self, component: str, duration: str = "") -> None:
        """A component (`kubelet/node-1`, a controller of your own) does not reach the API server."""
        self._fault(Part(component), Join(component), duration)

    def stop(self, component: str, duration: str = "") -> None:
        """A component stops, for a time or for good: `kube-controller-manager`, `kubelet/node-1`, your controller."""
        self._fault(Stop(component), Start(component), duration)

    def lag(self, kind: str, duration: str, component: str = MANAGER) -> None:
        """A component sees no change of `kind` for a time."""
        self._blind(parse_duration(duration))
        self._fault(Lag(component, kind, parse_duration(duration)))

    def lose_answer(self, actor: str) -> None:
        """The next request of a controller is done, and its answer lost."""
        self._fault(Disturb(actor, "lost"))

    def kill(self, pods: str, container: str = "", oom: bool = False) -> None:
        """The containers of the Pods with such names (`web-*`) end: with code 1, or because memory ran out."""
        self._fault(Strike(pods, "oom" if oom else "kill", container))

    def _fault(self, begin: Any, end: Any = None, duration: str = "") -> None:
        engine = self.engine
        engine.schedule(begin, engine.now)
        engine.step(begin)
        if end is not None and duration:
            engine.schedule(end, engine.now + parse_duration(duration))

    def _blind(self, duration: int) -> None:
        self._watch.blind_until = max(self._watch.blind_until, self.engine.now + duration + SECOND)

    # -- questions ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises BrokenInvariants where a change since the last look broke an invariant."""
        found = self._watch.look(self.engine)
        if found:
            raise BrokenInvariants(found, self.story())

    def converged(self) -> None:
        """Raises BrokenInvariants where something is not as it should be once nothing is left to do."""
        found = check_convergence(View(self.engine.now, self.engine.store.snapshot, store=self.engine.store))
        if found:
            raise BrokenInvariants(found, self.story())

    def holds(self, sentence: str) -> bool:
        """Whether a sentence such as `deployment/web status.readyReplicas is 3` is true now. ValueError: it is none."""
        return bool(read_expectation(sentence)(self.engine.store, self.engine.now).holds)

    def eventually(self, sentence: str, within: str = "5m") -> None:
        """Let time pass until the sentence is true; AssertionError where it is not in time."""
        test, engine = read_expectation(sentence), self.engine
        if not self.holds(sentence):
            until = engine.now + parse_duration(within)
            engine.run(until=until, stop=lambda each: test(each.store, each.now).holds)
        found = test(engine.store, engine.now)
        assert found.holds, f"not within {within}: {sentence}; found {found.found}\n{self.story()}"

    def always(self, sentence: str, during: str) -> None:
        """Let time pass, in which the sentence is true all the time; AssertionError where it is not."""
        test, engine = read_expectation(sentence), self.engine
        engine.run(until=engine.now + parse_duration(during), stop=lambda each: not test(each.store, each.now).holds)
        found = test(engine.store, engine.now)
        assert found.holds, f"at {self.age} no longer: {sentence}; found {found.found}\n{self.story()}"

    def story(self, last: int = _LAST) -> str:
        """The last things that happened, a line each: time, who, what, by which rule."""
        told = [line for line in self.lines if line.key[0] not in _QUIET][-last:]
        return "\n".join(map(_said, told))


def _said(line: Line) -> str:
    name = "/".join(part for part in line.key if part)
    how = f" {line.code} {line.message}" if line.code >= 300 else ""
    moves = ", ".join(f"{move.old} -> {move.new}" for move in line.moves if move.old != move.new)
    rule = f" by {line.rule}" if line.rule else ""
    return f"{format_duration(line.at - START):>10} {line.actor} {line.verb} {name} {moves}{how}{rule}"
