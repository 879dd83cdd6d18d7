"""Programs of Amazon Braket to `gates`: OpenQASM 3 as Braket speaks it, with its gates, pragmas and result types.

Braket's own interpreter (of its default simulator) reads the text, so a program means here what it means there; what
it finds is written down in order, so that a measurement in the middle stays there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from braket.circuits import Circuit
from braket.circuits.serialization import IRType
from braket.default_simulator.openqasm import circuit as openqasm
from braket.default_simulator.openqasm.interpreter import Interpreter
from braket.default_simulator.openqasm.parser.openqasm_ast import Include
from braket.default_simulator.openqasm.program_context import ProgramContext
from braket.ir.openqasm import Program

from ..errors import ConqureError, InvalidTask
from . import Translation
from .braket_gates import BUILT_IN, add_gate
from .unitary import add_unitary
from .writer import ProgramWriter, real


@dataclass(frozen=True)
class BraketProgram:
    """What a program of Braket does.

    Attributes:
        translation: the same in the language `gates`: one register, in which bit i is ``measured[i]``.
        measured: Braket's numbers of the measured qubits.
        results: the result types that the program asks for, as Braket has parsed them.
    """

    translation: Translation
    measured: tuple[int, ...]
    results: tuple[Any, ...]


def from_circuit(circuit: Circuit | Program, *, lift_angles: bool = True) -> Translation:
    """Translate a circuit, or a program in Braket's OpenQASM. Where it asks for result types, their observables are
    what is measured.

    Raises:
        InvalidTask: it is wrong, lacks values for its inputs, or there is no way to carry an operation.

    >>> from_circuit(Circuit().h(0).cnot(0, 1)).language
    'gates'
    """
    return read(circuit, lift_angles=lift_angles).translation


def read(circuit: Circuit | Program, *, lift_angles: bool = True) -> BraketProgram:
    """As `from_circuit`, and what its bits mean. A program that measures nothing measures all the qubits it uses."""
    program = circuit.to_ir(ir_type=IRType.OPENQASM) if isinstance(circuit, Circuit) else circuit
    context = _Context()
    try:
        reader = _Reader(context)
        reader.run(program.source, program.inputs)
        return context.program(lift_angles)
    except (ConqureError, MemoryError):
        raise
    except RecursionError:
        raise InvalidTask("the program is nested too deeply.") from None
    except Exception as error:  # the interpreter lets many kinds through
        raise InvalidTask(f"Braket's OpenQASM: {error or type(error).__name__}") from error


class _Reader(Interpreter):
    def visit(self, node: Any) -> Any:
        if not isinstance(node, Include):
            return super().visit(node)
        if node.filename != "stdgates.inc":  # a text from anybody must not open files
            raise InvalidTask(f"include {node.filename!r}: only stdgates.inc, which is built in, is included.")
        return None


class _Context(ProgramContext):
    """What the interpreter calls; its own circuit keeps the qubits in use, the classical registers, the results."""

    def __init__(self) -> None:
        super().__init__()
        self._writer = ProgramWriter()
        self._bits: dict[tuple[int, int], int] = {}  # (register, element) -> bit, by first use

    def program(self, lift_angles: bool) -> BraketProgram:
        circuit = self._circuit
        place = {qubit: number for number, qubit in enumerate(sorted(circuit.qubit_set))}
        if not place:
            raise InvalidTask("the program uses no qubits.")
        if circuit.results and self._bits:
            raise InvalidTask("the program both measures and asks for result types. Take one of the two out.")
        for op in self._writer.ops:
            op[1] = [place[qubit] for qubit in op[1] if qubit in place]
        slots = [(self._bits[register.order, element], q) for register, element, q in circuit.measurement_slots]
        if not slots:
            self._rotate(place)
            for number in place.values():
                self._writer.measure(number, number)
            slots = list(enumerate(place))
        order = {bit: number for number, (bit, _) in enumerate(slots)}
        for op in self._writer.ops if self._bits else ():
            if op[0] == "measure":
                op[2] = [order[bit] for bit in op[2]]
        translation = self._writer.translation(len(place), [["b", len(slots)]], (), lift=lift_angles)
        return BraketProgram(translation, tuple(qubit for _, qubit in slots), tuple(circuit.results))

    def _rotate(self, place: Mapping[int, int]) -> None:
        """Turn the bases of the observables into the one that is measured."""
        mapped = []
        for result in self._circuit.results:
            targets = getattr(result, "targets", None)
            if targets is not None:
                result = result.copy(update={"targets": [place[qubit] for qubit in targets]})
            mapped.append(result)
        plain = openqasm.Circuit(results=mapped)
        plain.qubit_set = set(place.values())
        for rotation in plain.basis_rotation_instructions:
            add_unitary(self._writer, rotation.matrix, rotation.targets)

    # What the interpreter calls

    def is_builtin_gate(self, name: str) -> bool:
        return name in BUILT_IN and not self.is_user_defined_gate(name)

    def add_gate_instruction(
        self, gate_name: str, target: tuple[int, ...], params: Any, ctrl_modifiers: list[int], power: float
    ) -> None:
        angles = [real(gate_name, param) for param in params]
        add_gate(self._writer, gate_name, target, angles, controls=ctrl_modifiers, power=power)
        self._circuit.qubit_set |= set(target)
        self._writer.check_size()

    def add_custom_unitary(self, unitary: Any, target: tuple[int, ...]) -> None:
        add_unitary(self._writer, unitary, target)
        self._circuit.qubit_set |= set(target)

    def add_phase_instruction(self, target: Iterable[int], phase_value: float) -> None:
        self._circuit.qubit_set |= set(target)  # a global phase: no counts can show it

    def add_barrier(self, target: list[int] | None = None) -> None:
        self._writer.add("barrier", list(range(self.num_qubits)) if target is None else list(target))

    def add_reset(self, target: list[int]) -> None:
        self._writer.add("reset", list(target))
        self._circuit.qubit_set |= set(target)

    def add_measure(
        self,
        target: tuple[int, ...],
        classical_targets: Iterable[int] | None = None,
        *,
        classical_destination: Any = None,
    ) -> None:
        if classical_destination is None:
            bound = self._circuit.add_measure(target)
        else:
            register, elements = self._resolve_destination(classical_destination, classical_targets, target)
            bound = self._circuit.add_measure(target, register, elements)
        for qubit, (register, element) in zip(target, bound, strict=True):
            self._writer.measure(qubit, self._bits.setdefault((register.order, element), len(self._bits)))

    def add_noise_instruction(self, noise_instruction: str, target: list[int], probabilities: Sequence[float]) -> None:
        raise InvalidTask(f"noise ({noise_instruction}) is of simulators. A QPU has its own; take the pragma out.")

    def add_kraus_instruction(self, matrices: list[Any], target: list[int]) -> None:
        raise InvalidTask("noise (kraus) is of simulators. A QPU has its own; take the pragma out.")

    def evaluate_condition(self, condition: Any) -> NoReturn:
        _refuse_feedback()

    def evaluate_while_condition(self, condition: Any) -> NoReturn:
        _refuse_feedback()

    def evaluate_for_range(self, set_declaration: Any, loop_var: str, loop_type: Any) -> NoReturn:
        _refuse_feedback()

    def iter_classical_scopes(self, expression: Any) -> NoReturn:
        _refuse_feedback()


def _refuse_feedback() -> NoReturn:
    raise InvalidTask("the program computes with a measured bit, which the language 'gates' cannot say.")
