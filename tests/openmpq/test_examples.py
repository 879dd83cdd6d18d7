"""The shipped examples on emulated QPUs: their results mean something."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from openmpq_runtime import Bridge, prefix

from . import examples
from .compiling import BIN, CLANG, GCC, need, run
from .examples import EXAMPLES, numbers, output

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LLVM = "/usr/lib/llvm-19/lib"
SAMPLED = "mean cut 4.713, circuits on ion, classical half on "  # the circuit has a seed


@pytest.fixture(scope="module")
def traps() -> Iterator[Bridge]:
    with examples.six_traps() as bridge:
        yield bridge


@pytest.fixture(scope="module", params=[GCC, CLANG], ids=lambda compiler: compiler.name)
def built(request: pytest.FixtureRequest) -> Path:
    return examples.built(request.param)


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


def test_the_multi_start_vqe_runs_its_starts_at_once_on_six_qpus_and_finds_what_it_finds_serially(
    built: Path, traps: Bridge, tmp_path: Path
) -> None:
    def starts(*options: str) -> tuple[str, list[list[float]]]:
        file = tmp_path / "starts.json"
        said = output(built / "vqe_maxcut", traps, "--starts", "6", "--json", str(file), *options)
        return said, [start["ended_s"] for start in json.loads(file.read_text())["starts"]]

    parallel, ended = starts()
    assert max(times[0] for times in ended) < min(times[-1] for times in ended)
    serial, ended = starts("--serial")
    assert all(before[-1] <= after[0] for before, after in pairwise(ended))
    # Every circuit has its seed, so the starts differ in their QPU only.
    assert [re.sub(r" on ion\d", "", line) for line in parallel.splitlines()[:-1]] == [
        line.replace(" on ion0", "") for line in serial.splitlines()[:-1]
    ]
    assert "partition 9 of 9 edges" in parallel
    assert len(set(re.findall(r"ion\d", parallel))) == 6
    assert set(re.findall(r"ion\d", serial)) == {"ion0"}


def test_the_multi_start_vqe_writes_the_energies_and_times_of_each_start(
    built: Path, traps: Bridge, tmp_path: Path
) -> None:
    path = tmp_path / "starts.json"
    output(built / "vqe_maxcut", traps, "--starts", "3", "--sweeps", "3", "--json", str(path))
    written = json.loads(path.read_text())
    assert (written["threads"], written["qpus"], written["max_cut"]) == (3, 6, 9)
    assert len(written["starts"]) == 3
    for start in written["starts"]:
        assert len(start["energies"]) == len(start["ended_s"]) == 3 * 3 * 14 + 1
        assert start["ended_s"] == sorted(start["ended_s"])
        assert start["ended_s"][-1] <= written["seconds"]
        assert start["energies"][-1] < -6.5 < start["energies"][0]  # a random partition cuts 5.5
    assert max(start["mass_on_best"] for start in written["starts"]) > 0.8
    assert max(start["cut"] for start in written["starts"]) == 9


def test_wrong_options_are_answered_with_the_right_ones(built: Path, traps: Bridge) -> None:
    for arguments in (["--starts", "0"], ["--starts"], ["--sweep", "2"], ["--json"], ["--shots", "many"]):
        done = run(built / "vqe_maxcut", traps.environment(), *arguments)
        assert done.returncode == 2, arguments
        assert "usage: vqe_maxcut" in done.stderr


def test_the_energy_of_the_molecule_agrees_with_the_exact_one_within_its_error(built: Path, traps: Bridge) -> None:
    energy, error, exact = numbers(r"(-?\d\.\d{4})", output(built / "molecule", traps))
    assert exact == -1.8573
    assert 0 < error < 0.005
    assert abs(energy - exact) < 5 * error


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
    assert re.sub(r"ion\d", "ion", output(built / "gpu_and_qpu", traps)) == SAMPLED + "the host\n"


def test_an_error_ends_an_example_with_a_message(built: Path) -> None:
    environment = {**os.environ, "OPENMPQ_POOL": "unix:/nonexistent", "OPENMPQ_FALLBACK": "none"}
    programs = ["listing2", "listing3", "listing4", "vqe_maxcut", "qaoa", "molecule", "futures", "script", "c_example"]
    for name in [*programs, "gpu_and_qpu"]:
        done = run(built / name, environment)
        assert done.returncode == 1, name
        assert "unreachable" in done.stderr, name


@pytest.fixture(params=["wrapper", "CMake"])
def fortran_example(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Built with openmpq-fc, and with the examples' CMake project."""
    need(shutil.which("gfortran-12"), "gfortran-12")
    if request.param == "CMake":
        compiler = ["-DEXAMPLES_FORTRAN=ON", "-DCMAKE_Fortran_COMPILER=gfortran-12"]
        return examples.built(GCC, "fortran_example", *compiler) / "fortran_example"
    module = prefix() / "include" / "openmpq" / "openmpq.f90"
    program = tmp_path / "fortran_example"
    subprocess.run(
        [BIN / "openmpq-fc", "-O2", "-Wall", "-Werror", module, EXAMPLES / "fortran_example.f90", "-o", program],
        env=os.environ | {"OPENMPQ_FC": "gfortran-12"},
        cwd=tmp_path,
        check=True,
    )
    return program


def test_fortran_through_iso_c_binding(fortran_example: Path, traps: Bridge) -> None:
    text = output(fortran_example, traps)
    none, half, all_ = (int(ones) for ones in re.findall(r"11 (\d+)", text))
    assert (none, all_) == (0, 1024)
    assert abs(half - 512) < 5 * 16
    value, error = re.findall(r"= +([\d.]+) \+- ([\d.]+)", text)[0]
    assert abs(float(value) - 1.5) < 5 * float(error) < 0.2


def test_a_fortran_program_says_what_went_wrong(fortran_example: Path) -> None:
    done = run(fortran_example, {**os.environ, "OPENMPQ_POOL": "unix:/nonexistent", "OPENMPQ_FALLBACK": "none"})
    assert done.returncode == 1
    assert "nobody answers at unix:/nonexistent" in done.stderr


def test_a_device_with_its_own_memory_and_a_qpu_in_one_program(traps: Bridge) -> None:
    """clang's host plugin stands for a GPU: a device with memory of its own, and code that is loaded onto it."""
    flags = ["-DGPU_FLAGS=-fopenmp-targets=x86_64-pc-linux-gnu", "-DEXAMPLES_MPI=OFF"]
    link = f"-DCMAKE_EXE_LINKER_FLAGS=-L{LLVM} -Wl,-rpath,{LLVM}"
    program = examples.built(CLANG, "gpu_and_qpu", *flags, link) / "gpu_and_qpu"
    assert re.sub(r"ion\d", "ion", output(program, traps)) == SAMPLED + "a device\n"


def test_both_halves_in_one_executable_if_the_quantum_one_is_stripped(traps: Bridge, tmp_path: Path) -> None:
    CLANG.require()
    offload = ["-fopenmp", "-fopenmp-targets=x86_64-pc-linux-gnu"]
    wrapper: list[str | Path] = [BIN / "openmpq-c++", "-std=c++17", "-O2"]
    parts = {name: tmp_path / f"{name}.o" for name in ("main", "classical", "quantum")}
    program = tmp_path / "both"
    for name in parts:
        compiler: list[str | Path] = [*wrapper, "--openmpq-strip"] if name == "quantum" else [CLANG.cxx, *offload]
        command = [*compiler, "-std=c++17", "-c", EXAMPLES / "gpu_and_qpu" / f"{name}.cpp", "-o", parts[name]]
        subprocess.run(command, env=CLANG.environment(), check=True)
    link: list[str | Path] = [*offload[1:], *parts.values(), f"-L{LLVM}", f"-Wl,-rpath,{LLVM}", "-o", program]
    subprocess.run([*wrapper, *link], env=CLANG.environment(), check=True)
    assert re.sub(r"ion\d", "ion", output(program, traps)) == SAMPLED + "a device\n"
