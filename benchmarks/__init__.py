"""Measurements: speed and memory of whole runs, and mutation scores of the specs."""
