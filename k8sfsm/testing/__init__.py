"""Tests on a cluster in virtual time: a pytest fixture, hypothesis strategies, and a place for your own controller.

`docs/testing.md` shows how they are used. `k8sfsm.testing.strategies` needs hypothesis, the plugin needs pytest.
"""

from k8sfsm.testing.cluster import BrokenInvariants, Cluster
from k8sfsm.testing.controller import ControllerUnderTest, owner_keys, self_keys

__all__ = ["BrokenInvariants", "Cluster", "ControllerUnderTest", "owner_keys", "self_keys"]
