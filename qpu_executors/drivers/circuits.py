"""What the drivers on Qiskit share: programs as circuits, rows bound to them, counts with our keys."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Parameter
from qiskit.exceptions import QiskitError
from qiskit.transpiler import PassManager

from ..device import Counts
from ..errors import InvalidSite, InvalidTask, MissingPackage
from ..translation.gates import GateProgram
from ..translation.qiskit import key_formatter, load_qpy, to_circuit

LANGUAGES = ("gates", "qpy")


@dataclass
class Prepared:
    """A circuit ready for a backend.

    Attributes:
        circuit: in the backend's own gates.
        parameters: in the order of the columns of parameter_values; compiling may have removed some from the circuit.
    """

    circuit: QuantumCircuit
    parameters: list[Parameter]
    key: Callable[[int], str]  # the value of all classical bits -> counts key
    _keys: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, program: str | bytes, language: str, n_qubits: int) -> Prepared:
        """Parse a program; `InvalidTask` if it is no such program or has more than ``n_qubits``."""
        if language == "gates":
            assert isinstance(program, str)
            gates = GateProgram.parse(program)
            circuit, parameters = to_circuit(gates)
            key: Callable[[int], str] = gates.key
        else:
            circuit = load_qpy(program)
            parameters, key = list(circuit.parameters), key_formatter(circuit)
        if circuit.num_qubits > n_qubits:
            raise InvalidTask(f"the circuit has {circuit.num_qubits} qubits, the device has {n_qubits}.")
        return cls(circuit, parameters, key)

    def compile(self, compiler: PassManager, known: Collection[str], who: str) -> None:
        """Put the circuit into the operations a backend knows; `InvalidTask` names the first that cannot be."""
        before = operations(self.circuit)
        try:
            self.circuit = compiler.run(self.circuit)
            left = sorted(operations(self.circuit) - set(known))
        except QiskitError as error:
            left = sorted(before - set(known))
            names = f" Not among its own operations: {', '.join(left)}." if left else ""
            raise InvalidTask(f"{who} cannot run this circuit: {error.message}.{names}") from error
        if left:
            raise InvalidTask(f"{who} has no operation {left[0]!r} and no way to make it of those it has.")

    def check(self, rows: Sequence[Sequence[float]]) -> None:
        """`InvalidTask` unless each row has one value per parameter."""
        wanted = len(self.parameters)
        if any(len(row) != wanted for row in rows):
            names = ", ".join(parameter.name for parameter in self.parameters[:8]) + (", …" if wanted > 8 else "")
            raise InvalidTask(
                f"parameter_values has {len(rows[0])} columns, the program has {wanted} "
                f"parameters{': ' + names if names else ''}. Give one value per parameter in each row."
            )

    @cached_property
    def used(self) -> list[tuple[int, Parameter]]:
        """The parameters that are still in the circuit, each with its column."""
        left = set(self.circuit.parameters)
        return [(column, parameter) for column, parameter in enumerate(self.parameters) if parameter in left]

    def bound(self, rows: Sequence[Sequence[float]]) -> list[QuantumCircuit]:
        """One circuit per row."""
        used = self.used
        if not used:
            return [self.circuit] * len(rows)
        # Every key is a parameter of the circuit: without Qiskit's checks of that it takes half the time.
        bind = partial(self.circuit.assign_parameters, flat_input=True, strict=False)
        return [bind({p: row[column] for column, p in used}) for row in rows]

    def counts(self, hexadecimal: Mapping[str, int]) -> Counts:
        """Counts as Qiskit's results hold them (``{"0x3": 10}``) with our keys."""
        keys = self._keys
        for outcome in hexadecimal:
            if outcome not in keys:
                keys[outcome] = self.key(int(outcome, 16))
        return {keys[outcome]: int(number) for outcome, number in hexadecimal.items() if number}


def operations(circuit: QuantumCircuit) -> set[str]:
    """Names of all operations, also inside loops and branches; barriers are understood everywhere."""
    names = set()
    for instruction in circuit.data:
        names.add(instruction.name)
        if isinstance(instruction.operation, ControlFlowOp):
            names.update(*map(operations, instruction.operation.blocks))
    return names - {"barrier"}


def named(where: str, name: object) -> Any:
    """The object that ``package.module:callable`` in a site file means.

    Raises:
        InvalidSite: the text is not of this form, or the module lacks it; MissingPackage: there is no such module.
    """
    if not isinstance(name, str) or not all(name.partition(":")):
        raise InvalidSite(f"{where} must be 'package.module:callable', not {name!r}.")
    module, _, attributes = name.partition(":")
    try:
        found: Any = import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"{where} = {name!r} needs the module {error.name!r}. Install the package that has it."
        ) from error
    except AttributeError:
        near = difflib.get_close_matches(attributes, dir(import_module(module)), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InvalidSite(f"{where} = {name!r}: {module!r} has no {attributes!r}.{hint}") from None
    except Exception as error:  # a third party's module may fail in any way
        raise InvalidSite(f"{where} = {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    return found


def call_by_name(where: str, name: object, arguments: Mapping[str, Any]) -> Any:
    """Call it; `InvalidSite` says what its constructor did not like."""
    function = named(where, name)
    try:
        return function(**arguments)
    except Exception as error:  # whatever a third party's constructor raises
        raise InvalidSite(f"{where} = {name!r} failed: {type(error).__name__}: {error}") from error
