"""What a change can have broken: a view of the objects around it, so that invariants need not look at all there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import field

from k8sfsm.objects import controller_of, key_of
from k8sfsm.request import Key
from k8sfsm.value import value
from k8sfsm.view import View

_PODS: Final = "Pod"
_LONG: Final = 500
"""Lists that are not longer than this are given whole."""


@value
class Near(View):
    """A view whose lists of all objects hold those around some: themselves, their owners, their node, and its pods."""

    around: tuple[Any, ...] = field(factory=tuple)

    def list(self, kind: str, namespace: str = "") -> tuple[Any, ...]:
        """As `View.list`, of what is near."""
        found = View.list(self, kind, namespace) if kind != _PODS else ()
        if found and len(found) <= _LONG:
            return found
        near: dict[Key, Any] = {key_of(obj): obj for obj in self._near(kind)}
        return tuple(obj for obj in near.values() if not namespace or obj.metadata.namespace == namespace)

    def _near(self, kind: str) -> Iterator[Any]:
        for obj in self.around:
            if obj.kind == kind and self.get(*key_of(obj)) is not None:
                yield obj
            owner = controller_of(obj)
            if owner is not None and owner.kind == kind:
                yield from self._there(kind, obj.metadata.namespace, owner.name)
            if obj.kind == _PODS and obj.spec.node_name:
                if kind == _PODS:
                    yield from self.on_node(obj.spec.node_name)
                elif kind == "Node":
                    yield from self._there(kind, "", obj.spec.node_name)
            elif obj.kind == "Node" and kind == _PODS:
                yield from self.on_node(obj.metadata.name)

    def _there(self, *key: str) -> Iterator[Any]:
        found = self.get(*key)
        if found is not None:
            yield found
