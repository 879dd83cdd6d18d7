"""What may be handed in, and what it becomes."""

import io
import json
import tempfile
from pathlib import Path

import pytest
from qiskit import QuantumCircuit, qpy

from conqure import InvalidTask, InvalidWork, Priority, QuantumTask, TooLarge, as_task
from conqure.queue.packing import pack
from conqure.queue.work import WorkloadFormat
from qpu_executors.translation.dax_writer import to_dax

QASM = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; x q[0]; measure q -> c;'


def tasks_of(workload: object, **options: object) -> list[QuantumTask]:
    packed = pack(workload, options.pop("device_id", None), Priority.LOW, **options)
    if packed.format is WorkloadFormat.TASK:
        return [QuantumTask.from_json(packed.payload)]
    assert packed.format is WorkloadFormat.TASKS
    return [QuantumTask.from_json(json.dumps(part)) for part in json.loads(packed.payload)]


def test_circuits_in_every_form_become_one_task(bell: QuantumCircuit) -> None:
    program = as_task(bell).program
    task = as_task(bell)
    for given in (bell, task, program, task.to_json(), program.encode(), task.to_json().encode()):
        assert [found.program for found in tasks_of(given, shots=7)] == [program]
    assert tasks_of(QASM, shots=7)[0].shots == 7
    assert tasks_of(QASM.encode())[0].language == "gates"
    stream = io.BytesIO()
    qpy.dump(bell, stream)
    assert tasks_of(stream.getvalue())[0].program == program


def test_a_pennylane_tape_becomes_a_task() -> None:
    import pennylane

    tape = pennylane.tape.QuantumScript([pennylane.Hadamard(0)], [pennylane.counts()], shots=12)
    assert tasks_of(tape)[0].shots == 12


def test_a_list_becomes_one_work_of_several_tasks(bell: QuantumCircuit) -> None:
    assert [task.shots for task in tasks_of([bell, QASM, as_task(bell)], shots=5)] == [5, 5, 5]
    assert len(tasks_of((bell,))) == 1
    text = f"[{as_task(bell).to_json()},{as_task(bell).to_json()}]"
    assert len(tasks_of(text)) == 2
    with pytest.raises(InvalidWork, match="at least one"):
        tasks_of([])


def test_device_and_priority_of_the_work_are_those_of_its_tasks(bell: QuantumCircuit) -> None:
    (task,) = tasks_of(bell, device_id="ion0")
    assert (task.device_id, task.priority) == ("ion0", "LOW")
    assert pack(as_task(bell, device_id="ion1"), None, Priority.HIGH).device_id == "ion1"
    assert pack(as_task(bell, device_id="ion1"), "ion2", Priority.HIGH).device_id == "ion2"
    with pytest.raises(InvalidWork, match="different devices: any, ion1"):
        pack([bell, as_task(bell, device_id="ion1")], None, Priority.LOW)


def test_a_path_stands_for_its_file(tmp_path: Path, bell: QuantumCircuit) -> None:
    (tmp_path / "x.qasm").write_text(QASM)
    assert tasks_of(tmp_path / "x.qasm")
    assert tasks_of(str(tmp_path / "x.qasm"))
    (tmp_path / "pulses.bin").write_bytes(b"\x00\x01\xff")
    assert pack(tmp_path / "pulses.bin", None, Priority.LOW).payload == b"\x00\x01\xff"
    with pytest.raises(InvalidWork, match=r"there is no file 'nothing.qasm'"):
        pack("nothing.qasm", None, Priority.LOW)
    with pytest.raises(InvalidWork, match="cannot be read: No such file"):
        pack(tmp_path / "nothing.qasm", None, Priority.LOW)


def test_an_open_file_is_read_from_its_start_and_closed() -> None:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - create_work closes it
    file.write(b"\x1f\x8b\x00pulses")
    packed = pack(file, "fpga", Priority.LOW)
    assert (packed.payload, packed.format, packed.device_id) == (b"\x1f\x8b\x00pulses", "opaque", "fpga")
    assert file.closed
    assert tasks_of(io.BytesIO(QASM.encode()))


def test_a_dax_program_stays_text(bell: QuantumCircuit) -> None:
    text = to_dax(as_task(bell).program, 30)
    packed = pack(text, None, Priority.LOW)
    assert (packed.format, packed.payload, packed.device_id) == ("dax", text.encode(), "any")
    with pytest.raises(InvalidWork, match="shots: only the device knows"):
        pack(text, None, Priority.LOW, shots=10)


def test_translation_is_bypassed_for_bytes_and_where_the_format_says_so() -> None:
    assert pack(b"anything", "fpga", Priority.LOW).format == "opaque"
    assert pack("anything at all", "fpga", Priority.LOW).payload == b"anything at all"
    packed = pack(QASM, "fpga", Priority.LOW, format="opaque")
    assert (packed.format, packed.payload) == ("opaque", QASM.encode())
    with pytest.raises(InvalidWork, match="format must be one of task, tasks, dax, opaque, not 'qasm'"):
        pack(QASM, None, Priority.LOW, format="qasm")


def test_a_text_that_was_meant_as_a_circuit_is_not_taken_for_opaque_when_it_has_shots() -> None:
    with pytest.raises(InvalidWork, match="Was a circuit meant"):
        pack("qasm 2.0; qreg q[1];", None, Priority.LOW, shots=100)


@pytest.mark.parametrize(
    ("workload", "error", "message"),
    [
        (None, InvalidWork, "no workload"),
        (b"", InvalidWork, "empty"),
        ("", InvalidWork, "empty"),
        (3.5, InvalidWork, "float is no circuit"),
        (QuantumCircuit(1), InvalidTask, "measures nothing"),
        ("OPENQASM 2.0; qreg q[1]; y q[0]", InvalidTask, "OpenQASM 2"),
        ('{"conqure":1,"is":"task","program":""}', InvalidTask, "program is empty"),
        (bytes(64 * 2**20 + 1), TooLarge, "64 MiB"),
    ],
)
def test_what_cannot_be_run_is_refused_when_it_is_handed_in(workload: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        pack(workload, None, Priority.LOW)
