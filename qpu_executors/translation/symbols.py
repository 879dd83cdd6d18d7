"""Angles that are SymPy expressions, as Cirq, pytket and Braket have them, in the form that `gates` has for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InvalidTask
from .writer import real

_PROBES = (0.7390851332151607, -1.3190813914487321)  # where an expression and its affine form are compared


def names(expressions: Iterable[Any]) -> tuple[str, ...]:
    """The names of all symbols in these expressions, sorted."""
    found = {str(symbol) for each in expressions for symbol in getattr(each, "free_symbols", ())}
    return tuple(sorted(found))


def angle(gate: str, expression: Any, index: Mapping[str, int], *, scale: float = 1.0, offset: float = 0.0) -> Any:
    """``offset + scale · expression``, radians: a number, or ``[offset, index, scale, …]`` in the parameters.

    Raises:
        InvalidTask: it is not real, or not affine in its symbols; the text names the gate.

    >>> angle("rz", 2 * sympy.Symbol("t") + 1, {"t": 0})
    [1.0, 0, 2.0]
    """
    symbols = sorted(getattr(expression, "free_symbols", ()), key=str)
    if not symbols:
        return offset + scale * real(gate, expression)
    try:
        constant = float(expression.subs(dict.fromkeys(symbols, 0)))
        slopes = [float(expression.diff(symbol)) for symbol in symbols]
        for probe in _PROBES:  # a step function has slope 0 almost everywhere
            at = [probe * (1 + number) for number in range(len(symbols))]
            line = constant + sum(slope * value for slope, value in zip(slopes, at, strict=True))
            value = float(expression.subs(dict(zip(symbols, at, strict=True))))
            if not math.isclose(value, line, rel_tol=1e-9, abs_tol=1e-9):
                raise ValueError
    except (TypeError, ValueError, ArithmeticError):  # a slope that still has symbols, a step, a pole, …
        raise InvalidTask(
            f"gate {gate!r} has the angle {str(expression)[:60]}, which is not affine in its symbols. "
            "Give it one symbol for the whole angle, or bind the symbols first."
        ) from None
    terms = [(index[str(s)], scale * slope) for s, slope in zip(symbols, slopes, strict=True) if slope]
    whole = offset + scale * real(gate, constant) + 0.0  # no -0.0
    return [whole, *(part for number, slope in terms for part in (number, real(gate, slope)))] if terms else whole
