"""SciPy's optimisers with an ask/tell face.

SciPy calls back: ``minimize(function)`` wants every energy at once. So it runs in a thread of its own, which waits at
each call of the function. A thread cannot travel or be kept on disk, but the energies it was given can: a search
*is* the log of its energies, and any process makes the thread again by giving a fresh one the same energies (SciPy's
methods here draw nothing at random). The worker that has just answered keeps its thread for the next call.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, ClassVar, Self

import numpy as np

from qpu_executors import MissingPackage

from .ansatz import Ansatz
from .errors import CannotResume, InvalidProblem
from .pauli import Floats
from .search import Search, SearchRecord, check_positive

_LIVE = 64  # threads kept in a process: one per start that is under way here
_OPTIONS: dict[str, dict[str, Any]] = {
    "cobyla": {"rhobeg": 1.0, "tol": 0.02},
    "nelder-mead": {"xatol": 0.02, "fatol": 0.01, "adaptive": True},  # and a first simplex of _SIMPLEX radians
    "powell": {"xtol": 0.02, "ftol": 0.002},
}
_SIMPLEX = 0.8  # SciPy's own is 5% of each angle, far below the noise of a hundred shots
_LIMIT = {"cobyla": "maxiter", "nelder-mead": "maxfev", "powell": "maxfev"}


@dataclass(frozen=True)
class Scipy:
    """One of SciPy's derivative-free methods: cobyla, nelder-mead, powell; it asks for one point at a time."""

    name: ClassVar[str] = "scipy"
    method: str = "cobyla"
    iterations: int = 200  # energies it may ask for

    def __post_init__(self) -> None:
        check_positive(self, "iterations")
        if self.method not in _OPTIONS:
            raise InvalidProblem(f"no SciPy method {self.method!r} here. There are: {', '.join(_OPTIONS)}.")

    def circuit(self, ansatz: Ansatz) -> Ansatz:
        return ansatz

    def begin(self, ansatz: Ansatz, x0: Floats, seed: int) -> Search:
        return _ScipySearch(x0, self, x0, np.empty((0, len(x0))), np.empty(0))

    def evaluations(self, ansatz: Ansatz) -> int:
        return self.iterations


@dataclass(frozen=True)
class _ScipySearch(SearchRecord):
    settings: Scipy
    x0: Floats
    points: Floats  # (n_told, n_parameters)
    energies: Floats  # (n_told,)

    def ask(self) -> Floats:
        n = self.settings.iterations
        point = None if len(self.energies) >= n else _live(self).wanted
        return self.nothing if point is None else point[None].copy()

    def tell(self, points: Floats, energies: Floats, errors: Floats) -> Self:
        told = replace(
            self, points=np.concatenate([self.points, points]), energies=np.concatenate([self.energies, energies])
        )
        # Between calls the best point seen stands for SciPy's own idea, which shows only in its result.
        best = int(np.argmin(told.energies))
        result = None if len(told.energies) >= self.settings.iterations else _live(told).result
        parameters = told.points[best] if result is None else result
        return replace(told, parameters=parameters, energy=float(energies[0]), error=float(errors[0]))


class _Closed(BaseException):
    """Ends a thread whose search nobody asks any more."""


class _Live:
    """A running ``scipy.optimize.minimize``.

    Attributes:
        wanted: the point whose energy it waits for; None when it has ended.
        result: where it ended.
    """

    def __init__(self, search: _ScipySearch) -> None:
        self.told: list[float] = []
        self.wanted: Floats | None = None
        self.result: Floats | None = None
        self._failed: BaseException | None = None
        self._energies: SimpleQueue[float | None] = SimpleQueue()
        self._turn: SimpleQueue[None] = SimpleQueue()
        thread = threading.Thread(target=self._minimize, args=(search.settings, search.x0), daemon=True, name="scipy")
        thread.start()
        self._wait()

    def tell(self, point: Floats, energy: float) -> None:
        """Answer the point it waits for."""
        if self.wanted is None or not np.allclose(point, self.wanted, rtol=1e-9, atol=1e-9):
            raise CannotResume(
                "SciPy asks for other points than the log holds, so the log was written with another version of SciPy. "
                "Resume with the version that run.json names under 'versions', or start anew."
            )
        self.told.append(energy)
        self._energies.put(energy)
        self._wait()

    def close(self) -> None:
        self._energies.put(None)

    def _wait(self) -> None:
        self._turn.get()
        if self._failed is not None:
            raise self._failed

    def _minimize(self, settings: Scipy, x0: Floats) -> None:
        try:
            from scipy.optimize import minimize

            found = minimize(self._energy, x0.copy(), method=settings.method, options=options(settings, x0))
            self.result, self.wanted = np.asarray(found.x, dtype=float), None
        except _Closed:
            return
        except ImportError:
            self._failed = MissingPackage("SciPy's optimisers need SciPy. Install it: pip install 'conqure[vqe]'")
        except BaseException as error:
            self._failed = error
        self._turn.put(None)

    def _energy(self, x: Floats) -> float:
        self.wanted = np.array(x, dtype=float)
        self._turn.put(None)
        energy = self._energies.get()
        if energy is None:
            raise _Closed
        return energy


def options(settings: Scipy, x0: Floats) -> dict[str, Any]:
    """What ``scipy.optimize.minimize`` is given beside function, start and method."""
    chosen = {**_OPTIONS[settings.method], _LIMIT[settings.method]: settings.iterations}
    if settings.method == "nelder-mead":
        chosen["initial_simplex"] = np.vstack([x0, x0 + _SIMPLEX * np.eye(len(x0))])
    return chosen


_cache: OrderedDict[tuple[Any, ...], _Live] = OrderedDict()
_cache_lock = threading.Lock()


def _live(search: _ScipySearch) -> _Live:
    """A thread that has been told exactly this search's energies: the one kept here, or a fresh one."""
    live = _take(search)
    try:
        for number in range(len(live.told), len(search.energies)):
            live.tell(search.points[number], float(search.energies[number]))
    except BaseException:
        live.close()
        raise
    for old in _keep(search, live):
        old.close()
    return live


def _key(search: _ScipySearch) -> tuple[Any, ...]:
    return os.getpid(), search.settings, search.x0.tobytes()


def _take(search: _ScipySearch) -> _Live:
    with _cache_lock:
        live = _cache.pop(_key(search), None)
    if live is not None and np.array_equal(live.told, search.energies[: len(live.told)]):
        return live
    if live is not None:  # another run from the same point: its energies differ
        live.close()
    return _Live(search)


def _keep(search: _ScipySearch, live: _Live) -> Iterator[_Live]:
    """Keep a thread for the next call; yields those that fall out."""
    with _cache_lock:
        replaced = _cache.pop(_key(search), None)
        if live.wanted is not None:
            _cache[_key(search)] = live
        oldest = _cache.popitem(last=False)[1] if len(_cache) > _LIVE else None
    yield from (old for old in (replaced, oldest) if old is not None)
