"""Qiskit circuits to `gates` or `qpy`, and back.

A circuit becomes `gates` whenever that language can say it: gates outside its table are replaced by their definitions
(the global phase, which no counts can show, is dropped), loops over constants are unrolled, boxes are opened.
What is left (branches on measured bits, delays, angles that are not affine in the parameters) travels as `qpy`.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from qiskit import QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import (
    Barrier,
    BoxOp,
    BreakLoopOp,
    ClassicalRegister,
    ContinueLoopOp,
    ControlFlowOp,
    Delay,
    ForLoopOp,
    Instruction,
    Measure,
    Parameter,
    ParameterExpression,
    ParameterVector,
    Reset,
    Store,
)
from qiskit.circuit.library import get_standard_gate_name_mapping

from ..errors import InvalidTask
from . import Translation
from .gates import GATES, MAX_OPS, MAX_QUBITS, GateProgram
from .gates import Angle as GateAngle
from .writer import UNMEASURED, ProgramWriter, real

_CLASSES = {name: gate.base_class for name, gate in get_standard_gate_name_mapping().items() if name in GATES}
_QPY_HEADER = struct.Struct("!6sBBBBQcc")  # magic, QPY version, Qiskit version (3), programs, symbols, program type
_QPY_CIRCUIT = struct.Struct("!H1cHIIQIQI")  # sizes of a circuit, the same since QPY 12
_QPY_OLDEST = 13  # from here Qiskit reads QPY with its own Rust reader, which unpickles nothing


class _NotGates(Exception):
    """The language `gates` cannot say this."""


def from_circuit(
    circuit: QuantumCircuit, *, lift_angles: bool = True, order: Sequence[str] | None = None
) -> Translation:
    """Translate a circuit.

    Parameters keep their names, in the order of ``circuit.parameters`` or, by name, in that of ``order``. With
    ``lift_angles`` a circuit without parameters gives its angles as ``lifted`` values, so that the next one of the
    same shape is the same program and is not compiled again.

    Raises:
        InvalidTask: nothing is measured, or an operation has no definition; the text names it.

    >>> from_circuit(bell).language
    'gates'
    """
    if circuit.num_qubits == 0:
        raise InvalidTask("the circuit has no qubits.")
    registers, places = _bits(circuit)
    parameters = list(circuit.parameters)
    if order is not None:
        parameters.sort(key=lambda parameter: order.index(parameter.name))
    names = tuple(parameter.name for parameter in parameters)
    walk = _Walk(parameters)
    try:
        walk.circuit(circuit, range(circuit.num_qubits), places)
    except _NotGates:
        return Translation(to_qpy(_in_order(circuit, parameters)), "qpy", names)
    except RecursionError:
        raise InvalidTask("the circuit's gates are nested too deeply. Call circuit.decompose() a few times.") from None
    return walk.writer.translation(circuit.num_qubits, registers, names, lift=lift_angles)


class _Walk:
    """Goes through a circuit and hands its operations to a `ProgramWriter`."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.writer = ProgramWriter()
        self._index = {parameter: number for number, parameter in enumerate(parameters)}

    def circuit(self, circuit: QuantumCircuit, qubits: Sequence[int], bits: Sequence[int]) -> None:
        """The circuit's qubit i is qubit ``qubits[i]`` of the program, the same for bits."""
        if circuit.num_identifiers:
            raise _NotGates
        place = dict(zip(circuit.qubits, qubits, strict=True))
        bit_place = dict(zip(circuit.clbits, bits, strict=True))
        for instruction in circuit.data:
            name, targets = instruction.name, [place[qubit] for qubit in instruction.qubits]
            if name in GATES and instruction.is_standard_gate():
                self.writer.add(name, targets, [self._angle(name, param) for param in instruction.params])
            else:
                self._other(instruction.operation, targets, [bit_place[bit] for bit in instruction.clbits])

    def _other(self, operation: Any, qubits: list[int], bits: list[int]) -> None:
        if isinstance(operation, Measure):
            self.writer.measure(qubits[0], bits[0])
        elif isinstance(operation, Barrier):
            self.writer.add("barrier", qubits)
        elif isinstance(operation, Reset):
            self.writer.add("reset", qubits)
        elif isinstance(operation, ForLoopOp):
            self._unroll(operation, qubits, bits)
        elif isinstance(operation, BoxOp) and _is_plain(operation):
            self.circuit(operation.body, qubits, bits)
        elif isinstance(operation, (ControlFlowOp, Store, Delay)):
            raise _NotGates
        else:
            self.circuit(_definition(operation), qubits, bits)
        self.writer.check_size()

    def _unroll(self, loop: ForLoopOp, qubits: list[int], bits: list[int]) -> None:
        values, variable, body = loop.params
        if not isinstance(values, Collection) or _leaves_loop(body):
            raise _NotGates
        if len(values) > MAX_OPS:
            raise InvalidTask(f"a for loop runs {len(values):,} times; at most {MAX_OPS:,} operations are read.")
        for value in values:
            step = body.assign_parameters({variable: value}) if variable in body.parameters else body
            self.circuit(step, qubits, bits)
            self.writer.check_size()

    def _angle(self, gate: str, param: Any) -> Any:
        if not isinstance(param, ParameterExpression):
            return real(gate, param)
        number = self._index.get(param) if isinstance(param, Parameter) else None
        if number is not None:
            return [0.0, number, 1.0]
        offset, terms = _affine(gate, param)
        return [offset, *(part for p, slope in terms for part in (self._index[p], slope))] if terms else offset


_PROBES = (0.7390851332151607, -1.3190813914487321)  # where an expression and its affine form are compared


def _affine(gate: str, expression: ParameterExpression) -> tuple[float, list[tuple[Parameter, float]]]:
    """The offset and slopes of an expression; `_NotGates` if it is not affine."""
    parameters = sorted(expression.parameters, key=lambda parameter: parameter.name)
    try:
        slopes = [expression.gradient(parameter) for parameter in parameters]
        terms = [(p, float(s)) for p, s in zip(parameters, slopes, strict=True)]
        offset = float(expression.bind(dict.fromkeys(parameters, 0.0)))
        for probe in _PROBES:  # a step function has slope 0 almost everywhere
            at = {parameter: probe * (1 + number) for number, parameter in enumerate(parameters)}
            line = offset + sum(slope * at[parameter] for parameter, slope in terms)
            if not math.isclose(float(expression.bind(at)), line, rel_tol=1e-9, abs_tol=1e-9):
                raise _NotGates
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError):  # a slope that still has parameters, log(0), …
        raise _NotGates from None
    if not all(map(math.isfinite, [offset, *(slope for _, slope in terms)])):
        raise InvalidTask(f"gate {gate!r} has the angle {expression}, which is not finite.")
    return offset + 0.0, [(parameter, slope) for parameter, slope in terms if slope]  # no -0.0


def _definition(operation: Any) -> QuantumCircuit:
    """What an operation is made of."""
    definition = getattr(operation, "definition", None)
    if definition is not None:
        return definition
    if isinstance(operation, Instruction):
        raise InvalidTask(
            f"operation {operation.name!r} is not in the language 'gates' and has no definition. "
            f"Give it one, or use these gates: {', '.join(GATES)}."
        )
    from qiskit.transpiler.passes import HighLevelSynthesis  # slow to import, seldom needed

    alone = QuantumCircuit(operation.num_qubits, operation.num_clbits)
    alone.append(operation, alone.qubits, alone.clbits)
    synthesised = HighLevelSynthesis()(alone)  # an annotated gate (control, inverse, power), a Clifford, …
    if any(instruction.name == operation.name for instruction in synthesised.data):
        raise InvalidTask(f"Qiskit has no way to decompose the operation {operation.name!r}.")
    return synthesised


def _is_plain(box: BoxOp) -> bool:
    """Whether a box only groups; a duration or an annotation is meant for the device."""
    return box.duration is None and not getattr(box, "annotations", ())


def _leaves_loop(body: QuantumCircuit) -> bool:
    """Whether a loop's body has a break or continue anywhere."""
    for instruction in body.data:
        if isinstance(instruction.operation, (BreakLoopOp, ContinueLoopOp)):
            return True
        if isinstance(instruction.operation, ControlFlowOp) and any(map(_leaves_loop, instruction.operation.blocks)):
            return True
    return False


def _bits(circuit: QuantumCircuit) -> tuple[list[list[Any]], list[int]]:
    """Registers as [name, size], and the place of each classical bit; bits of no register come last, as ``loose``."""
    place: dict[Any, int] = {}
    registers: list[list[Any]] = []
    for register in circuit.cregs:
        for bit in register:
            if bit in place:
                raise InvalidTask(f"register {register.name!r} shares a bit with another one, so counts are ambiguous.")
            place[bit] = len(place)
        if len(register):
            registers.append([register.name, len(register)])
    loose = [bit for bit in circuit.clbits if bit not in place]
    if loose:
        registers.append(["loose", len(loose)])
        place |= {bit: number for number, bit in enumerate(loose, len(place))}
    return registers, [place[bit] for bit in circuit.clbits]


def _in_registers(circuit: QuantumCircuit) -> bool:
    """Whether the registers, one after the other, are the circuit's classical bits."""
    return [bit for register in circuit.cregs for bit in register] == list(circuit.clbits)


def to_circuit(program: GateProgram, *, keep_names: bool = False) -> tuple[QuantumCircuit, list[Parameter]]:
    """A Qiskit circuit that does what the program says, and its parameters in the program's order.

    Registers are named ``c0``, ``c1``, … unless ``keep_names``: names in a program may be any text, also twice.

    >>> circuit, parameters = to_circuit(GateProgram.parse(text))
    """
    parameters = [Parameter(name) for name in program.parameters]
    registers = enumerate(program.registers)
    cregs = [ClassicalRegister(size, name if keep_names else f"c{number}") for number, (name, size) in registers]
    circuit = QuantumCircuit(QuantumRegister(program.n_qubits, "q"), *cregs)
    for op in program.ops:
        if op.name == "measure":
            circuit.measure(op.qubits, op.bits)
        elif op.name == "reset":
            circuit.reset(op.qubits)
        elif op.name == "barrier":
            circuit.barrier(op.qubits)
        else:
            angles = [_expression(angle, parameters) for angle in op.angles]
            circuit.append(_CLASSES[op.name](*angles), op.qubits, copy=False)
    return circuit, parameters


def _expression(angle: GateAngle, parameters: Sequence[Parameter]) -> Any:
    if not isinstance(angle, tuple):
        return angle
    expression: Any = None
    for index, scale in zip(angle[1::2], angle[2::2], strict=True):
        term = parameters[int(index)] if scale == 1 else scale * parameters[int(index)]
        expression = term if expression is None else expression + term
    return expression + angle[0] if angle[0] else expression


def to_qpy(circuit: QuantumCircuit) -> bytes:
    """The circuit as QPY, without its name and metadata: equal circuits give equal bytes.

    Raises:
        InvalidTask: nothing is measured, or Qiskit cannot write it.
    """
    if not _measures(circuit):
        raise InvalidTask(UNMEASURED)
    plain = circuit.copy(name="program")
    if not _in_registers(circuit):
        registers, places = _bits(circuit)
        plain = QuantumCircuit(circuit.qubits, *(ClassicalRegister(size, name) for name, size in registers))
        plain.compose(circuit, plain.qubits, [plain.clbits[place] for place in places], inplace=True)
        plain.name = "program"
    plain.metadata = {}
    buffer = io.BytesIO()
    try:
        qpy.dump(plain, buffer)
    except Exception as error:  # Qiskit raises many kinds here
        raise InvalidTask(f"Qiskit cannot write this circuit as QPY: {type(error).__name__}: {error}") from error
    return buffer.getvalue()


def _in_order(circuit: QuantumCircuit, parameters: list[Parameter]) -> QuantumCircuit:
    """The circuit with its parameters renamed where Qiskit, which sorts them by name, would put them elsewhere."""
    if list(circuit.parameters) == parameters:
        return circuit
    vector = ParameterVector("input", len(parameters))
    return circuit.assign_parameters(dict(zip(parameters, vector, strict=True)))


def _measures(circuit: QuantumCircuit) -> bool:
    for instruction in circuit.data:
        operation = instruction.operation
        blocks: Iterable[QuantumCircuit] = operation.blocks if isinstance(operation, ControlFlowOp) else ()
        if isinstance(operation, Measure) or any(map(_measures, blocks)):
            return True
        if instruction.clbits and not blocks and getattr(operation, "definition", None) is not None:
            return True  # a composite instruction that writes bits
    return False


def load_qpy(program: str | bytes) -> QuantumCircuit:
    """Read one circuit from QPY bytes without running anything that is in them.

    Only QPY 13 (Qiskit 1.3) and later is read: older files may hold symengine expressions, which unpickle. The newer
    reader unpickles nothing (NumPy refuses arrays of objects, annotations have no reader); it can only make
    operations of Qiskit's own library. The sizes in the header are checked before Qiskit sees the bytes, but a
    crafted file can still keep its reader busy for long: a door that is open to strangers should take `gates` and
    OpenQASM, not QPY.

    Raises:
        InvalidTask: not QPY, too old or too new, a pulse schedule, several circuits, or too large.
    """
    _check_qpy(program)
    assert isinstance(program, bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a newer Qiskit wrote it; whether that matters shows below
            circuit = qpy.load(io.BytesIO(program))[0]
    except BaseException as error:  # the reader is Rust: a panic is not even an Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise InvalidTask(f"Qiskit cannot read this QPY program: {type(error).__name__}: {str(error)[:300]}") from error
    if not _in_registers(circuit):
        raise InvalidTask("this QPY program has classical bits outside its registers. Write it with as_task(circuit).")
    if not _measures(circuit):
        raise InvalidTask(UNMEASURED)
    return circuit


def _check_qpy(program: str | bytes) -> None:
    if not isinstance(program, bytes) or program[:6] != b"QISKIT" or len(program) < _QPY_HEADER.size:
        raise InvalidTask("a qpy program is the bytes that qiskit.qpy.dump writes; these are not.")
    _, version, *_, n_programs, _, kind = _QPY_HEADER.unpack_from(program)
    if not _QPY_OLDEST <= version <= qpy.common.QPY_VERSION:
        raise InvalidTask(
            f"this program is QPY {version}; this Qiskit reads {_QPY_OLDEST} to {qpy.common.QPY_VERSION} here. "
            "Use the same Qiskit on both sides, or dump it with qpy.dump(…, version=13)."
        )
    if kind != b"q" or n_programs != 1:
        raise InvalidTask("a qpy program must hold exactly one circuit, no pulse schedule.")
    first = _QPY_HEADER.size + (8 if version >= 16 else 0)  # a table with the circuit's offset came with QPY 16
    if len(program) < first + _QPY_CIRCUIT.size:
        raise InvalidTask("this QPY program ends before its first circuit.")
    *_, n_qubits, n_clbits, _, _, n_instructions, _ = _QPY_CIRCUIT.unpack_from(program, first)
    if max(n_qubits, n_clbits) > MAX_QUBITS or n_instructions > min(MAX_OPS, len(program)):
        raise InvalidTask(
            f"this QPY program claims {n_qubits} qubits, {n_clbits} bits and {n_instructions} operations; "
            f"at most {MAX_QUBITS:,} of each and {MAX_OPS:,} operations are read."
        )


def key_formatter(circuit: QuantumCircuit) -> Callable[[int], str]:
    """Turns the value of all classical bits of a circuit into a counts key, registers separated by a space."""
    registers = tuple((register.name, len(register)) for register in circuit.cregs)
    return GateProgram(circuit.num_qubits, registers, (), ()).key
