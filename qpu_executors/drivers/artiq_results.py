"""The files in which an ARTIQ master leaves results: one HDF5 file for each run that got as far as running.

A master writes ``results/DATE/HOUR/RID-Class.h5`` before the run leaves its schedule: after ``analyze``, or when
``run`` raised an error; none if ``build`` or ``prepare`` failed, or if the run was deleted. So its presence alone does
not say that a run went well: that its data are complete does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DeviceError, MissingPackage
from .artiq_protocol import decode

DATASET = "histogram_context/histogram/raw"  # of DAX's HistogramContext; its members are "0", "1", …
_PAUSE_S = 0.05


@dataclass(frozen=True)
class RunFile:
    """What one result file says about its run.

    Attributes:
        program: the path of the DAX program, as the master was given it; "" if it ran something else.
    """

    path: Path
    rid: int
    program: str

    @staticmethod
    def read(path: Path) -> RunFile:
        """OSError or ValueError while it is being written, or if it is no result file of ARTIQ."""
        with h5().File(path, "r", locking=False) as file:
            rid, expid = _value(file, "rid"), decode(json.loads(_text(_value(file, "expid"))))
        arguments = expid.get("arguments") if isinstance(expid, dict) else None
        program = arguments.get("file", "") if isinstance(arguments, dict) else ""
        return RunFile(path, int(rid), str(program))

    def raw(self, dataset: str, number: int, n_values: int) -> list[float]:
        """The values that a data context stored, one after the other.

        Raises:
            DeviceError: there are not ``n_values``: the run ended early, or it ran something else.
        """
        with h5().File(self.path, "r", locking=False) as file:
            found = file.get(f"datasets/{dataset}/{number}")
            size = found.size if isinstance(found, h5().Dataset) else 0
            if size != n_values:
                raise DeviceError(f"it stored {size or 0:,} of {n_values:,} values; {self.path} has what there is")
            if found.dtype.kind not in "biuf":
                raise DeviceError(f"it stored values of type {found.dtype}, not numbers; see {self.path}")
            values: list[float] = found[()].ravel().tolist()
            return values


def h5() -> Any:
    """The package h5py; `MissingPackage` if it is not there."""
    try:
        import h5py  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingPackage(
            "driver 'artiq' reads HDF5 files with h5py, which is not installed. "
            "Install it: pip install 'conqure[artiq]'"
        ) from error
    return h5py


def wait_for_file(results: Path, rid: int, settle_s: float) -> RunFile | None:
    """The file of a run that has left the schedule; a shared file system may show it up to ``settle_s`` later."""
    deadline = time.monotonic() + settle_s
    while True:
        for path in _newest_first(results, f"{rid:09}-*.h5"):
            try:
                found = RunFile.read(path)
            except (OSError, ValueError, KeyError, TypeError, RecursionError):  # not whole yet
                continue
            if found.rid == rid:
                return found
        if time.monotonic() >= deadline:
            return None
        time.sleep(_PAUSE_S)


def find_file(results: Path, program: str, since: float) -> RunFile | None:
    """The file of the run of this program (the beginning of its name), written after ``since`` (epoch seconds)."""
    first_day = time.strftime("%Y-%m-%d", time.localtime(since - 86_400))  # clocks and zones differ
    for path in _newest_first(results, "*.h5", first_day):
        try:
            if path.stat().st_mtime < since:
                continue
            found = RunFile.read(path)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if found.program.rpartition("/")[2].startswith(program):
            return found
    return None


def _newest_first(results: Path, pattern: str, first_day: str = "") -> Iterator[Path]:
    """Folders are named after the date and the hour."""
    for day in sorted((path for path in results.glob("*-*-*") if path.is_dir()), reverse=True):
        if day.name < first_day:
            return
        for hour in sorted((path for path in day.iterdir() if path.is_dir()), reverse=True):
            yield from sorted(hour.glob(pattern), reverse=True)


def _value(file: Any, name: str) -> Any:
    found = file[name]
    if not isinstance(found, h5().Dataset) or found.shape != ():
        raise ValueError(f"{name} is no single value")
    return found[()]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
