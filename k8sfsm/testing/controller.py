"""A controller written by somebody else, as a part of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from k8sfsm.objects import controller_of
from k8sfsm.objects.durations import MILLISECOND
from k8sfsm.request import Key, Plan, Write
from k8sfsm.spec.model import Controller, Queue, Watch
from k8sfsm.view import Change, View

Keys = Callable[[Change, View], Iterable[Any]]
Reconcile = Callable[[View, Key], "Plan | Iterable[Write]"]
_RETRY: Final = 5 * MILLISECOND
"""First delay (ns) before a key that failed is tried again: the default of controller-runtime."""


def self_keys(change: Change, view: View) -> tuple[Key, ...]:
    """The key of the changed object itself."""
    return (change.key,)


def owner_keys(kind: str) -> Keys:
    """The key of the object of `kind` that controls the changed one; what `Owns` is in controller-runtime."""

    def keys(change: Change, view: View) -> Iterable[Key]:
        states = [state for state in (change.old, change.new) if state is not None]
        owners = {owner.name for owner in map(controller_of, states) if owner is not None and owner.kind == kind}
        return tuple((kind, change.key[1], name) for name in sorted(owners))

    return keys


class ControllerUnderTest:
    """A controller: its queue, its watches, and the function that decides.

    `reconcile` gets what the controller's informers have seen (a `View`, maybe a stale one) and the key of an object;
    it returns the writes to be sent, one after the other, or a `Plan`. An exception, like a write that fails, puts the
    key back with a delay that doubles. `watches`: kind -> which keys a change of it leads to. To the API server it is a
    user named `system:serviceaccount:kube-system:NAME`.
    """

    acts_as: Final = "user"

    def __init__(self, name: str, reconcile: Reconcile, watches: Mapping[str, Keys], workers: int = 1) -> None:
        self.name = name
        self.law = _OwnLaw(name, watches, workers)
        self.errors: list[Exception] = []
        self._reconcile = reconcile

    def reconcile(self, view: View, key: Key) -> Plan:
        """What the function orders; an exception of it is kept in `errors`, and the key is tried again."""
        try:
            found = self._reconcile(view, key)
            return found if isinstance(found, Plan) else Plan(steps=tuple(found))
        except Exception as error:
            self.errors.append(error)
            return Plan(error=f"{type(error).__name__}: {error}")


class _OwnLaw:
    """What the engine asks of a controller's spec: its queue and watches."""

    def __init__(self, name: str, watches: Mapping[str, Keys], workers: int) -> None:
        self._keys = dict(watches)
        queue = Queue(workers=workers, base_delay_ms=_RETRY / MILLISECOND)
        self._spec = Controller(
            controller=name, queue=queue, watches=tuple(Watch(kind=kind, key=kind) for kind in watches)
        )

    def controller(self) -> Controller:
        """The queue and the watches."""
        return self._spec

    def function(self, role: str, name: str) -> Keys:
        """The function of a watch, which is called as its kind."""
        return self._keys[name]
