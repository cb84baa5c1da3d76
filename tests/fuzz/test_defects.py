"""Seeded defects: a row is gone from the specs, and a campaign says so, with a short trace.

All of them: `pytest -m campaign tests/fuzz/test_defects.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from defects import CHECKOUT, with_defect

SHORT = 30
LIMIT = 120
"""Seconds that finding a defect may take."""
DEFECTS = {
    "everything": (
        "Pod/readiness/turn-unready",
        "Container/run/back-off",
        "Container/run/start",
        "Sandbox/life/stop",
        "ReplicaSet/availability/create-empty",
        "flip-boolean:ReplicaSet/manage/steady:tables/manage/rules/steady/claim_failed",
        "Deployment/availability/become-unavailable",
        "ReplicationController/deletion/remove",
        "ReplicationController/scale/empty",
        "Service/second-family/single",
        "flip-boolean:Endpoints/sync/gone:tables/sync/rules/gone/service_exists",
        "GarbageCollector/item/orphan-dependents",
        "NodeLifecycle/lost-node/lost",
        "ServiceAccount/ensure/create",
        "kubelet/pod_sync/sync",
        "kubelet/pod_sync/hand-back",
    ),
    "rolling-update": (
        "ReplicaSet/manage/delete-surplus",
        "ReplicaSet/status-write/changed",
        "ReplicaSet/pod-role/terminating",
        "Deployment/new-rs/create",
        "Deployment/path/rollout",
        "Deployment/rollout/rolling",
        "Deployment/created/created",
        "Deployment/save/write",
        "Pod/lifecycle/bind",
        "Pod/lifecycle/take-up",
        "Pod/readiness/turn-ready",
        "Pod/deletion/delete",
        "Placement/outcome/placed",
    ),
    "service-names": (
        "Endpoints/write/create",
        "Endpoints/readiness/ready",
        "Endpoints/sync/selected",
        "EndpointSlice/sync/selected",
        "EndpointSlice/conditions/ready",
        "EndpointSlice/family/supported",
    ),
}
USUAL = ("Deployment/new-rs/create", "Endpoints/write/create")
"""Those that are looked for in every run of the tests."""


def found(rule: str, scenario: str, folder: Path) -> Any:
    """What a campaign over the scenario finds where the row of a rule is gone; None: nothing."""
    specs = with_defect(rule, folder)
    command = [sys.executable, "-m", "k8sfsm_cli", "fuzz", str(CHECKOUT / "specs" / "scenarios" / f"{scenario}.yaml")]
    command += ["--runs", "4", "--shrink", "8", "-o", "json"]
    environment = {**os.environ, "K8SFSM_SPECS": str(specs)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["failure"]


def pairs(*, usual: bool) -> list[tuple[str, str]]:
    """Rules and the scenarios in which their loss shows."""
    return [(rule, name) for name, rules in DEFECTS.items() for rule in rules if (rule in USUAL) is usual]


@pytest.mark.parametrize(("rule", "scenario"), pairs(usual=True))
def test_a_lost_row_is_found(rule: str, scenario: str, tmp_path: Path) -> None:
    failure = found(rule, scenario, tmp_path)
    assert failure is not None and 0 < failure["traceSteps"] <= SHORT


@pytest.mark.campaign
@pytest.mark.parametrize(("rule", "scenario"), pairs(usual=False))
def test_lost_rows_are_found(rule: str, scenario: str, tmp_path: Path) -> None:
    failure = found(rule, scenario, tmp_path)
    assert failure is not None and 0 < failure["traceSteps"] <= SHORT
