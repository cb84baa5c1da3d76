"""Crash-loop back-off: when a container that has ended may be started again."""

from __future__ import annotations

from attrs import define, frozen

from k8sfsm.law import Law
from k8sfsm.objects.container import Container
from k8sfsm.objects.durations import SECOND

law = Law("kubelet")


@frozen
class Backoff:
    """How long (ns) a container must have been down before its next start, and when that was last settled."""

    delay: int
    since: int


@define
class BackoffCase:
    """A container that ended at `finished`, looked at at `now`; `expires_after`: a longer run is forgiven (ns)."""

    entry: Backoff | None
    finished: int
    now: int
    initial: int
    maximum: int
    expires_after: int


@law.fact
def backoff_known(case: BackoffCase) -> bool:
    """The container has been restarted before."""
    return case.entry is not None


@law.fact
def backoff_expired(case: BackoffCase) -> bool:
    """The container ran for so long since its last restart that its crashes are forgiven."""
    return case.entry is not None and case.finished - case.entry.since > case.expires_after


@law.fact
def down_long_enough(case: BackoffCase) -> bool:
    """The container has been down for the delay."""
    return case.entry is not None and case.now - case.finished >= case.entry.delay


@law.fact
def delay_at_maximum(case: BackoffCase) -> bool:
    """Twice the delay is more than the maximum."""
    return case.entry is not None and 2 * case.entry.delay > case.maximum


def next_backoff(case: BackoffCase) -> Backoff | None:
    """The entry after a restart at `now`; None: not yet. Source: kuberuntime_manager.go: doBackOff"""
    verdict = law.decide("crash_loop", case).outputs["delay"]
    if verdict == "refused":
        return None
    initial = min(case.initial, case.maximum)
    doubled = initial if case.entry is None else 2 * case.entry.delay
    return Backoff({"initial": initial, "doubled": doubled, "maximum": case.maximum}[verdict], case.now)


def start_now(entry: Backoff | None, finished: int, now: int, initial_s: int, maximum_s: int) -> Backoff | None:
    """As `next_backoff`, with limits in seconds and the expiry of a plain back-off: twice the maximum."""
    limit = maximum_s * SECOND
    return next_backoff(BackoffCase(entry, finished, now, initial_s * SECOND, limit, 2 * limit))


def kubelet_backoff(entry: Backoff | None, finished: int, now: int) -> Backoff | None:
    """As `next_backoff`, with the kubelet's limits."""
    return next_backoff(
        BackoffCase(
            entry,
            finished,
            now,
            law.constant("crash_loop_initial") * SECOND,
            law.constant("crash_loop_maximum") * SECOND,
            law.constant("crash_loop_forgiven_after") * SECOND,
        )
    )


def backoff_key(container: Container) -> tuple[str, str]:
    """What a back-off belongs to: with another image a container starts without one.

    Source: pkg/kubelet/kuberuntime/helpers.go: GetBackoffKey
    """
    return container.name, container.image


def backoff_text(delay: int) -> str:
    """A delay as messages show it: `10s`, `1m20s`."""
    minutes, seconds = divmod(delay // SECOND, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
