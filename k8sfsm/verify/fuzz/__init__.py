"""Random campaigns: stories with faults that chance adds, judged step by step, and failures made small."""

from k8sfsm.verify.fuzz.run import Broken, Chance, Drawn, Failure, Result, run_once
from k8sfsm.verify.fuzz.shrink import shrunk

__all__ = ["Broken", "Chance", "Drawn", "Failure", "Result", "run_once", "shrunk"]
