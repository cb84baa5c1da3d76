"""Judges a recorded history write by write: legal, explained by a rule, keeping every invariant."""
