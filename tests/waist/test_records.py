"""Tasks and results: checked, frozen, small, and equal to their round trips."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpu_executors import InvalidTask, Priority, QuantumResult, QuantumTask
from qpu_executors.testing import BELL, vqe_program

GOLDEN = Path(__file__).parent / "golden"

finite = st.floats(allow_nan=False, allow_infinity=False)
rows = st.integers(0, 5).flatmap(lambda n: st.lists(st.lists(finite, min_size=n, max_size=n), min_size=1, max_size=4))
tasks = st.builds(
    QuantumTask,
    program=st.one_of(st.text(min_size=1), st.binary(min_size=1)),
    language=st.sampled_from(["gates", "qpy", "openqasm3", "dax"]),
    device_id=st.sampled_from(["any", "ion0", "tag:ion,qubits>=5"]),
    shots=st.integers(1, 10**9),
    parameter_values=rows,
    seed=st.none() | st.integers(0, 2**63 - 1),
    priority=st.sampled_from(Priority),
)


@given(tasks)
def test_a_task_equals_its_json_round_trip(task):
    assert QuantumTask.from_json(task.to_json()) == task


@given(tasks)
def test_a_task_equals_its_pickle_round_trip(task):
    assert pickle.loads(pickle.dumps(task)) == task


def test_a_task_pickles_small():
    task = QuantumTask(vqe_program(7), parameter_values=[0.1] * 14)
    assert len(pickle.dumps(task)) < len(task.program) + 500


def test_a_task_cannot_be_changed_but_copied_with_changes():
    task = QuantumTask(BELL)
    with pytest.raises(AttributeError):
        task.shots = 5
    assert task.replace(shots=5).shots == 5
    with pytest.raises(InvalidTask, match="shots"):
        task.replace(shots=0)


@pytest.mark.parametrize("values", [[0.1, 0.2], [[0.1, 0.2]], (0.1, 0.2), np.array([0.1, 0.2]), [np.array([0.1, 0.2])]])
def test_one_flat_row_is_one_row(values):
    assert QuantumTask(BELL, parameter_values=values).parameter_values == ((0.1, 0.2),)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"shots": 0}, "shots must be from 1 to 1,000,000,000, not 0"),
        ({"shots": -1}, "shots must be from 1"),
        ({"shots": 10**12}, "not 1000000000000"),
        ({"shots": 1.5}, "shots must be a whole number"),
        ({"shots": True}, "shots must be"),
        ({"seed": -1}, "seed must be from 0"),
        ({"priority": "URGENT"}, "HIGH, MEDIUM, LOW"),
        ({"device_id": ""}, "device_id must be"),
        ({"device_id": "a\nb"}, "device_id must be"),
        ({"program": ""}, "program is empty"),
        ({"program": 5}, "as_task"),
        ({"program": "x" * 100_000_000}, "the limit is 16 MiB"),
        ({"parameter_values": [[float("nan")]]}, r"parameter_values\[0\]\[0\] is nan"),
        ({"parameter_values": [[0.0, 1.0], [0.0, float("inf")]]}, r"parameter_values\[1\]\[1\] is inf"),
        ({"parameter_values": [[1e308, 1e308, float("-inf")]]}, r"\[0\]\[2\] is -inf"),
        ({"parameter_values": []}, "has no rows"),
        ({"parameter_values": [[1.0], [1.0, 2.0]]}, "differ in length"),
        ({"parameter_values": "abc"}, "rows of numbers"),
        ({"parameter_values": [["a"]]}, "not a sequence of numbers"),
        ({"parameter_values": 3}, "rows of numbers"),
    ],
)
def test_bad_input_says_what_is_wrong(fields, says):
    with pytest.raises(InvalidTask, match=says) as caught:
        QuantumTask(**{"program": BELL, **fields})
    assert caught.value.kind == "invalid_task"
    assert not caught.value.transient


def test_large_finite_values_are_not_mistaken_for_infinite():
    assert QuantumTask(BELL, parameter_values=[[1e308, 1e308]]).parameter_values == ((1e308, 1e308),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a quantum task"),
        ('{"is":"result"}', "not a quantum task"),
        ('{"is":"task","conqure":99}', "wire version 99"),
        ('{"is":"task","conqure":1}', "lacks 'program'"),
        ('{"is":"task","conqure":1,"program":"x","color":1}', "no field 'color'"),
        ('{"is":"task","conqure":1,"program":{"base64":"%"}}', "base64"),
    ],
)
def test_a_text_that_is_no_task_is_refused(text, says):
    with pytest.raises(InvalidTask, match=says):
        QuantumTask.from_json(text)


def test_a_result_equals_its_round_trips():
    result = QuantumResult("t", "ion0", ({"00": 3, "11": 7}, {"01": 10}), 10, 0.1, 0.2, 1.0, 1.2, {"attempt": 2})
    assert QuantumResult.from_json(result.to_json()) == result
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.parametrize(("name", "record"), [("task", QuantumTask), ("result", QuantumResult)])
def test_the_wire_format_is_the_golden_one(name, record):
    golden = (GOLDEN / f"{name}.json").read_text().strip()
    assert record.from_json(golden).to_json() == golden
    assert json.loads(golden)["conqure"] == 1
