"""The figures of docs/cpu.md are those of the specs, for the Pods of its scenario."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from k8sfsm.kinds.pod_cgroup import pod_cgroup
from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.objects import from_json

CHECKOUT = Path(__file__).resolve().parents[2]
PODS = {
    pod["metadata"]["name"]: from_json(pod)
    for pod in yaml.safe_load((CHECKOUT / "specs" / "scenarios" / "cpu-limit.yaml").read_text())["manifests"]
}
ROWS = re.findall(
    r"^\| (\S+) \| \S+ \| \S+ \| (\w+) \| (\d+) \| (\d+) \| (\S+)", (CHECKOUT / "docs" / "cpu.md").read_text(), re.M
)
SHARES = {name: int(shares) for name, _, shares, _, _ in ROWS}
LIMITS = {"guaranteed": 1.0, "burstable": 2.0, "best-effort": 2.0}
CPUS = 2


@pytest.mark.parametrize(("name", "qos", "shares", "weight", "quota"), ROWS)
def test_what_the_kernel_is_told(name: str, qos: str, shares: str, weight: str, quota: str) -> None:
    cgroup = pod_cgroup(PODS[name])
    assert (qos_class(PODS[name]), cgroup.cpu_shares) == (qos, int(shares))
    assert 1 + (cgroup.cpu_shares - 2) * 9999 // 262142 == int(weight)
    assert (cgroup.cpu_quota or 0) / 1000 == (0 if quota == "none" else int(quota))


def divided(busy: tuple[str, ...]) -> dict[str, float]:
    """CPUs for each busy Pod: by shares, what a quota leaves over once more among the others."""
    got: dict[str, float] = {}
    left, room = list(busy), float(CPUS)
    while left:
        whole = sum(SHARES[name] for name in left)
        full = [name for name in left if room * SHARES[name] / whole > LIMITS[name]]
        if not full:
            return got | {name: room * SHARES[name] / whole for name in left}
        for name in full:
            got[name], room = LIMITS[name], room - LIMITS[name]
            left.remove(name)
    return got


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        (("guaranteed", "burstable", "best-effort"), (1.0, 0.998, 0.002)),
        (("guaranteed", "best-effort"), (1.0, 0, 1.0)),
        (("burstable", "best-effort"), (0, 1.996, 0.004)),
    ],
)
def test_who_gets_how_much(busy: tuple[str, ...], expected: tuple[float, ...]) -> None:
    got = divided(busy)
    assert tuple(round(got.get(name, 0), 3) for name in SHARES) == expected
    assert len(ROWS) == len(PODS) == 3
