"""A pool of six QPUs behind a bridge, for programs of any compiler."""

import shutil
from collections.abc import Iterator

import pytest

from openmpq_runtime import Bridge, serve
from qpu_executors import QPU, QPUThreadPool

from .compiling import CLANG, GCC, OLD_CLANG, Compiler, need

SV = QPU("sv0", "statevector", 7)
SLOW = QPU("slow0", "emulated", 7, options={"driver": "statevector", "job_s": 0.3})
SIX = [QPU(f"sv{k}", "statevector", 14) for k in range(6)]


@pytest.fixture
def pool() -> Iterator[QPUThreadPool]:
    with QPUThreadPool([SV, SLOW]) as opened:
        yield opened


@pytest.fixture
def bridge(pool: QPUThreadPool) -> Iterator[Bridge]:
    with serve(pool) as opened:
        yield opened


@pytest.fixture
def mpi() -> None:
    """For tests that start ranks."""
    need(shutil.which("mpirun"), "Open MPI")


@pytest.fixture(scope="session")
def six() -> Iterator[Bridge]:
    """A bridge to six state vectors."""
    with QPUThreadPool(SIX) as pool, serve(pool) as bridge:
        yield bridge


COMPILERS = [GCC, CLANG, pytest.param(OLD_CLANG, marks=pytest.mark.drill)]


@pytest.fixture(params=COMPILERS, ids=lambda compiler: compiler.name, scope="session")
def compiler(request: pytest.FixtureRequest) -> Compiler:
    chosen: Compiler = request.param
    chosen.require()
    return chosen
