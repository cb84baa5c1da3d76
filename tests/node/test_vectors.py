"""Samples of the vectors of the real kubelet; the full sets are run by `k8sfsm vectors`."""

from __future__ import annotations

import pytest

from k8sfsm.verify.vectors import targets
from tests.node.recordings import lines


@pytest.mark.parametrize("name", ["pod_phase", "pod_conditions", "pod_api_status", "crashloop_backoff", "pod_actions"])
def test_sample(name):
    target = targets()[name]
    for number, vector in enumerate(lines(name), start=1):
        got = target.adapter(vector["in"])
        assert target.compare(vector["out"], got), f"{name} {number}: {got}"
