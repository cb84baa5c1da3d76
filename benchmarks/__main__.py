"""`python -m benchmarks`: prints the figures that README quotes."""

from __future__ import annotations

from benchmarks import check_log, proxy_rules, rollout

if __name__ == "__main__":
    rollout.main()
    proxy_rules.main()
    check_log.main()
