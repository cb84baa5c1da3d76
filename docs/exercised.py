"""Where each rule holds: in which vectors, recordings, stories and properties that come with k8sfsm.

`python docs/exercised.py` prints it as JSON: the path of a rule or state -> where, in words.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import click
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from benchmarks.mutation.coverage import Coverage, Seen  # noqa: E402
from k8sfsm.scenario.loading import load_story  # noqa: E402
from k8sfsm.scenario.play import play  # noqa: E402
from k8sfsm.trace.reading import read_history  # noqa: E402
from k8sfsm.verify.replay import replay  # noqa: E402
from k8sfsm.verify.vectors import targets  # noqa: E402
from k8sfsm.verify.vectors.runner import run_file, target_name  # noqa: E402

DATA = CHECKOUT / "tests" / "data"
NAMED = 3
"""Names that are told of each sort; the others are counted."""


def exercises() -> Iterator[tuple[str, str, Path]]:
    """What exercises rules: its sort, its name, its file."""
    known = targets()
    for file in sorted(DATA.glob("*/*.jsonl.*")):
        if target_name(file) in known:
            yield "vectors", target_name(file), file
    for folder in (CHECKOUT / "examples" / "recordings", DATA / "recordings"):
        yield from (("recordings", file.name.partition(".")[0], file) for file in sorted(folder.iterdir()))
    yield from (("stories", file.stem, file) for file in sorted((CHECKOUT / "specs" / "scenarios").glob("*.yaml")))


def exercise(sort: str, file: Path) -> None:
    """Play one of them."""
    if sort == "vectors":
        run_file(file)
    elif sort == "recordings":
        replay(read_history(file))
    else:
        play(load_story(file))


def exercised() -> dict[str, tuple[str, ...]]:
    """The path of every rule that held -> where: a line for vectors, recordings, stories and properties each."""
    coverage = Coverage()
    coverage.install()
    held: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    with click.progressbar(list(exercises()), label="rules that hold", file=sys.stderr) as waiting:
        for sort, name, file in waiting:
            coverage.now = Seen()
            exercise(sort, file)
            for rule in sorted(coverage.now.rules):
                held[rule][sort].append(name)
    for name, seen in _properties(coverage):
        for rule in sorted(seen.rules):
            held[rule]["properties"].append(name)
    return {rule: tuple(_told(sort, names) for sort, names in held[rule].items()) for rule in sorted(held)}


def _properties(coverage: Coverage) -> Iterator[tuple[str, Seen]]:
    """Every property that hypothesis tries, with what it asked."""
    print("properties (a minute)...", file=sys.stderr)
    with redirect_stdout(sys.stderr):
        pytest.main(
            ["-m", "hypothesis and not campaign", "-p", "no:cacheprovider", str(CHECKOUT / "tests")], [coverage]
        )
    for test, seen in sorted(coverage.tests.items()):
        yield test.rpartition("::")[2].partition("[")[0].removeprefix("test_").replace("_", " "), seen


def _told(sort: str, names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{sort}: {', '.join(names[:NAMED])}{more}"


if __name__ == "__main__":
    json.dump(exercised(), sys.stdout, indent=1)
