"""Reverse offload: classical code inside a quantum region, which goes on afterwards."""

import pytest

from openmpq_runtime import Bridge

from .compiling import Compiler, checks, run

STEERED = ["what the host decided steers the region", "in order: 3 4"]


@pytest.mark.parametrize("flags", [(), ("-DANCESTOR",)], ids=["on_host", "macro"])
def test_the_host_decides_and_the_region_goes_on(compiler: Compiler, six: Bridge, flags: tuple[str, ...]) -> None:
    assert checks(run(compiler.compile("reverse.cpp", *flags), six.environment())) == STEERED


def test_the_directive_in_a_function_that_the_region_calls(compiler: Compiler, six: Bridge) -> None:
    if not compiler.is_clang:
        pytest.skip("gcc 12 does not implement it, gcc 13 and later are not in this Debian: no command enables it here")
    flags = ["-DORPHANED", "-fopenmp-version=99", "-Wno-unused-command-line-argument"]
    assert checks(run(compiler.compile("reverse.cpp", *flags), six.environment())) == STEERED
