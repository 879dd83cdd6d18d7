"""What the translators share: collecting ops, lifting angles, writing the text of a `gates` program."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from ..errors import InvalidTask
from . import Translation
from .gates import MAX_OPS, VERSION

MAX_LIFTED = 512  # more angles than this stay in the program: binding them would cost more than it saves
_EIGHTH_TURN = math.pi / 4  # its multiples stay too: they make Clifford and T gates, which say what the circuit is


class ProgramWriter:
    """Collects the ops of a `gates` program, in its own form: ``[name, qubits, angles or bits]``."""

    def __init__(self) -> None:
        self.ops: list[list[Any]] = []
        self._measures = False

    def add(self, name: str, qubits: list[int], angles: list[Any] | None = None) -> None:
        """A gate, barrier or reset."""
        self.ops.append([name, qubits, angles] if angles else [name, qubits])

    def measure(self, qubit: int, bit: int) -> None:
        """One op for neighbouring measurements, as measuring all qubits makes them."""
        last: list[Any] = self.ops[-1] if self.ops else [""]
        if last[0] == "measure" and qubit not in last[1] and bit not in last[2]:
            last[1].append(qubit)
            last[2].append(bit)
        else:
            self.ops.append(["measure", [qubit], [bit]])
        self._measures = True

    def check_size(self) -> None:
        if len(self.ops) > MAX_OPS:
            raise InvalidTask(f"the circuit has more than {MAX_OPS:,} operations once its gates are decomposed.")

    def translation(
        self, n_qubits: int, registers: Sequence[Sequence[Any]], parameters: tuple[str, ...], *, lift: bool
    ) -> Translation:
        """The program's text. With ``lift`` angles become parameters; the circuit must not have any yet."""
        self.check_size()
        if not self._measures:
            raise InvalidTask(UNMEASURED)
        lifted = self._lift() if lift and not parameters else ()
        parameters = parameters or tuple(f"angle[{number}]" for number in range(len(lifted)))
        program = {
            "gates": VERSION,
            "qubits": n_qubits,
            "registers": registers,
            "parameters": parameters,
            "ops": self.ops,
        }
        return Translation(json.dumps(program, separators=(",", ":")), "gates", parameters, lifted)

    def _lift(self) -> tuple[float, ...]:
        """Take the angles out of the ops, which refer to them from now on."""
        found = [
            (op[2], place, angle)
            for op in self.ops
            if len(op) == 3 and op[0] != "measure"
            for place, angle in enumerate(op[2])
            if abs(angle / _EIGHTH_TURN - round(angle / _EIGHTH_TURN)) > 1e-9
        ]
        if len(found) > MAX_LIFTED:
            return ()
        for number, (angles, place, _) in enumerate(found):
            angles[place] = [0.0, number, 1.0]
        return tuple(angle for _, _, angle in found)


UNMEASURED = "the circuit measures nothing, so it has no counts. Measure some qubits (Qiskit: circuit.measure_all())."


def real(gate: str, value: Any) -> float:
    """An angle as a finite float; `InvalidTask` names the gate otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidTask(f"gate {gate!r} has the angle {str(value)[:60]!r}, which is not a real number.") from None
    if not math.isfinite(number):
        raise InvalidTask(f"gate {gate!r} has the angle {number}. Angles must be finite numbers, in radians.")
    return number
