"""Everything a task can get wrong has its own sentence, before it reaches a device or from the device itself."""

import math

import pytest

from qpu_executors import QPU, InvalidTask, QuantumTask, hold
from qpu_executors.testing import BELL, ROTATION, gates

BROKEN = {
    "NaN": (ROTATION, {"parameter_values": [[math.nan]]}, r"\[0\]\[0\] is nan"),
    "infinity": (ROTATION, {"parameter_values": [[1.0], [math.inf]]}, r"\[1\]\[0\] is inf"),
    "too many columns": (
        ROTATION,
        {"parameter_values": [[1.0, 2.0]]},
        "2 columns, the program has 1 parameters: theta",
    ),
    "too few columns": (ROTATION, {}, "0 columns, the program has 1 parameters: theta"),
    "ragged rows": (ROTATION, {"parameter_values": [[1.0], [1.0, 2.0]]}, "differ in length"),
    "no shots": (BELL, {"shots": 0}, "shots must be from 1"),
    "negative shots": (BELL, {"shots": -1}, "shots must be from 1"),
    "absurd shots": (BELL, {"shots": 10**12}, "shots must be from 1"),
    "shots beyond the device": (BELL, {"shots": 10**8}, "takes at most"),
    "half a shot": (BELL, {"shots": 0.5}, "whole number"),
    "a large circuit": (gates(60, ["h", [0]]), {}, "60 qubits, device 'd' has 5"),
    "100 MB": ("{" + " " * 10**8, {}, "95 MiB, the limit is 16 MiB"),
    "nothing": ("", {}, "empty"),
    "broken JSON": ('{"gates":1,', {}, "not JSON"),
    "JSON nested without end": ("[" * 10**6, {}, "not JSON"),
    "an unknown gate": (gates(1, ["wobble", [0]]), {}, "no gate 'wobble'. It has: id, x"),
    "a qubit that is not there": (gates(1, ["h", [1]]), {}, "qubit 1 is not from 0 to 0"),
    "broken OpenQASM 2": ("OPENQASM 2.0; qreg q[1", {"language": "openqasm2"}, "OpenQASM 2, line 1"),
    "broken OpenQASM 3": ("OPENQASM 3; qubit[1 q;", {"language": "openqasm3"}, "OpenQASM 3, line 1"),
    "text as gates": ("OPENQASM 3;", {}, "not JSON"),
    "bytes as gates": (b"OPENQASM 3;", {}, "text, not bytes"),
    "another language": ("x", {"language": "klingon"}, "does not read 'klingon'. It reads: gates"),
}
DEVICES = {
    "statevector": QPU("d", "statevector", 5),
    "aer": QPU("d", "aer", 5),
    "pennylane": QPU("d", "pennylane", 5),
    "qiskit": QPU("d", "qiskit", 5, options={"backend": "qiskit_ibm_runtime.fake_provider:FakeManilaV2"}),
    "emulated": QPU("d", "emulated", 5),
}


@pytest.fixture(scope="module", params=DEVICES)
def held(request):
    with hold(DEVICES[request.param]) as held:
        yield held


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_task_has_its_own_sentence(held, name):
    program, fields, sentence = BROKEN[name]
    with pytest.raises(InvalidTask, match=sentence) as caught:
        held.run(QuantumTask(program, **fields))
    assert len(str(caught.value)) < 1000
    assert not caught.value.transient


def test_qpy_that_is_none_is_refused_where_qpy_is_read(held):
    task = QuantumTask(b"QISKIT nonsense", language="qpy")
    sentence = "qpy program" if "qpy" in held.device.languages else "does not read 'qpy'.*needs an 'aer' QPU"
    with pytest.raises(InvalidTask, match=sentence):
        held.run(task)


def test_after_all_that_the_device_still_works(held):
    assert sum(held.run(QuantumTask(BELL, shots=10)).counts[0].values()) == 10
