"""kube-scheduler: filters, scores, the choice of a node, and the queue of pods that wait."""

from k8sfsm.scheduler.plain import Placement
from k8sfsm.scheduler.scheduler import Choose, Scheduler, first_found

__all__ = ["Choose", "Placement", "Scheduler", "first_found"]
