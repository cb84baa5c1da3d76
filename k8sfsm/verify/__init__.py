"""Judging: vectors, conformance of replays, invariants."""
