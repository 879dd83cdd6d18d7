"""An emulated QPU behaves in time like a machine."""

import threading
import time

import pytest

from qpu_executors import QPU, DeviceBusy, DeviceFault, InvalidSite, QuantumTask, hold
from qpu_executors.drivers.emulated import EmulatedDevice
from qpu_executors.registry import open_device
from qpu_executors.testing import BELL, ROTATION


def run(device, rows=((),), shots=10, seed=1, program=BELL):
    return device.execute(device.prepare(program, "gates"), rows, shots, seed)


def took(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def sleeps(monkeypatch):
    """The seconds that the device sleeps from now on; it does sleep them."""
    slept, sleep = [], time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), sleep(seconds)))
    return slept


def test_a_call_takes_the_stated_time_and_computing_is_part_of_it(monkeypatch):
    device = EmulatedDevice("ion0", 7, job_s=0.03, row_s=0.01, shot_s=0.0005)
    prepared = device.prepare(ROTATION, "gates")
    slept = sleeps(monkeypatch)
    assert took(lambda: device.execute(prepared, [[0.1], [0.2]], 20, 1)) >= 0.07
    assert sum(slept) < 0.07


def test_a_virtual_clock_reports_the_time_and_does_not_wait():
    qpu = QPU("ion0", "emulated", 7, options={"job_s": 100.0, "row_s": 10.0, "shot_s": 1.0, "clock": "virtual"})
    with hold(qpu) as held:
        task = QuantumTask(ROTATION, shots=5, parameter_values=[[0.1], [0.2]])
        assert took(lambda: held.run(task)) < 5
        result = held.run(task)
    assert result.run_s == pytest.approx(100 + 2 * (10 + 5))
    assert result.ended_at - result.started_at == pytest.approx(130)
    assert "run_s" not in result.metadata


def test_another_number_of_qubits_costs_a_reload():
    qpu = QPU("ion0", "emulated", 7, options={"job_s": 1.0, "reload_s": 60.0, "clock": "virtual"})
    bell, rotation = QuantumTask(BELL, shots=5), QuantumTask(ROTATION, shots=5, parameter_values=[[0.1]])
    with hold(qpu) as held:
        seconds = [held.run(task).run_s for task in (bell, bell, rotation, rotation, bell)]
    assert seconds == [61.0, 1.0, 61.0, 1.0, 61.0]


def test_a_reload_takes_real_time_on_the_real_clock(monkeypatch):
    device = EmulatedDevice("ion0", 7, reload_s=0.05)
    assert took(lambda: run(device)) >= 0.05
    slept = sleeps(monkeypatch)
    assert run(device)
    assert sum(slept) == 0


def test_two_tasks_at_once_are_refused():
    device = EmulatedDevice("ion0", 7, job_s=0.2)
    busy = threading.Thread(target=run, args=(device,))
    busy.start()
    time.sleep(0.05)
    with pytest.raises(DeviceBusy, match="'ion0'") as caught:
        run(device)
    assert caught.value.transient
    busy.join()
    assert run(device)


def faults(**options):
    device = EmulatedDevice("ion0", 7, **options)
    found = []
    for _ in range(40):
        try:
            run(device)
            found.append(False)
        except DeviceFault:
            found.append(True)
    return found


def test_faults_come_as_often_as_stated_and_are_repeatable():
    found = faults(failure_rate=0.5, failure_seed=3)
    assert found == faults(failure_rate=0.5, failure_seed=3) != faults(failure_rate=0.5, failure_seed=4)
    assert 8 < sum(found) < 32
    assert sum(faults()) == 0
    assert sum(faults(failure_rate=1)) == 40


def test_a_faulty_device_still_takes_its_time_and_is_free_afterwards():
    device = EmulatedDevice("ion0", 7, job_s=0.02, failure_rate=1)
    for _ in range(2):
        started = time.perf_counter()
        with pytest.raises(DeviceFault) as caught:
            run(device)
        assert time.perf_counter() - started >= 0.02
        assert caught.value.transient


@pytest.mark.parametrize("driver", ["statevector", "aer", "pennylane", "fake"])
def test_any_driver_can_be_wrapped_and_keeps_its_languages_and_counts(driver):
    inner = open_device(QPU("d", driver, 3))
    outer = EmulatedDevice("ion0", 3, driver=driver)
    assert outer.languages == inner.languages
    assert run(outer, seed=7, shots=500) == run(inner, seed=7, shots=500)


def test_options_go_to_the_wrapped_driver():
    device = EmulatedDevice("ion0", 3, driver="pennylane", options={"device": "default.qubit"})
    assert sum(run(device)[0].values()) == 10


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"clock": "sundial"}, "clock must be 'real' or 'virtual', not 'sundial'"),
        ({"job_s": -1}, "job_s must be a number from 0"),
        ({"shot_s": "fast"}, "shot_s must be a number from 0"),
        ({"failure_rate": 2}, "failure_rate is a probability"),
        ({"options": {"speed": 1}}, "'speed', which driver 'statevector' does not know"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options, sentence):
    with pytest.raises(InvalidSite, match=sentence):
        EmulatedDevice("ion0", 3, **options)
