"""The shipped examples, built as a user's project with CMake and run on emulated QPUs: their results mean something."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmpq_runtime import Bridge, prefix, serve
from qpu_executors import QPU, QPUThreadPool

from ..conftest import REPOSITORY
from .compiling import BIN, CLANG, GCC, Compiler, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES = REPOSITORY / "openmpq_runtime" / "examples"
TRAPS = [QPU(f"ion{k}", "emulated", 7, options={"driver": "statevector", "job_s": 0.005}) for k in range(6)]


@pytest.fixture(scope="module")
def traps() -> Iterator[Bridge]:
    """Six emulated ion traps of 5 ms a circuit; scripts allowed."""
    with QPUThreadPool(TRAPS) as pool, serve(pool, scripts=EXAMPLES / "scripts") as bridge:
        yield bridge


@pytest.fixture(scope="module", params=[GCC, CLANG], ids=lambda compiler: compiler.name)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs, by ``find_package(OpenMPQ)``."""
    compiler: Compiler = request.param
    compiler.require()
    folder = tmp_path_factory.mktemp("examples")
    compilers = [f"-DCMAKE_CXX_COMPILER={compiler.cxx}", f"-DCMAKE_C_COMPILER={compiler.c}"]
    where = f"-DOpenMPQ_DIR={prefix() / 'lib' / 'cmake' / 'OpenMPQ'}"
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    for command in (
        ["cmake", "-S", str(EXAMPLES), "-B", str(folder), "-G", "Ninja", *compilers, where, "-DEXAMPLES_WERROR=ON"],
        ["cmake", "--build", str(folder)],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def output(program: Path, bridge: Bridge, *arguments: str) -> str:
    done = run(program, bridge.environment(), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout


def numbers(pattern: str, text: str) -> list[float]:
    found = [float(number) for number in re.findall(pattern, text)]
    assert found, text
    return found


def test_listing_2_finds_the_maximum_cut_inside_one_region(built: Path, traps: Bridge) -> None:
    (mean,) = numbers(r"mean cut ([\d.]+) of 9", output(built / "listing2", traps))
    assert mean > 8.5


def test_listing_3_uses_one_qpu_per_thread(built: Path, traps: Bridge) -> None:
    lines = output(built / "listing3", traps).splitlines()
    used = {tuple(re.findall(r"thread (\d).*(ion\d)", line)[0]) for line in lines}
    assert used == {(str(k), f"ion{k}") for k in range(6)}
    assert len(lines) == 18


def test_listing_4_optimises_on_each_qpu(built: Path, traps: Bridge) -> None:
    means = numbers(r"mean cut ([\d.]+) of 9", output(built / "listing4", traps))
    assert len(means) == 6
    assert max(means) > 8.5


def test_the_multi_start_vqe_finds_the_maximum_cut_and_gains_from_six_qpus(built: Path, traps: Bridge) -> None:
    parallel = output(built / "vqe_maxcut", traps, "--starts", "6")
    serial = output(built / "vqe_maxcut", traps, "--starts", "6", "--serial")
    for text in (parallel, serial):
        assert "partition 9 of 9 edges" in text
    assert numbers(r"seconds ([\d.]+)", serial)[0] > 2.5 * numbers(r"seconds ([\d.]+)", parallel)[0]


def test_qaoa_measures_again_what_its_grid_found(built: Path, traps: Bridge) -> None:
    text = output(built / "qaoa", traps)
    grid, again, error = (
        numbers(pattern, text)[0] for pattern in (r"mean cut ([\d.]+)", r"again: ([\d.]+)", r"\+- ([\d.]+)")
    )
    assert grid > 6.8  # the best of the grid has 7.1; a random partition cuts 5.5
    assert abs(grid - again) < 6 * (error + 1.5 / 1024**0.5)


def test_futures_come_from_every_qpu(built: Path, traps: Bridge) -> None:
    lines = output(built / "futures", traps).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"ion{k}" for k in range(6)] * 4


def test_a_script_runs_beside_the_qpu(built: Path, traps: Bridge) -> None:
    energy, first, second = numbers(r"(-?\d\.\d{3})", output(built / "script", traps))
    assert abs(energy - 0.5403) < 5 / 4000**0.5  # cos 1, 0 and -sin 1
    assert abs(first) < 5 / 4000**0.5
    assert abs(second + 0.8415) < 5 / 4000**0.5


def test_the_c_example(built: Path, traps: Bridge) -> None:
    assert set(re.findall(r"^\d\d", output(built / "c_example", traps), re.MULTILINE)) == {"00", "11"}


def test_a_gpu_less_build_computes_the_classical_half_on_the_host(built: Path, traps: Bridge) -> None:
    assert "classical half on the host" in output(built / "gpu_and_qpu", traps)


@pytest.mark.parametrize("ranks", ["2", "4"])
@pytest.mark.parametrize("program", ["vqe_mpi", "listing2_mpi"])
def test_mpi_ranks_share_the_qpus_and_agree(built: Path, traps: Bridge, ranks: str, program: str) -> None:
    environment = traps.environment() | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpirun", "--oversubscribe", "-n", ranks, str(built / program), *(["2"] if program == "vqe_mpi" else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    means = numbers(r"mean cut ([\d.]+) of 9", done.stdout)
    assert min(means) > 8.5
    if program == "vqe_mpi":
        assert len(re.findall(r"^rank", done.stdout, re.MULTILINE)) == int(ranks)
        assert len(set(re.findall(r"sum to (\S+)", done.stdout))) == 1


def test_an_error_ends_an_example_with_a_message(built: Path) -> None:
    environment = {**os.environ, "OPENMPQ_POOL": "unix:/nonexistent", "OPENMPQ_FALLBACK": "none"}
    for name in ("listing2", "listing4", "vqe_maxcut", "qaoa", "futures", "c_example", "gpu_and_qpu", "script"):
        done = run(built / name, environment)
        assert done.returncode == 1, name
        assert "unreachable" in done.stderr, name


def test_fortran_through_iso_c_binding(traps: Bridge, tmp_path: Path) -> None:
    if shutil.which("gfortran-12") is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("gfortran-12 is not installed. Type: sudo requirements/system")
    module = prefix() / "include" / "openmpq" / "openmpq.f90"
    program = tmp_path / "fortran_example"
    subprocess.run(
        [BIN / "openmpq-fc", "-O2", "-Wall", module, EXAMPLES / "fortran_example.f90", "-o", program],
        env=os.environ | {"OPENMPQ_FC": "gfortran-12"},
        cwd=tmp_path,
        check=True,
    )
    zeros, ones = numbers(r"(\d{3,4})", output(program, traps))
    assert zeros + ones == 1024
    assert abs(zeros - 512) < 5 * 16


def test_a_real_device_and_a_qpu_in_one_program(traps: Bridge, tmp_path: Path) -> None:
    """clang's host plugin stands for a GPU: a device with memory of its own, and code that is loaded onto it."""
    CLANG.require()
    libraries = "/usr/lib/llvm-19/lib"
    flags = ["-std=c++17", "-O2", "-fopenmp", "-fopenmp-targets=x86_64-pc-linux-gnu"]
    link = [f"-L{libraries}", f"-Wl,-rpath,{libraries}"]
    classical, quantum, program = (tmp_path / name for name in ("classical.o", "quantum.o", "both"))
    source = EXAMPLES / "gpu_and_qpu"
    subprocess.run(["clang++-19", *flags, "-c", source / "classical.cpp", "-o", classical], check=True)
    wrapper = [BIN / "openmpq-c++", "-std=c++17", "-O2"]
    environment = CLANG.environment()
    subprocess.run([*wrapper, "--openmpq-strip", "-c", source / "main.cpp", "-o", quantum], env=environment, check=True)
    flags_for_both = ["-fopenmp-targets=x86_64-pc-linux-gnu", *link]
    subprocess.run([*wrapper, *flags_for_both, quantum, classical, "-o", program], env=environment, check=True)
    text = output(program, traps)
    assert "circuits on ion" in text
    assert "classical half on a device" in text
