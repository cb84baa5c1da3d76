"""Which nodes have which images, as arrays over nodes that follow what nodes report.

Source: pkg/scheduler/backend/cache/cache.go: addNodeImageStates, removeNodeImageStates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from k8sfsm.objects import Node
from k8sfsm.scheduler.cluster import image_sizes
from k8sfsm.scheduler.placed import IntArray, Ints


class ImageState:
    """One image: on which nodes it is (`here`), and as how large the oldest of them reports it."""

    def __init__(self, nodes: Sequence[Node], ages: Mapping[str, int], name: str) -> None:
        self.here = np.zeros(len(nodes), bool)
        self._ages = ages
        self._sizes: dict[int, tuple[int, int]] = {}
        self._oldest: tuple[int, int] | None = None
        for index, node in enumerate(nodes):
            self.report(index, node, image_sizes(node).get(name))

    def report(self, index: int, node: Node, size: int | None) -> None:
        """What a node says now; None: it has no such image."""
        before = self._sizes.pop(index, None)
        self.here[index] = size is not None
        if size is not None:
            entry = self._sizes[index] = (self._ages[node.metadata.name], size)
            if self._oldest is None or entry[0] <= self._oldest[0]:
                self._oldest = entry
                return
        if before is not None and before == self._oldest:
            self._oldest = min(self._sizes.values(), default=None)

    @property
    def share(self) -> int:
        """Bytes that a node with the image is credited with: fewer, the fewer others have it too.

        Source: plugins/imagelocality/image_locality.go: scaledImageScore.
        """
        return 0 if self._oldest is None else int(self._oldest[1] * (len(self._sizes) / len(self.here)))


class ImageStates:
    """The images that somebody has asked about. `version` grows when what nodes say of one of them has changed."""

    def __init__(self, nodes: Sequence[Node], by_age: Iterable[Node]) -> None:
        self.version = 0
        self._nodes = nodes
        self._ages = {node.metadata.name: age for age, node in enumerate(by_age)}
        self._states: dict[str, ImageState] = {}

    def change(self, index: int, old: Node, new: Node) -> None:
        """The node at `index` has changed."""
        if old.status.images == new.status.images:
            return
        before, after = image_sizes(old), image_sizes(new)
        for name, state in self._states.items():
            if before.get(name) != after.get(name):
                state.report(index, new, after.get(name))
                self.version += 1

    def bytes_of(self, names: Sequence[str]) -> IntArray:
        """What each node is credited with for these images."""
        total = np.zeros(len(self._nodes), Ints)
        for name in names:
            state = self._states.get(name)
            if state is None:
                state = self._states[name] = ImageState(self._nodes, self._ages, name)
            total += state.here * state.share
        return total
