"""What may not be in the repository."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LARGEST = 5 << 20
CHECKOUT_LARGEST = 60 << 20
REGISTRIES = re.compile(
    rb"\b(?:pypi\.(?:org|io)|files\.python" rb"hosted\.org|test\.pypi|registry\.npm" rb"js|proxy\.golang|crates\.io)",
    re.IGNORECASE,
)
PLACES = re.compile(rb"(?<![\w.$}:/-])/(?:work|home|root|Users)/[\w.-]+|/tmp/(?!\s)[a-z][\w-]+/")
LOCKS = ("Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock", "package-lock.json", "Cargo.lock", "go.sum")
COMPRESSED = (".gz", ".zst")


@cache
def tracked() -> tuple[Path, ...]:
    """The files that git keeps, or would keep."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git checkout")
    names = [name for name in done.stdout.decode().split("\0") if name]
    return tuple(file for name in names if (file := CHECKOUT / name).is_file())


def found(pattern: re.Pattern[bytes]) -> list[str]:
    """`file: text` of each match in a tracked text file."""
    return [
        f"{file.relative_to(CHECKOUT)}: {match[0].decode()}"
        for file in tracked()
        if file.suffix not in COMPRESSED and file != Path(__file__)
        for match in pattern.finditer(file.read_bytes())
    ]


def test_no_file_names_a_package_registry() -> None:
    assert found(REGISTRIES) == []


def test_no_file_names_a_place_on_some_machine() -> None:
    allowed = ("/tmp/pytest",)
    assert [each for each in found(PLACES) if not each.partition(": ")[2].startswith(allowed)] == []


def test_no_locks() -> None:
    assert [file.name for file in tracked() if file.name in LOCKS or file.suffix == ".lock"] == []


def test_sizes() -> None:
    sizes = {file.relative_to(CHECKOUT).as_posix(): file.stat().st_size for file in tracked()}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}
    assert sum(sizes.values()) < CHECKOUT_LARGEST


def test_nothing_that_is_made_is_kept() -> None:
    made = (".pyc", ".whl", ".egg", ".svg", ".orig", ".rej")
    assert [str(file) for file in tracked() if file.suffix in made or "site" in file.parts[:1]] == []
