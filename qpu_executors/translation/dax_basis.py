"""Which gates a machine with DAX has, and every other gate in terms of them.

DAX lets a system leave out any gate of its interface, so a *basis* is the set of DAX names that a machine has. Rules
say what a gate is made of; where there are several ways, the one with the fewest two-qubit gates is taken, which are by
far the least exact ones of trapped ions. All rules are equal up to the global phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from ..errors import InvalidTask
from .dax import READ

Step = tuple[str, tuple[int, ...], tuple[float, ...]]  # DAX or gate name, which of the gate's qubits, angles
Rule = Callable[..., list[Step]]

BASIS = frozenset(READ)
IONS = frozenset({"rx", "ry", "rz", "xx"})  # rotations, and the one entangling gate of Mølmer and Sørensen

_H, _Q = math.pi / 2, math.pi / 4
_A, _B, _BOTH = (0,), (1,), (0, 1)
_TO_DAX = {gate: name for name, (gate, fixed) in READ.items() if not fixed}


def lower(name: str, qubits: Sequence[int], angles: Sequence[float], basis: frozenset[str]) -> Iterator[Step]:
    """A gate of the language `gates` as calls that the basis has, in order: (DAX name, qubits, angles).

    Raises:
        InvalidTask: the basis cannot express it; the text names both.
    """
    name = _TO_DAX.get(name, name)
    if name in basis:
        yield name, tuple(qubits), tuple(angles)
        return
    found = _choice(name, basis)
    if found is None:
        raise InvalidTask(
            f"the machine has no way to do gate {name!r}: it has {', '.join(sorted(basis)) or 'no gates'}. A machine "
            f"needs two of rx, ry, rz (or rphi) and one of xx, rxx, cnot, cz; see 'basis' of its options."
        )
    for step, places, turned in found(*angles):
        yield from lower(step, [qubits[place] for place in places], turned, basis)


def check_basis(names: Iterable[str]) -> frozenset[str]:
    """Names of DAX gates as a basis; `InvalidTask` names one that DAX does not have."""
    basis = frozenset(names)
    if unknown := sorted(basis - BASIS):
        raise InvalidTask(f"DAX has no gate {unknown[0]!r}. It has: {', '.join(sorted(BASIS))}.")
    return basis


@lru_cache(maxsize=1024)
def _choice(name: str, basis: frozenset[str]) -> Rule | None:
    """The cheapest rule for a gate that is not in the basis; None if none leads into it."""
    priced = [(price, number) for number, price in _prices(name, basis, frozenset()) if price is not None]
    return RULES[name][min(priced)[1]] if priced else None


def _prices(name: str, basis: frozenset[str], above: frozenset[str]) -> list[tuple[int, tuple[int, int] | None]]:
    return [(number, _price(name, number, basis, above | {name})) for number in range(len(RULES.get(name, ())))]


def _price(name: str, number: int, basis: frozenset[str], above: frozenset[str]) -> tuple[int, int] | None:
    """(two-qubit gates, gates) that a rule comes to; None where it leads nowhere, or back to a gate ``above``."""
    pairs, total = 0, 0
    for step, places, _ in _example(name, number):
        step = _TO_DAX.get(step, step)
        if step in basis:
            pairs, total = pairs + (len(places) == 2), total + 1
            continue
        ways = [] if step in above else _prices(step, basis, above)
        known = [price for _, price in ways if price is not None]
        if not known:
            return None
        pairs, total = pairs + min(known)[0], total + min(known)[1]
    return pairs, total


def _example(name: str, number: int) -> list[Step]:
    rule = RULES[name][number]
    return rule(*(0.5,) * rule.__code__.co_argcount)


def _nothing() -> list[Step]:
    return []


def _around(before: list[Step], what: list[Step], after: list[Step]) -> list[Step]:
    return [*before, *what, *after]


def _h(*places: int) -> list[Step]:
    return [("h", (place,), ()) for place in places]


def _on_target(theta: float) -> list[Step]:
    """A controlled RZ by one entangling gate."""
    return [("rz", _B, (theta / 2,)), ("rzz", _BOTH, (-theta / 2,))]


def _phase(theta: float) -> list[Step]:
    return [("rz", _A, (theta / 2,)), *_on_target(theta)]


def _turn(theta: float, phi: float, lam: float, place: int = 0) -> list[Step]:
    return [("rz", (place,), (lam,)), ("ry", (place,), (theta,)), ("rz", (place,), (phi,))]


def _cu3(theta: float, phi: float, lam: float) -> list[Step]:
    return [
        ("rz", _A, ((lam + phi) / 2,)),
        ("rz", _B, ((lam - phi) / 2,)),
        ("cnot", _BOTH, ()),
        *_turn(-theta / 2, 0.0, -(phi + lam) / 2, 1),
        ("cnot", _BOTH, ()),
        *_turn(theta / 2, phi, 0.0, 1),
    ]


def _cnot_of(entangle: Step) -> list[Step]:
    """A CNOT around a fully entangling XX."""
    after: list[Step] = [("rx", _A, (-_H,)), ("rx", _B, (-_H,)), ("ry", _A, (-_H,))]
    return [("ry", _A, (_H,)), entangle, *after]


def _toffoli() -> list[Step]:
    def t(place: int, sign: int = 1) -> Step:
        return "rz", (place,), (sign * _Q,)

    def cx(one: int, two: int) -> Step:
        return "cnot", (one, two), ()

    half = [cx(1, 2), t(2, -1), cx(0, 2), t(2), cx(1, 2), t(2, -1), cx(0, 2)]
    return [*_h(2), *half, t(1), t(2), *_h(2), cx(0, 1), t(0), t(1, -1), cx(0, 1)]


def _relative_toffoli() -> list[Step]:
    turns: list[Step] = [("rz", (2,), (sign * _Q,)) for sign in (1, -1, 1, -1)]
    cx: list[Step] = [("cnot", pair, ()) for pair in ((1, 2), (0, 2), (1, 2))]
    return [*_h(2), turns[0], cx[0], turns[1], cx[1], turns[2], cx[2], turns[3], *_h(2)]


RULES: dict[str, tuple[Rule, ...]] = {
    "i": (_nothing,),
    "x": (lambda: [("rx", _A, (math.pi,))],),
    "y": (lambda: [("ry", _A, (math.pi,))],),
    "z": (lambda: [("rz", _A, (math.pi,))],),
    "h": (lambda: [("z", _A, ()), ("ry", _A, (_H,))], lambda: [("ry", _A, (-_H,)), ("z", _A, ())]),
    "sqrt_x": (lambda: [("rx", _A, (_H,))],),
    "sqrt_x_dag": (lambda: [("rx", _A, (-_H,))],),
    "sqrt_y": (lambda: [("ry", _A, (_H,))],),
    "sqrt_y_dag": (lambda: [("ry", _A, (-_H,))],),
    "sqrt_z": (lambda: [("rz", _A, (_H,))],),
    "sqrt_z_dag": (lambda: [("rz", _A, (-_H,))],),
    "t": (lambda: [("rz", _A, (_Q,))],),
    "tdg": (lambda: [("rz", _A, (-_Q,))],),
    "p": (lambda theta: [("rz", _A, (theta,))],),
    "u1": (lambda theta: [("rz", _A, (theta,))],),
    "u2": (lambda phi, lam: _turn(_H, phi, lam),),
    "u": (lambda theta, phi, lam: _turn(theta, phi, lam),),
    "u3": (lambda theta, phi, lam: _turn(theta, phi, lam),),
    "rx": (
        lambda theta: [("rphi", _A, (theta, 0.0))],
        lambda theta: [("rz", _A, (_H,)), ("ry", _A, (theta,)), ("rz", _A, (-_H,))],
    ),
    "ry": (
        lambda theta: [("rphi", _A, (theta, _H))],
        lambda theta: [("rz", _A, (-_H,)), ("rx", _A, (theta,)), ("rz", _A, (_H,))],
    ),
    "rz": (lambda theta: [("rx", _A, (-_H,)), ("ry", _A, (theta,)), ("rx", _A, (_H,))],),
    "rphi": (lambda theta, phi: [("rz", _A, (-phi,)), ("rx", _A, (theta,)), ("rz", _A, (phi,))],),
    "xx": (lambda: [("rxx", _BOTH, (_H,))],),
    "xx_dag": (lambda: [("rxx", _BOTH, (-_H,))], lambda: [("x", _A, ()), ("x", _B, ()), ("xx", _BOTH, ())]),
    "rxx": (lambda theta: [*_h(0, 1), ("cnot", _BOTH, ()), ("rz", _B, (theta,)), ("cnot", _BOTH, ()), *_h(0, 1)],),
    "cnot": (
        lambda: _cnot_of(("xx", _BOTH, ())),
        lambda: _cnot_of(("rxx", _BOTH, (_H,))),
        lambda: _around(_h(1), [("cz", _BOTH, ())], _h(1)),
    ),
    "cz": (lambda: _around(_h(1), [("cnot", _BOTH, ())], _h(1)),),
    "cy": (lambda: [("sqrt_z_dag", _B, ()), ("cnot", _BOTH, ()), ("sqrt_z", _B, ())],),
    "ch": (lambda: _around([("ry", _B, (-_Q,))], [("cz", _BOTH, ())], [("ry", _B, (_Q,))]),),
    "rzz": (
        lambda theta: _around(_h(0, 1), [("rxx", _BOTH, (theta,))], _h(0, 1)),
        lambda theta: [("cnot", _BOTH, ()), ("rz", _B, (theta,)), ("cnot", _BOTH, ())],
    ),
    "rzx": (lambda theta: _around(_h(1), [("rzz", _BOTH, (theta,))], _h(1)),),
    "ryy": (
        lambda theta: [
            *(("rz", place, (-_H,)) for place in (_A, _B)),
            ("rxx", _BOTH, (theta,)),
            *(("rz", place, (_H,)) for place in (_A, _B)),
        ],
    ),
    "crz": (_on_target,),
    "crx": (lambda theta: _around(_h(1), [("crz", _BOTH, (theta,))], _h(1)),),
    "cry": (lambda theta: [("rx", _B, (_H,)), ("crz", _BOTH, (theta,)), ("rx", _B, (-_H,))],),
    "cp": (_phase,),
    "cu1": (_phase,),
    "cs": (lambda: _phase(_H),),
    "csdg": (lambda: _phase(-_H),),
    "csx": (lambda: _around(_h(1), [("cp", _BOTH, (_H,))], _h(1)),),
    "cu3": (_cu3,),
    "cu": (lambda theta, phi, lam, gamma: [("rz", _A, (gamma,)), *_cu3(theta, phi, lam)],),
    "swap": (lambda: [("cnot", (0, 1), ()), ("cnot", (1, 0), ()), ("cnot", (0, 1), ())],),
    "iswap": (lambda: [("rxx", _BOTH, (-_H,)), ("ryy", _BOTH, (-_H,))],),
    "dcx": (lambda: [("cnot", (0, 1), ()), ("cnot", (1, 0), ())],),
    "ecr": (lambda: [("rzx", _BOTH, (_H,)), ("x", _A, ())],),
    "xx_plus_yy": (
        lambda theta, beta: [
            ("rz", _A, (beta,)),
            ("rxx", _BOTH, (theta / 2,)),
            ("ryy", _BOTH, (theta / 2,)),
            ("rz", _A, (-beta,)),
        ],
    ),
    "xx_minus_yy": (
        lambda theta, beta: [
            ("rz", _B, (-beta,)),
            ("rxx", _BOTH, (theta / 2,)),
            ("ryy", _BOTH, (-theta / 2,)),
            ("rz", _B, (beta,)),
        ],
    ),
    "ccx": (_toffoli,),
    "ccz": (lambda: _around(_h(2), _toffoli(), _h(2)),),
    "cswap": (lambda: [("cnot", (2, 1), ()), *_toffoli(), ("cnot", (2, 1), ())],),
    "rccx": (_relative_toffoli,),
}
