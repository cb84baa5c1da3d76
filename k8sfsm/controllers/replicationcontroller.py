"""The ReplicationController controller: the ReplicaSet controller's rules, for an older kind.

Source: pkg/controller/replication/replication_controller.go: NewReplicationManager
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from k8sfsm.controllers.pod_changes import asked_in_bulk
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.controllers.replicaset_events import notice, woken
from k8sfsm.controllers.replicaset_flavour import REPLICATION_CONTROLLERS
from k8sfsm.law import Law
from k8sfsm.request import Key
from k8sfsm.store import Change
from k8sfsm.view import View

law: Final = Law("replicationcontroller")


@law.key
@asked_in_bulk(partial(notice, REPLICATION_CONTROLLERS))
def pod_controllers(change: Change, view: View) -> Iterator[Key | tuple[Key, int]]:
    """ReplicationControllers that a change of a Pod concerns."""
    return woken(REPLICATION_CONTROLLERS, change, view)


class ReplicationController(ReplicaSetController):
    """Reconciles ReplicationControllers. `law` is its own room: queue and watches; the tables are the ReplicaSet's."""

    name = "replication-controller"
    law = law
    flavour = REPLICATION_CONTROLLERS
