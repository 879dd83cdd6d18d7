"""The language `gates`: what it accepts, and clear words for what it does not."""

import json

import pytest

from qpu_executors import InvalidTask
from qpu_executors.testing import BELL, gates, vqe_program
from qpu_executors.translation.gates import GateProgram, Op, bind


def test_a_program_equals_its_round_trip():
    for text in (BELL, vqe_program(5)):
        program = GateProgram.parse(text)
        assert GateProgram.parse(program.dumps()) == program


def test_angles_are_affine_in_the_parameters():
    program = GateProgram.parse(gates(1, ["ry", [0], [[0.5, 1, 2.0, 0, -1]]], parameters=["a", "b"]))
    assert program.ops[0] == Op("ry", (0,), ((0.5, 1, 2.0, 0, -1.0),))
    assert bind(program.ops[0].angles[0], (0.25, 3.0)) == 0.5 + 2.0 * 3.0 - 0.25


def test_counts_keys_follow_qiskit():
    program = GateProgram(4, (("a", 2), ("b", 1), ("c", 3)), (), ())
    assert program.key(0b101_0_10) == "101 0 10"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gates": 2}, "version 1"),
        ({"qubits": 0}, "qubits must be a whole number from 1"),
        ({"qubits": 10**9}, "qubits must be"),
        ({"qubits": True}, "qubits must be"),
        ({"extra": 1}, "no field 'extra'"),
        ({"registers": [["c", -1]]}, "size of register 'c'"),
        ({"registers": [["c"]]}, r"a register is \[name, size\]"),
        ({"registers": [["c", 9000], ["d", 9000]]}, "number of classical bits"),
        ({"parameters": ["a", "a"]}, "same name"),
        ({"ops": []}, "measures nothing"),
        ({"ops": "h"}, "list of at most"),
        ({"ops": [["h"]]}, r"op 0 must be \[name"),
        ({"ops": [["h", [2]]]}, "qubit 2 is not from 0 to 1"),
        ({"ops": [["h", [0.5]]]}, "qubit 0.5"),
        ({"ops": [["cx", [0, 0]]]}, "names a qubit twice"),
        ({"ops": [["cx", [0]]]}, "takes 2 qubit"),
        ({"ops": [["ry", [0]]]}, "and 1 angle"),
        ({"ops": [["ry", [0], ["x"]]]}, "finite number or"),
        ({"ops": [["ry", [0], [[0, 3, 1.0]]]]}, "parameter 3; the program has 0"),
        ({"ops": [["ry", [0], [[0, 0]]]]}, "affine angle"),
        ({"ops": [["wobble", [0]]]}, "no gate 'wobble'"),
        ({"ops": [["measure", [0, 1], [0]]]}, "one bit per qubit"),
        ({"ops": [["measure", [0], [7]]]}, "bit 7 is not"),
    ],
)
def test_a_mistake_is_named(change, says):
    program = {**json.loads(BELL), **change}
    with pytest.raises(InvalidTask, match=says):
        GateProgram.parse(json.dumps(program))


@pytest.mark.parametrize("text", ["", "{", "3", "[" * 100_000, '{"gates":1,"qubits":NaN}'])
def test_text_that_is_no_program_is_refused(text):
    with pytest.raises(InvalidTask):
        GateProgram.parse(text)
