"""One contract for all optimisers, and what each of them is known for."""

import pickle
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conqure.workflows.vqe import (
    Adam,
    CannotResume,
    InvalidProblem,
    MaxCut,
    Rotosolve,
    Scipy,
    Spsa,
    listing2,
    make_optimizer,
    qaoa,
)
from conqure.workflows.vqe.optimizers import OPTIMIZERS, write_optimizer
from conqure.workflows.vqe.pauli import Floats
from conqure.workflows.vqe.rotosolve import lowest_angle
from conqure.workflows.vqe.search import Search, Settings

GRAPH = MaxCut.of("square", [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2, 0.5)])
X0 = np.random.default_rng(4).uniform(-np.pi, np.pi, 8)


class Landscape:
    """Energies of the square's circuits: exact ones plus noise that depends on the point alone."""

    def __init__(self, statevector: Any, settings: Settings, noise: float) -> None:
        self._device, self._noise = statevector, noise
        self._program = settings.circuit(listing2(4)).program("ZZZZ")

    def __call__(self, points: Floats) -> tuple[Floats, Floats]:
        states = [self._device.statevector(self._program, point) for point in points]
        exact = np.array([GRAPH.hamiltonian.expectation(state) for state in states])
        noise = [np.random.default_rng(crc32(point.tobytes())).normal(0, self._noise) for point in points]
        return exact + (noise if self._noise else 0.0), np.full(len(points), self._noise)


def walk(search: Search, landscape: Landscape, links: int = 10**6) -> Search:
    for _ in range(links):
        if not len(points := search.ask()):
            break
        search = search.tell(points, *landscape(points))
    return search


@pytest.fixture(params=OPTIMIZERS)
def settings(request: pytest.FixtureRequest) -> Settings:
    return make_optimizer(request.param)


def test_it_descends_on_exact_energies(settings: Settings, statevector: Any) -> None:
    landscape = Landscape(statevector, settings, noise=0.0)
    search = settings.begin(listing2(4), X0, 1)
    before = landscape(search.point[None])[0][0]
    after = landscape(walk(search, landscape).point[None])[0][0]
    assert after < before - 1.5
    assert after < -3.2  # the maximum cut is 4


def test_it_descends_in_spite_of_noise(settings: Settings, statevector: Any) -> None:
    found = walk(settings.begin(listing2(4), X0, 1), Landscape(statevector, settings, noise=0.05))
    exact = Landscape(statevector, settings, noise=0.0)(found.point[None])[0][0]
    assert exact < -2.8


def test_it_asks_for_no_more_than_it_said(settings: Settings, statevector: Any) -> None:
    search, asked = settings.begin(listing2(4), X0, 1), 0
    landscape = Landscape(statevector, settings, noise=0.1)
    while len(points := search.ask()):
        asked += len(points)
        search = search.tell(points, *landscape(points))
    assert 0 < asked <= settings.evaluations(listing2(4))
    if settings.name != "scipy":  # which may stop when it is content
        assert asked == settings.evaluations(listing2(4))


def test_the_same_energies_give_the_same_points_through_pickles(settings: Settings, statevector: Any) -> None:
    """A step may run in any process: a search that is pickled between all links walks the same way."""
    landscape = Landscape(statevector, settings, noise=0.1)
    plain = travelled = settings.begin(listing2(4), X0, 1)
    for _ in range(12):
        points = plain.ask()
        assert np.array_equal(points, pickle.loads(pickle.dumps(travelled)).ask())
        plain = plain.tell(points, *landscape(points))
        travelled = pickle.loads(pickle.dumps(travelled)).tell(points, *landscape(points))
    assert np.array_equal(plain.parameters, travelled.parameters)


def test_telling_leaves_the_search_as_it_was(settings: Settings, statevector: Any) -> None:
    """A step that is run twice, because its worker was lost, gives the same."""
    landscape = Landscape(statevector, settings, noise=0.1)
    search = walk(settings.begin(listing2(4), X0, 1), landscape, 3)
    points = search.ask()
    energies, errors = landscape(points)
    first, second = search.tell(points, energies, errors), search.tell(points, energies, errors)
    assert np.array_equal(first.ask(), second.ask())
    assert np.array_equal(search.ask(), points)


def test_its_settings_survive_their_json(settings: Settings) -> None:
    assert make_optimizer(**write_optimizer(settings)) == settings


@given(
    st.integers(1, 4).flatmap(lambda order: st.lists(st.floats(-5, 5), min_size=2 * order + 1, max_size=2 * order + 1))
)
def test_the_lowest_angle_is_lowest(values: list[float]) -> None:
    n, order = len(values), len(values) // 2
    coefficients, m = np.fft.fft(values) / n, np.arange(-order, order + 1)
    angles = np.append(np.linspace(0, 2 * np.pi, 997), lowest_angle(np.array(values)))
    heights = (np.exp(1j * np.outer(angles, m)) @ coefficients[m]).real
    assert heights[-1] <= heights.min() + 1e-6


def test_two_sweeps_of_rotosolve_are_84_energies_on_seven_vertices() -> None:
    assert Rotosolve().evaluations(listing2(7)) == 84


def test_adams_gradient_is_the_derivative_also_where_a_parameter_stands_in_many_gates(statevector: Any) -> None:
    ansatz, h = qaoa(GRAPH.hamiltonian, 2), 1e-5
    parameters = np.array([0.3, -0.2, 0.5, 0.1])
    search = Adam(iterations=1, rate=1.0).begin(ansatz, parameters, 0)
    wide, narrow = Adam().circuit(ansatz).program("ZZZZ"), ansatz.program("ZZZZ")

    def energy(program: str, point: Floats) -> float:
        return GRAPH.hamiltonian.expectation(statevector.statevector(program, point))

    energies = np.array([energy(wide, point) for point in search.ask()])
    up, down = energies[1:].reshape(2, -1)
    gradient = (up - down) / 2 @ ansatz.per_gate()[1]
    steps = h * np.eye(4)
    expected = [(energy(narrow, parameters + s) - energy(narrow, parameters - s)) / (2 * h) for s in steps]
    assert gradient == pytest.approx(np.array(expected), abs=1e-6)
    assert energies[0] == pytest.approx(energy(narrow, parameters))


def test_spsa_asks_for_two_points_whatever_the_number_of_parameters() -> None:
    search = Spsa(calibration=3).begin(listing2(20), np.zeros(40), 1)
    first = search.ask()
    assert first.shape == (6, 40)
    assert search.tell(first, np.arange(6.0), np.ones(6)).ask().shape == (2, 40)


def test_rotosolve_on_qaoa_says_which_optimisers_suit() -> None:
    with pytest.raises(InvalidProblem, match="Choose another optimizer for it: spsa, adam, cobyla"):
        Rotosolve().circuit(qaoa(GRAPH.hamiltonian))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("sgd", {}, r"no optimizer 'sgd'\. There are: rotosolve, spsa, adam, cobyla, nelder-mead, powell"),
        ("spsa", {"sweeps": 2}, "'spsa' has no setting 'sweeps'. It has: iterations, perturbation"),
        ("adam", {"rate": 0.0}, "adam: rate must be above 0"),
        ("cobyla", {"iterations": -1}, "scipy: iterations must be above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProblem, match=message):
        make_optimizer(name, **settings)


# SciPy, whose methods call back and cannot be asked -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cobyla", "nelder-mead", "powell"])
def test_asking_scipy_gives_the_points_that_scipy_itself_visits(method: str, statevector: Any) -> None:
    from scipy.optimize import minimize

    from conqure.workflows.vqe.scipy_adapter import options

    settings, visited = Scipy(method, iterations=60), []
    landscape = Landscape(statevector, settings, noise=0.1)

    def energy(x: Floats) -> float:
        visited.append(x.copy())
        return float(landscape(x[None])[0][0])

    direct = minimize(energy, X0, method=method, options=options(settings, X0))
    search, asked = settings.begin(listing2(4), X0, 0), []
    while len(points := search.ask()):
        asked.append(points[0])
        search = search.tell(points, *landscape(points))
    assert np.array_equal(asked, visited[: len(asked)])
    if len(asked) == len(visited):
        assert np.array_equal(search.parameters, direct.x)


def test_a_search_that_jumps_between_processes_replays_only_what_it_missed(statevector: Any) -> None:
    """Two workers share one start: each has a live SciPy that is told what the other one measured."""
    from conqure.workflows.vqe import scipy_adapter

    settings = Scipy("cobyla", iterations=30)
    landscape = Landscape(statevector, settings, noise=0.1)
    plain = walk(settings.begin(listing2(4), X0, 0), landscape)
    caches = [dict(scipy_adapter._cache), {}]
    search, number = settings.begin(listing2(4), X0, 0), 0
    while True:
        scipy_adapter._cache.clear()
        scipy_adapter._cache.update(caches[number % 3 % 2])  # uneven turns
        if not len(points := search.ask()):
            break
        search = search.tell(points, *landscape(points))
        caches[number % 3 % 2] = dict(scipy_adapter._cache)
        number += 1
    assert np.array_equal(search.parameters, plain.parameters)


def test_energies_that_belong_to_other_points_are_not_taken_for_a_replay() -> None:
    search = Scipy("cobyla").begin(listing2(4), X0, 0)
    told = search.tell(search.ask(), np.array([1.0]), np.array([0.1]))
    with pytest.raises(CannotResume, match="SciPy asks for other points than the log holds"):
        told.tell(told.ask() + 0.5, np.array([1.0]), np.array([0.1])).ask()
