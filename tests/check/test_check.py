"""What check and explain answer, and what they never show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from k8sfsm.trace.reading import read_portions
from k8sfsm.verify.check.chain import Chains, mermaid
from k8sfsm.verify.check.check import check, check_portions
from k8sfsm.verify.check.report import KINDS, Report
from k8sfsm.verify.check.verdicts import apart
from k8sfsm_cli.app import main
from tests.check.forging import DATA, Json, forged, position, recording


def everything(report: Report) -> list[str]:
    """All findings."""
    return [str(each) for kind in KINDS for each in getattr(report, kind)]


def test_a_whole_audit_log_is_explained() -> None:
    report = check_portions(read_portions(DATA / "audit-10.jsonl.zst"))
    assert report.ok, everything(report)
    assert (report.counts["explained"], report.retried) == (156, 7)
    assert set(report.others) == {"node-ipam-controller", "ttl-controller"}


def test_from_a_request_to_a_running_container() -> None:
    history = recording("01-deploy-create")
    chains = Chains(check(history))
    pod = next(key for key in chains.objects() if key[0] == "Pod")
    status = [each for each in chains.writes_of(pod) if each.write.actor == "kubelet"][-1]
    hops = chains.back(status)
    assert [hop.what.partition(" ")[0] for hop in hops] == [
        "create", "create", "create", "bind", "sandbox-run", "pull-start", "pull-done", "container-start", "patch",
    ]  # fmt: skip
    assert (hops[0].actor, hops[2].rule) == ("user", "ReplicaSet/manage/create-missing")
    assert all(hop.after is not None and hop.after >= 0 for hop in hops[1:])
    assert "Note over kube_scheduler: Placement/outcome/placed" in mermaid(hops)


def test_how_a_dead_pod_was_noticed_and_replaced() -> None:
    chains = Chains(check(recording("11-node-failure")))
    replacement = [key for key in chains.objects() if key[0] == "Pod" and key[2].startswith("web")][-1]
    hops = chains.back(chains.writes_of(replacement)[-1])
    rules = [hop.rule for hop in hops]
    assert hops[0].what.startswith("kubelet-killed")
    for rule in ("NodeLifecycle/lost-node/lost", "TaintEviction/timer/due", "ReplicaSet/manage/create-missing"):
        assert rule in rules
    assert [each.at for each in hops] == sorted(each.at for each in hops)


def test_what_a_write_caused() -> None:
    result = CliRunner().invoke(main, ["explain", str(DATA / "01-deploy-create"), "Deployment/web", "-o", "json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert answer["because"][0]["actor"] == "user"


def test_an_unknown_object_is_bad_input() -> None:
    assert CliRunner().invoke(main, ["explain", str(DATA / "01-deploy-create"), "Pod/nobody"]).exit_code == 2


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", "spec.containers[0].env[0].value"),
        ("Pod", "spec.initContainers[2].env"),
        ("Secret", "data.key"),
        ("Secret", "metadata.annotations"),
        ("ServiceAccount", "secrets[0].token"),
        ("ConfigMap", "data.password"),
        ("Deployment", "spec.template.spec.containers"),
    ],
)
def test_values_that_may_be_secret_are_not_shown(kind: str, path: str) -> None:
    assert SECRET not in apart(kind, path, {"value": SECRET}, [{"name": "a", "env": [{"value": SECRET}]}])


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_in_any_output(tmp_path: Path, form: str) -> None:
    """A container's environment changes in what a controller writes: told, and its value not."""
    history = recording("02-scale")
    at = position(history, lambda w: w.key[0] == "ReplicaSet" and w.verb == "create")

    def leak(obj: Json) -> None:
        container = obj["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [{"name": "PASSWORD", "value": SECRET}]
        container["args"] = ["--token", SECRET]

    report = check(forged(history, at, leak))
    assert not report.ok
    assert SECRET not in json.dumps(everything(report))
    secret = {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "s", "namespace": "02-scale", "uid": "u-1", "resourceVersion": "7"},
        "data": {"password": SECRET},
    }
    other = {**secret, "metadata": {**secret["metadata"], "resourceVersion": "9"}, "data": {"password": "x" + SECRET}}  # type: ignore[dict-item]
    path = tmp_path / "watch.json"
    path.write_text("\n".join(json.dumps({"type": kind, "object": obj}) for kind, obj in
                              (("ADDED", secret), ("MODIFIED", other), ("MODIFIED", secret))))  # fmt: skip
    result = CliRunner().invoke(main, ["check", str(path), "-o", form])
    assert SECRET not in result.output


def test_a_finding_names_the_nearest_rule_and_its_facts() -> None:
    history = recording("02-scale")
    at = position(history, lambda w: w.key[0] == "ReplicaSet" and w.subresource == "status")
    report = check(forged(history, at, lambda obj: obj["status"].update(replicas=9)))
    finding = next(each for each in report.unexplained if each.line == str(history.writes[at].line))
    assert finding.nearest.startswith("ReplicaSet/status-write/")
    assert "status_changed" in finding.facts
    assert evolve(finding, line="").actor == "replicaset-controller"
