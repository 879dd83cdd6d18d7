"""What the PennyLane driver does beyond the contract."""

import math

import pennylane as qml
import pytest

from qpu_executors import InvalidSite, InvalidTask, MissingPackage
from qpu_executors.drivers.pennylane_device import PennyLaneDevice
from qpu_executors.testing import BELL, ROTATION, gates, vqe_program


def run(device, program, rows=((),), shots=500, seed=1):
    return device.execute(device.prepare(program, "gates"), rows, shots, seed)


def test_a_device_nobody_has_installed_is_named():
    with pytest.raises(MissingPackage, match=r"'no\.such\.device'"):
        PennyLaneDevice("p", 3, device="no.such.device")


def test_arguments_a_device_does_not_take_are_named():
    with pytest.raises(InvalidSite, match=r"\[qpu.p.options\].*colour"):
        PennyLaneDevice("p", 3, device="default.qubit", arguments={"colour": "red"})


def test_a_noisy_simulator_of_density_matrices_runs():
    device = PennyLaneDevice("p", 2, device="default.mixed")
    assert set(run(device, BELL)[0]) == {"00", "11"}
    assert run(device, ROTATION, [[math.pi], [0.0]]) == [{"1": 500}, {"0": 500}]


def test_what_a_device_cannot_do_is_an_invalid_task():
    device = PennyLaneDevice("p", 2, device="default.mixed")
    midway = gates(1, ["h", [0]], ["measure", [0], [0]], ["h", [0]], ["measure", [0], [1]], registers=[["c", 2]])
    with pytest.raises(InvalidTask, match=r"device 'p' \(default.mixed\) cannot measure or reset in the middle"):
        run(device, midway)


def test_many_bits_are_refused_before_they_overflow():
    device = PennyLaneDevice("p", 70)
    with pytest.raises(InvalidTask, match="more than 62 bits"):
        device.prepare(gates(70, ["h", [0]]), "gates")


def test_running_inside_a_users_qnode_adds_nothing_to_it():
    device = PennyLaneDevice("p", 7)
    prepared = device.prepare(vqe_program(7), "gates")
    with qml.queuing.AnnotatedQueue() as queue:
        device.execute(prepared, [[0.1] * 14], 10, None)
    assert not queue.queue
