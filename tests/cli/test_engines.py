"""One way to open any engine."""

import sys
import threading
import time

import pytest

import conqure
from conqure.engines import ENGINE_NAMES, quickest_engine
from qpu_executors import QPU, InvalidSite, MissingPackage, QuantumTask, Site, UnknownEngine, UnknownSite, run
from qpu_executors.testing import BELL, a_thousand, total

SITE = Site("pair", (QPU("a", "statevector", 4), QPU("b", "fake", 4, options={"delay_s": 0.05})), cpu_workers=2)


def shots_of(result):
    return sum(result.counts[0].values())


@pytest.fixture(
    params=["threads", pytest.param("parsl", marks=pytest.mark.slow), pytest.param("dask", marks=pytest.mark.slow)]
)
def engine(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with conqure.open_engine(request.param, SITE) as engine:
        assert engine.name == request.param
        yield engine


def test_circuits_and_classical_calls_make_one_graph(engine):
    first = engine.qpus.submit(run, QuantumTask(BELL, shots=30, device_id="a"))
    second = engine.qpus.submit(run, QuantumTask(BELL, shots=12, device_id="b"))
    counted = [engine.cpus.submit(shots_of, first), engine.cpus.submit(shots_of, second)]
    assert engine.cpus.submit(total, counted).result(timeout=60) == 42
    assert engine.site is SITE


def test_without_a_name_it_is_the_engine_the_site_prefers():
    with conqure.open_engine(site=SITE) as engine:
        assert (engine.name, engine.site) == ("threads", SITE)


def test_a_site_may_be_named():
    with conqure.open_engine("threads", "laptop") as engine:
        assert engine.cpus.submit(a_thousand, engine.cpus.submit(a_thousand, -1000)).result(timeout=10) == 1000


def test_an_unknown_engine_lists_those_that_exist():
    with pytest.raises(UnknownEngine) as caught, conqure.open_engine("prsl", SITE):
        pass
    assert str(caught.value) == "no engine 'prsl'. Did you mean 'parsl'? Engines: parsl, dask, threads."


def test_a_wrong_site_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(UnknownSite), conqure.open_engine("threads", "nowhere"):
        pass
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("x = 1")
    with pytest.raises(InvalidSite), conqure.open_engine("threads", wrong):
        pass


@pytest.mark.parametrize(("engine", "package"), [("parsl", "parsl"), ("dask", "distributed")])
def test_a_missing_package_comes_with_what_to_type(monkeypatch, engine, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage) as caught, conqure.open_engine(engine, SITE):
        pass
    assert str(caught.value) == (
        f"engine '{engine}' needs the package '{package}', which is not installed. "
        f"Install it: pip install 'conqure[{engine}]'. The engine 'threads' needs nothing more."
    )


@pytest.mark.parametrize(
    "name", ["threads", pytest.param("parsl", marks=pytest.mark.slow), pytest.param("dask", marks=pytest.mark.slow)]
)
def test_at_the_end_of_the_block_what_was_submitted_is_done_across_both_pools(name):
    with conqure.open_engine(name, SITE) as engine:
        result = engine.qpus.submit(run, QuantumTask(BELL, device_id="b", shots=7))
        number = engine.cpus.submit(shots_of, result)
        last = engine.cpus.submit(a_thousand, number)
    assert last.done()
    assert last.result() == 1007


def test_an_error_in_the_block_cancels_what_waits():
    futures = []

    def fill_and_fail():
        with conqure.open_engine("threads", SITE) as engine:
            futures.extend(engine.qpus.submit(run, QuantumTask(BELL, device_id="b")) for _ in range(40))
            futures.extend(engine.cpus.submit(shots_of, future) for future in futures[:40])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_and_fail()
    assert all(future.done() for future in futures)
    assert futures[-1].cancelled()


def test_after_an_error_a_circuit_that_takes_long_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("conqure.engines.GRACE_S", 0.05)
    slow = Site("slow", (QPU("a", "fake", 4, options={"delay_s": 2.0}),))

    def start_and_fail():
        with conqure.open_engine("threads", slow) as engine:
            future = engine.qpus.submit(run, QuantumTask(BELL))
            while not future.running():
                time.sleep(0.001)
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        start_and_fail()
    assert time.monotonic() - started < 2.0  # what the circuit takes


def test_no_thread_outlives_the_threads_engine():
    before = threading.active_count()
    with conqure.open_engine("threads", SITE) as engine:
        engine.qpus.submit(run, QuantumTask(BELL, device_id="a")).result(timeout=10)
        engine.cpus.submit(a_thousand).result(timeout=10)
    assert threading.active_count() <= before


def test_every_engine_has_an_extra_of_its_name():
    from importlib.metadata import metadata

    assert set(ENGINE_NAMES) - {"threads"} <= set(metadata("conqure").get_all("Provides-Extra") or [])


def test_a_command_takes_the_engine_that_starts_at_once_unless_jobs_hold_the_qpus() -> None:
    assert quickest_engine(Site.load("workstation")) == "threads"
    assert quickest_engine(Site.load("slurm_gres")) == "parsl"
