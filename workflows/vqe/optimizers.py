"""Optimisers with an ask/tell face, so that many starts interleave on the same QPUs.

An optimiser's *settings* (`Rotosolve`, `Spsa`, `Adam`, `Scipy`) are plain numbers and are kept in the run folder.
``settings.begin(ansatz, x0, seed)`` gives one start's *search*: a frozen, picklable record that travels to the
classical pool and back. Nothing in it is drawn from a shared random source, so the same seed and the same energies
give the same points, on any engine, in any order, and again when a run is resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from .ansatz import Ansatz
from .errors import InvalidProblem
from .pauli import Floats


class Search(Protocol):
    """One start's search for the lowest energy.

    Attributes:
        parameters: the best estimate so far, radians, shape (n_parameters,).
        energy, error: a measured energy near ``parameters`` and its standard error, for the convergence plot; NaN
            before the first `tell`.
    """

    @property
    def parameters(self) -> Floats: ...
    @property
    def energy(self) -> float: ...
    @property
    def error(self) -> float: ...

    @property
    def point(self) -> Floats:
        """``parameters`` as the circuit takes them (Adam's circuit has one parameter per gate)."""
        ...

    def ask(self) -> Floats:
        """Points to measure together, shape (n_points, columns of the circuit); no rows when the search is over."""
        ...

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        """The search that follows once the points are measured. It leaves this one as it is."""
        ...


class Settings(Protocol):
    """What a user chooses about an optimiser."""

    name: ClassVar[str]

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        """The circuit whose energies this optimiser wants. Raises `InvalidProblem` if the ansatz does not suit it."""
        ...

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search: ...

    def evaluations(self, ansatz: Ansatz) -> int:
        """Energies it will ask for per start, or the most it will."""
        ...


@dataclass(frozen=True)
class _Search:
    parameters: Floats
    energy: float = field(default=float("nan"), kw_only=True)
    error: float = field(default=float("nan"), kw_only=True)

    @property
    def point(self) -> Floats:
        return self.parameters

    @property
    def nothing(self) -> Floats:
        return np.empty((0, len(self.parameters)))


@dataclass(frozen=True)
class Rotosolve:
    """One parameter at a time, each set to the minimum of the Fourier series that the energy is in it.

    The series is fixed by 2·order + 1 energies at equally spaced angles: three for a rotation gate, five for an
    excitation. No step size, no gradient (arXiv:1905.09692, arXiv:1903.12166, excitations arXiv:2409.05939).
    """

    name: ClassVar[str] = "rotosolve"
    sweeps: int = 2

    def __post_init__(self) -> None:
        _positive(self, "sweeps")

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        if ansatz.harmonics is None:
            raise InvalidProblem(
                f"rotosolve needs an energy that is a short Fourier series in each angle; {ansatz.name} uses an angle "
                "in many gates. Choose another optimizer for it: spsa, adam, cobyla."
            )
        return ansatz

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search:
        assert ansatz.harmonics is not None
        return _RotosolveSearch(x0, ansatz.harmonics, self.sweeps * len(x0))

    def evaluations(self, ansatz: Ansatz) -> int:
        return self.sweeps * sum(2 * order + 1 for _, order in ansatz.harmonics or ())


@dataclass(frozen=True)
class _RotosolveSearch(_Search):
    harmonics: tuple[tuple[float, int], ...]
    left: int  # parameters still to be set

    def ask(self) -> Floats:
        if not self.left:
            return self.nothing
        index, shifts = self._line()
        points = np.repeat(self.parameters[None], len(shifts), axis=0)
        points[:, index] += shifts
        return points

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        index, _ = self._line()
        frequency, _ = self.harmonics[index]
        parameters = self.parameters.copy()
        angle = parameters[index] + lowest_angle(energies) / frequency
        period = 2 * np.pi / frequency
        parameters[index] = angle - period * np.round(angle / period)
        # The first point is the present parameters themselves: its energy is the honest one.
        return replace(
            self, parameters=parameters, left=self.left - 1, energy=float(energies[0]), error=float(errors[0])
        )

    def _line(self) -> tuple[int, Floats]:
        """The parameter whose turn it is, and the shifts at which its series is measured."""
        index = -self.left % len(self.parameters)
        frequency, order = self.harmonics[index]
        return index, 2 * np.pi / frequency * np.arange(2 * order + 1) / (2 * order + 1)


def lowest_angle(values: Floats) -> float:
    """Where a real Fourier series is lowest, given its values at 2R+1 equally spaced angles from 0.

    >>> round(lowest_angle(np.cos(2 * np.pi * np.arange(3) / 3 - 0.5)) % (2 * np.pi) - np.pi, 9)
    0.5
    """
    order = len(values) // 2
    coefficients = np.fft.fft(values) / len(values)
    if order == 1:
        return float(np.pi - np.angle(coefficients[1]))
    m = np.arange(-order, order + 1)
    series = coefficients[m]
    derivative = (1j * m * series)[::-1]  # a polynomial in z = exp(iφ), highest power first
    angles = np.append(np.angle(np.roots(derivative)), 0.0)
    heights = (np.exp(1j * np.outer(angles, m)) @ series).real
    return float(angles[np.argmin(heights)])


@dataclass(frozen=True)
class Spsa:
    """Simultaneous perturbation: two energies per step, whatever the number of parameters (Spall 1992).

    Gains a/(k+1+A)^0.602 and c/(k+1)^0.101; ``a`` is chosen from a first round of ``calibration`` pairs so that the
    first step moves each parameter by about ``first_step`` radians. The result is the mean of the last tenth of
    the iterates.
    """

    name: ClassVar[str] = "spsa"
    iterations: int = 150
    perturbation: float = 0.2
    first_step: float = 0.2
    calibration: int = 5

    def __post_init__(self) -> None:
        _positive(self, "iterations", "perturbation", "first_step", "calibration")

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        return ansatz

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search:
        return _SpsaSearch(x0, x0, np.zeros_like(x0), self, seed)

    def evaluations(self, ansatz: Ansatz) -> int:
        return 2 * (self.iterations + self.calibration)


@dataclass(frozen=True)
class _SpsaSearch(_Search):
    iterate: Floats
    tail: Floats  # sum of the iterates that the result is the mean of
    settings: Spsa
    seed: int
    gain: float = 0.0
    step: int = -1  # -1 is the calibration

    def ask(self) -> Floats:
        if self.step == self.settings.iterations:
            return self.nothing
        shifts = self._width() * self._signs()
        return np.concatenate([self.iterate + shifts, self.iterate - shifts])

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        pairs = energies.reshape(2, -1)
        slopes = (pairs[0] - pairs[1]) / (2 * self._width())
        told = replace(self, energy=float(energies.mean()), error=float(np.sqrt(errors @ errors)) / len(errors))
        settings, steadiness = self.settings, 0.1 * self.settings.iterations
        if self.step < 0:
            steepness = float(np.abs(slopes).mean()) or 1.0
            gain = settings.first_step * (1 + steadiness) ** 0.602 / steepness
            return replace(told, step=0, gain=gain)
        rate = self.gain / (self.step + 1 + steadiness) ** 0.602
        iterate = self.iterate - rate * slopes[0] * self._signs()[0]
        done = self.step + 1
        first_kept = settings.iterations - max(1, settings.iterations // 10)
        tail = self.tail + iterate if done > first_kept else self.tail
        parameters = tail / (done - first_kept) if done > first_kept else iterate
        return replace(told, parameters=parameters, iterate=iterate, tail=tail, step=done)

    def _width(self) -> float:
        return self.settings.perturbation / float(max(self.step, 0) + 1) ** 0.101

    def _signs(self) -> Floats:
        """Directions of this step, entries ±1, shape (pairs, n_parameters)."""
        rng = np.random.default_rng([self.seed, self.step + 1])
        return rng.choice([-1.0, 1.0], (self.settings.calibration if self.step < 0 else 1, len(self.iterate)))


@dataclass(frozen=True)
class Adam:
    """Gradient descent (Adam, arXiv:1412.6980) with gradients from the parameter-shift rule (arXiv:1811.11184).

    Exact for every rotation gate, so the circuit runs with one parameter per gate: two energies per gate and one at
    the present parameters for each step.
    """

    name: ClassVar[str] = "adam"
    iterations: int = 40
    rate: float = 0.2

    def __post_init__(self) -> None:
        _positive(self, "iterations", "rate")

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        return ansatz.per_gate()[0]

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search:
        return _AdamSearch(x0, ansatz.per_gate()[1], self, np.zeros_like(x0), np.zeros_like(x0))

    def evaluations(self, ansatz: Ansatz) -> int:
        return self.iterations * (2 * len(ansatz.per_gate()[1]) + 1)


@dataclass(frozen=True)
class _AdamSearch(_Search):
    matrix: Floats  # (n_gates, n_parameters)
    settings: Adam
    mean: Floats
    square: Floats
    step: int = 0

    @property
    def point(self) -> Floats:
        return self.matrix @ self.parameters

    def ask(self) -> Floats:
        if self.step == self.settings.iterations:
            return np.empty((0, len(self.matrix)))
        shifts = np.pi / 2 * np.eye(len(self.matrix))
        return self.point + np.concatenate([np.zeros((1, len(shifts))), shifts, -shifts])

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        up, down = energies[1:].reshape(2, -1)
        gradient = (up - down) / 2 @ self.matrix
        step = self.step + 1
        mean = 0.9 * self.mean + 0.1 * gradient
        square = 0.99 * self.square + 0.01 * gradient**2
        move = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        # A rate that falls to a tenth lets the noise of the gradients average out at the end.
        rate = self.settings.rate * 0.1 ** (self.step / self.settings.iterations)
        return replace(
            self,
            parameters=self.parameters - rate * move,
            mean=mean,
            square=square,
            step=step,
            energy=float(energies[0]),
            error=float(errors[0]),
        )


def make_optimizer(name: str, **settings: Any) -> Settings:
    """The optimiser of this name; settings that are None keep their default.

    >>> make_optimizer("rotosolve", sweeps=3)
    Rotosolve(sweeps=3)
    """
    if name not in OPTIMIZERS:
        raise InvalidProblem(f"no optimizer {name!r}. There are: {', '.join(OPTIMIZERS)}.")
    make = OPTIMIZERS[name]
    given = {key: value for key, value in settings.items() if value is not None}
    optimizer = make()
    known = [f.name for f in fields(optimizer) if f.name != "method"]  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            raise InvalidProblem(f"optimizer {name!r} has no setting {key!r}. It has: {', '.join(known)}.")
    return replace(optimizer, **given)  # type: ignore[type-var]


def default_optimizer(ansatz: Ansatz) -> Settings:
    """Rotosolve where it can be used, else SPSA."""
    return Spsa() if ansatz.harmonics is None else Rotosolve()


def write_optimizer(optimizer: Settings) -> dict[str, Any]:
    """The settings as JSON values, with the name that `make_optimizer` takes."""
    values = asdict(optimizer)  # type: ignore[call-overload]
    return {"name": values.pop("method", None) or optimizer.name, **values}


def _positive(settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise InvalidProblem(f"{settings.name}: {name} must be above 0, not {value}.")


def _scipy(method: str) -> Callable[[], Settings]:
    def make() -> Settings:
        from .scipy_adapter import Scipy

        return Scipy(method)

    return make


OPTIMIZERS: dict[str, Callable[[], Settings]] = {
    "rotosolve": Rotosolve,
    "spsa": Spsa,
    "adam": Adam,
    "cobyla": _scipy("cobyla"),
    "nelder-mead": _scipy("nelder-mead"),
    "powell": _scipy("powell"),
}
