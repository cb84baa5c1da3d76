"""How many defects does a campaign find? Takes mutants of the specs, a few of each kind, and looks for each.

    python -m benchmarks.defects --each 2 --seed 1

Which mutants are taken depends on the seed alone. A defect is found where the campaign ends with a failure whose trace
has 30 steps at the most, within the time limit; not found where it ends without one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

from k8sfsm.spec.loader import ENVIRONMENT, load_specs, specs_dir
from k8sfsm.spec.mutate import Mutant, mutants, write_mutant

SHORT: Final = 30
KINDS: Final = (
    "Pod",
    "Container",
    "Sandbox",
    "ReplicaSet",
    "Deployment",
    "ReplicationController",
    "Service",
    "Endpoints",
    "EndpointSlice",
    "Node",
    "Placement",
    "kubelet",
    "NodeLifecycle",
    "TaintEviction",
    "GarbageCollector",
    "PodGC",
    "PodDisruptionBudget",
    "Namespace",
    "ServiceAccount",
    "expectations",
)
SCENARIOS: Final = (
    "everything",
    "rolling-update",
    "rollout-undo",
    "readiness-gap",
    "service-names",
    "pod-containers",
    "pod-life",
    "node-loss-light",
)
"""Where it is looked for them: small scenarios in which much happens."""


def chosen(each: int, seed: int, kinds: tuple[str, ...]) -> Iterator[Mutant]:
    """So many mutants of each kind, drawn by the seed: half of them lost rows."""
    found = [mutant for mutant in mutants(load_specs()) if mutant.operation != "change-constant"]
    for kind in kinds:
        own = [mutant for mutant in found if mutant.rule.partition("/")[0] == kind]
        draw = random.Random(f"{seed} {kind}")
        lost = [mutant for mutant in own if mutant.operation == "delete-row"]
        others = [mutant for mutant in own if mutant.operation != "delete-row"]
        half = (each + 1) // 2
        yield from draw.sample(lost, min(half, len(lost)))
        yield from draw.sample(others, min(each - half, len(others)))


def scenarios() -> list[str]:
    """Their files."""
    return [str(specs_dir() / "scenarios" / f"{name}.yaml") for name in SCENARIOS]


def looked_for(mutant: Mutant, options: list[str], limit: float) -> str:
    """What a campaign makes of a mutant: how it was found, or "missed"."""
    names = scenarios()
    with tempfile.TemporaryDirectory() as folder:
        write_mutant(mutant, specs_dir(), Path(folder) / "specs")
        command = [sys.executable, "-m", "k8sfsm_cli", "fuzz", *names, *options, "--shrink", "8", "-o", "json"]
        environment = {**os.environ, ENVIRONMENT: str(Path(folder) / "specs")}
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=limit
            )
        except subprocess.TimeoutExpired:
            return "missed (time)"
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        return f"not loaded: {done.stderr.strip().splitlines()[-1][:100] if done.stderr else ''}"
    failure = json.loads(done.stdout)["failure"]
    if failure is None:
        return "missed"
    broken = failure["broken"][0]
    short = "found" if failure["traceSteps"] <= SHORT else "long"
    return f"{short}: {broken['invariant']}: {broken['says'][:90]}"


def main() -> None:
    """Look for the mutants, and print what was found and how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=2, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS), help="parts of rule names before the first /")
    parser.add_argument("--runs", type=int, default=1, help="runs of each scenario with faults, after the one without")
    parser.add_argument("--limit", type=float, default=120, help="seconds for each")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many")
    given = parser.parse_args()
    counts: dict[str, int] = {}
    for mutant in list(chosen(given.each, given.seed, tuple(given.kinds.split(","))))[given.skip :]:
        began = perf_counter()
        verdict = looked_for(mutant, ["--runs", str(given.runs)], given.limit)
        word = verdict.partition(":")[0].partition(" ")[0]
        counts[word] = counts.get(word, 0) + 1
        print(f"{mutant.id}\t{perf_counter() - began:.0f}s\t{verdict}", flush=True)
    print(f"{counts.get('found', 0)} of {sum(counts.values())} found: {counts}")


if __name__ == "__main__":
    main()
