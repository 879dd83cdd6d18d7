"""Which packages the installed CONQURE asks for, read from its own metadata so that nothing is listed twice."""

from __future__ import annotations

import re
from importlib import metadata

EXTRAS = ("parsl", "dask", "qiskit", "aer", "pennylane", "vqe")


def requirements() -> dict[str, tuple[str, str]]:
    """The lowest version and the extra ('' for the base) of each package that the installed CONQURE asks for."""
    try:
        lines = metadata.requires("conqure") or []
    except metadata.PackageNotFoundError:
        lines = []
    wanted: dict[str, tuple[str, str]] = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        found = re.match(r"([A-Za-z0-9._-]+)(\[.*\])?\s*(?:>=\s*([0-9.]+))?", requirement)
        extra = re.search(r"extra\s*==\s*['\"](\w+)['\"]", marker)
        if found and found[1] != "conqure" and (extra is None or extra[1] in EXTRAS):
            wanted.setdefault(found[1], (found[3] or "0", extra[1] if extra else ""))
    return wanted


def version_of(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """A version for comparing: ``2.4.6`` as (2, 4, 6).

    >>> numbers("2.10.0") > numbers("2.9")
    True
    """
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
