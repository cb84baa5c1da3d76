"""The kubelet against a real one: the same inputs must lead to the same statuses, one by one."""

from __future__ import annotations

import pytest

from tests.node.recordings import replayed

MERGED = {
    "02-scale": {"web-5b4ff4c894-rczdc"},
    "12-readiness-flip": {"web-5dc464c469-xj899", "web-5dc464c469-b67v5"},
}
"""Pods whose real kubelet was busy and merged patches, or looked for ended containers at another moment."""


@pytest.mark.parametrize("name", ["01-deploy-create", "02-scale", "03-rolling-default", "12-readiness-flip"])
def test_statuses_are_those_of_the_recorded_kubelet(name):
    seen = 0
    for pod, want, got, _ in replayed(name):
        seen += 1
        if pod in MERGED.get(name, ()):
            assert got[-1] == want[-1], pod
            assert sum(each in got for each in want) >= len(want) - 1, pod
        else:
            assert got == want, pod
    assert seen >= 3


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("13a-restart-policies", set()),
        ("14a-init", {"fail-always"}),
        ("14b-sidecar-multi", set()),
        ("20d-job", set()),
        ("21-termination", set()),
    ],
)
def test_ends_and_restarts_are_those_of_the_recorded_kubelet(name, differs):
    """`fail-always` differs at its end only: the recording stops during a back-off."""
    for pod, want, got, _ in replayed(name):
        if pod in differs:
            assert got[: len(want)] == want, pod
        else:
            assert got == want, pod


def test_events_are_those_of_the_recorded_kubelet():
    worlds = {pod: world for pod, _, _, world in replayed("13a-restart-policies")}
    events = [(record.reason, record.message) for record in worlds["always-1"].events]
    image = "sim/exit1-after-2s:1"
    assert events[:4] == [
        ("Pulling", f'Pulling image "{image}"'),
        events[1],
        ("Created", "Container created"),
        ("Started", "Container started"),
    ]
    assert events[4] == (
        "Pulled",
        f'Container image "{image}" already present on machine and can be accessed by the pod',
    )
    uid = worlds["always-1"].history[0].metadata.uid
    back_off = f"Back-off restarting failed container app in pod always-1_13a-restart-policies({uid})"
    assert ("BackOff", back_off) in events
