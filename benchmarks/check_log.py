"""How fast a long audit log is judged, and in how much memory, beside the time that `jq` needs to read it.

Each measurement runs in a process of its own, and counts the processor's time. The log is made by
`benchmarks.audit_log`: real stories of a cluster, again and again: alone, with renewals of leases as our audit policy
logs them, and with reads. `python -m benchmarks --large` adds 200,000 writes, and a million events.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.audit_log import audit_log

SIZES = (
    (10_000, 0.0, 0.0),
    (20_000, 0.0, 0.0),
    (60_000, 0.0, 0.9),
    (100_000, 0.9, 0.0),
)
"""(events, how many of them are reads and bare heartbeats, how many renewals of leases with their objects)."""
LARGE = ((200_000, 0.0, 0.0), (1_000_000, 0.6, 0.3))


def measure(path: str) -> None:
    """Judge a log and print what it took as JSON: requests, findings, seconds, MB."""
    from k8sfsm.trace.reading import read_portions
    from k8sfsm.verify.check.check import check_portions

    begun = time.process_time()
    report = check_portions(read_portions(path))
    spent = time.process_time() - begun
    memory = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    counts = {"explained": report.counts["explained"], "findings": sum(report.totals.values())}
    print(json.dumps({**counts, "seconds": spent, "megabytes": memory}))


def _reader() -> tuple[str, list[str]]:
    """What the log is read with for comparison: its name and command."""
    if shutil.which("jq") is not None:
        return "jq -c .", ["jq", "-c", "."]
    code = "import json, sys\nfor line in open(sys.argv[1]): print(json.dumps(json.loads(line)))"
    return "Python's json (no jq here)", [sys.executable, "-c", code]


def _read(command: list[str], path: Path) -> str:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([*command, str(path)], check=True, stdout=subprocess.DEVNULL)
    after = getrusage(RUSAGE_CHILDREN)
    return f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f}"


def main(large: bool = False) -> None:
    """Print the figures; `large`: also of a log of a million events."""
    name, reader = _reader()
    table = Table(
        "audit events",
        "reads",
        "renewals",
        "explained",
        "findings",
        "seconds",
        "events/s",
        "peak MiB",
        f"{name}: seconds",
    )
    with TemporaryDirectory() as folder:
        for events, reads, heartbeats in (*SIZES, *(LARGE if large else ())):
            path = Path(folder) / "audit.log"
            with path.open("w", encoding="utf-8") as file:
                count = sum(1 for line in audit_log(events, reads, heartbeats) if file.write(line + "\n"))
            command = [sys.executable, "-m", "benchmarks.check_log", str(path)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            table.add_row(
                str(count), f"{reads:.0%}", f"{heartbeats:.0%}", str(told["explained"]), str(told["findings"]),
                f"{told['seconds']:.1f}",
                f"{count / told['seconds']:.0f}", f"{told['megabytes']:.0f}", _read(reader, path),
            )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
