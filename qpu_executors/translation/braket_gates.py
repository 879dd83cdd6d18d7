"""The gates of Amazon Braket in the language `gates`, with the modifiers of OpenQASM 3."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from braket.default_simulator.gate_operations import BRAKET_GATES

from ..errors import InvalidTask
from .gates import GATES
from .unitary import add_unitary
from .writer import ProgramWriter

# Braket's name -> ours: the same matrix, also under a control.
_RENAMED = {
    "i": "id",
    "si": "sdg",
    "ti": "tdg",
    "v": "sx",
    "vi": "sxdg",
    "cv": "csx",
    "cnot": "cx",
    "phaseshift": "p",
    "cphaseshift": "cp",
    "xx": "rxx",
    "yy": "ryy",
    "zz": "rzz",
    "ccnot": "ccx",
    "prx": "r",
    "U": "u",
    "CX": "cx",  # names that OpenQASM 2 and 3 have beside ours
    "phase": "p",
    "cphase": "cp",
}

# Gates made of several: angles -> (our gate, places among its qubits, angles). Equal up to the global phase.
_Made = list[tuple[str, list[int], list[float]]]
_MADE: dict[str, Callable[..., _Made]] = {
    "cphaseshift00": lambda a: [*_flip(0, 1), ("cp", [0, 1], [a]), *_flip(0, 1)],
    "cphaseshift01": lambda a: [*_flip(0), ("cp", [0, 1], [a]), *_flip(0)],
    "cphaseshift10": lambda a: [*_flip(1), ("cp", [0, 1], [a]), *_flip(1)],
    "pswap": lambda a: [("swap", [0, 1], []), ("rzz", [0, 1], [a])],
    "xy": lambda a: [("xx_plus_yy", [0, 1], [-a, 0.0])],
    "gpi": lambda a: [("r", [0], [math.pi, a])],
    "gpi2": lambda a: [("r", [0], [math.pi / 2, a])],
    "ms": lambda a, b, c=math.pi / 2: [*_turn(-a, -b), ("rxx", [0, 1], [c]), *_turn(a, b)],
}

BUILT_IN = {*GATES, *_RENAMED, *_MADE}

_CONTROLLED = {
    name: f"c{name}" for name in ("x", "y", "z", "h", "s", "sdg", "sx", "p", "rx", "ry", "rz", "cx", "cz", "swap")
}
_SELF_INVERSE = {"id", "x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ecr", "ccx", "ccz", "cswap"}
_SCALED = {"p", "rx", "ry", "rz", "cp", "crx", "cry", "crz", "rxx", "ryy", "rzz"}  # a whole power is a longer angle
_INVERSE = {"s": "sdg", "t": "tdg", "sx": "sxdg", "cs": "csdg"}
_INVERSE |= {inverse: name for name, inverse in _INVERSE.items()}


def add_gate(
    writer: ProgramWriter,
    name: str,
    qubits: Sequence[int],
    angles: list[float],
    *,
    controls: Sequence[int] = (),
    power: float = 1,
) -> None:
    """Add a gate of `BUILT_IN`, up to the global phase.

    Args:
        qubits: the controls first.
        controls: the state of each control for which the gate acts, 0 or 1.
        power: the gate's power; -1 for its inverse.

    Raises:
        InvalidTask: it has another number of qubits or angles, or modifiers that cannot be carried.
    """
    plain = _powered(_RENAMED.get(name, name), angles, power)
    _check(name, len(qubits) - len(controls), len(angles))
    if plain is not None and not controls:
        if name in _MADE:
            for part, places, turns in _MADE[name](*plain[1]):
                writer.add(part, [qubits[place] for place in places], turns)
        elif plain[0] != "id":
            writer.add(plain[0], list(qubits), plain[1])
    elif plain is not None and len(controls) == 1 and plain[0] in _CONTROLLED:
        flips = [qubits[0]] if controls[0] == 0 else []
        for qubit in flips:
            writer.add("x", [qubit])
        writer.add(_CONTROLLED[plain[0]], list(qubits), plain[1])
        for qubit in flips:
            writer.add("x", [qubit])
    elif plain is None or plain[0] != "id":
        add_unitary(writer, _matrix(name, qubits, angles, controls, power), qubits)


def _powered(name: str, angles: list[float], power: float) -> tuple[str, list[float]] | None:
    """A gate to some power as one gate, if it is one."""
    if power == 1:
        return name, angles
    if power != int(power):
        return None
    if name in _SELF_INVERSE:
        return (name if int(power) % 2 else "id"), angles
    if name in _SCALED:
        return name, [angle * power for angle in angles]
    return (_INVERSE[name], angles) if power == -1 and name in _INVERSE else None


def _check(name: str, n_qubits: int, n_angles: int) -> None:
    ours = _RENAMED.get(name, name)
    if ours in GATES and GATES[ours] != (n_qubits, n_angles):
        takes = "{} qubit(s) and {} angle(s)".format(*GATES[ours])
        raise InvalidTask(f"gate {name!r} takes {takes}, not {n_qubits} and {n_angles}.")


def _matrix(name: str, qubits: Sequence[int], angles: list[float], controls: Sequence[int], power: float) -> Any:
    """The matrix of a gate with modifiers, the first qubit the high one."""
    braket = next((theirs for theirs, ours in _RENAMED.items() if ours == name and theirs in BRAKET_GATES), name)
    if braket not in BRAKET_GATES:
        raise InvalidTask(f"gate {name!r} with modifiers (ctrl, pow, inv) is not read. Write it out without them.")
    inner = BRAKET_GATES[braket](qubits[len(controls) :], *angles, power=power).matrix
    whole = numpy.eye(2 ** len(qubits), dtype=complex)
    first = int("0" + "".join(map(str, controls)), 2) * len(inner)
    whole[first : first + len(inner), first : first + len(inner)] = inner
    return whole


def _flip(*places: int) -> _Made:
    return [("x", [place], []) for place in places]


def _turn(*angles: float) -> _Made:
    return [("rz", [place], [angle]) for place, angle in enumerate(angles)]
