"""Facts and guards of the ReplicationController machine: those of ReplicaSets, whose fields have the same names."""

from __future__ import annotations

from typing import Final

from k8sfsm.kinds import replicaset
from k8sfsm.law import Law

law: Final = Law("replicationcontroller")

for fact in (
    replicaset.replicas_wanted,
    replicaset.replicas_beyond,
    replicaset.generation_reported,
    replicaset.generations_behind,
    replicaset.being_deleted,
):
    law.fact(fact)
for guard in (
    replicaset.replicas_unchanged,
    replicaset.spec_changed,
    replicaset.status_unchanged,
    replicaset.nothing_reported,
    replicaset.no_finalizers,
):
    law.guard(guard)
