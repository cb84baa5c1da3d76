"""Where the specs of this checkout lie, and the type of the `write` fixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SPECS = CHECKOUT / "specs"

Write = Callable[[str, str], Path]
