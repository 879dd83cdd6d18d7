"""Quantum regions as people write them, on every compiler: which QPU, which circuit, which data."""

import pytest

from openmpq_runtime import Bridge

from .compiling import Compiler, checks, run, skipping_nothing

pytestmark = pytest.mark.slow  # compiling


@pytest.mark.parametrize("source", ["regions.cpp", "mapping.cpp", "library.cpp", "processes.cpp"])
def test_everything_a_program_checks_holds(compiler: Compiler, six: Bridge, source: str) -> None:
    skipping_nothing(checks(run(compiler.compile(source), six.environment())), source)


def test_the_papers_device_num_clause(compiler: Compiler, six: Bridge) -> None:
    flags = ["-fopenmp-version=51"] if compiler.name == "clang-16" else []
    assert len(checks(run(compiler.compile("listings.cpp", *flags), six.environment()))) == 6


def test_qpus_at_the_end_of_the_device_list(compiler: Compiler, six: Bridge) -> None:
    program = compiler.compile("appended.cpp")
    assert len(checks(run(program, six.environment(), OPENMPQ_APPEND_DEVICES="1"))) == 5


def test_classical_code_inside_a_region(compiler: Compiler, six: Bridge) -> None:
    assert len(checks(run(compiler.compile("reverse.cpp"), six.environment()))) == 2


def test_reverse_offload_by_the_directive_with_clang(compiler: Compiler, six: Bridge) -> None:
    if not compiler.is_clang:
        pytest.skip("gcc 12 does not implement it, gcc 13 and later are not in this Debian: no command enables it here")
    flags = ["-DORPHANED", "-fopenmp-version=99", "-Wno-unused-command-line-argument"]
    assert len(checks(run(compiler.compile("reverse.cpp", *flags), six.environment()))) == 2


def test_the_c_interface_from_c(compiler: Compiler, six: Bridge) -> None:
    assert checks(run(compiler.compile("plain.c", wrapper="openmpq-cc"), six.environment())) == ["C on sv2"]


@pytest.mark.parametrize("flags", [("-O0", "-g", "-fPIC"), ("-O3",)], ids=" ".join)
def test_whatever_the_optimisation(compiler: Compiler, six: Bridge, flags: tuple[str, ...]) -> None:
    skipping_nothing(checks(run(compiler.compile("regions.cpp", *flags), six.environment())), "regions.cpp")
