"""Batching: works that share a task get what they would have got alone, and keep their order."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conqure.queue.batching import join, joinable, split
from conqure.queue.work import WorkloadFormat, WorkRecord, WorkStatus, new_work_id
from qpu_executors import QuantumResult, QuantumTask
from qpu_executors.testing import BELL, ROTATION


def work(program_id: str = "p", n_rows: int = 1, shots: int = 10, **fields: Any) -> WorkRecord:
    format = fields.pop("format", WorkloadFormat.TASK)
    values = {"program_id": program_id, "n_rows": n_rows, "shots": shots} | fields
    return WorkRecord(new_work_id(), "ada", status=WorkStatus.READY, format=format, **values)


def rotation(*angles: float, **fields: Any) -> QuantumTask:
    return QuantumTask(ROTATION, shots=10, parameter_values=[[angle] for angle in angles], **fields)


def test_only_neighbours_of_one_program_are_joined() -> None:
    works = [work("a"), work("a"), work("b"), work("a")]
    assert joinable(works, 100) == works[:2]
    assert joinable(works[2:], 100) == works[2:3]


@pytest.mark.parametrize(
    "other", [{"shots": 11}, {"program_id": "b"}, {"format": WorkloadFormat.TASKS}, {"n_rows": 100}]
)
def test_a_work_of_another_kind_or_too_many_rows_is_not_joined(other: dict[str, Any]) -> None:
    assert len(joinable([work("a"), work(**({"program_id": "a"} | other))], 100)) == 1


def test_works_whose_program_nobody_knows_are_not_joined() -> None:
    assert len(joinable([work(""), work("")], 100)) == 1


def test_a_large_work_at_the_head_runs_alone() -> None:
    assert len(joinable([work("a", n_rows=500), work("a")], 100)) == 1


def test_tasks_with_a_seed_or_of_different_programs_are_not_joined() -> None:
    assert join([rotation(0.1, seed=1), rotation(0.2, seed=1)]) is None
    assert join([rotation(0.1), QuantumTask(BELL, shots=10)]) is None
    assert join([rotation(0.1), rotation(0.2).replace(shots=11)]) is None


def test_a_joined_task_is_as_old_as_the_oldest() -> None:
    joined = join([rotation(0.1, created_at=5.0), rotation(0.2, created_at=3.0)])
    assert joined is not None
    assert joined.created_at == 3.0


@given(st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=5), min_size=2, max_size=8))
def test_split_results_are_those_of_each_work_and_their_times_sum_to_the_whole(rows: list[list[float]]) -> None:
    tasks = [rotation(*angles) for angles in rows]
    joined = join(tasks)
    assert joined is not None
    now = time.time()
    counts = tuple({"0": index} for index, _ in enumerate(joined.parameter_values))
    whole = QuantumResult(joined.task_id, "sv0", counts, 10, 0.0, 2.0, now, now + 2.0)
    parts = split(whole, tasks)
    assert [part.task_id for part in parts] == [task.task_id for task in tasks]
    assert [row for part in parts for row in part.counts] == list(counts)
    assert [len(part.counts) for part in parts] == [task.n_rows for task in tasks]
    assert sum(part.run_s for part in parts) == pytest.approx(2.0)
    assert parts[0].started_at == now
    assert parts[-1].ended_at == pytest.approx(now + 2.0)
    assert all(part.queue_s >= 0 for part in parts)
