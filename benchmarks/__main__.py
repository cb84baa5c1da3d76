"""`python -m benchmarks`: prints the figures that README quotes."""

from __future__ import annotations

from benchmarks.rollout import main

if __name__ == "__main__":
    main()
