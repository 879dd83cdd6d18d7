"""The run folder: everything needed to repeat a run, and the log from which a killed one goes on.

``run.json`` says what was asked for; ``evaluations.jsonl`` grows by one line per finished node of the graph;
``result.json`` and the figures come at the end. A line is handed to the operating system before the next link is
submitted, so `kill -9` loses nothing that was seen; the disk is told to keep it (fsync) a few times a second, for
the machine's own crashes.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .errors import CannotResume, InvalidProblem

RUN, LOG, RESULT = "run.json", "evaluations.jsonl", "result.json"
_SYNC_S = 0.25
_PACKAGES = ("conqure", "numpy", "scipy", "pennylane", "parsl", "dask", "distributed", "qiskit", "qiskit-aer")


class RunFolder:
    """One run on disk. `create` or `resume` it; the log takes one writer at a time. ``run``: what run.json holds."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path, self.run = path, run
        self._file = os.open(path / LOG, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise CannotResume(f"another process is writing to {path}. Wait for it, or end it first.") from None
        self._cut_torn_line()
        self._dirty, self._closed = threading.Event(), threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="run-log", daemon=True)
        self._syncer.start()

    @classmethod
    def create(cls, path: str | Path, run: dict[str, Any]) -> RunFolder:
        """A new run; `InvalidProblem` if the folder already holds one."""
        path = Path(path)
        if (path / RUN).exists():
            raise InvalidProblem(f"{path} already holds a run. Choose another --out, or go on with --resume {path}.")
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_json(path / RUN, run)
        except OSError as error:
            raise InvalidProblem(f"the run folder {path} cannot be written: {error.strerror}.") from error
        return cls(path, run)

    @classmethod
    def resume(cls, path: str | Path) -> RunFolder:
        """A run from before; `CannotResume` if there is none, or its log is damaged before the last line."""
        return cls(Path(path), read_run(path))

    def records(self) -> Iterator[dict[str, Any]]:
        """The lines of the log, in order, one at a time: the counts of a long run are hundreds of megabytes."""
        with (self.path / LOG).open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError:
                    raise CannotResume(f"{self.path / LOG}, line {number} is damaged.") from None

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line to the log."""
        os.write(self._file, json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._dirty.set()

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        write_json(self.path / name, values)

    def close(self) -> None:
        """Everything is on the disk when this returns."""
        if not self._closed.is_set():
            self._closed.set()
            self._dirty.set()
            self._syncer.join()
            os.fsync(self._file)
            os.close(self._file)

    def _sync(self) -> None:
        while not self._closed.wait(_SYNC_S):
            self._dirty.wait()
            self._dirty.clear()
            os.fsync(self._file)

    def _cut_torn_line(self) -> None:
        """A last line that a kill cut short is cut off, so that the log goes on after a whole one."""
        end = os.fstat(self._file).st_size
        while end:
            begin = max(0, end - 2**16)
            newline = os.pread(self._file, end - begin, begin).rfind(b"\n")
            if newline >= 0:
                os.ftruncate(self._file, begin + newline + 1)
                return
            end = begin
        os.ftruncate(self._file, 0)


def read_run(path: str | Path) -> dict[str, Any]:
    """What ``run.json`` of a run folder holds."""
    try:
        run = json.loads((Path(path) / RUN).read_text())
    except (OSError, ValueError) as error:
        raise CannotResume(f"{path} holds no run that can be resumed: {error}.") from None
    if not isinstance(run, dict) or "identity" not in run:
        raise CannotResume(f"{Path(path) / RUN} was not written by conqure vqe.")
    return run


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as file:
        json.dump(values, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def versions() -> dict[str, str]:
    """Python and the packages that a result can depend on."""
    import platform

    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
