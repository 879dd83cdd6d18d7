"""C++ programs started by Parsl and Dask on the QPUs that serve their Python work, all at the same time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import parsl
import pytest
from distributed import Client

import conqure_dask
import conqure_parsl
from conqure_parsl import parsl_config
from openmpq_runtime import Tally, serve
from qpu_executors import QPU, Site
from qpu_executors.testing import BELL

from .compiling import GCC

# One QPU that needs 20 ms for a circuit: what is Python's and what is C++'s has to share it.
SITE = Site("one", (QPU("ion0", "emulated", 5, options={"driver": "statevector", "job_s": 0.02}),), cpu_workers=2)


@pytest.fixture(autouse=True)
def _folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@parsl.bash_app
def cpp_bells(program: str, n: int, pool: str, stdout: str = "") -> str:
    return f"OPENMPQ_POOL={pool} {program} {n}"


@conqure_parsl.quantum_app(shots=50)
def parsl_bell() -> str:
    return BELL


@conqure_dask.quantum_app(shots=50)
def dask_bell() -> str:
    return BELL


@pytest.mark.slow
def test_a_bash_app_of_parsl_uses_the_qpus_that_run_quantum_apps(tmp_path: Path) -> None:
    program = str(GCC.compile("bells.cpp"))
    with parsl.load(parsl_config(SITE)) as dfk:
        tally = Tally(SITE.qpus)
        with serve(conqure_parsl.pool(dfk), observers=[tally]) as bridge:
            outputs = [tmp_path / f"{k}.txt" for k in range(2)]
            programs = [cpp_bells(program, 10, bridge.address, stdout=str(path)) for path in outputs]
            in_python = [parsl_bell() for _ in range(10)]
            assert [future.result(timeout=60) for future in programs] == [0, 0]
            results = [future.result(timeout=60) for future in in_python]
    assert [path.read_text() for path in outputs] == ["10 of 10\n"] * 2
    assert {result.device_id for result in results} == {"ion0"}
    assert tally.figures()["qpus"]["ion0"]["circuits"] == 20  # what Python submits does not pass the bridge


@pytest.mark.slow
def test_a_task_of_dask_uses_the_qpus_that_run_quantum_apps() -> None:
    program, tally = str(GCC.compile("bells.cpp")), Tally(SITE.qpus)
    with (
        conqure_dask.cluster(SITE) as started,
        Client(started) as client,
        serve(conqure_dask.pool(client), observers=[tally]) as bridge,
    ):
        here = {"OPENMPQ_POOL": bridge.address}
        programs = [
            client.submit(subprocess.check_output, [program, "10"], env=here, text=True, pure=False) for _ in range(2)
        ]
        in_python = [dask_bell() for _ in range(10)]
        assert client.gather(programs) == ["10 of 10\n"] * 2
        results = client.gather(in_python)
    assert {result.device_id for result in results} == {"ion0"}
    assert tally.figures()["qpus"]["ion0"]["circuits"] == 20
