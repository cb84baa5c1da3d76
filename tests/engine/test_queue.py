"""Work queue, rate limits, agenda, choices."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.engine.action import Enqueue
from k8sfsm.engine.agenda import Agenda
from k8sfsm.engine.choices import ALPHABET, Seeded, mixed
from k8sfsm.engine.queue import QueueSettings, TokenBucket, WorkQueue
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Key

A, B = ("Pod", "a", "a"), ("Pod", "a", "b")


def test_a_key_is_queued_once_and_again_when_it_comes_while_worked_on() -> None:
    queue = WorkQueue(QueueSettings(workers=2))
    queue.add(A, cause=3)
    queue.add(A, cause=4)
    assert queue.get() == (A, 4)
    queue.add(A, cause=5)
    assert queue.get() is None
    queue.done(A)
    assert queue.get() == (A, 5)


def test_workers_bound_what_is_under_way_until_a_key_is_detached() -> None:
    queue = WorkQueue(QueueSettings(workers=1))
    queue.add(A)
    queue.add(B)
    assert queue.get() == (A, 0) and queue.get() is None
    queue.detach(A)
    queue.detach(A)
    assert queue.get() == (B, 0)
    queue.done(A)
    assert queue.get() is None and not queue.idle
    queue.done(B)
    assert queue.idle


def test_retries_back_off_exponentially_and_end_at_the_limit() -> None:
    queue = WorkQueue(QueueSettings(base_delay=5 * MILLISECOND, max_delay=15 * MILLISECOND, max_retries=3))
    delays = [5 * MILLISECOND, 10 * MILLISECOND, 15 * MILLISECOND]
    for delay in delays:
        assert queue.failed(A, 0) == delay and queue.retried(A, delay)
    assert queue.failed(A, 0) is None
    assert queue.failed(A, 0) == 5 * MILLISECOND and queue.retried(A, 5 * MILLISECOND)
    queue.succeeded(A)
    assert queue.failed(A, 0) == 5 * MILLISECOND


def test_a_key_waits_once_for_the_earliest_of_its_retries() -> None:
    """A ReplicaSet that a quota keeps from its pods fails at every event, too: that does not make it try more often."""
    queue = WorkQueue(QueueSettings())
    assert queue.failed(A, 0) == 5 * MILLISECOND
    assert queue.failed(A, 0) is None
    assert queue.failed(B, 0) == 5 * MILLISECOND
    assert queue.copy().retried(A, 5 * MILLISECOND)
    assert not queue.retried(A, 10 * MILLISECOND)
    assert queue.retried(A, 5 * MILLISECOND) and not queue.retried(A, 5 * MILLISECOND)
    assert queue.failed(A, 0) == 20 * MILLISECOND
    queue.succeeded(A)
    assert queue.failed(A, 0) == 5 * MILLISECOND
    assert not queue.retried(A, 20 * MILLISECOND)


def test_coming_back_without_a_failure_is_limited_for_all_keys_together() -> None:
    queue = WorkQueue(QueueSettings())
    assert [queue.reserve(0) for _ in range(102)] == [0] * 100 + [100 * MILLISECOND, 200 * MILLISECOND]


@given(st.lists(st.integers(0, 500), max_size=60))
def test_a_bucket_never_grants_more_than_burst_plus_rate(gaps: list[int]) -> None:
    bucket, now, granted = TokenBucket(20, 30), 0, []
    for gap in gaps:
        now += gap * MILLISECOND
        granted.append(bucket.reserve(now))
        assert granted[-1] >= now
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            span = granted[last] - granted[first]
            assert last - first + 1 <= 30 + span * 20 / SECOND + 1


def test_a_bucket_gives_its_burst_at_once_then_one_by_one() -> None:
    bucket = TokenBucket(10, 3)
    assert [bucket.reserve(0) for _ in range(5)] == [0, 0, 0, SECOND // 10, 2 * SECOND // 10]
    assert TokenBucket(0, 0).reserve(5) == 5


def test_copies_of_queues_and_buckets_are_independent() -> None:
    queue = WorkQueue(QueueSettings())
    queue.add(A)
    twin = queue.copy()
    twin.get()
    assert twin.get() is None and queue.get() is not None
    bucket = TokenBucket(10, 1)
    bucket.reserve(0)
    assert bucket.copy().reserve(0) == bucket.reserve(0)


@pytest.mark.parametrize("seed", range(20))
def test_a_key_that_a_free_worker_takes_up_at_once_might_as_well_be_added(seed: int) -> None:
    chance = random.Random(seed)
    settings = QueueSettings(workers=1 + seed % 3)
    plain, short = WorkQueue(settings), WorkQueue(settings)
    busy: list[Key] = []
    begun = 0
    for _ in range(200):
        key = ("Pod", "", f"p{chance.randrange(6)}")
        if busy and chance.random() < 0.5:
            done = busy.pop(chance.randrange(len(busy)))
            if chance.random() < 0.3:
                plain.detach(done)
                short.detach(done)
            assert plain.done(done) == short.done(done)
            new = []
        else:
            plain.add(key)
            new = [key] if short.begin(key) else []
            begun += len(new)
            if not new:
                short.add(key)
        taken = _all_of(plain)
        assert taken == [*new, *_all_of(short)]
        assert plain.contents() == short.contents() and plain.idle == short.idle
        busy += taken
    assert begun > 10


def _all_of(queue: WorkQueue) -> list[Key]:
    found = []
    while (each := queue.get()) is not None:
        found.append(each[0])
    return found


def test_agenda_is_first_in_first_out_at_one_instant() -> None:
    agenda = Agenda()
    for due, key in ((5, A), (3, A), (3, B)):
        agenda.add(due, Enqueue("x", key))
    assert agenda.due_first() == (Enqueue("x", A), Enqueue("x", B))
    assert agenda.take(Enqueue("x", B)) == 3
    assert [agenda.pop() for _ in range(2)] == [(3, Enqueue("x", A)), (5, Enqueue("x", A))]
    assert agenda.next_due() is None and agenda.due_first() == ()
    with pytest.raises(ValueError, match="is not pending"):
        agenda.take(Enqueue("x", A))


@pytest.mark.parametrize("seed", range(20))
def test_an_agenda_is_a_sorted_list(seed: int) -> None:
    chance = random.Random(seed)
    agenda, listed = Agenda(), []
    for number in range(120):
        match chance.randrange(9):
            case 0 if listed:
                assert agenda.pop() == listed.pop(0)
            case 5 if agenda.present:
                assert (agenda.at, agenda.present.popleft()) == listed.pop(0)
            case 1 if listed:
                alike = [entry for entry in listed if entry[0] == listed[0][0]]
                chosen = alike[number % len(alike)]
                assert agenda.draw(lambda count, number=number: number % count) == chosen
                listed.remove(chosen)
            case 2 if listed:
                chosen = chance.choice(listed)
                assert agenda.take(chosen[1]) == chosen[0]
                listed.remove(chosen)
            case 3:
                gone = {action for _, action in listed if chance.random() < 0.2}
                assert set(agenda.drop(gone.__contains__)) == gone
                listed = [entry for entry in listed if entry[1] not in gone]
            case 4:
                before = agenda.copy()
                agenda.add(0, Enqueue("gone", A))
                agenda = before
            case _:
                entry = (chance.randrange(6), Enqueue(f"x{number}", A))
                agenda.add(*entry)
                listed.append(entry)
                listed.sort(key=lambda pair: pair[0])
        assert agenda.pending() == tuple(listed) and len(agenda) == len(listed)
        assert agenda.due_first() == tuple(action for due, action in listed if due == listed[0][0])
        assert agenda.next_due() == (listed[0][0] if listed else None)


def test_seeded_choices_are_the_same_everywhere() -> None:
    one, two = Seeded(7), Seeded(7)
    drawn = [(c.suffix("Pod", "", ""), c.uid(A), c.node(("x", "y", "z"), A), c.index(9)) for c in (one, two)]
    assert drawn[0] == drawn[1]
    assert set(drawn[0][0]) <= set(ALPHABET)
    fork = one.fork()
    assert fork.uid(A) == one.uid(A)


@pytest.mark.parametrize("seed", [0, 1, 7, (1 << 64) - 1, 0x9E3779B97F4A7C15])
def test_numbers_drawn_ahead_are_those_drawn_one_by_one(seed: int) -> None:
    choices = Seeded(seed)
    state, expected = seed, []
    for _ in range(4000):
        state = (state + 0x9E3779B97F4A7C15) % (1 << 64)
        expected.append(mixed(state))
    drawn = []
    for number in range(4000):
        if number % 701 == 0:
            choices = choices.fork()
        drawn.append(choices.index(1 << 64))
    assert drawn == expected and all(type(each) is int for each in drawn)


def test_jitter_stays_in_its_bounds() -> None:
    choices = Seeded(1, jitter=1)
    drawn = [choices.delay(1000) for _ in range(200)]
    assert min(drawn) >= 500 and max(drawn) <= 3000 and len(set(drawn)) > 50
    assert Seeded(1).delay(1000) == 1000


def test_what_is_drawn_is_read_off_the_number() -> None:
    for seed in range(200):
        drawn, number, digits = Seeded(seed), Seeded(seed).index(1 << 64), ""
        for _ in range(5):
            number, rest = divmod(number, len(ALPHABET))
            digits += ALPHABET[rest]
        assert drawn.fork().suffix("Pod", "", "") == digits
        halves = drawn.fork()
        plain = UUID(int=halves.index(1 << 64) << 64 | halves.index(1 << 64), version=4)
        assert drawn.uid(A) == str(plain)
