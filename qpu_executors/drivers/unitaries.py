"""Matrices of the gates of the language `gates`, for many angles at once.

``MATRICES[name](angles)`` takes angles of shape (n_angles, ...) in radians and returns shape (..., d, d) with
d = 2**qubits; qubit 0 of the gate is the least significant bit of a row, as in Qiskit. Definitions: OpenQASM 3's
stdgates.inc, and Qiskit's circuit library for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_SQRT_HALF = np.sqrt(0.5)
_I2 = np.eye(2)
_X = np.array([[0, 1], [1, 0]])
_Y = np.array([[0, -1j], [1j, 0]])
_Z = np.diag([1, -1])
_H = _SQRT_HALF * np.array([[1, 1], [1, -1]])
_SX = 0.5 * np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]])


def _matrix(a: Array, b: Array, c: Array, d: Array, dtype: type = np.complex128) -> Array:
    """Four numbers or equally shaped arrays -> [[a, b], [c, d]] of shape (..., 2, 2)."""
    matrix = np.empty((*np.shape(a), 2, 2), dtype)
    matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1] = a, b, c, d
    return matrix


def _rx(a: Array) -> Array:
    c, s = np.cos(a[0] / 2), -1j * np.sin(a[0] / 2)
    return _matrix(c, s, s, c)


def _ry(a: Array) -> Array:
    half = a[0] / 2
    c, s = np.cos(half), np.sin(half)
    return _matrix(c, -s, s, c, np.float64)


def _rz(a: Array) -> Array:
    e = np.exp(0.5j * a[0])
    return _matrix(1 / e, 0 * e, 0 * e, e)


def _p(a: Array) -> Array:
    e = np.exp(1j * a[0])
    return _matrix(np.ones_like(e), 0 * e, 0 * e, e)


def _u(a: Array) -> Array:
    theta, phi, lam = a[0] / 2, np.exp(1j * a[1]), np.exp(1j * a[2])
    c, s = np.cos(theta), np.sin(theta)
    return _matrix(c, -lam * s, phi * s, phi * lam * c)


def _r(a: Array) -> Array:
    c, s, e = np.cos(a[0] / 2), -1j * np.sin(a[0] / 2), np.exp(1j * a[1])
    return _matrix(c, s / e, s * e, c)


def controlled(inner: Array) -> Array:
    """Control on qubit 0, the matrix on the higher qubits: (..., d, d) -> (..., 2d, 2d)."""
    size = inner.shape[-1]
    outer = np.zeros((*inner.shape[:-2], 2 * size, 2 * size), dtype=inner.dtype)
    outer[..., range(0, 2 * size, 2), range(0, 2 * size, 2)] = 1
    outer[..., 1::2, 1::2] = inner
    return outer


def _rotation(pauli: Array) -> Callable[[Array], Array]:
    """exp(-i θ/2 P) for a Pauli string P."""

    def matrix(a: Array) -> Array:
        theta = np.asarray(a[0])[..., None, None] / 2
        return np.cos(theta) * np.eye(len(pauli)) - 1j * np.sin(theta) * pauli

    return matrix


def _xx_yy(sign: int) -> Callable[[Array], Array]:
    """XX+YY (sign 1) mixes |01> and |10>; XX-YY (sign -1) mixes |00> and |11>. Angles θ, β as in Qiskit."""

    def matrix(a: Array) -> Array:
        c, s, e = np.cos(a[0] / 2), -1j * np.sin(a[0] / 2), np.exp(1j * a[1])
        low, high = (1, 2) if sign > 0 else (0, 3)
        outer = np.zeros((*np.shape(c), 4, 4), dtype=complex)
        outer[..., range(4), range(4)] = 1
        outer[..., low, low] = outer[..., high, high] = c
        outer[..., low, high] = s / e
        outer[..., high, low] = s * e
        return outer

    return matrix


def _fixed(matrix: Array) -> Callable[[Array], Array]:
    return lambda _: matrix


def _angled_control(inner: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda a: controlled(inner(a))


def _cu(a: Array) -> Array:
    return controlled(_u(a) * np.exp(1j * np.asarray(a[3]))[..., None, None])


def _u2(a: Array) -> Array:
    return _u(np.stack([np.full_like(a[0], np.pi / 2), a[0], a[1]]))


_T = np.diag([1, np.exp(0.25j * np.pi)])
_S = np.diag([1, 1j])
_CX = controlled(_X)
_SWAP = np.eye(4)[[0, 2, 1, 3]]
_ISWAP = np.array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]])
_ECR = _SQRT_HALF * np.array([[0, 1, 0, 1j], [1, 0, -1j, 0], [0, 1j, 0, 1], [-1j, 0, 1, 0]])
_RCCX = np.eye(8, dtype=complex)
_RCCX[[3, 7], :] = 0
_RCCX[3, 7], _RCCX[7, 3], _RCCX[5, 5] = -1j, 1j, -1

MATRICES: dict[str, Callable[[Array], Array]] = {
    **{
        name: _fixed(matrix)
        for name, matrix in {
            "id": _I2,
            "x": _X,
            "y": _Y,
            "z": _Z,
            "h": _H,
            "s": _S,
            "sdg": _S.conj(),
            "t": _T,
            "tdg": _T.conj(),
            "sx": _SX,
            "sxdg": _SX.conj().T,
            "cx": _CX,
            "cy": controlled(_Y),
            "cz": controlled(_Z),
            "ch": controlled(_H),
            "cs": controlled(_S),
            "csdg": controlled(_S.conj()),
            "csx": controlled(_SX),
            "swap": _SWAP,
            "iswap": _ISWAP,
            "dcx": _SWAP @ _CX @ _SWAP @ _CX,
            "ecr": _ECR,
            "ccx": controlled(_CX),
            "ccz": controlled(controlled(_Z)),
            "cswap": controlled(_SWAP),
            "rccx": _RCCX,
        }.items()
    },
    "p": _p,
    "u1": _p,
    "rx": _rx,
    "ry": _ry,
    "rz": _rz,
    "r": _r,
    "u": _u,
    "u3": _u,
    "u2": _u2,
    "cp": _angled_control(_p),
    "cu1": _angled_control(_p),
    "crx": _angled_control(_rx),
    "cry": _angled_control(_ry),
    "crz": _angled_control(_rz),
    "cu3": _angled_control(_u),
    "cu": _cu,
    "rxx": _rotation(np.kron(_X, _X)),
    "ryy": _rotation(np.kron(_Y, _Y)),
    "rzz": _rotation(np.kron(_Z, _Z)),
    "rzx": _rotation(np.kron(_X, _Z)),
    "xx_plus_yy": _xx_yy(1),
    "xx_minus_yy": _xx_yy(-1),
}
