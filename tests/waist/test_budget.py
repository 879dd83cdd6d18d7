"""A budget: no task is submitted that would exceed it, and what did not run is not counted."""

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from conqure.interop.door import Door
from qpu_executors import (
    QPU,
    Budget,
    BudgetExceeded,
    DeviceFault,
    Estimator,
    InvalidTask,
    QPUThreadPool,
    QuantumTask,
    RemoteFailed,
    Site,
    UnknownDevice,
    run,
)
from qpu_executors.budget import Cost
from qpu_executors.testing import BELL, gates

from .vendor import SHOT_S, Vendor

TIMES = {"driver": "fake", "job_s": 1.0, "row_s": 0.5, "shot_s": 0.01, "clock": "virtual"}
ION0 = QPU("ion0", "emulated", 5, options=TIMES)
FAKE = QPU("fake0", "fake", 5)


def bell(**fields: Any) -> QuantumTask:
    return QuantumTask(BELL, **{"shots": 100, **fields})


@pytest.fixture
def pool() -> Iterator[QPUThreadPool]:
    with QPUThreadPool([FAKE, ION0]) as threads:
        yield threads


class Waiting(Executor):
    """A pool whose tasks wait until the test ends them."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


def test_a_task_that_would_exceed_it_is_not_submitted(pool: QPUThreadPool) -> None:
    budget = Budget(pool, shots=350)
    assert budget.submit(run, bell(parameter_values=[[], []])).result().shots == 100
    with pytest.raises(BudgetExceeded, match=r"needs 200 shots, and 150 of the budget's 350 are left. Use fewer shots"):
        budget.submit(run, bell(shots=200))
    assert budget.submit(run, bell(shots=150)).result()
    assert budget.used == Cost(350, budget.used.seconds)
    assert budget.reserved == Cost()


def test_seconds_are_those_that_the_driver_states_and_then_those_that_it_took(pool: QPUThreadPool) -> None:
    budget = Budget(pool, seconds=5.2)
    task = bell(device_id="ion0")
    budget.submit(run, task).result()
    assert budget.used.seconds == pytest.approx(2.5)
    budget.submit(run, bell(device_id="ion0")).result()
    with pytest.raises(BudgetExceeded, match=r"needs about 2\.5 s, and 0\.2 of the budget's 5\.2 s are left"):
        budget.submit(run, bell(device_id="ion0"))
    budget.close()


def test_where_no_times_are_stated_the_tasks_before_tell(pool: QPUThreadPool) -> None:
    budget = Budget(pool, seconds=6.0, estimate=lambda task: None)
    budget.submit(run, bell(device_id="ion0")).result()
    with pytest.raises(BudgetExceeded, match=r"about 5 s, and 3\.5"):
        budget.submit(run, bell(device_id="ion0", shots=200))


def test_what_waits_is_reserved_and_what_is_cancelled_is_given_back() -> None:
    waiting = Waiting()
    budget = Budget(waiting, shots=100)
    first = budget.submit(run, bell())
    assert budget.reserved == Cost(100)
    with pytest.raises(BudgetExceeded):
        budget.submit(run, bell())
    first.cancel()
    first.set_running_or_notify_cancel()
    assert budget.reserved == budget.used == Cost()
    budget.submit(run, bell())
    assert len(waiting.futures) == 2


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (InvalidTask("bad"), 0),
        (RemoteFailed("not billed"), 0),
        (DeviceFault("perhaps it ran"), 100),
        (OSError("whatever"), 100),
    ],
)
def test_what_failed_counts_if_it_may_have_run(error: Exception, counts: int) -> None:
    waiting = Waiting()
    budget = Budget(waiting, shots=1000)
    budget.submit(run, bell())
    waiting.futures[0].set_exception(error)
    assert (budget.used.shots, budget.reserved.shots) == (counts, 0)


def test_what_the_pool_refuses_costs_nothing(pool: QPUThreadPool) -> None:
    budget = Budget(pool, shots=100)
    with pytest.raises(UnknownDevice):
        budget.submit(run, bell(device_id="nowhere"))
    with pytest.raises(InvalidTask):
        budget.submit(run, QuantumTask(gates(9, ["h", [8]]), device_id="fake0", shots=100)).result()
    assert budget.submit(run, bell()).result()


@pytest.mark.slow
def test_a_task_that_is_tried_again_counts_once(vendor: Vendor) -> None:
    with QPUThreadPool([vendor.qpu()]) as pool:
        budget, task = Budget(pool, shots=100), bell()
        vendor.behave(fail=1)
        with pytest.raises(RemoteFailed):
            budget.submit(run, task).result()
        counts = [budget.submit(run, task).result().counts for _ in range(3)]
    assert counts[0] == counts[1] == counts[2]
    assert budget.used.shots == vendor.shots_billed == 100


def test_the_same_task_twice_under_way_is_reserved_once() -> None:
    waiting = Waiting()
    budget, task = Budget(waiting, shots=100), bell()
    budget.submit(run, task)
    budget.submit(run, task)
    waiting.futures[0].set_exception(RemoteFailed())
    assert budget.reserved == Cost(100), "the other one still runs"
    waiting.futures[1].set_exception(DeviceFault())
    assert (budget.used, budget.reserved) == (Cost(100), Cost())


def test_many_threads_do_not_exceed_it_together() -> None:
    waiting = Waiting()
    budget, taken = Budget(waiting, shots=1000), []
    start = threading.Barrier(16)

    def submit() -> None:
        start.wait()
        for _ in range(10):
            try:
                taken.append(budget.submit(run, bell()))
            except BudgetExceeded:
                return

    with ThreadPoolExecutor(16) as threads:
        for future in [threads.submit(submit) for _ in range(16)]:
            future.result()
    assert len(taken) == 10
    assert budget.reserved == Cost(1000)


def test_a_task_that_is_a_future_is_counted_when_it_is_there(pool: QPUThreadPool) -> None:
    budget, promised = Budget(pool, shots=100), Future[QuantumTask]()
    outcome, too_much = budget.submit(run, promised), Future[QuantumTask]()
    promised.set_result(bell())
    assert outcome.result(30).shots == 100
    refused = budget.submit(run, too_much)
    too_much.set_result(bell())
    with pytest.raises(BudgetExceeded):
        refused.result(30)


def test_other_calls_are_refused_since_nobody_knows_their_cost(pool: QPUThreadPool) -> None:
    with pytest.raises(TypeError, match="a budget counts tasks"):
        Budget(pool, shots=1).submit(max, 1, 2)


def test_a_door_has_a_budget_too() -> None:
    door = Door(Site("one", (FAKE,)))
    budget = Budget(door, shots=150)
    try:
        assert budget.submit(bell()).result().shots == 100
        with pytest.raises(BudgetExceeded):
            budget.submit(bell())
    finally:
        door.close()


def test_estimates_are_those_of_the_slowest_qpu_that_states_its_times(vendor: Vendor) -> None:
    with Estimator([FAKE, ION0, vendor.qpu()]) as estimator:
        assert estimator.seconds(bell(device_id="fake0")) is None
        assert estimator.seconds(bell(device_id="vendor0")) == pytest.approx(100 * SHOT_S)
        assert estimator.seconds(bell()) == pytest.approx(2.5)
        assert estimator.seconds(bell(parameter_values=[[]] * 3)) == pytest.approx(1 + 3 * 1.5)
    assert vendor.submissions == 0


def test_what_only_a_job_may_open_is_not_opened_to_ask_for_its_times() -> None:
    held = QPU("ion0", "emulated", 5, reach="gres", group="q", resource="qpu:1", options={"driver": "no such driver"})
    with Estimator([held]) as estimator:
        assert estimator.seconds(bell()) is None
