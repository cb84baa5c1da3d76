"""Changes of single places in spec files: what a switch of a scenario, or a mutant, does to the law.

An amendment names a file (relative to the spec directory), the place in its tree, and the value that stands there
instead. While `amended` lasts, the loader reads the files with the amendments in them; nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.spec.source import Located

Place: TypeAlias = tuple[str | int, ...]


class _Delete:
    """Stands for the removal of an entry."""

    def __repr__(self) -> str:
        return "DELETE"


DELETE: Final = _Delete()


@frozen
class Amendment:
    """`value` (a list as a tuple) stands at `place` of `file`, or `DELETE` takes out what does."""

    file: str
    place: Place
    value: Any


_ACTIVE: dict[str, tuple[Amendment, ...]] = {}


def change(tree: Any, place: Place, value: Any) -> None:
    """Change one place of a tree of mappings and lists. Raises LookupError where the tree has no such place."""
    *parents, last = place
    for key in parents:
        tree = tree[key]
    if value is DELETE:
        del tree[last]
        return
    if isinstance(tree, Located):
        tree.key_at.setdefault(str(last), tree.at)
        tree.value_at.setdefault(str(last), tree.at)
    tree[last] = list(value) if isinstance(value, tuple) else value


def active(path: Path, root: Path) -> tuple[Amendment, ...]:
    """The amendments of a file that hold now."""
    return _ACTIVE.get(path.relative_to(root).as_posix(), ()) if _ACTIVE else ()


@contextmanager
def in_force(amendments: Iterable[Amendment]) -> Iterator[None]:
    """Let amendments hold until the block ends, besides those that hold already. `k8sfsm.law.amended` is for users."""
    before = dict(_ACTIVE)
    for each in amendments:
        _ACTIVE[each.file] = (*_ACTIVE.get(each.file, ()), each)
    try:
        yield
    finally:
        _ACTIVE.clear()
        _ACTIVE.update(before)
