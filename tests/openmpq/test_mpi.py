"""MPI beside quantum regions: ranks share the QPUs, agree on what they found, and end together."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from openmpq_runtime import Bridge

from . import examples
from .compiling import CLANG, GCC, need
from .examples import numbers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT_MAY = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # in a container one often is


@pytest.fixture(scope="module")
def traps() -> Iterator[Bridge]:
    with examples.six_traps() as bridge:
        yield bridge


@pytest.fixture(scope="module", params=[GCC, CLANG], ids=lambda compiler: compiler.name)
def built(request: pytest.FixtureRequest) -> Path:
    need(shutil.which("mpirun"), "Open MPI")
    return examples.built(request.param)


def mpirun(
    ranks: int, program: Path, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = ["mpirun", "--oversubscribe", "-n", str(ranks), str(program), *arguments]
    return subprocess.run(command, env={**environment, **ROOT_MAY}, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("ranks", [2, 4])
def test_reverse_offload_lets_ranks_agree_between_the_circuits_of_a_region(
    built: Path, traps: Bridge, ranks: int
) -> None:
    done = mpirun(ranks, built / "listing2_mpi", traps.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    means = numbers(r"rank \d: mean cut ([\d.]+) of 9", done.stdout)
    assert len(means) == ranks
    # All measure the same angles in the end, 1,024 shots each, so they differ by their shots only.
    assert min(means) > 8.5
    assert max(means) - min(means) < 0.2


@pytest.mark.parametrize(("ranks", "threads"), [(2, 3), (4, 1), (4, 2)])
def test_ranks_of_threads_each_use_their_qpus_and_know_the_same_best_angles(
    built: Path, traps: Bridge, ranks: int, threads: int
) -> None:
    done = mpirun(ranks, built / "vqe_mpi", traps.environment(), str(threads))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = sorted(done.stdout.splitlines())
    for rank, line in enumerate(lines):
        used = [f"ion{(rank * threads + thread) % 6}" for thread in range(threads)]
        assert line.startswith(f"rank {rank} on {' '.join(used)}:")
    assert len(lines) == ranks
    assert len({line.split(": ")[1] for line in lines}) == 1, "the ranks' best angles differ"
    assert numbers(r"mean cut ([\d.]+) of 9", done.stdout)[0] > 8.5


def test_a_rank_that_fails_ends_all(built: Path) -> None:
    environment = {**os.environ, "OPENMPQ_POOL": "unix:/nonexistent", "OPENMPQ_FALLBACK": "none"}
    for program in ("vqe_mpi", "listing2_mpi"):
        done = mpirun(2, built / program, environment)
        assert done.returncode == 1, done.stdout + done.stderr
        assert re.search(r"unreachable: nobody answers", done.stderr), done.stderr
