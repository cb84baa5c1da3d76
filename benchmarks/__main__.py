"""`python -m benchmarks` prints figures of speed and memory; `--large` those that README quotes, too."""

from __future__ import annotations

from argparse import ArgumentParser

from benchmarks import check_log, proxy_rules, rollout

if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory.")
    parser.add_argument(
        "--large", action="store_true", help="add 150,000 pods on 5,000 nodes, and a log of a million events"
    )
    large = parser.parse_args().large
    rollout.main(large=large)
    proxy_rules.main()
    check_log.main(large=large)
