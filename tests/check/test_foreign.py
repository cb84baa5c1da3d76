"""Captures from other clusters: lines without objects, lost answers, other names, components without rules here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.trace.lines import json_lines
from k8sfsm.trace.reading import read_portions
from k8sfsm.verify.check.check import check_portions
from k8sfsm.verify.check.report import Report

LOG = Path(__file__).parents[1] / "data/recordings/audit-10.jsonl.zst"
Line = dict[str, Any]
_VERSION = re.compile(r'"resourceVersion": "(\d+)"')


def lines() -> Iterator[Line]:
    """The lines of a recorded log, with room for others between their revisions."""
    for _, value in json_lines(LOG):
        text = json.dumps(value)
        yield json.loads(_VERSION.sub(lambda found: f'"resourceVersion": "{int(found.group(1))}0"', text))


def checked(tmp_path: Path, found: Iterator[Line]) -> Report:
    """The report on a log with these lines."""
    path = tmp_path / "audit.log"
    path.write_text("".join(json.dumps(line) + "\n" for line in found))
    return check_portions(read_portions(path))


def whole() -> Report:
    """The report on the log as it was recorded."""
    return check_portions(read_portions(LOG))


def metadata_only(line: Line) -> Line:
    """As the level Metadata logs it."""
    return {name: value for name, value in line.items() if name not in ("requestObject", "responseObject")}


def unanswered(line: Line) -> Line:
    """As the level Request logs it."""
    return {name: value for name, value in line.items() if name != "responseObject"}


@pytest.mark.parametrize("shorten", [metadata_only, unanswered])
@pytest.mark.parametrize("every", [3, 10, 25])
def test_lines_without_objects_make_nothing_illegal(
    tmp_path: Path, shorten: Callable[[Line], Line], every: int
) -> None:
    report = checked(tmp_path, (shorten(line) if at % every == 0 else line for at, line in enumerate(lines())))
    assert (report.illegal, report.unexplained, report.undone) == ([], [], [])
    assert report.counts["unjudged"] > 0 and report.counts["explained"] > 20


@pytest.mark.parametrize("start", range(5))
def test_lost_lines_make_nothing_illegal_where_the_next_ones_show_it(tmp_path: Path, start: int) -> None:
    def lost(line: Line) -> bool:
        what = line.get("objectRef", {})
        return (
            line["verb"] == "update" and what.get("resource") == "replicasets" and what.get("subresource") == "status"
        )

    numbered = enumerate(lines())
    report = checked(tmp_path, (line for at, line in numbered if not (lost(line) and at % 5 == start)))
    assert report.illegal == []


def test_one_account_for_all_controllers(tmp_path: Path) -> None:
    def shared(line: Line) -> Line:
        name = line["user"]["username"]
        if not name.startswith("system:serviceaccount:kube-system:"):
            return line
        agent = f"k3s/v1.34.1+k3s1 (linux/amd64) kubernetes/abcdef/{name.rpartition(':')[2]}"
        return {**line, "user": {"username": "system:kube-controller-manager"}, "userAgent": agent}

    assert checked(tmp_path, map(shared, lines())).counts == whole().counts


def test_one_account_that_does_not_tell_the_controller(tmp_path: Path) -> None:
    def shared(line: Line) -> Line:
        if not line["user"]["username"].startswith("system:serviceaccount:kube-system:"):
            return line
        return {**line, "user": {"username": "system:kube-controller-manager"}, "userAgent": "hyperkube"}

    report = checked(tmp_path, map(shared, lines()))
    assert (report.illegal, report.unexplained) == ([], [])
    assert report.others["kube-controller-manager"] > 80


def test_a_scheduler_without_rules_here(tmp_path: Path) -> None:
    def other(line: Line) -> Line:
        ours = line["user"]["username"] == "system:kube-scheduler"
        return {**line, "user": {"username": "system:serviceaccount:volcano:scheduler"}} if ours else line

    report = checked(tmp_path, map(other, lines()))
    assert report.illegal == [] and report.others["volcano/scheduler"] > 5


def test_what_nobody_may_do_is_illegal_whoever_does_it(tmp_path: Path) -> None:
    def over() -> Line:
        for line in lines():
            answer = line.get("responseObject") or {}
            if answer.get("kind") == "Pod" and (answer.get("status") or {}).get("phase") == "Succeeded":
                return line
        raise AssertionError("no pod of the log has succeeded")

    def revived() -> Iterator[Line]:
        last = over()
        for line in lines():
            yield line
            if line == last:
                status = {**line["responseObject"]["status"], "phase": "Running"}
                again = {**line, "auditID": "again", "user": {"username": "system:serviceaccount:edge:agent"}}
                again |= {"responseObject": {**line["responseObject"], "status": status}, "requestObject": None}
                text = json.dumps(again)
                yield json.loads(_VERSION.sub(lambda found: f'"resourceVersion": "{int(found.group(1)) + 1}"', text))

    causes = {each.cause for each in checked(tmp_path, revived()).illegal}
    assert any(cause.startswith("Pod/lifecycle: Succeeded ->") for cause in causes)


def rollout(number: int, version: int, at: str) -> Line:
    """A controller of a kind of its own writes it."""
    meta = {"name": "r", "namespace": "argo", "uid": "u-r", "resourceVersion": str(version), "generation": 1}
    obj = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta, "spec": {"replicas": number}}
    return {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": f"r{number}",
        "stage": "ResponseComplete", "requestURI": "/apis/argoproj.io/v1alpha1/namespaces/argo/rollouts/r",
        "verb": "update" if number else "create", "user": {"username": "system:serviceaccount:argo:argo-rollouts"},
        "objectRef": {
            "resource": "rollouts", "namespace": "argo", "name": "r", "apiGroup": "argoproj.io",
            "apiVersion": "v1alpha1",
        },
        "responseStatus": {"metadata": {}, "code": 200 if number else 201}, "requestObject": obj, "responseObject": obj,
        "requestReceivedTimestamp": at, "stageTimestamp": at,
    }  # fmt: skip


def test_custom_kinds_stages_and_requests_without_objects(tmp_path: Path) -> None:
    def more() -> Iterator[Line]:
        version = 0
        for number, line in enumerate(lines()):
            yield {**metadata_only(line), "stage": "RequestReceived"}
            yield {**metadata_only(line), "stage": "ResponseStarted"}
            yield line
            version = max([version, *(int(found) for found in _VERSION.findall(json.dumps(line)))])
            at = line["stageTimestamp"]
            if number % 10 == 0:
                yield rollout(number, version + 1 + number // 10 % 9, at)
            if number % 20 == 0:
                yield {
                    **metadata_only(line),
                    "stage": "Panic",
                    "auditID": f"p{number}",
                    "responseStatus": {"code": 500},
                }
                yield {"verb": "get", "user": {"username": "x"}, "requestURI": "/healthz", "stageTimestamp": at}

    report = checked(tmp_path, more())
    assert report.ok and report.counts["explained"] == whole().counts["explained"]
    assert report.others["argo/argo-rollouts"] > 10
