"""The views that a component can have had: each kind as of some moment within the lag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Final, TypeAlias

from k8sfsm.verify.check.past import Actor, Moment

_PAIRED: Final = 6
"""So many earlier states of two kinds at once are tried."""
Behind: TypeAlias = Mapping[str, Moment]
"""Kind -> the moment up to which it was seen."""


def views_of(moments: Sequence[Moment], actor: Actor) -> Iterator[tuple[Moment, Behind | None]]:
    """All kinds as of one moment; then one kind, and at last two, as of earlier moments than the others."""
    if not moments:
        return
    for moment in moments:
        yield moment, None
    newest = moments[0]
    older = {kind: _older(kind, moments) for kind in sorted(actor.watched)}
    for kind, earlier in older.items():
        for moment in earlier:
            yield newest, {kind: moment}
    for (kind, earlier), (other, others) in combinations(older.items(), 2):
        for moment, another in product(earlier[:_PAIRED], others[:_PAIRED]):
            yield newest, {kind: moment, other: another}


def _older(kind: str, moments: Sequence[Moment]) -> list[Moment]:
    """The earlier states of a kind, the latest first: each as of the moment after a change of it, or the oldest."""
    changed = [each for each in moments[1:-1] if each.change is not None and each.change.key[0] == kind]
    first = moments[0].change
    return [*(changed if first is not None and first.key[0] == kind else changed[1:]), *moments[1:][-1:]]
