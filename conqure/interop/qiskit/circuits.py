"""A Qiskit circuit as what a task carries, and how to read the counts of such a task back.

Programs run the same circuit again and again with other values, often as a fresh copy. Translating takes one to two
milliseconds for a transpiled circuit of seven qubits, comparing it with one that was seen 0.1: so what was translated
is kept, together with a copy of its circuit, because circuits can be changed in place.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, ControlFlowOp

from qpu_executors.errors import InvalidTask
from qpu_executors.translation.qiskit import from_circuit
from qpu_executors.translation.writer import UNMEASURED

KEPT = 256


@dataclass(frozen=True)
class Ready:
    """A translated circuit.

    Attributes:
        program, language: what a task carries; the program is empty if the circuit measures nothing.
        parameters: names, in the order of the columns of parameter_values.
        lifted: the row of angles that was taken out of a circuit without parameters.
        n_qubits: of the circuit.
        places: the place in the counts key, from the right and without spaces, of each classical bit of the circuit.
    """

    program: str | bytes
    language: str
    parameters: tuple[str, ...]
    lifted: tuple[float, ...]
    n_qubits: int
    places: tuple[int, ...]
    derived: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)  # made from it, kept with it

    def value(self, key: str) -> int:
        """The value of the circuit's classical bits, the first one least significant, for a counts key.

        >>> ready.value("10 1")
        5
        """
        value = int(key.replace(" ", ""), 2)
        if self.is_plain:
            return value
        return sum((value >> place & 1) << bit for bit, place in enumerate(self.places))

    @cached_property
    def is_plain(self) -> bool:
        """Whether a counts key reads as the circuit's own classical bits."""
        return self.places == tuple(range(len(self.places)))


def ready(circuit: QuantumCircuit, *, keeps_delays: bool = True) -> Ready:
    """Translate a circuit; the same or an equal one gives what is known already.

    Args:
        keeps_delays: False to leave delays out, for devices that know no time.

    Raises:
        InvalidTask: an operation cannot be carried; the text names it.

    >>> ready(bell).language
    'gates'
    """
    return _known.get(circuit, keeps_delays)


class _Known:
    """Translations, each with a copy of its circuit."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, tuple[QuantumCircuit, Ready]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, circuit: QuantumCircuit, keeps_delays: bool) -> Ready:
        # A circuit with parameters is often a fresh copy; its parameters tell which one it is a copy of.
        parameters = tuple(circuit.parameters)
        key = (keeps_delays, len(circuit.data), parameters or id(circuit))
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
        if entry is not None and _same(entry[0], circuit):
            return entry[1]
        found = _translated(circuit, keeps_delays)
        with self._lock:
            self._entries[key] = circuit.copy(), found
            if len(self._entries) > KEPT:
                self._entries.popitem(last=False)
        return found


_known = _Known()


def _same(known: QuantumCircuit, circuit: QuantumCircuit) -> bool:
    # QuantumCircuit's own == builds two graphs; this compares instructions one by one, and exactly.
    return (
        known.qubits == circuit.qubits
        and known.clbits == circuit.clbits
        and known.cregs == circuit.cregs
        and known.num_identifiers == circuit.num_identifiers
        and bool(known._data == circuit._data)
    )


def _translated(circuit: QuantumCircuit, keeps_delays: bool) -> Ready:
    if not keeps_delays:
        circuit = _filtered(circuit, lambda instruction: instruction.name != "delay")
    circuit, places = _with_places(circuit)
    try:
        found = from_circuit(circuit)
    except InvalidTask as error:
        if str(error) != UNMEASURED:
            raise
        names = tuple(parameter.name for parameter in circuit.parameters)
        return Ready("", "gates", names, (), circuit.num_qubits, tuple(places))
    names = () if found.lifted else found.parameters or ()
    return Ready(found.program, found.language, names, found.lifted, circuit.num_qubits, tuple(places))


def _with_places(circuit: QuantumCircuit) -> tuple[QuantumCircuit, Sequence[int]]:
    """A circuit that can be translated, and where counts of it have the classical bits of the given one."""
    in_registers = [bit for register in circuit.cregs for bit in register]
    if in_registers == list(circuit.clbits):
        return circuit, range(circuit.num_clbits)
    if not any(isinstance(instruction.operation, ControlFlowOp) for instruction in circuit.data):
        return _in_one_register(circuit), range(circuit.num_clbits)
    if len(set(in_registers)) < len(in_registers):
        raise InvalidTask(
            f"the circuit has classical registers that share bits ({', '.join(r.name for r in circuit.cregs)}), and "
            "control flow, which may read one of them. Give each bit one register."
        )
    place = {bit: number for number, bit in enumerate(in_registers)}  # the translation has the other bits behind these
    return circuit, [place.setdefault(bit, len(place)) for bit in circuit.clbits]


def _in_one_register(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with one register of all classical bits: nothing reads the registers that it has."""
    plain = QuantumCircuit(circuit.qubits, circuit.clbits, global_phase=circuit.global_phase)
    if circuit.clbits:
        plain.add_register(ClassicalRegister(name="bits", bits=circuit.clbits))
    for instruction in circuit.data:
        plain.append(instruction)
    return plain


def _filtered(circuit: QuantumCircuit, wanted: Callable[[Any], bool]) -> QuantumCircuit:
    if all(map(wanted, circuit.data)):
        return circuit
    rest = circuit.copy_empty_like()
    for instruction in filter(wanted, circuit.data):
        rest.append(instruction)
    return rest
