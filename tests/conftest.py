"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("K8SFSM_FROZEN", "1")  # before any class of k8sfsm is made: see k8sfsm/value.py

settings.register_profile("k8sfsm", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("k8sfsm")


@pytest.fixture
def data() -> Path:
    """The folder of the tests' data."""
    return Path(__file__).parent / "data"
