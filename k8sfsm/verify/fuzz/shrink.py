"""Makes a failure small: fewer faults, commands, objects, replicas, nodes, and no more of the trace than is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from k8sfsm.engine.line import Line
from k8sfsm.objects import key_of
from k8sfsm.request import Key
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.model import Manifest, Story, Timed
from k8sfsm.verify.fuzz.run import Chance, Failure, run_once

MOST_RUNS: Final = 120
"""How many smaller runs are tried."""
SHORT: Final = 30
"""Steps of a short trace."""
_BACKGROUND: Final = ("Event", "Lease")
Attempt = tuple[Story, Chance]


def shrunk(failure: Failure, most_runs: int = MOST_RUNS) -> Failure:
    """The smallest run found that breaks the same, with its lines: cut to the last ones that are needed.

    Every attempt is a run of its own; it counts where it breaks the same invariant. A story that did not come as it
    expects is not changed: another story expects something else.
    """
    if failure.chance.plain:
        return cut(failure)
    best, runs = _again(failure, failure.story, failure.chance) or failure, 1
    progress = True
    while progress and runs < most_runs:
        progress = False
        for story, chance in _smaller(best):
            runs += 1
            found = _again(failure, story, chance)
            if found is not None and _size(found) < _size(best):
                best, progress = found, True
                break
            if runs >= most_runs:
                break
    return cut(best)


def _again(failure: Failure, story: Story, chance: Chance) -> Failure | None:
    """The failure of another run, where it is the same."""
    found = run_once(story, chance, traced=True).failure
    return found if found is not None and found.invariant == failure.invariant else None


def _size(failure: Failure) -> tuple[int, int, int, int]:
    story = failure.story
    inputs = len(failure.chance.faults or ()) + len(story.actions) + len(story.manifests)
    return len(told(failure.lines)), inputs, sum(map(_replicas, story.manifests)), failure.steps


def _smaller(failure: Failure) -> Iterator[Attempt]:
    """Smaller runs, those first that take most away."""
    story, chance = failure.story, failure.chance
    drawn = chance.faults or ()
    if drawn:
        yield story, evolve(chance, faults=())
    for number in range(len(drawn)):
        yield story, evolve(chance, faults=(*drawn[:number], *drawn[number + 1 :]))
    if not chance.calm:
        yield story, evolve(chance, calm=True)
    for number in reversed(range(len(story.actions))):
        yield evolve(story, actions=_without(story.actions, number)), chance
    for number in reversed(range(len(story.manifests))):
        if len(story.manifests) > 1:
            yield evolve(story, manifests=_without(story.manifests, number)), chance
    for count in (1, 2):
        if len(story.nodes) > count:
            yield evolve(story, nodes=story.nodes[:count]), chance
        yield from ((each, chance) for each in _with_replicas(story, count))


def _without(parts: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return (*parts[:number], *parts[number + 1 :])


def _replicas(manifest: Manifest) -> int:
    spec = manifest.document.get("spec")
    found = spec.get("replicas") if isinstance(spec, Mapping) else None
    return found if isinstance(found, int) else 0


def _with_replicas(story: Story, count: int) -> Iterator[Story]:
    """The story with so many replicas of everything that has more."""
    if any(_replicas(each) > count for each in _manifests(story)):
        actions = tuple(
            evolve(timed, manifests=tuple(_fewer(each, count) for each in timed.manifests)) for timed in story.actions
        )
        yield evolve(story, manifests=tuple(_fewer(each, count) for each in story.manifests), actions=actions)


def _manifests(story: Story) -> Iterator[Manifest]:
    yield from story.manifests
    timed: Timed
    for timed in story.actions:
        yield from timed.manifests


def _fewer(manifest: Manifest, count: int) -> Manifest:
    if _replicas(manifest) <= count:
        return manifest
    spec = {**manifest.document["spec"], "replicas": count}
    return evolve(manifest, document={**manifest.document, "spec": spec})


# -- the trace --------------------------------------------------------------------------------------------------------


def told(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines that are steps of a trace: changes, refusals and facts, without Events and heartbeats."""
    return tuple(line for line in lines if line.key[0] not in _BACKGROUND)


def cut(failure: Failure, most: int = SHORT) -> Failure:
    """The failure with the last `most` lines at the most; what they begin with is what was there then."""
    lines = told(failure.lines)
    if len(lines) <= most:
        return evolve(failure, lines=lines)
    first = len(lines) - most
    return evolve(failure, lines=lines[first:], initial=_after(failure.initial, failure.lines, lines[first]))


def _after(initial: Iterable[Any], lines: Iterable[Line], first: Line) -> tuple[Any, ...]:
    """The objects that were there before a line."""
    objects: dict[Key, Any] = {key_of(obj): obj for obj in initial}
    for line in lines:
        if line is first:
            break
        if line.change == "DELETED":
            objects.pop(line.key, None)
        elif line.change:
            objects[line.key] = line.after
    return tuple(obj for key, obj in objects.items() if key[0] not in _BACKGROUND)


def start_of(failure: Failure) -> int:
    """When the lines of a failure begin (ns since the epoch)."""
    whole = not failure.lines or failure.lines[0].number <= 1
    return START if whole else failure.lines[0].at
