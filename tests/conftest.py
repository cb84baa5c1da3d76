"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("k8sfsm", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("k8sfsm")


@pytest.fixture
def data() -> Path:
    """The folder of the tests' data."""
    return Path(__file__).parent / "data"
