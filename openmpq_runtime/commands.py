"""The commands ``openmpq-c++``, ``openmpq-cc``, ``openmpq-fc`` and ``openmpq-config`` of a Python installation.

What they do is in ``bin/openmpq-compiler``, a shell program that a plain CMake installation has too.
"""

from __future__ import annotations

import os
import sys

from qpu_executors.errors import MissingPackage

from .installation import prefix


def cxx() -> None:
    """``openmpq-c++``: compile C++ with quantum regions."""
    _become("openmpq-c++")


def cc() -> None:
    """``openmpq-cc``: the same for C."""
    _become("openmpq-cc")


def fc() -> None:
    """``openmpq-fc``: the same for Fortran."""
    _become("openmpq-fc")


def config() -> None:
    """``openmpq-config``: flags and folders, for build systems."""
    _become("openmpq-config")


def _become(name: str) -> None:
    try:
        folder = prefix()
    except MissingPackage as error:
        sys.exit(f"{name}: {error}")
    os.environ["OPENMPQ_PREFIX"] = str(folder)
    os.execv(folder / "bin" / name, [name, *sys.argv[1:]])
