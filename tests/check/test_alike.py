"""What a kubelet writes about pods that are alike is judged once, and as if each were judged by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audit_log import audit_log
from k8sfsm.trace import asking, integrity
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.trace.integrity import Integrity
from k8sfsm.trace.likeness import Likeness, Likenesses
from k8sfsm.trace.reading import read_portions
from k8sfsm.verify.check import check as checking
from k8sfsm.verify.check import kubelets
from k8sfsm.verify.check.kubelets import Kubelets
from k8sfsm.verify.check.report import Report

EVENTS = 1100
"""So many that the story is told six times."""
Json = dict[str, Any]


def is_status(line: Json) -> bool:
    """Whether a line tells of a kubelet's status of a pod that has begun to run."""
    reference = line["objectRef"]
    wanted = (reference["resource"], reference.get("subresource"), line["verb"]) == ("pods", "status", "patch")
    return wanted and all(each.get("phase") == "Running" and "containerStatuses" in each for each in statuses(line))


def statuses(line: Json) -> Iterator[Json]:
    """The status as it was sent, and as it is stored."""
    yield line["requestObject"]["status"]
    yield line["responseObject"]["status"]


def stored_otherwise(line: Json) -> None:
    """The address that is stored is not the one that was sent."""
    line["responseObject"]["status"]["podIP"] = "10.9.9.9"


def wrong_phase(line: Json) -> None:
    """A pod that runs is called over."""
    for status in statuses(line):
        status["phase"] = "Succeeded"


def wrong_class(line: Json) -> None:
    """The pod's class is not that of its containers."""
    for status in statuses(line):
        status["qosClass"] = "Guaranteed"


def wrong_pod(line: Json) -> None:
    """The patch is of another uid."""
    line["requestObject"]["metadata"] = {"uid": "00000000-0000-4000-8000-000000000000"}


def wrong_reference(line: Json) -> None:
    """The request names another uid than the object has."""
    line["objectRef"]["uid"] = "00000000-0000-4000-8000-000000000000"


def long_past(line: Json) -> None:
    """A condition changed before the pod was made."""
    for status in statuses(line):
        for condition in status["conditions"]:
            if condition["type"] == "Ready":
                condition["lastTransitionTime"] = "2020-01-01T00:00:00Z"


def still_to_come(line: Json) -> None:
    """A container was started in the future."""
    for status in statuses(line):
        for each in status["containerStatuses"]:
            each["state"] = {"running": {"startedAt": "2036-01-01T00:00:00Z"}}


def more_than_the_status(line: Json) -> None:
    """The write of the status changes a label."""
    line["responseObject"]["metadata"]["labels"]["forged"] = "yes"


def observed_ahead(line: Json) -> None:
    """The status has observed a generation that is yet to come."""
    for status in statuses(line):
        status["observedGeneration"] = 77


def another_kubelet(line: Json) -> None:
    """The kubelet of another node wrote it."""
    line["user"]["username"] = "system:node:stranger"


FORGERIES: tuple[Callable[[Json], None], ...] = (
    stored_otherwise, wrong_phase, wrong_class, wrong_pod, wrong_reference, long_past, still_to_come,
    more_than_the_status, observed_ahead, another_kubelet,
)  # fmt: skip


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """The story, again and again."""
    return list(audit_log(EVENTS, 0.0))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of the tests: casts are not compared with the plain way."""
    monkeypatch.setattr(integrity, "_CHECKED", False)
    monkeypatch.setattr(kubelets, "_CHECKED", False)


def written(lines: list[str], path: Path) -> Path:
    """A log of these lines."""
    path.write_text("".join(line + "\n" for line in lines))
    return path


def said(report: Report) -> str:
    """Everything that a report says."""
    kinds = ("unexplained", "illegal", "violated", "undone")
    found = [[f"{each}{each.facts}" for each in getattr(report, kind)] for kind in kinds]
    why = [(each.verdict, each.why and (each.why.rule, each.why.facts, each.why.cause)) for each in report.judged]
    return json.dumps([found, why, report.counts, report.unjudged, report.notes], default=str)


def judged(path: Path) -> Report:
    """The report on a log, with all that was judged."""
    return checking.check_portions(read_portions(path), keep=True)


def judged_plainly(path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The same, with every write judged by itself."""
    monkeypatch.setattr(Likenesses, "of", lambda *_: None)
    return judged(path)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda each: each.__name__)
def test_forged_statuses_are_found_among_those_that_are_alike(
    forge: Callable[[Json], None], lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = [at for at, line in enumerate(lines) if is_status(json.loads(line))]
    at = about[-3]
    line = json.loads(lines[at])
    forge(line)
    path = written([*lines[:at], json.dumps(line, separators=(",", ":")), *lines[at + 1 :]], tmp_path / "audit.log")
    found = said(judged(path))
    assert found != said(judged(written(lines, tmp_path / "audit.log")))
    written([*lines[:at], json.dumps(line, separators=(",", ":")), *lines[at + 1 :]], path)
    assert found == said(judged_plainly(path, monkeypatch))


@pytest.mark.usefixtures("quick")
def test_most_statuses_are_judged_as_one_that_is_alike(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, explained = [], []
    plain, of = Kubelets._asked, Likenesses.of

    def noted(self: Kubelets, *arguments: Any) -> Any:
        asked.append(arguments)
        return plain(self, *arguments)

    def liked(self: Likenesses, *arguments: Any) -> Likeness | None:
        found = of(self, *arguments)
        explained.append(found is not None and found.laws is not None)
        return found

    monkeypatch.setattr(Kubelets, "_asked", noted)
    monkeypatch.setattr(Likenesses, "of", liked)
    path = written(lines, tmp_path / "audit.log")
    found = judged(path)
    assert found.ok
    about = sum(each.write.key[0] == "Pod" and each.write.subresource == "status" for each in found.judged)
    assert about > 100 and sum(explained) > about / 2 > len(asked)
    monkeypatch.undo()
    assert said(found) == said(judged_plainly(path, monkeypatch))


def alike(first: RecordedWrite, second: RecordedWrite) -> bool:
    """Whether two writes are like each other, each of an object that was not seen before."""
    likenesses = Likenesses()
    found = [Likenesses.of(likenesses, write, write.old) for write in (first, second)]
    return found[0] is not None and found[0] is found[1]


def test_likeness_is_of_all_but_the_parts(lines: list[str], tmp_path: Path) -> None:
    """A status is like the same one of another story, as long as nothing but parts differs, and these stand alike."""
    one = [json.loads(line) for line in lines]
    at = next(place for place, line in enumerate(one) if is_status(line))
    uid = one[at]["responseObject"]["metadata"]["uid"]
    twins = (place for place, line in enumerate(one) if place > at and is_status(line))
    twin = next(each for each in twins if one[each]["responseObject"]["metadata"]["uid"][:-8] == uid[:-8])

    def changed(change: Callable[[Json], None]) -> tuple[RecordedWrite, RecordedWrite]:
        other = json.loads(lines[twin])
        change(other)
        more = [*lines[:twin], json.dumps(other), *lines[twin + 1 :]]
        writes = [each for part in read_portions(written(more, tmp_path / "log")) for each in part.writes]
        numbers = {each.line.number: each for each in writes if each.subresource == "status"}
        return numbers[at + 1], numbers[twin + 1]

    def renamed(line: Json) -> None:
        for status in statuses(line):
            status["containerStatuses"][0]["image"] = "other"

    def moved(line: Json) -> None:
        for status in statuses(line):
            status["podIP"] = status["hostIP"] = "10.0.0.1"

    def elsewhere(line: Json) -> None:
        line["responseObject"]["status"]["containerStatuses"][0]["containerID"] += "0"

    assert alike(*changed(lambda line: None))
    for change in (renamed, moved, elsewhere):
        assert not alike(*changed(change)), change.__name__


def test_a_state_is_known_by_the_way_to_it(lines: list[str], tmp_path: Path) -> None:
    """An object that is followed is like one that is met anew only where all of it is the same."""
    path = written(lines, tmp_path / "audit.log")
    about = [w for part in read_portions(path) for w in part.writes if w.key[0] == "Pod" and w.subresource == "status"]
    pods: dict[Any, list[RecordedWrite]] = {}
    for write in about:
        pods.setdefault(write.key, []).append(write)
    followed = Likenesses()
    for writes in pods.values():
        found = [followed.of(write, write.old) for write in writes]
        assert all(one is not other for one, other in pairwise(found))


@pytest.mark.parametrize("forge", [None, *FORGERIES], ids=lambda each: getattr(each, "__name__", "none"))
def test_laws_say_nothing_where_they_are_not_asked(
    forge: Callable[[Json], None] | None, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`verbs` and `changes` in specs/trace/invariants.yaml leave out nothing that a law would find."""
    story = lines[:300]
    for at, line in enumerate(story):
        if forge is not None and is_status(json.loads(line)):
            told = json.loads(line)
            forge(told)
            story[at] = json.dumps(told)
    path = written(story, tmp_path / "audit.log")

    def findings() -> list[str]:
        found: list[str] = []
        state: Integrity | None = None
        for part in read_portions(path):
            if state is None:
                state = Integrity.before(part)
            else:
                state.go_on(part)
            found += [str(each) for each in state.of_writes(part)]
        return found

    monkeypatch.setattr(Likenesses, "of", lambda *_: None)
    asked = findings()
    monkeypatch.setattr(asking, "can_break", lambda sort, row: not row.of or sort[0] in row.of)
    assert findings() == asked
    assert bool(asked) == (forge is not None)
