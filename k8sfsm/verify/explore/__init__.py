"""Looks at every order in which a small story may happen: a proof up to a bound, or the shortest way to harm."""

from k8sfsm.verify.explore.search import Bound, Explored, explore

__all__ = ["Bound", "Explored", "explore"]
