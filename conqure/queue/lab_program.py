"""`ProgramRunner`: works run through a program of the laboratory, as a child process."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from qpu_executors.errors import DeviceError, DeviceFault, InvalidWork, TooLarge

from .device_runs import TERM_S, Cancellation
from .held_works import MARK
from .work import MAX_WORKLOAD_BYTES, WorkloadFormat, WorkRecord

DAY_S = 86_400.0
_TEMPORARY = 75  # EX_TEMPFAIL: the exit code by which a program says that the fault is a passing one
_TAIL = 2000  # bytes of a program's messages that go into an error


class ProgramRunner:
    """Runs works through a program of the lab, as a child process: a file in, a file out, whatever is in them.

    Args:
        command: its words, in which ``{workload}`` and ``{results}`` stand for the two files, and ``{work_id}`` and
            ``{format}`` for what they say. No shell sees them.
        limit_s: after this it is ended, and the work is an ERROR.

    Exit code 0 with a file of results is success; 75 a passing fault (the work is given out again); any other one an
    ERROR with the end of what the program printed. To be ended early it gets SIGTERM, and SIGKILL 5 s later.

    Raises:
        InvalidWork: the command lacks a file, or there is no such program.
    """

    slots = 1

    def __init__(self, command: str, limit_s: float = DAY_S) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise InvalidWork(f"--command {command!r} is not a line of words: {error}.") from None
        if not all(any(file in word for word in self._words) for file in ("{workload}", "{results}")):
            raise InvalidWork(f"--command {command!r} must say where the files go: 'PROGRAM {{workload}} {{results}}'.")
        program = shutil.which(self._words[0])
        if program is None:
            raise InvalidWork(f"--command: there is no program {self._words[0]!r} here that may be executed.")
        self._words[0] = os.path.abspath(program)
        self._limit_s = limit_s

    def configuration(self) -> bytes:
        return json.dumps({"program": Path(self._words[0]).name, "formats": list(WorkloadFormat)}).encode()

    def run(self, work: WorkRecord, workload: bytes, folder: Path, canceled: Cancellation) -> bytes:
        (folder / "workload").write_bytes(workload)
        program = _Child(self._start(work, folder))
        canceled.then(program.end)
        code = program.wait(self._limit_s)
        if program.is_overdue:
            raise DeviceError(f"the program was ended after {self._limit_s:g} s, the longest that the lab allows.")
        return _results(code, folder)

    def close(self) -> None:
        """Nothing to let go of."""

    def _start(self, work: WorkRecord, folder: Path) -> subprocess.Popen[bytes]:
        values = {"{workload}": str(folder / "workload"), "{results}": str(folder / "results")}
        values |= {"{work_id}": work.work_id, "{format}": work.format.value}
        environment = os.environ | {MARK: str(folder)}
        with open(folder / "messages", "wb") as messages:
            return subprocess.Popen(
                [_filled(word, values) for word in self._words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                start_new_session=True,
            )


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


class _Child:
    """A process that may be asked to end, by anybody and by the clock."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._timers: list[threading.Timer] = []
        self.is_overdue = False

    def end(self) -> None:
        """Ask it to; kill it if it does not. Returns at once."""
        self._signal(signal.SIGTERM)
        self._later(TERM_S, lambda: self._signal(signal.SIGKILL))

    def wait(self, limit_s: float) -> int:
        """Its exit code; nothing that it has started is left."""
        self._later(limit_s, self._time_is_over)
        try:
            return self._process.wait()
        finally:
            for timer in self._timers:
                timer.cancel()
            self._signal(signal.SIGKILL)

    def _time_is_over(self) -> None:
        self.is_overdue = True
        self.end()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, call)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()


def _results(code: int, folder: Path) -> bytes:
    results = folder / "results"
    if code != 0:
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        said = (folder / "messages").read_bytes()[-_TAIL:].decode(errors="replace").strip()
        raise (DeviceFault if code == _TEMPORARY else DeviceError)(f"the device's program ended {how}. It said: {said}")
    if not results.is_file() or results.is_symlink():
        raise DeviceError("the device's program ended well and left no file of results.")
    if results.stat().st_size > MAX_WORKLOAD_BYTES:
        size = results.stat().st_size / 2**20
        raise TooLarge(f"the results have {size:.0f} MiB, the cloud queue takes {MAX_WORKLOAD_BYTES // 2**20} MiB.")
    return results.read_bytes()
