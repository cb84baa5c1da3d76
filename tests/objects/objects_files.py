"""The recorded objects and real cases that the tests of the objects read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parents[1] / "data" / "objects"


def json_lines(name: str) -> list[dict[str, Any]]:
    """The lines of tests/data/objects/`name`.jsonl.gz."""
    with gzip.open(_DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
