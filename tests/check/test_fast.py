"""The quick ways of a check come to what the plain ways come to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audit_log import audit_log
from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.apiserver.patch import patched, strategic_merge
from k8sfsm.engine.choices import Seeded
from k8sfsm.machine import Machines
from k8sfsm.objects import changed_from_json, from_json, to_json
from k8sfsm.request import Create
from k8sfsm.store import Store
from k8sfsm.trace import audit, portions
from k8sfsm.trace.history import Document
from k8sfsm.trace.lines import json_lines
from k8sfsm.trace.reading import read_history, read_portions
from k8sfsm.trace.repeats import Moulds
from k8sfsm.trace.sharing import sharing
from k8sfsm.verify.check import check as checking
from k8sfsm.verify.check.matching import Granting
from k8sfsm.verify.check.renewals import Renewals
from k8sfsm.verify.check.report import Report

LOG = Path(__file__).parents[1] / "data/recordings/audit-10.jsonl.zst"


def said(report: Report) -> str:
    """Everything that a report says."""
    kinds = ("unexplained", "illegal", "violated", "undone")
    found = [[str(each) for each in getattr(report, kind)] for kind in kinds]
    parts = [report.counts, report.unjudged, report.others, report.refusals, report.notes, report.retried]
    return json.dumps([found, parts], default=dict)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story with renewals of leases, two of them forged, and some that were logged without objects."""
    path = tmp_path_factory.mktemp("log") / "audit.log"
    lines = list(audit_log(1100, 0.2, 0.5))
    renewals = [at for at, line in enumerate(lines) if "/leases/node-" in line and "responseObject" in line]
    early, late = renewals[-40], renewals[-20]
    lines[early] = lines[early].replace('"leaseDurationSeconds":40', '"leaseDurationSeconds":30')
    lines[late] = lines[late].replace('"renewTime":"2026', '"renewTime":"2036', 2)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_renewals_are_judged_as_all_writes_are(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = checking.check_portions(read_portions(log))
    monkeypatch.setattr(Renewals, "verdict", lambda self, write: "")
    assert said(quick) == said(checking.check_portions(read_portions(log)))
    assert quick.counts["given"] > 400


def test_most_renewals_are_judged_the_quick_way(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    plain = Renewals.verdict

    def noted(self: Renewals, write: Any) -> str:
        found.append(plain(self, write))
        return found[-1]

    monkeypatch.setattr(Renewals, "verdict", noted)
    checking.check_portions(read_portions(log))
    bare = sum('"resource":"leases"' in line and "responseObject" not in line for line in log.read_text().splitlines())
    assert bare > 30 and len(found) > 400
    assert found.count("") < 220 + 2 * bare  # the first two of each node, those without objects and what follows them


def _changed(line: str, **members: Any) -> list[str]:
    """A line with some of its members changed, named by their paths with two underscores for dots."""
    value = json.loads(line)
    for path, new in members.items():
        *way, last = path.split("__")
        within = value
        for name in way:
            within = within[name]
        within[last] = new
    return [json.dumps(value, separators=(",", ":"))]


UNUSUAL: dict[str, Callable[[str], list[str]]] = {
    "another holder": lambda line: [line.replace('"holderIdentity":"node-7"', '"holderIdentity":"node-8"')],
    "another duration": lambda line: [line.replace('"leaseDurationSeconds":40', '"leaseDurationSeconds":41')],
    "an answer of its own": lambda line: _changed(line, responseObject__spec__leaseDurationSeconds=41),
    "another member": lambda line: _changed(line, responseObject__spec__leaseTransitions=3),
    "a label": lambda line: _changed(line, responseObject__metadata__labels={"a": "b"}),
    "another uid": lambda line: _changed(line, responseObject__metadata__uid="0f2c8d3e-0000-4000-8000-000000000000"),
    "an old revision": lambda line: _changed(line, responseObject__metadata__resourceVersion="3"),
    "a demand that was not met": lambda line: _changed(line, requestObject__metadata__resourceVersion="3"),
    "a conflict": lambda line: _changed(
        line, responseStatus__code=409, responseStatus__reason="Conflict",
        responseObject={"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409},
    ),
    "another node": lambda line: _changed(line, user__username="system:node:node-9"),
    "another component": lambda line: _changed(line, user__username="system:kube-scheduler"),
    "told twice": lambda line: [line, line],
    "answered too late": lambda line: _changed(line, requestReceivedTimestamp="2026-11-23T05:00:00.000000Z"),
    "answered before it was asked": lambda line: _changed(line, requestReceivedTimestamp="2026-11-23T09:00:00.000000Z"),
    "no moment": lambda line: [line.replace('"renewTime":"2026', '"renewTime":"0000')],
    "its end": lambda line: _changed(line, responseObject__metadata__deletionTimestamp="2026-11-23T06:00:00Z"),
    "without objects": lambda line: _changed(line, requestObject=None, responseObject=None, level="Metadata"),
}  # fmt: skip


@pytest.fixture(scope="module")
def renewed() -> list[str]:
    """A short story, with many renewals of some leases."""
    return [line for line in audit_log(1, 0.0, 0.8) if not re.search(r"/leases/node-[0-9]+[1-689]\?", line)]


def judged(path: Path, lines: list[str]) -> str:
    path.write_text("".join(line + "\n" for line in lines))
    return said(checking.check_portions(read_portions(path))).replace(str(path), "")


LAWFUL = ("another holder", "another duration", "another member", "a label")
"""Nothing is wrong with these, but that has to be looked at."""


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_is_unusual_in_a_renewal_is_noticed(
    what: str, renewed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, quickly = checking._Check._renews, set[int]()

    def noted(self: Any, write: Any) -> bool:
        repeats = plain(self, write)
        quickly.update([write.line.number] if repeats else [])
        return repeats

    monkeypatch.setattr(checking._Check, "_renews", noted)
    at = [place for place, line in enumerate(renewed) if "/leases/node-7?" in line][-2]
    usual = judged(tmp_path / "audit.log", renewed)
    assert at + 1 in quickly
    quickly.clear()
    changed = UNUSUAL[what](renewed[at])
    lines = [*renewed[:at], *changed, *renewed[at + 1 :]]
    quick = judged(tmp_path / "audit.log", lines)
    assert at + len(changed) not in quickly and (quick != usual or what in LAWFUL)
    monkeypatch.setattr(Renewals, "verdict", lambda self, write: "")
    monkeypatch.setattr(Moulds, "learn", lambda self, raw, line, request: request)
    assert quick == judged(tmp_path / "audit.log", lines)


def test_what_is_derived_again_from_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [write for part in portions.audit_portions([LOG], size=64) for write in part.writes]
    monkeypatch.setattr(audit, "_APART", 1)
    assert [write for part in portions.audit_portions([LOG], size=64) for write in part.writes] == whole
    monkeypatch.setattr(audit, "_APART", 1 << 30)
    assert [write for part in portions.audit_portions([LOG], size=64) for write in part.writes] == whole


def test_states_that_share_parts_are_the_same_states() -> None:
    shared = 0
    for write in read_history(LOG).changes():
        if write.old is None or write.new is None:
            continue
        plain = json.loads(json.dumps(write.new.json))
        made = sharing(write.old.json, plain)
        assert made == plain and json.dumps(made) == json.dumps(plain)
        shared += made.get("spec") is write.old.json.get("spec") and "spec" in made
    assert shared > 100


def test_states_that_share_parts_are_typed_alike() -> None:
    quick = 0
    for write in read_history(LOG).changes():
        if write.old is None or write.new is None or write.key[0] == "Event":
            continue
        known = changed_from_json(from_json(write.old.json), write.old.json, write.new.json)
        quick += known is not None
        assert known is None or known == from_json(write.new.json)
        assert Document(write.new.json, before=write.old).typed == from_json(write.new.json)
    assert quick > 100


def test_what_a_patch_makes_is_typed_alike() -> None:
    made = 0
    for write in read_history(LOG).changes():
        if write.verb != "patch" or write.old is None or write.key[0] == "Event" or not isinstance(write.body, dict):
            continue
        plain = from_json(strategic_merge(to_json(write.old.typed), write.body))
        assert patched(write.old.typed, "strategic", write.body) == plain
        made += 1
    assert made > 20


def test_lines_are_decoded_as_python_decodes_them() -> None:
    import zstandard

    with LOG.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    assert [value for _, value in json_lines(LOG)] == [json.loads(line) for line in text.splitlines()]


def test_what_a_real_server_has_accepted_is_not_validated_again() -> None:
    named = Create(object=from_json({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "UPPER"}}))
    codes = [
        server(Machines.load()).handle(Store.starting_at(0), named, Sender("user"), 0, Seeded(1)).outcome.code
        for server in (ApiServer, Granting)
    ]
    assert codes == [422, 201]
