"""The rules that people write in CEL: of custom resources, of admission policies, of invariants."""

from k8sfsm.apiserver.cel.evaluate import CelError, compiled, evaluated, is_there

__all__ = ["CelError", "compiled", "evaluated", "is_there"]
