"""Who holds which QPU and what it does next, without processes."""

import time
from concurrent.futures import Future
from typing import Any

import pytest

from conqure_parsl.leases import OPENING_TRIES, Call, Demand, Leases, Order, Worker
from qpu_executors import QPU, DeviceError, Entry, InvalidSite, Priority, UnknownDevice

ION0, ION1, BIG = QPU("ion0", "fake", 5), QPU("ion1", "fake", 5), QPU("big", "fake", 20, slots=2)


def a_worker(name: str = "w") -> Worker:
    return Worker(name, "block", 1, "here")


def an_entry(entry_id: int, device_id: str = "any", **fields: Any) -> Entry:
    return Entry(entry_id, device_id, item=Call(Future(), b""), **fields)


def opened(leases: Leases, n: int) -> list[Worker]:
    workers = [a_worker(str(i)) for i in range(n)]
    for worker in workers:
        leases.joined(worker)
        leases.opened(worker)
    return workers


def ids(orders: list[Order]) -> list[Any]:
    return [order.entry_id if isinstance(order, Entry) else order.device_id for _, order in orders]


def finish(leases: Leases, worker: Worker, after: float = 1.0) -> list[Order]:
    """The worker's task ends, ``after`` seconds after it began; what the worker gets then."""
    worker.since = time.monotonic() - after
    return leases.done(worker)[1]


def test_each_qpu_is_leased_as_often_as_it_has_slots_and_further_workers_are_spares() -> None:
    leases = Leases([ION0, BIG], 60)
    given = [ids(leases.joined(a_worker())) for _ in range(5)]
    assert sorted(given[0] + given[1] + given[2]) == ["big", "big", "ion0"]
    assert given[3:] == [[], []]


def test_a_spare_takes_over_from_a_worker_that_is_lost() -> None:
    leases = Leases([ION0], 60)
    first, spare = a_worker("first"), a_worker("spare")
    leases.joined(first)
    leases.opened(first)
    assert leases.joined(spare) == []
    assert leases.lost(first, "") == (None, [(spare, ION0)])


def test_the_task_of_a_lost_worker_comes_back_to_be_failed() -> None:
    leases = Leases([ION0], 60)
    (worker,) = opened(leases, 1)
    entry = an_entry(1)
    assert leases.submit(entry, 0.0) == [(worker, entry)]
    assert leases.lost(worker, "")[0] is entry


def test_a_worker_runs_one_task_at_a_time_and_then_the_most_urgent() -> None:
    leases = Leases([ION0], 60)
    (worker,) = opened(leases, 1)
    assert ids(leases.submit(an_entry(1), 0.0)) == [1]
    assert leases.submit(an_entry(2, priority=Priority.LOW), 1.0) == []
    assert leases.submit(an_entry(3, priority=Priority.HIGH), 2.0) == []
    assert ids(finish(leases, worker)) == [3]
    assert ids(finish(leases, worker)) == [2]
    assert finish(leases, worker) == []


def test_after_a_short_task_the_next_but_one_is_sent_ahead() -> None:
    leases = Leases([ION0], 60)
    (worker,) = opened(leases, 1)
    for n in range(4):
        leases.submit(an_entry(n), float(n))
    assert ids(finish(leases, worker, after=0.01)) == [1, 2]
    assert ids(finish(leases, worker, after=0.01)) == [3]
    assert finish(leases, worker, after=0.01) == []
    assert leases.done(worker)[0].entry_id == 3  # type: ignore[union-attr]


def test_a_task_that_was_sent_ahead_to_a_lost_worker_waits_again_in_its_place() -> None:
    leases = Leases([ION0], 60)
    worker, spare = opened(leases, 1)[0], a_worker("spare")
    leases.joined(spare)
    for n in range(4):
        leases.submit(an_entry(n), float(n))
    assert ids(finish(leases, worker, after=0.01)) == [1, 2]
    lost, orders = leases.lost(worker, "")
    assert lost is not None
    assert lost.entry_id == 1
    assert orders == [(spare, ION0)]
    assert ids(leases.opened(spare)) == [2]


def test_a_task_goes_to_the_worker_that_has_idled_longest() -> None:
    leases = Leases([ION0, ION1], 60)
    first, second = opened(leases, 2)
    first.since, second.since = 5.0, 3.0
    assert leases.submit(an_entry(1), 0.0)[0][0] is second


def test_a_task_that_was_cancelled_is_not_started() -> None:
    leases = Leases([ION0], 60)
    (worker,) = opened(leases, 1)
    leases.submit(an_entry(1), 0.0)
    cancelled = an_entry(2)
    leases.submit(cancelled, 1.0)
    leases.submit(an_entry(3), 2.0)
    cancelled.item.future.cancel()
    assert ids(finish(leases, worker)) == [3]


def test_an_unknown_device_is_refused_at_once() -> None:
    with pytest.raises(UnknownDevice, match="ion0"):
        Leases([ION0], 60).submit(an_entry(1, "ion9"), 0.0)


def test_with_fewer_workers_than_qpus_an_idle_worker_changes_its_qpu() -> None:
    leases = Leases([ION0, ION1], 60)
    (worker,) = opened(leases, 1)
    held, other = (ION0, ION1) if worker.qpu is ION0 else (ION1, ION0)
    assert leases.submit(an_entry(1, other.device_id), 0.0) == [(worker, other)]
    assert ids(leases.opened(worker)) == [1]
    leases.submit(an_entry(2, held.device_id), 1.0)
    assert finish(leases, worker) == [(worker, held)]


def test_a_qpu_that_nobody_holds_is_not_starved_by_one_that_is_always_wanted() -> None:
    leases = Leases([ION0, ION1], 60)
    (worker,) = opened(leases, 1)
    assert worker.qpu is ION0
    for n in range(3):
        leases.submit(an_entry(n, "ion0"), float(n))
    leases.submit(an_entry(9, "ion1"), 1.5)
    assert ids(finish(leases, worker)) == [1]
    assert finish(leases, worker) == [(worker, ION1)]


def test_a_new_worker_gets_the_qpu_that_tasks_wait_for() -> None:
    leases = Leases([ION0, ION1], 60)
    leases.submit(an_entry(1, "ion1"), 0.0)
    assert ids(leases.joined(a_worker())) == ["ion1"]


def test_sessions_spread_over_all_qpus_also_those_that_nobody_holds_yet() -> None:
    leases = Leases([ION0, ION1], 60)
    assert {leases.queue.open_session("a"), leases.queue.open_session("b")} == {"ion0", "ion1"}


def test_a_qpu_that_cannot_be_opened_fails_its_tasks_with_the_reason_and_leaves_the_others() -> None:
    leases = Leases([ION0, ION1], 60)
    worker = a_worker()
    leases.joined(worker)
    leases.submit(an_entry(1, "ion0"), 0.0)
    leases.submit(an_entry(2, "any"), 0.0)
    why = InvalidSite("no such option")
    assert leases.failed(worker, why) == [(worker, ION1)]
    assert [(entry.entry_id, str(error)) for entry, error in leases.stranded()] == [(1, str(why))]
    with pytest.raises(InvalidSite):
        leases.submit(an_entry(3, "ion0"), 1.0)
    assert not leases.all_broken()


def test_workers_that_keep_dying_while_they_open_a_qpu_are_given_up() -> None:
    leases = Leases([ION0], 60)
    for _ in range(OPENING_TRIES):
        assert not leases.all_broken()
        worker = a_worker()
        leases.joined(worker)
        leases.lost(worker, "It was killed by SIGSEGV.")
    assert leases.all_broken()
    with pytest.raises(DeviceError, match="SIGSEGV"):
        leases.submit(an_entry(1), 0.0)


def test_what_a_session_kept_away_runs_when_the_session_ends() -> None:
    leases = Leases([ION0], 60)
    (worker,) = opened(leases, 1)
    leases.queue.open_session("mine", hold=True)
    assert leases.submit(an_entry(1), 0.0) == []
    leases.queue.close_session("mine")
    assert ids(leases.wake_idle()) == [1]
    assert worker.entry is not None


# Where workers come and go with jobs


def test_a_worker_is_given_only_what_its_job_may_hold() -> None:
    leases = Leases([ION0, ION1], 60)
    worker = a_worker()
    worker.may_hold = frozenset(["ion1"])
    assert ids(leases.joined(worker)) == ["ion1"]
    leases.opened(worker)
    assert leases.submit(an_entry(1, "ion0"), 0.0) == []  # it does not change over to a QPU that is not its job's


def test_demand_counts_a_task_for_the_qpu_that_will_be_free_and_asks_for_another_when_that_is_full() -> None:
    leases = Leases([ION0, BIG], 60)
    leases.submit(an_entry(1, "any"), 0.0)
    assert leases.demand({"big": 2})["big"] == Demand(1, 0)
    for number in (2, 3):
        leases.submit(an_entry(number, "any"), 0.0)
    assert leases.demand({"big": 2}) == {"ion0": Demand(1, 0), "big": Demand(2, 0)}
    leases.submit(an_entry(4, "ion0"), 0.0)
    assert leases.demand({})["ion0"].waiting >= 1


def test_demand_of_a_long_queue_is_estimated_from_its_beginning() -> None:
    leases = Leases([ION0], 60)
    for number in range(5000):
        leases.submit(an_entry(number), 0.0)
    assert leases.demand({"ion0": 1}, most=100)["ion0"] == Demand(5000, 0)


def test_a_block_is_idle_when_all_its_workers_have_rested_and_no_session_is_bound_to_their_qpus() -> None:
    leases = Leases([BIG], 60)
    first, second = opened(leases, 2)
    now = max(first.since, second.since)
    assert leases.idle_blocks(lambda device_id: 10.0, now + 11) == ["block"]
    assert leases.idle_blocks(lambda device_id: 10.0, now + 9) == []
    leases.submit(an_entry(1), 0.0)
    assert leases.idle_blocks(lambda device_id: 10.0, now + 11) == []
    leases.done(next(worker for worker in (first, second) if worker.entry))
    leases.queue.open_session("s", "big")
    assert leases.idle_blocks(lambda device_id: 10.0, time.monotonic() + 11) == []


def test_a_block_whose_time_is_nearly_over_finishes_and_begins_nothing() -> None:
    leases = Leases([ION0], 60)
    (worker,) = opened(leases, 1)
    leases.submit(an_entry(1), 0.0)
    leases.submit(an_entry(2), 1.0)
    leases.leaving.add("block")
    assert finish(leases, worker) == []
    assert leases.submit(an_entry(3), 2.0) == []
    assert leases.idle_blocks(lambda device_id: 1e9, time.monotonic() + 1) == ["block"]
    successor = Worker("next", "another", 2, "here")
    leases.lost(worker, "")
    leases.joined(successor)
    assert ids(leases.opened(successor)) == [2]
