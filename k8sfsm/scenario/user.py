"""A user with kubectl: commands that take effect at once on a running engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from k8sfsm.engine.engine import Engine
from k8sfsm.objects import key_of, parse_duration, to_json
from k8sfsm.printer import printed
from k8sfsm.request import Create, Outcome, PatchType, Propagation
from k8sfsm.scenario import nodes, rollouts, verbs
from k8sfsm.scenario.draining import Drain, DrainOptions
from k8sfsm.scenario.expect import objects_of, read_expectation
from k8sfsm.scenario.order import Order, Refused, called, key_called, kind_called
from k8sfsm.store import Store

DRAINS_AT_MOST: Final = 3600 * 1_000_000_000
"""A drain without a timeout that comes to no end is given up after this (ns)."""


@frozen
class Reply:
    """What a command came to. `text`: what kubectl prints; `refused`: it, or the API server, refused.

    `warnings`: the lines that kubectl writes to the standard error besides.

    `code`: the HTTP status of the refusal, 0 where kubectl itself refused.
    """

    text: str
    refused: bool = False
    code: int = 0
    outcomes: tuple[Outcome, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the API server warned of, as kubectl prints it."""
        return tuple(f"Warning: {text}" for outcome in self.outcomes for text in outcome.warnings)


class User:
    """Commands of kubectl on `engine`, under the name `account`; objects are called `deployment/web`.

    `namespace` is where objects are that do not say it. Between two requests of one command the clock moves by the
    engine's request latency; everything that is due meanwhile happens.
    """

    def __init__(self, engine: Engine, account: str = "user", namespace: str = "default") -> None:
        self.engine = engine
        self.account = account
        self.namespace = namespace

    def run(self, verb: Callable[[Store], Order]) -> Reply:
        """Read the store, let `verb` decide, and send what it orders."""
        try:
            order = verb(self.engine.store)
        except Refused as error:
            return Reply(str(error), refused=True)
        outcomes: list[Outcome] = []
        for number, write in enumerate(order.writes):
            if number:
                self.engine.run(until=self.engine.now + self.engine.latencies.request)
            outcome = self.engine.submit(write, account=self.account)
            outcomes.append(outcome)
            if not outcome.ok:
                text = f"Error from server ({outcome.reason}): {outcome.message}"
                return Reply(text, refused=True, code=outcome.code, outcomes=tuple(outcomes))
        return Reply(order.says + _generated(outcomes), outcomes=tuple(outcomes))

    # -- looking ------------------------------------------------------------------------------------------------------

    def object(self, target: str) -> Any | None:
        """The object that is called `deployment/web`, or None."""
        return self.engine.store.get(*key_called(target, self.namespace))

    def get(self, kind: str, *, wide: bool = False) -> str:
        """What `kubectl get KIND` prints; "" where there is nothing."""
        called = kind_called(kind)
        return printed(called, objects_of(self.engine.store, called, self.namespace), self.engine.now, wide=wide)

    def await_that(self, sentence: str, within: str = "10m") -> bool:
        """Let the cluster run until `sentence` holds (see docs/scenarios.md); False where it does not in time.

        Raises ValueError where the sentence or the duration `within` is wrong.
        """
        test, engine = read_expectation(sentence, self.namespace), self.engine
        if not test(engine.store, engine.now).holds:
            deadline = engine.now + parse_duration(within)
            engine.run(until=deadline, stop=lambda each: test(each.store, each.now).holds)
        return test(engine.store, engine.now).holds

    # -- manifests ----------------------------------------------------------------------------------------------------

    def apply(self, manifest: Any, server_side: bool = False, manager: str = "kubectl", force: bool = False) -> Reply:
        """`kubectl apply -f`: an object, or its JSON form.

        `server_side`: --server-side, with `manager` as --field-manager and `force` as --force-conflicts.
        """
        document = document_of(manifest)
        if server_side:
            return self.run(lambda store: verbs.server_side_apply(store, document, self.namespace, manager, force))
        return self.run(lambda store: verbs.apply(store, document, self.namespace))

    def create(self, manifest: Any) -> Reply:
        """`kubectl create -f`: an object, or its JSON form."""
        document = document_of(manifest)
        return self.run(lambda store: verbs.create(store, document, self.namespace))

    # -- objects ------------------------------------------------------------------------------------------------------

    def delete(
        self, target: str, propagation: Propagation = "Background", grace: int | None = None, force: bool = False
    ) -> Reply:
        """`kubectl delete`; `grace` in seconds."""
        return self.run(lambda store: verbs.delete(store, self._key(target), propagation, grace, force))

    def scale(self, target: str, replicas: int, current: int | None = None) -> Reply:
        """`kubectl scale --replicas`, with `current` as --current-replicas."""
        return self.run(lambda store: verbs.scale(store, self._key(target), replicas, current))

    def image(self, target: str, image: str, container: str = verbs.ALL) -> Reply:
        """`kubectl set image`; container "*": all of them."""
        return self.run(lambda store: verbs.image(store, self._key(target), container, image))

    def patch(self, target: str, body: Any, type: PatchType = "strategic", subresource: str = "") -> Reply:
        """`kubectl patch`."""
        return self.run(lambda store: verbs.patch(store, self._key(target), body, type, subresource))

    def debug(self, target: str, image: str, container: str = "debugger", sees: str = "") -> Reply:
        """`kubectl debug`: add an ephemeral container, which sees the processes of the container `sees`."""
        return self.run(lambda store: verbs.debug(store, self._key(target), image, container, sees))

    def label(self, target: str, marks: Mapping[str, str | None], overwrite: bool = False) -> Reply:
        """`kubectl label`; None takes a label away."""
        return self.run(lambda store: verbs.label(store, self._key(target), marks, overwrite))

    def annotate(self, target: str, marks: Mapping[str, str | None], overwrite: bool = False) -> Reply:
        """`kubectl annotate`; None takes an annotation away."""
        return self.run(lambda store: verbs.annotate(store, self._key(target), marks, overwrite))

    # -- rollouts -----------------------------------------------------------------------------------------------------

    def restart(self, target: str) -> Reply:
        """`kubectl rollout restart`."""
        return self.run(lambda store: rollouts.restart(store, self._key(target), self.engine.now))

    def pause(self, target: str) -> Reply:
        """`kubectl rollout pause`."""
        return self.run(lambda store: rollouts.pause(store, self._key(target)))

    def resume(self, target: str) -> Reply:
        """`kubectl rollout resume`."""
        return self.run(lambda store: rollouts.resume(store, self._key(target)))

    def undo(self, target: str, revision: int = 0) -> Reply:
        """`kubectl rollout undo`; revision 0: the one before the latest."""
        return self.run(lambda store: rollouts.undo(store, self._key(target), revision))

    def status(self, target: str, revision: int = 0) -> Reply:
        """`kubectl rollout status --watch=false`."""
        return self.run(lambda store: rollouts.status(store, self._key(target), revision))

    def history(self, target: str) -> Reply:
        """`kubectl rollout history`."""
        return self.run(lambda store: rollouts.history(store, self._key(target)))

    # -- nodes --------------------------------------------------------------------------------------------------------

    def cordon(self, node: str) -> Reply:
        """`kubectl cordon`."""
        return self.run(lambda store: nodes.cordon(store, node))

    def uncordon(self, node: str) -> Reply:
        """`kubectl uncordon`."""
        return self.run(lambda store: nodes.uncordon(store, node))

    def drain(
        self,
        node: str,
        force: bool = False,
        ignore_daemonsets: bool = False,
        delete_emptydir_data: bool = False,
        timeout: str = "0s",
    ) -> Reply:
        """`kubectl drain`: returns when the node's Pods are gone, or `timeout` has passed (0: an hour, at most)."""
        options = drain_options(force, ignore_daemonsets, delete_emptydir_data, timeout)
        drain, end = self.begin_drain(node, options), self.engine.now + DRAINS_AT_MOST
        while not drain.over and drain.due <= end:
            self.engine.run(until=max(drain.due, self.engine.now))
            drain.step()
        return Reply(drain.text, refused=not drain.over or drain.failed, outcomes=tuple(drain.outcomes))

    def begin_drain(self, node: str, options: DrainOptions) -> Drain:
        """A drain that has sent nothing yet; whoever moves the clock calls its `step` when it is due."""
        engine, name = self.engine, nodes.node_key(node)[2]
        return Drain(
            node=name,
            options=options,
            cordon=lambda store: nodes.cordon(store, name),
            read=lambda: engine.store,
            send=lambda write: engine.submit(write, account=self.account),
            now=lambda: engine.now,
            due=engine.now,
            latency=engine.latencies.request,
        )

    def taint(self, node: str, taints: Iterable[str], overwrite: bool = False) -> Reply:
        """`kubectl taint`: `key=value:Effect` adds, `key:Effect-` takes away."""
        wanted = tuple(taints)
        return self.run(lambda store: nodes.taint(store, node, wanted, overwrite))

    def _key(self, target: str) -> Any:
        return key_called(target, self.namespace)


def drain_options(force: bool, ignore_daemonsets: bool, delete_emptydir_data: bool, timeout: str) -> DrainOptions:
    """The options of `kubectl drain`. Raises ValueError where `timeout` is no duration."""
    return DrainOptions(
        force=force,
        ignore_daemonsets=ignore_daemonsets,
        delete_emptydir_data=delete_emptydir_data,
        timeout=parse_duration(timeout),
    )


def _generated(outcomes: Iterable[Outcome]) -> str:
    """What is to be said of an object whose name the server has made up."""
    first = next(iter(outcomes), None)
    if first is None or not isinstance(first.request, Create) or first.request.object.metadata.name:
        return ""
    return f"{called(key_of(first.object))} created"


def document_of(manifest: Any) -> Mapping[str, Any]:
    """The JSON form of a manifest: an object, or its JSON form already."""
    return manifest if isinstance(manifest, Mapping) else to_json(manifest)
