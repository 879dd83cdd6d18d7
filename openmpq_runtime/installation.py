"""Where the C++ library is: in the wheel beside this file, in a checkout where ``make openmpq`` puts it."""

from __future__ import annotations

import os
from pathlib import Path

from qpu_executors.errors import MissingPackage

_HERE = Path(__file__).resolve().parent


def prefix() -> Path:
    """The folder with ``include/`` and ``lib/``, as CMake installed it.

    Raises:
        MissingPackage: the library is not built; the text says how to.
    """
    named = os.environ.get("OPENMPQ_PREFIX")
    for folder in [Path(named)] if named else [_HERE, _HERE.parent / "build" / "openmpq" / "install"]:
        if (folder / "lib" / "libopenmpq.so").is_file():
            return folder
    raise MissingPackage(
        f"libopenmpq.so is not in {named or _HERE}. In a checkout type: make openmpq. In an installation, reinstall "
        "where there is a C++ compiler (gcc 11 or later, or clang 14 or later): pip install --force-reinstall conqure. "
        "One that CMake installed is found through OPENMPQ_PREFIX."
    )


def library() -> Path:
    """The file ``libopenmpq.so``; `MissingPackage` if it is not built."""
    return prefix() / "lib" / "libopenmpq.so"
