"""What happens next to the QPU to decorated functions, the same on every engine."""

import pytest

from qpu_executors import QPU, QPUHandle, QuantumTask, UnknownDevice, hold
from qpu_executors.apps import call_with, run_made
from qpu_executors.testing import BELL

SV = QPU("sv0", "statevector", 5)


def first(qpu, a, b=2):
    return qpu, a, b


def last(a, b=2, *, qpu):
    return qpu, a, b


def between(a, qpu, b=2):
    return qpu, a, b


@pytest.mark.parametrize("func", [first, last, between])
@pytest.mark.parametrize(("args", "kwargs"), [((1,), {}), ((1, 3), {}), ((1,), {"b": 3}), ((), {"a": 1, "b": 3})])
def test_the_parameter_qpu_is_not_there_for_the_caller(func, args, kwargs):
    assert call_with(func, "handle", args, kwargs) == ("handle", 1, 3 if len(args) + len(kwargs) > 1 else 2)


def test_equal_circuits_in_a_list_are_separate_samples_also_with_a_seed():
    options = {"shots": 1000, "seed": 5}
    with hold(SV):
        one, two = run_made([BELL, BELL], options)
        assert run_made((BELL, BELL), options)[0].counts == one.counts != two.counts
    assert options == {"shots": 1000, "seed": 5}


def test_a_task_for_another_qpu_is_refused_with_the_way_to_say_it():
    with hold(SV), pytest.raises(UnknownDevice, match=r"@quantum_app\(device='ion0'\)"):
        run_made(QuantumTask(BELL, device_id="ion0"), {})


def test_a_handle_runs_circuits_with_its_defaults_and_with_others():
    with hold(SV) as held:
        qpu = QPUHandle(held, shots=7)
        assert [qpu.run(BELL).shots, qpu.run(BELL, shots=9).shots] == [7, 9]
