"""Requests that are cast from an earlier line are those that the decoded line gives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from attrs import fields

from benchmarks.audit_log import audit_log
from k8sfsm.trace.audit_lines import read_requests
from k8sfsm.trace.portions import audit_portions
from k8sfsm.trace.reading import read_history
from k8sfsm.trace.renewal import Mould, RenewedWrite
from k8sfsm.trace.repeats import Moulds


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes and renewals, as a kubelet sends them: with the revision that it saw, and with managed fields; and some
    that were logged without objects.
    """
    path = tmp_path_factory.mktemp("log") / "audit.log"
    versions: dict[str, str] = {}
    lines = []
    for text in audit_log(1400, 0.2, 0.5):
        line = json.loads(text)
        if "/leases/node-" in line["requestURI"] and "responseObject" in line:
            name, at = line["objectRef"]["name"], line["stageTimestamp"]
            line["responseObject"]["metadata"]["managedFields"] = [{"manager": "kubelet", "time": at[:19] + "Z"}]
            if name in versions:
                line["requestObject"]["metadata"]["resourceVersion"] = versions[name]
                line["objectRef"]["resourceVersion"] = versions[name]
            versions[name] = line["responseObject"]["metadata"]["resourceVersion"]
        lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False))
    path.write_text("".join(line + "\n" for line in lines))
    return path


def count_casts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found = []
    plain = Mould.cast

    def noted(self: Mould, place: Any, raw: Any) -> Any:
        request = plain(self, place, raw)
        found.extend([request] if request is not None else [])
        return request

    monkeypatch.setattr(Mould, "cast", noted)
    return found


def without_likeness(values: Iterable[Any]) -> list[dict[str, Any]]:
    """All that there is to read of requests or writes, whatever their class."""
    return [
        {each.name: getattr(value, each.name) for each in fields(type(value)) if each.name != "like"}
        for value in values
    ]


def test_a_cast_request_is_the_one_that_is_read(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = count_casts(monkeypatch)
    quick = list(read_requests(log))
    assert sum(request.answer is not None for request in found) > 300
    assert sum(request.answer is None for request in found) > 40
    monkeypatch.setattr(Moulds, "cast", lambda self, place, raw: None)
    assert without_likeness(quick) == without_likeness(read_requests(log))


def test_what_follows_a_cast_request_is_what_is_derived(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = [write for part in audit_portions([log], size=64) for write in part.writes]
    assert sum(type(write) is RenewedWrite for write in quick) > 300
    monkeypatch.setattr(Moulds, "learn", lambda self, raw, line, request: request)
    plain = [write for part in audit_portions([log], size=64) for write in part.writes]
    assert without_likeness(quick) == without_likeness(plain)
    assert [write.uid for write in quick] == [write.uid for write in plain]
    leases = [(one.new, other.new) for one, other in zip(quick, plain, strict=True) if one.new and other.new]
    for cast, whole in leases:
        assert (cast.key, cast.uid, cast.revision, cast.json) == (whole.key, whole.uid, whole.revision, whole.json)
        assert cast.typed == whole.typed


def test_a_changed_copy_of_a_cast_write_is_that_of_the_plain_one(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbered = read_history(log).writes
    assert any(type(write) is RenewedWrite for write in numbered)
    monkeypatch.setattr(Moulds, "learn", lambda self, raw, line, request: request)
    assert without_likeness(numbered) == without_likeness(read_history(log).writes)


@pytest.mark.parametrize(
    ("known", "other"),
    [
        ('"leaseDurationSeconds":40', '"leaseDurationSeconds":41'),
        ('"holderIdentity":"', '"holderIdentity":"another-'),
        ('"code":200', '"code":409'),
        ('"renewTime":"', '"renewTime":"\\u0032'),
        ('"stageTimestamp":"', '"stageTimestamp":"never'),
        ('"verb":"update"', '"verb":"patch"'),
    ],
)
def test_a_line_that_differs_in_more_is_decoded(log: Path, known: str, other: str) -> None:
    lines = [line for line in log.read_bytes().splitlines(keepends=True) if b"/leases/node-7?" in line]
    moulds = Moulds()
    from k8sfsm.trace.errors import Line
    from k8sfsm.trace.requests import request_of

    place, second = Line("log", 2), lines[1]
    request = request_of(place, json.loads(second))
    assert request is not None
    assert moulds.learn(second, json.loads(second), request).like is not None
    assert moulds.cast(place, lines[2]) is not None
    assert moulds.cast(place, lines[2].replace(known.encode(), other.encode())) is None


def test_a_text_that_looks_like_a_moment_does_not_move(log: Path) -> None:
    from k8sfsm.trace.errors import Line
    from k8sfsm.trace.requests import request_of

    place = Line("log", 1)
    text = next(line for line in log.read_text().splitlines() if "/leases/node-7?" in line)
    forged = text.replace('"userAgent":"', '"userAgent":"\\"time\\":\\"2026\\" ')
    request = request_of(place, json.loads(forged))
    assert request is not None
    moulds = Moulds()
    moulds.learn(forged.encode(), json.loads(forged), request)
    again = moulds.cast(place, forged.encode())
    assert again is not None and again.user_agent == request.user_agent
    assert moulds.cast(place, forged.replace("2026\\", "2027\\").encode()) is None
