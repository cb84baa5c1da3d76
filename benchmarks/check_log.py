"""How fast a long audit log is judged, and in how much memory, beside the time that `jq` needs to read it.

Each measurement runs in a process of its own. The log is made by `benchmarks.audit_log`: real stories of a cluster,
again and again, without reads, and with as many as most clusters have.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.audit_log import audit_log

SIZES = ((4_000, 0.0), (16_000, 0.0), (40_000, 0.9))
"""(events, how many of them are reads and heartbeats)."""


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


def _jq(path: Path) -> str:
    if shutil.which("jq") is None:
        return "no jq"
    begun = time.perf_counter()
    subprocess.run(["jq", "-c", ".", str(path)], check=True, stdout=subprocess.DEVNULL)
    return f"{time.perf_counter() - begun:.1f} s"


def main() -> None:
    """Print the figures."""
    table = Table("audit events", "reads", "explained", "findings", "seconds", "events/s", "MB", "jq -c .")
    with TemporaryDirectory() as folder:
        for events, reads in SIZES:
            path = Path(folder) / "audit.log"
            with path.open("w", encoding="utf-8") as file:
                count = sum(1 for line in audit_log(events, reads) if file.write(line + "\n"))
            command = [sys.executable, "-m", "benchmarks.check_log", str(path)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            table.add_row(
                str(count), f"{reads:.0%}", str(told["explained"]), str(told["findings"]), f"{told['seconds']:.1f}",
                f"{count / told['seconds']:.0f}", f"{told['megabytes']:.0f}", _jq(path),
            )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
