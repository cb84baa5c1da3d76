"""Validation of objects: a table per type in `specs/apiserver/validation*.yaml`, read here.

`judge` walks an object along the tables; `constraints` and the modules beside it hold what rows name.
"""

from __future__ import annotations

from k8sfsm.apiserver.valid import (  # noqa: F401
    containers,
    metadata,
    pods,
    resources,
    roles,
    services,
    statuses,
    updates,
    warnings,
    workloads,
)
from k8sfsm.apiserver.valid.faults import Fault, message
from k8sfsm.apiserver.valid.judge import CONSTRAINTS, judged

__all__ = ["CONSTRAINTS", "Fault", "judged", "message"]
