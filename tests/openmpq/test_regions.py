"""Quantum regions as people write them, on every compiler: which QPU, which circuit, which data."""

import subprocess
from pathlib import Path

import pytest

from openmpq_runtime import Bridge

from .compiling import BIN, CLANG, GCC, PROGRAMS, Compiler, checks, run, skipping_nothing


@pytest.mark.parametrize("source", ["regions.cpp", "mapping.cpp"])
def test_everything_a_program_checks_holds(compiler: Compiler, six: Bridge, source: str) -> None:
    done = run(compiler.compile(source), six.environment())
    skipping_nothing(checks(done), source)
    assert not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("source", ["library.cpp", "processes.cpp"])
def test_everything_the_library_promises_holds(compiler: Compiler, six: Bridge, source: str) -> None:
    skipping_nothing(checks(run(compiler.compile(source), six.environment())), source)


def test_the_papers_device_num_clause(compiler: Compiler, six: Bridge) -> None:
    flags = ["-fopenmp-version=51"] if compiler.name == "clang-16" else []
    assert len(checks(run(compiler.compile("listings.cpp", *flags), six.environment()))) == 6


def test_qpus_at_the_end_of_the_device_list(compiler: Compiler, six: Bridge) -> None:
    program = compiler.compile("appended.cpp")
    appended = six.environment() | {"OPENMPQ_APPEND_DEVICES": "1"}
    assert len(checks(run(program, appended))) == 5
    assert len(checks(run(program, appended, "3", OMP_DEFAULT_DEVICE="3"))) == 6


@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=lambda compiler: compiler.name)
def test_regions_of_other_files_stay_what_they_are(compiler: Compiler, six: Bridge, tmp_path: Path) -> None:
    compiler.require()
    classical = tmp_path / "classical.o"
    source = PROGRAMS / "files_classical.cpp"
    subprocess.run([compiler.cxx, "-fopenmp", "-c", source, "-o", classical], check=True)
    done = run(compiler.compile("files.cpp", str(classical)), six.environment())
    assert len(checks(done)) == 3
    assert not done.stderr


@pytest.mark.drill
@pytest.mark.parametrize("flags", [("-O0", "-g", "-fPIC"), ("-O3",)], ids=" ".join)
def test_whatever_the_optimisation(compiler: Compiler, six: Bridge, flags: tuple[str, ...]) -> None:
    for source in ("regions.cpp", "mapping.cpp"):
        skipping_nothing(checks(run(compiler.compile(source, *flags), six.environment())), source)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["regions.cpp", "mapping.cpp"])
def test_the_sanitizers_find_nothing(six: Bridge, source: str) -> None:
    program = GCC.compile(source, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    done = run(program, six.environment(), ASAN_OPTIONS="detect_leaks=0")  # the programs let some circuits go
    skipping_nothing(checks(done), source)


def test_a_compiler_that_is_missing_skips_the_test_and_fails_it_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Compiler("g++-0", "g++-0", "gcc-0")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="sudo requirements/system"):
        missing.require()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="sudo requirements/system"):
        missing.require()


@pytest.mark.slow
def test_only_calls_of_files_with_the_header_are_led_elsewhere(tmp_path: Path) -> None:
    """What the linker sees: the redirect is in the object file, so the order of libraries does not matter."""

    def undefined(source: str) -> set[str]:
        target = tmp_path / "file.o"
        command = [str(BIN / "openmpq-c++"), "-std=c++17", "-c", str(PROGRAMS / source), "-o", str(target)]
        subprocess.run(command, env=GCC.environment(), check=True)
        listing = subprocess.run(["nm", "-u", target], capture_output=True, text=True, check=True).stdout
        return set(listing.split()) & {"GOMP_target_ext", "openmpq_GOMP_target_ext"}

    GCC.require()
    assert undefined("files.cpp") == {"openmpq_GOMP_target_ext"}
    assert undefined("files_classical.cpp") == {"GOMP_target_ext"}
