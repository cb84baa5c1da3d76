"""Replay of recordings: prediction from inputs, and comparison."""

from k8sfsm.verify.replay.replay import Verdict, replay

__all__ = ["Verdict", "replay"]
