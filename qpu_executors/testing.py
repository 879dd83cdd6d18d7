"""For authors of drivers and pools: a fake device, example programs, and the contracts as test suites.

A driver author subclasses `DeviceContract` and gives it a QPU::

    class TestMyDevice(DeviceContract):
        qpu = QPU("mine", "my_driver", 5)

A pool's author subclasses `PoolContract` and says how to open the pool. Needs pytest.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import pytest

from .device import QPU, Counts
from .errors import DeviceBusy, DeviceFault, InvalidTask, UnknownDevice
from .records import QuantumResult, QuantumTask
from .running import HeldDevice, run
from .translation.gates import GateProgram


class FakeDevice:
    """A device without physics: every shot gives zeros. It checks that one task runs at a time.

    Args:
        delay_s: how long each call takes, seconds.
        failures: this many first calls raise `DeviceFault`.
    """

    languages = ("gates",)

    def __init__(self, device_id: str, n_qubits: int, *, delay_s: float = 0.0, failures: int = 0) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        self.metadata: dict[str, Any] = {}
        self.calls = 0
        self.closed = False
        self._delay_s, self._failures = delay_s, failures
        self._busy = threading.Lock()

    def prepare(self, program: str | bytes, language: str) -> GateProgram:
        assert isinstance(program, str)
        return GateProgram.parse(program)

    def execute(
        self, prepared: GateProgram, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        if not self._busy.acquire(blocking=False):
            raise DeviceBusy(f"device {self.device_id!r} runs one task at a time and was given two.")
        try:
            self.calls += 1
            self.metadata = {"call": self.calls}
            time.sleep(self._delay_s)
            if self.calls <= self._failures:
                raise DeviceFault(f"device {self.device_id!r} failed, as it was told to. Try again.")
            wanted = len(prepared.parameters)
            if any(len(row) != wanted for row in parameter_values):
                raise InvalidTask(f"parameter_values must have {wanted} columns.")
            return [{prepared.key(0): shots} for _ in parameter_values]
        finally:
            self._busy.release()

    def close(self) -> None:
        self.closed = True


def gates(n_qubits: int, *ops: list[Any], parameters: Sequence[str] = (), registers: Any = None) -> str:
    """A `gates` program; without ``registers`` all qubits are measured at the end into one register ``meas``.

    >>> gates(1, ["h", [0]])
    '{"gates":1,"qubits":1,"registers":[["meas",1]],"parameters":[],"ops":[["h",[0]],["measure",[0],[0]]]}'
    """
    every = list(range(n_qubits))
    program = {
        "gates": 1,
        "qubits": n_qubits,
        "registers": registers or [["meas", n_qubits]],
        "parameters": list(parameters),
        "ops": [*ops, *([] if registers else [["measure", every, every]])],
    }
    return json.dumps(program, separators=(",", ":"))


def vqe_program(n_qubits: int = 7) -> str:
    """The paper's Listing 2: H on qubit 0, a layer of RY, a chain of CX, a layer of RY; 2 n parameters."""
    return gates(
        n_qubits,
        ["h", [0]],
        *(["ry", [q], [[0, q, 1.0]]] for q in range(n_qubits)),
        *(["cx", [q, q + 1]] for q in range(n_qubits - 1)),
        *(["ry", [q], [[0, n_qubits + q, 1.0]]] for q in range(n_qubits)),
        parameters=[f"angles[{i}]" for i in range(2 * n_qubits)],
    )


BELL = gates(2, ["h", [0]], ["cx", [0, 1]])
ROTATION = gates(1, ["ry", [0], [[0, 0, 1.0]]], parameters=["theta"])


class DeviceContract:
    """What every device does, whatever is behind it.

    Attributes:
        qpu: the QPU under test, at least 3 qubits.
        error_rate: share of shots that may be wrong (noise).
        seeds: whether the same seed gives the same counts.
    """

    qpu: ClassVar[QPU]
    error_rate: ClassVar[float] = 0.0
    seeds: ClassVar[bool] = True

    @pytest.fixture(scope="class")
    @classmethod
    def held(cls) -> Iterator[HeldDevice]:
        held = HeldDevice(cls.qpu)
        yield held
        held.close()

    def counts(self, held: HeldDevice, program: str, **fields: Any) -> tuple[Counts, ...]:
        return held.run(QuantumTask(program, **fields)).counts

    def assert_only(self, counts: Counts, *expected: str) -> None:
        wrong = sum(number for bits, number in counts.items() if bits not in expected)
        assert wrong <= self.error_rate * sum(counts.values()), counts

    def test_it_says_who_it_is(self, held: HeldDevice) -> None:
        assert held.device.device_id == self.qpu.device_id
        assert held.device.n_qubits >= 3
        assert "gates" in held.device.languages

    def test_a_result_names_the_task_the_device_and_the_times(self, held: HeldDevice) -> None:
        task = QuantumTask(BELL, shots=10)
        result = held.run(task)
        assert (result.task_id, result.device_id, result.shots) == (task.task_id, self.qpu.device_id, 10)
        assert result.started_at <= result.ended_at
        assert result.queue_s >= 0 <= result.run_s
        assert QuantumResult.from_json(result.to_json()) == result

    def test_counts_sum_to_the_shots_and_leave_out_what_was_not_seen(self, held: HeldDevice) -> None:
        (counts,) = self.counts(held, BELL, shots=777, seed=3)
        assert sum(counts.values()) == 777
        assert all(type(n) is int and n > 0 for n in counts.values())
        self.assert_only(counts, "00", "11")
        assert min(counts.get("00", 0), counts.get("11", 0)) > 250

    def test_bit_zero_is_the_rightmost(self, held: HeldDevice) -> None:
        (counts,) = self.counts(held, gates(3, ["x", [0]]), shots=100)
        self.assert_only(counts, "001")

    def test_registers_are_separated_by_a_space_the_last_one_leftmost(self, held: HeldDevice) -> None:
        program = gates(
            3, ["x", [1]], ["measure", [0, 1], [0, 1]], ["measure", [2], [2]], registers=[["a", 2], ["b", 1]]
        )
        (counts,) = self.counts(held, program, shots=100)
        self.assert_only(counts, "0 10")

    def test_a_bit_nobody_writes_is_zero(self, held: HeldDevice) -> None:
        program = gates(2, ["x", [0]], ["x", [1]], ["measure", [1], [2]], registers=[["c", 4]])
        (counts,) = self.counts(held, program, shots=100)
        self.assert_only(counts, "0100")

    def test_each_row_of_parameter_values_gives_one_dict_in_order(self, held: HeldDevice) -> None:
        rows = self.counts(held, ROTATION, shots=100, parameter_values=[[0.0], [3.141592653589793], [0.0]])
        assert len(rows) == 3
        for counts, expected in zip(rows, "010", strict=True):
            self.assert_only(counts, expected)

    def test_angles_may_be_affine_in_the_parameters(self, held: HeldDevice) -> None:
        program = gates(1, ["ry", [0], [[3.141592653589793, 0, 2.0, 1, -1.0]]], parameters=["a", "b"])
        rows = self.counts(held, program, shots=100, parameter_values=[[0.5, 1.0], [0.0, 3.141592653589793]])
        self.assert_only(rows[0], "1")
        self.assert_only(rows[1], "0")

    def test_the_same_seed_gives_the_same_counts(self, held: HeldDevice) -> None:
        if not self.seeds:
            pytest.skip("this device takes no seed; set seeds = True in the subclass if it does")
        assert self.counts(held, BELL, seed=5) == self.counts(held, BELL, seed=5)
        program = vqe_program(3)
        row = [0.4] * 6
        first, second = self.counts(held, program, seed=5, parameter_values=[row, row])
        assert first != second, "two rows of one task must be separate samples"

    def test_without_a_seed_two_runs_are_separate_samples(self, held: HeldDevice) -> None:
        row = [0.7] * 6
        found = {str(self.counts(held, vqe_program(3), parameter_values=row)) for _ in range(4)}
        assert len(found) > 1

    def test_a_wrong_number_of_columns_is_refused(self, held: HeldDevice) -> None:
        with pytest.raises(InvalidTask, match="parameter"):
            self.counts(held, ROTATION, parameter_values=[[0.1, 0.2]])
        with pytest.raises(InvalidTask, match="parameter"):
            self.counts(held, ROTATION)

    def test_a_circuit_too_large_is_refused(self, held: HeldDevice) -> None:
        with pytest.raises(InvalidTask, match=f"{self.qpu.n_qubits + 1} qubits"):
            self.counts(held, gates(self.qpu.n_qubits + 1, ["h", [0]]))

    def test_too_many_shots_are_refused(self, held: HeldDevice) -> None:
        with pytest.raises(InvalidTask, match="shots"):
            self.counts(held, BELL, shots=self.qpu.max_shots + 1)

    def test_an_unknown_gate_is_named(self, held: HeldDevice) -> None:
        with pytest.raises(InvalidTask, match="wobble"):
            self.counts(held, gates(1, ["wobble", [0]]))

    def test_a_program_in_another_language_is_refused(self, held: HeldDevice) -> None:
        with pytest.raises(InvalidTask, match="klingon"):
            held.run(QuantumTask("x", language="klingon"))

    def test_a_task_for_another_device_is_refused(self, held: HeldDevice) -> None:
        with pytest.raises(UnknownDevice, match="elsewhere"):
            self.counts(held, BELL, device_id="elsewhere")


def a_thousand(x: Any = 0) -> Any:
    """Something importable for pools to call."""
    return 1000 + x


def total(values: Any, more: Any = 0) -> Any:
    return sum(values) + more


def fail(message: str) -> None:
    raise InvalidTask(message)


CONTRACT_QPUS = (
    QPU("ion0", "emulated", 7, tags=("ion",), options={"driver": "statevector", "job_s": 0.03}),
    QPU("ion1", "emulated", 7, tags=("ion",), options={"driver": "statevector", "job_s": 0.03}),
    QPU("sv0", "statevector", 10, tags=("fast",)),
)

OpenPool = Callable[[Sequence[QPU]], AbstractContextManager[Executor]]


class PoolContract:
    """What every pool does, whatever engine is behind it: the standard library's contract, and the QPUs' own rules.

    A subclass defines ``open_pool(qpus)``, a context manager that gives a pool whose workers hold these QPUs. One
    pool, opened over `CONTRACT_QPUS`, serves all tests of the class; the one that shuts a pool down opens its own.
    """

    @staticmethod
    def open_pool(qpus: Sequence[QPU]) -> AbstractContextManager[Executor]:
        raise NotImplementedError("a subclass says how its pool is opened")

    @pytest.fixture(scope="class")
    @classmethod
    def pool(cls) -> Iterator[Executor]:
        with cls.open_pool(CONTRACT_QPUS) as pool:
            yield pool

    def test_a_task_comes_back_as_its_result(self, pool: Executor) -> None:
        task = QuantumTask(BELL, shots=50, device_id="sv0")
        result = pool.submit(run, task).result(timeout=30)
        assert isinstance(result, QuantumResult)
        assert (result.task_id, result.device_id) == (task.task_id, "sv0")
        assert sum(result.counts[0].values()) == 50

    def test_any_importable_function_runs(self, pool: Executor) -> None:
        assert pool.submit(a_thousand, x=1).result(timeout=30) == 1001

    def test_an_error_keeps_its_type_and_text(self, pool: Executor) -> None:
        with pytest.raises(InvalidTask, match="too bad"):
            pool.submit(fail, "too bad").result(timeout=30)
        bad = QuantumTask(ROTATION, parameter_values=[[1.0, 2.0]], device_id="sv0")
        with pytest.raises(InvalidTask, match="2 columns"):
            pool.submit(run, bad).result(timeout=30)

    def test_an_unknown_device_fails_at_once_and_lists_those_that_exist(self, pool: Executor) -> None:
        with pytest.raises(UnknownDevice, match="ion0"):
            pool.submit(run, QuantumTask(BELL, device_id="ion7")).result(timeout=10)

    @pytest.mark.parametrize(
        ("selector", "allowed"),
        [("ion1", {"ion1"}), ("tag:ion", {"ion0", "ion1"}), ("qubits>=8", {"sv0"}), ("tag:fast,qubits>=3", {"sv0"})],
    )
    def test_a_task_runs_where_its_selector_says(self, pool: Executor, selector: str, allowed: set[str]) -> None:
        futures = [pool.submit(run, QuantumTask(BELL, shots=5, device_id=selector)) for _ in range(4)]
        assert {future.result(timeout=30).device_id for future in futures} <= allowed

    def test_many_tasks_use_every_qpu_that_fits(self, pool: Executor) -> None:
        futures = [pool.submit(run, QuantumTask(BELL, shots=5, device_id="tag:ion")) for _ in range(8)]
        assert {future.result(timeout=30).device_id for future in futures} == {"ion0", "ion1"}

    def test_a_qpu_with_one_slot_never_runs_two_tasks_at_once(self, pool: Executor) -> None:
        futures = [pool.submit(run, QuantumTask(BELL, shots=5, device_id="tag:ion")) for _ in range(10)]
        results = [future.result(timeout=30) for future in futures]  # the emulated QPU itself raises DeviceBusy
        for device_id in ("ion0", "ion1"):
            runs = sorted((r.started_at, r.ended_at) for r in results if r.device_id == device_id)
            assert all(end <= start + 1e-3 for (_, end), (start, _) in itertools.pairwise(runs))

    def test_what_waits_is_served_high_before_medium_before_low(self, pool: Executor) -> None:
        def submit(priority: str) -> Future[QuantumResult]:
            return pool.submit(run, QuantumTask(BELL, shots=5, device_id="ion0", priority=priority))

        blockers = [submit("HIGH") for _ in range(4)]
        waiting = [submit(level) for level in ("LOW", "LOW", "MEDIUM", "MEDIUM", "HIGH", "HIGH")]
        wait(blockers, timeout=30)
        started = [future.result(timeout=30).started_at for future in waiting]
        low, medium, high = started[:2], started[2:4], started[4:]
        assert max(high) < min(medium) < max(medium) < min(low)
        assert low == sorted(low)
        assert high == sorted(high)

    def test_the_same_circuit_twice_is_two_samples(self, pool: Executor) -> None:
        task = QuantumTask(vqe_program(7), parameter_values=[0.3] * 14, device_id="sv0")
        one, two = (pool.submit(run, task).result(timeout=30).counts for _ in range(2))
        assert one != two

    def test_a_seed_makes_it_repeatable(self, pool: Executor) -> None:
        task = QuantumTask(vqe_program(7), parameter_values=[0.3] * 14, device_id="sv0", seed=4)
        one, two = (pool.submit(run, task).result(timeout=30).counts for _ in range(2))
        assert one == two

    def test_a_waiting_task_can_be_cancelled(self, pool: Executor) -> None:
        futures = [pool.submit(run, QuantumTask(BELL, shots=5, device_id="ion0")) for _ in range(8)]
        last = futures[-1]
        assert last.cancel()
        assert last.cancelled()
        with pytest.raises(CancelledError):
            last.result(timeout=10)
        assert all(future.result(timeout=30) for future in futures[:-1])

    def test_futures_of_the_pool_are_accepted_as_arguments(self, pool: Executor) -> None:
        first = pool.submit(a_thousand)
        second = pool.submit(a_thousand, first)
        assert pool.submit(total, [first, second], more=first).result(timeout=30) == 4000

    def test_an_argument_that_failed_fails_the_call(self, pool: Executor) -> None:
        with pytest.raises(Exception, match="too bad"):
            pool.submit(total, [pool.submit(fail, "too bad")]).result(timeout=30)

    def test_map_keeps_the_order(self, pool: Executor) -> None:
        assert list(pool.map(a_thousand, range(5), timeout=30)) == [1000, 1001, 1002, 1003, 1004]

    def test_after_shutdown_nothing_is_accepted_and_what_was_accepted_is_done(self) -> None:
        with self.open_pool(CONTRACT_QPUS[2:]) as pool:
            future = pool.submit(run, QuantumTask(BELL, shots=5))
            pool.shutdown()
            assert future.result(timeout=30).device_id == "sv0"
            with pytest.raises(RuntimeError):
                pool.submit(a_thousand)
