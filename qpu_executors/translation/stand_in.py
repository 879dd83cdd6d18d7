"""A circuit without entanglement that keeps a machine busy as the real one would.

The ion-trap evaluation of the CONQURE paper (section V.A) ran on a machine that had one-qubit gates only: each
two-qubit operation was replaced by one-qubit gates on both of its qubits, as long as itself. That changes the unitary,
and so the counts, which can be checked all the same: they are those of this program on any simulator.
"""

from __future__ import annotations

import math
from functools import cache

from .gates import GATES, GateProgram, Op
from .ion_trap import NATIVE, expanded

_TURN = math.pi / 2


def without_entanglement(program: GateProgram) -> GateProgram:
    """The program with one-qubit gates in place of each entangling operation.

    A CX, and any other gate that takes one entangling operation of an ion trap (cz, cp, rzz, ecr, …), becomes RY and RX
    on its second qubit, two H and two X on each of both qubits, and RY and RX on the second qubit. A gate that takes
    several (swap, ccx, …) becomes as many of these, with its one-qubit gates in between. One-qubit gates,
    measurements and resets stay. The paper does not say by which angles it rotates; here they are π/2 before and -π/2
    after, those of a CX on ions. The result has the same registers and parameters; some of these may have no effect.

    >>> without_entanglement(GateProgram.parse(BELL)).ops[1]
    Op(name='ry', qubits=(1,), angles=(1.5707963267948966,), bits=())
    """
    ops = [made for op in program.ops for part in expanded(op, _one_entangler()) for made in _stand_in(part)]
    return GateProgram(program.n_qubits, program.registers, program.parameters, tuple(ops))


@cache
def _one_entangler() -> frozenset[str]:
    """Gates that need no more than one RXX on an ion trap; all one-qubit gates among them."""
    return frozenset(
        name
        for name, (n_qubits, n_angles) in GATES.items()
        if sum(op.name == "rxx" for op in expanded(Op(name, tuple(range(n_qubits)), (0.0,) * n_angles), NATIVE)) <= 1
    )


def _stand_in(op: Op) -> list[Op]:
    if op.name not in GATES or len(op.qubits) == 1:
        return [op]
    control, target = op.qubits
    idle = [Op(name, (qubit,)) for qubit in (control, target) for name in ("h", "h", "x", "x")]
    return [
        Op("ry", (target,), (_TURN,)),
        Op("rx", (target,), (_TURN,)),
        *idle,
        Op("ry", (target,), (-_TURN,)),
        Op("rx", (target,), (-_TURN,)),
    ]
