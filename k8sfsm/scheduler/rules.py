"""The scheduler's law: the tables of `specs/scheduler` bound to the facts of this package."""

from __future__ import annotations

from typing import Final

from k8sfsm.law import Law

law: Final = Law("scheduler")
NAME: Final = "kube-scheduler"
PROFILE: Final = "default-scheduler"
"""The `schedulerName` of the one profile that is scheduled here."""
