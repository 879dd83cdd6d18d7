"""The dispatcher: works run in their turn, on the QPU that they are for, and each comes to one end."""

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conqure.engines import open_engine
from conqure.queue.dispatcher import Dispatcher
from conqure.queue.memory import MemoryStore
from conqure.queue.results import read_results
from conqure.queue.store import Store, open_store
from conqure.queue.work import WorkloadFormat, WorkRecord, WorkStatus
from qpu_executors import QPU, QuantumTask, Site
from qpu_executors.errors import AlreadyThere, DeviceFault, InvalidSite, InvalidTask, StoreError, WorkConflict
from qpu_executors.observing import unobserved
from qpu_executors.running import HeldDevice, hold
from qpu_executors.testing import BELL, ROTATION, gates
from qpu_executors.threads import QPUThreadPool

from .dispatching import FAKE, ManualPool, add, dispatching, ended, payload_work, result_of, task_work, until

SV = QPU("sv0", "statevector", 7)
SLOW = QPU("slow0", "fake", 7, options={"delay_s": 0.02})


@pytest.fixture(params=["memory:", "sqlite:{}/works.db", "tinydb:{}/works"])
def works(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = open_store(request.param.format(tmp_path))
    yield store
    store.close()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_work_runs_and_its_results_are_there_when_it_is_done(works: Store) -> None:
    task = QuantumTask(BELL, shots=100, seed=1)
    work_id = add(works, task)
    with dispatching(works, SV) as dispatcher:
        (work,) = ended(works, work_id)
    assert (work.status, work.ran_on, work.engine, work.attempts) == (WorkStatus.DONE, "sv0", "threads", 1)
    assert work.claimed_by == dispatcher.name
    assert work.metadata["run_s"] > 0
    result = read_results(works.payload(work.results), work.format)
    assert result.task_id == task.task_id
    assert sum(result.counts[0].values()) == 100


def test_a_list_of_tasks_is_one_work_with_a_list_of_results(works: Store) -> None:
    tasks = [QuantumTask(BELL, shots=n) for n in (5, 6, 7)]
    payload = f"[{','.join(task.to_json() for task in tasks)}]".encode()
    work_id = works.add(*payload_work(WorkloadFormat.TASKS, payload)).work_id
    with dispatching(works, FAKE):
        (work,) = ended(works, work_id)
    results = read_results(works.payload(work.results), work.format)
    assert [(r.task_id, r.shots) for r in results] == [(t.task_id, t.shots) for t in tasks]


def test_a_work_that_comes_from_another_process_is_found_by_looking(tmp_path: Path) -> None:
    here, there = (open_store(f"sqlite:{tmp_path / 'works.db'}") for _ in range(2))
    with dispatching(here, FAKE, look_s=0.05):
        (work,) = ended(there, add(there))
    assert work.status is WorkStatus.DONE
    here.close()
    there.close()


def test_order_is_priority_and_then_the_time_ready(works: Store) -> None:
    wanted = []
    for number, priority in enumerate(["LOW", "HIGH", "MEDIUM", "HIGH", "LOW"]):
        now = 1000.0 + number
        wanted.append((priority, add(works, priority=priority, ready_at=now, created_at=now)))
    with dispatching(works, SLOW):
        done = ended(works, *(work_id for _, work_id in wanted))
    began = [work.work_id for work in sorted(done, key=lambda work: work.started_at or 0)]
    assert began == [wanted[n][1] for n in (1, 3, 2, 0, 4)]


def test_no_more_works_are_on_their_way_than_the_qpu_has_slots(store: MemoryStore) -> None:
    pool, qpus = ManualPool(), [QPU("one", "fake", 7), QPU("two", "fake", 7, slots=2)]
    for _ in range(10):
        add(store)
    with Dispatcher(store, pool, qpus, look_s=0.01, grace_s=0) as dispatcher:
        until(lambda: len(pool.given) == 3)
        assert Counter(task.device_id for task, _ in pool.given) == {"one": 1, "two": 2}
        assert len(dispatcher.in_flight) == 3
        late = add(store, priority="HIGH")
        pool.finish(0)
        until(lambda: len(pool.given) == 4)
        assert store.get(late).status is WorkStatus.EXECUTING
        assert store.counts()["any"] == {WorkStatus.READY: 7, WorkStatus.EXECUTING: 3}


def test_works_go_to_a_qpu_that_they_fit_and_others_are_left(store: MemoryStore) -> None:
    qpus = [QPU("ion0", "fake", 5, tags=("ion",)), QPU("sv0", "fake", 20)]
    lines = {"ion0": "ion0", "tag:ion": "ion0", "qubits>=10": "sv0", "sv0": "sv0"}
    here = {add(store, device_id=line): name for line, name in lines.items()}
    large = add(store, QuantumTask(gates(12, ["h", [0]])))
    elsewhere = [add(store, device_id="atom0"), add(store, device_id="tag:atom")]
    with dispatching(store, *qpus):
        for work in ended(store, *here, large):
            assert work.status is WorkStatus.DONE
            assert work.ran_on == here.get(work.work_id, "sv0")
    assert {store.get(work_id).status for work_id in elsewhere} == {WorkStatus.READY}


def test_a_work_that_is_too_large_for_every_qpu_here_says_so(store: MemoryStore) -> None:
    work_id = add(store, QuantumTask(gates(9, ["h", [0]])))
    with dispatching(store, FAKE):
        (work,) = ended(store, work_id)
    assert (work.status, work.error_kind) == (WorkStatus.ERROR, "invalid_task")
    assert "9 qubits" in work.error


def test_works_for_a_larger_qpu_at_the_head_do_not_block_the_small_one(store: MemoryStore) -> None:
    pool = ManualPool()
    large = QuantumTask(gates(12, ["h", [0]]))
    for _ in range(5):
        add(store, large)
    small = add(store)
    with Dispatcher(store, pool, [QPU("small", "fake", 5), QPU("large", "fake", 20)], look_s=0.01, grace_s=0):
        until(lambda: len(pool.given) == 2)
        assert {task.device_id for task, _ in pool.given} == {"small", "large"}
        assert store.get(small).status is WorkStatus.EXECUTING


def test_a_lasting_error_ends_a_work_with_its_text(works: Store) -> None:
    bad = works.add(*task_work(QuantumTask(BELL, shots=10), device_id="tiny")).work_id
    with dispatching(works, QPU("tiny", "fake", 7, max_shots=5)):
        (work,) = ended(works, bad)
    assert (work.status, work.error_kind, work.attempts) == (WorkStatus.ERROR, "invalid_task", 1)
    assert "at most 5" in work.error
    assert work.ran_on == "tiny"


def test_a_passing_fault_is_tried_again(works: Store) -> None:
    work_id = add(works)
    with dispatching(works, QPU("fake0", "fake", 7, options={"failures": 2})):
        (work,) = ended(works, work_id)
    assert (work.status, work.attempts, work.error) == (WorkStatus.DONE, 3, "")


def test_a_fault_that_does_not_pass_ends_the_work_after_its_attempts(works: Store) -> None:
    work_id = add(works)
    with dispatching(works, QPU("fake0", "fake", 7, options={"failures": 9})):
        (work,) = ended(works, work_id)
    assert (work.status, work.attempts, work.error_kind) == (WorkStatus.ERROR, 3, "device_fault")
    assert "after 3 attempts" in work.error


def test_a_waiting_work_that_is_canceled_never_runs(store: MemoryStore) -> None:
    pool = ManualPool()
    first, second = add(store, ready_at=1.0), add(store, ready_at=2.0)
    with Dispatcher(store, pool, [FAKE], look_s=0.01):
        pool.begin(0)
        assert store.ask_cancel(second, time.time()).status is WorkStatus.CANCELED
        pool.finish(0)
        ended(store, first)
    assert len(pool.given) == 1


def test_a_work_that_the_pool_has_not_begun_is_canceled(store: MemoryStore) -> None:
    pool, work_id = ManualPool(), add(store)
    with Dispatcher(store, pool, [FAKE], look_s=0.01):
        until(lambda: pool.given)
        store.ask_cancel(work_id, time.time())
        (work,) = ended(store, work_id)
    assert work.status is WorkStatus.CANCELED


def test_a_work_that_runs_ends_as_it_ends_although_it_is_canceled(store: MemoryStore) -> None:
    pool, work_id = ManualPool(), add(store)
    with Dispatcher(store, pool, [FAKE], look_s=0.01):
        pool.begin(0)
        store.ask_cancel(work_id, time.time())
        pool.finish(0)
        (work,) = ended(store, work_id)
    assert (work.status, work.cancel_requested) == (WorkStatus.DONE, True)


def test_the_rest_of_a_list_is_not_begun_when_it_is_canceled(store: MemoryStore) -> None:
    payload = f"[{','.join(QuantumTask(BELL).to_json() for _ in range(3))}]".encode()
    pool, work_id = ManualPool(), store.add(*payload_work(WorkloadFormat.TASKS, payload)).work_id
    with Dispatcher(store, pool, [FAKE], look_s=0.01) as dispatcher:
        pool.begin(0)
        store.ask_cancel(work_id, time.time())
        until(lambda: all(flight._canceled for flight in dispatcher._flights))
        pool.finish(0)
        (work,) = ended(store, work_id)
    assert work.status is WorkStatus.CANCELED
    assert len(pool.given) == 1


def test_a_cancel_by_another_process_is_seen(tmp_path: Path) -> None:
    here, there = (open_store(f"sqlite:{tmp_path / 'works.db'}") for _ in range(2))
    pool, work_id = ManualPool(), add(here)
    with Dispatcher(here, pool, [FAKE], look_s=0.01):
        until(lambda: pool.given)
        there.ask_cancel(work_id, time.time())
        (work,) = ended(there, work_id)
    assert work.status is WorkStatus.CANCELED
    here.close()
    there.close()


def test_a_passing_fault_of_a_work_that_nobody_wants_any_more_is_not_tried_again(store: MemoryStore) -> None:
    pool, work_id = ManualPool(), add(store)
    with Dispatcher(store, pool, [FAKE], look_s=0.01):
        pool.begin(0)
        store.ask_cancel(work_id, time.time())
        pool.fail(0, DeviceFault("it passes"))
        (work,) = ended(store, work_id)
    assert work.status is WorkStatus.CANCELED


def test_two_dispatchers_never_run_the_same_work_twice(tmp_path: Path) -> None:
    stores = [open_store(f"sqlite:{tmp_path / 'works.db'}") for _ in range(2)]
    ids = [add(stores[0]) for _ in range(60)]
    qpus = [QPU(f"fake{n}", "fake", 7, slots=2) for n in range(2)]
    ran: Counter[str] = Counter()
    pools = [_Counting(ran), _Counting(ran)]
    both = [Dispatcher(store, pool, qpus, look_s=0.01) for store, pool in zip(stores, pools, strict=True)]
    for dispatcher in both:
        dispatcher.start()
    done = ended(stores[0], *ids)
    for dispatcher in both:
        dispatcher.stop()
    assert {work.status for work in done} == {WorkStatus.DONE}
    assert {work.claimed_by for work in done} == {dispatcher.name for dispatcher in both}
    assert set(ran.values()) == {1}
    assert len(ran) == 60
    for store in stores:
        store.close()


class _Counting(Executor):
    """Settles each task a little later, in a thread, and counts it."""

    def __init__(self, ran: Counter[str]) -> None:
        self._ran = ran

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._ran[args[0].task_id] += 1
        threading.Timer(0.003, lambda: future.set_result(result_of(args[0]))).start()
        return future


def test_what_a_stopped_dispatcher_had_is_ready_for_others(store: MemoryStore) -> None:
    pool, work_id = ManualPool(), add(store)
    with Dispatcher(store, pool, [FAKE], grace_s=0.05):
        pool.begin(0)
    work = store.get(work_id)
    assert (work.status, work.claimed_by, work.attempts) == (WorkStatus.READY, "", 1)
    pool.finish(0)  # too late: nobody listens
    with dispatching(store, FAKE):
        (work,) = ended(store, work_id)
    assert (work.status, work.attempts) == (WorkStatus.DONE, 2)


def test_stopping_waits_for_what_is_about_to_end(store: MemoryStore) -> None:
    pool, work_id = ManualPool(), add(store)
    dispatcher = Dispatcher(store, pool, [FAKE], grace_s=30)
    dispatcher.start()
    pool.begin(0)
    add(store)
    threading.Timer(0.1, pool.finish, [0]).start()
    dispatcher.stop()
    assert store.get(work_id).status is WorkStatus.DONE
    assert len(pool.given) == 1


def test_a_work_whose_holder_is_gone_is_given_out_again_and_in_the_end_given_up(store: MemoryStore) -> None:
    work_id, long_ago = add(store), time.time() - 1000
    pool = ManualPool()
    store.claim([work_id], "gone", 1.0, long_ago)
    with Dispatcher(store, pool, [FAKE], lease_s=0.3, grace_s=0):
        pool.begin(0)
        assert store.get(work_id).attempts == 2
    store.claim([work_id], "gone too", 1.0, long_ago)
    with Dispatcher(store, pool, [FAKE], lease_s=0.3):
        (work,) = ended(store, work_id)
    assert (work.status, work.error_kind, work.attempts) == (WorkStatus.ERROR, "work_lost", 3)
    assert "gone too" in work.error


def test_a_recorded_task_whose_program_is_gone_ends_in_error(store: MemoryStore) -> None:
    work, payload = task_work(source="parsl", claimed_by="somebody", attempts=1, lease_until=1.0)
    store.add(work.replace(status=WorkStatus.EXECUTING), payload)
    with dispatching(store, FAKE):
        (work,) = ended(store, work.work_id)
    assert (work.status, work.error_kind) == (WorkStatus.ERROR, "work_lost")
    assert "program that recorded it is gone" in work.error


def test_a_claim_is_renewed_as_long_as_its_work_runs(store: MemoryStore) -> None:
    pool, work_id = ManualPool(), add(store)
    with Dispatcher(store, pool, [FAKE], lease_s=0.3, look_s=0.01):
        pool.begin(0)
        first = store.get(work_id).lease_until or 0
        until(lambda: (store.get(work_id).lease_until or 0) > first + 0.4)
        pool.finish(0)
        (work,) = ended(store, work_id)
    assert (work.status, work.attempts) == (WorkStatus.DONE, 1)


def test_a_late_answer_to_a_claim_that_was_lost_changes_nothing(store: MemoryStore) -> None:
    pool, work_id = ManualPool(), add(store)
    with Dispatcher(store, pool, [FAKE], look_s=0.01) as dispatcher:
        pool.begin(0)
        mine = store.get(work_id)
        store.move(work_id, WorkStatus.READY, time.time(), claim=(mine.claimed_by, 1))
        store.claim([work_id], "another", 60.0, time.time())
        pool.finish(0)
        until(lambda: not dispatcher.in_flight and not dispatcher._ended)
    work = store.get(work_id)
    assert (work.status, work.claimed_by, work.results) == (WorkStatus.EXECUTING, "another", "")


def test_a_fixed_name_takes_over_at_once_what_its_crashed_predecessor_had(store: MemoryStore) -> None:
    dispatcher = Dispatcher(store, ManualPool(), [FAKE], name="here")
    work_id = add(store)
    store.claim([work_id], dispatcher.name, 3600.0, time.time())  # and then it crashed
    dispatcher._name.release()
    with dispatching(store, FAKE, name="here"):
        (work,) = ended(store, work_id)
    assert (work.status, work.attempts) == (WorkStatus.DONE, 2)


def test_two_dispatchers_of_one_fixed_name_cannot_run_at_the_same_time(store: MemoryStore) -> None:
    with dispatching(store, FAKE, name="only one"), pytest.raises(AlreadyThere, match="only one"):
        Dispatcher(store, ManualPool(), [FAKE], name="only one")
    Dispatcher(store, ManualPool(), [FAKE], name="only one")._name.release()


class _Unreliable(MemoryStore):
    """A store that fails when it is told to, for some verbs."""

    failing: Sequence[str] = ()

    def _check(self, verb: str) -> None:
        if verb in self.failing:
            raise StoreError("the store is away.")

    def claim(self, *args: Any, **kwargs: Any) -> list[WorkRecord]:
        self._check("claim")
        return super().claim(*args, **kwargs)

    def move(self, *args: Any, **kwargs: Any) -> WorkRecord:
        self._check("move")
        return super().move(*args, **kwargs)

    def lines(self) -> list[str]:
        self._check("lines")
        return super().lines()

    def get(self, work_id: str) -> WorkRecord:
        self._check("get")
        return super().get(work_id)


def test_results_wait_in_memory_while_the_store_is_away() -> None:
    store, pool = _Unreliable(), ManualPool()
    work_id = add(store)
    with Dispatcher(store, pool, [FAKE], look_s=0.01):
        pool.begin(0)
        store.failing = ("claim", "move", "lines", "get")
        pool.finish(0)
        until(lambda: pool.given[0][1].done())
        threading.Timer(0.5, lambda: setattr(store, "failing", ())).start()
        until(lambda: not store.failing)
        (work,) = ended(store, work_id)
    assert (work.status, work.attempts) == (WorkStatus.DONE, 1)


@pytest.mark.slow
def test_results_that_the_store_never_takes_end_their_work_and_block_no_other() -> None:
    class Choosy(MemoryStore):
        def move(self, work_id: str, status: WorkStatus, now: float, **facts: Any) -> WorkRecord:
            if facts.get("results") and work_id == bad:
                raise StoreError("packet too large")
            return super().move(work_id, status, now, **facts)

    store = Choosy()
    bad, good = add(store, ready_at=1.0), add(store, ready_at=2.0)
    with dispatching(store, FAKE):
        broken, fine = ended(store, bad, good)
    assert (broken.status, broken.error_kind) == (WorkStatus.ERROR, "store_error")
    assert fine.status is WorkStatus.DONE


def test_a_pool_that_is_shut_down_costs_no_work_its_life(store: MemoryStore) -> None:
    work_id = add(store)
    pool = QPUThreadPool([FAKE])
    pool.shutdown()
    with Dispatcher(store, pool, [FAKE], look_s=0.01):
        until(lambda: store.get(work_id).attempts == 1 and store.get(work_id).status is WorkStatus.READY)
    assert store.get(work_id).status is WorkStatus.READY


def test_a_workload_that_is_gone_or_cannot_be_read_ends_its_work(store: MemoryStore) -> None:
    lost = store.add(task_work()[0].replace(workload="0" * 64))
    broken = store.add(task_work()[0], b'{"is": "nothing"}')
    with dispatching(store, FAKE):
        gone, unreadable = ended(store, lost.work_id, broken.work_id)
    assert (gone.status, gone.error_kind) == (WorkStatus.ERROR, "unknown_work")
    assert (unreadable.status, unreadable.error_kind) == (WorkStatus.ERROR, "invalid_task")


class _Opaque:
    """A device that understands bytes, and answers in bytes of its own."""

    device_id, n_qubits, languages = "box", 1, ("opaque",)

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}

    def prepare(self, program: str | bytes, language: str) -> bytes:
        assert isinstance(program, bytes)
        return program

    def execute(self, prepared: bytes, parameter_values: Any, shots: int, seed: int | None) -> list[dict[str, int]]:
        self.metadata = {"results_base64": base64.b64encode(prepared[::-1]).decode()}
        return [{}]

    def close(self) -> None: ...


class _PoolOf(ThreadPoolExecutor):
    def __init__(self, held: HeldDevice) -> None:
        super().__init__(1)
        self._held = held

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        def call() -> Any:
            with hold(self._held):
                return fn(*args, **kwargs)

        return super().submit(call)


def test_opaque_bytes_go_to_the_device_and_its_bytes_are_the_results(store: MemoryStore) -> None:
    qpu = QPU("box", "none", 1)
    work_id = store.add(*payload_work(WorkloadFormat.OPAQUE, b"\x00abc")).work_id
    with _PoolOf(HeldDevice(qpu, _Opaque())) as pool, Dispatcher(store, pool, [qpu]):
        (work,) = ended(store, work_id)
    assert store.payload(work.results) == b"cba\x00"


def test_small_works_of_one_program_run_as_one_task_and_get_their_own_results(works: Store) -> None:
    angles = [0.0, 3.141592653589793, 0.0, 3.141592653589793]
    ids = [
        add(works, QuantumTask(ROTATION, shots=20, parameter_values=[[angle]]), ready_at=1.0 + n)
        for n, angle in enumerate(angles)
    ]
    seeded = add(works, QuantumTask(ROTATION, shots=20, parameter_values=[[0.0]], seed=1), ready_at=9.0)
    with dispatching(works, SV, batch=100):
        done = ended(works, *ids)
        assert ended(works, seeded)[0].status is WorkStatus.DONE
    results = [read_results(works.payload(work.results), work.format) for work in done]
    assert [result.counts for result in results] == [({"1" if angle else "0": 20},) for angle in angles]


def test_one_bad_work_does_not_take_the_others_of_its_batch_with_it(store: MemoryStore) -> None:
    pool = ManualPool()
    ids = [add(store, QuantumTask(BELL, shots=10), ready_at=1.0 + n) for n in range(3)]
    with Dispatcher(store, pool, [FAKE], batch=100, look_s=0.01):
        assert pool.begin(0).n_rows == 3
        pool.fail(0, InvalidTask("one of them"))
        for number in (1, 3):
            assert pool.begin(number).n_rows == 1
            pool.finish(number)
            if number == 1:
                pool.fail(2, InvalidTask("this one"))
        done = ended(store, *ids)
    assert [work.status for work in done] == [WorkStatus.DONE, WorkStatus.ERROR, WorkStatus.DONE]


def test_an_unknown_policy_is_refused_with_the_choices(store: MemoryStore) -> None:
    with pytest.raises(InvalidSite, match="same_qubits"):
        Dispatcher(store, ManualPool(), [FAKE], policy="random")


def test_the_dispatcher_lives_on_after_an_error_that_nobody_expected(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dispatching(store, FAKE) as dispatcher:
        monkeypatch.setattr(store, "lines", lambda: 1 / 0)
        work_id = add(store)
        until(lambda: not dispatcher._woken.is_set())
        monkeypatch.undo()
        assert ended(store, work_id)[0].status is WorkStatus.DONE


def test_a_work_that_ended_cannot_end_again(store: MemoryStore) -> None:
    work_id = add(store)
    with dispatching(store, FAKE):
        (work,) = ended(store, work_id)
    with pytest.raises(WorkConflict):
        store.move(work_id, WorkStatus.DONE, time.time(), claim=(work.claimed_by, work.attempts))
    assert json.loads(store.payload(work.results))["is"] == "result"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_works_run_on_the_pool_of_an_engine(store: MemoryStore, engine: str) -> None:
    site = Site("test", (QPU("fake0", "fake", 7), QPU("fake1", "fake", 7, options={"failures": 1})))
    bad = QuantumTask("{}", shots=5)
    payload = f"[{','.join(QuantumTask(BELL, shots=n).to_json() for n in (5, 6))}]".encode()
    ids = [add(store, device_id=name) for name in ("fake0", "fake1", "any")]
    ids.append(store.add(*payload_work(WorkloadFormat.TASKS, payload)).work_id)
    broken = store.add(task_work()[0].replace(device_id="fake0"), bad.to_json().encode()).work_id
    with (
        unobserved(),
        open_engine(engine, site) as opened,
        Dispatcher(store, opened.qpus, site.qpus, engine=engine) as dispatcher,
    ):
        done = ended(store, *ids, seconds=100)
        (wrong,) = ended(store, broken)
        assert dispatcher.is_alive
    assert {(work.status, work.engine) for work in done} == {(WorkStatus.DONE, engine)}
    assert (wrong.status, wrong.error_kind) == (WorkStatus.ERROR, "invalid_task")
