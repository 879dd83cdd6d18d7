"""How a device client runs a work: on one of our drivers, or through the lab's own program."""

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
from typing import Protocol

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, DeviceError, DeviceFault, InvalidWork, TooLarge
from qpu_executors.running import HeldDevice

from .held_works import MARK
from .work import MAX_WORKLOAD_BYTES, WorkloadFormat, WorkRecord
from .workloads import read_tasks, results_payload

DAY_S = 86_400.0
TERM_S = 5.0  # between asking a program to end and killing it
_TEMPORARY = 75  # EX_TEMPFAIL: the exit code by which a program says that the fault is a passing one
_TAIL = 2000  # bytes of a program's messages that go into an error


class Cancellation:
    """Somebody wants a run to end early."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._then: Callable[[], object] = lambda: None
        self.reason: ConqureError | None = None  # what becomes of the work then

    def want(self, reason: ConqureError) -> None:
        """End it; the first reason stands."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason, then = reason, self._then
        then()

    def then(self, call: Callable[[], object]) -> None:
        """Call this when it is wanted; at once if it is already."""
        with self._lock:
            self._then, wanted = call, self.reason is not None
        if wanted:
            call()


class Runner(Protocol):
    """What runs works. ``slots`` threads call `run` at a time; `cancel` comes from another one."""

    slots: int

    def configuration(self) -> bytes:
        """What users may know of the device, as JSON."""
        ...

    def run(self, work: WorkRecord, workload: bytes, folder: Path, canceled: Cancellation) -> bytes:
        """The results. ``folder`` is private; when ``canceled`` has a reason, end early: what comes of it is thrown
        away. Whatever it raises is the error of the work."""
        ...

    def close(self) -> None: ...


class DriverRunner:
    """Runs tasks on a QPU that a driver opens; the programs of a loop are prepared once.

    A task that runs is not interrupted; the rest of a list of tasks is, when its owner cancels.

    Raises:
        UnknownDriver, InvalidSite, MissingPackage, DeviceError: the QPU cannot be opened.
    """

    def __init__(self, qpu: QPU) -> None:
        self.slots = qpu.slots
        self._held = HeldDevice(qpu)

    def configuration(self) -> bytes:
        qpu = self._held.qpu
        facts = {"device_id": qpu.device_id, "driver": qpu.driver, "qubits": qpu.n_qubits, "slots": qpu.slots}
        facts |= {"tags": list(qpu.tags), "max_shots": qpu.max_shots, "languages": list(self._held.device.languages)}
        return json.dumps(facts).encode()

    def run(self, work: WorkRecord, workload: bytes, folder: Path, canceled: Cancellation) -> bytes:
        # The queue has chosen this device; what it calls it, and by which tags, is its affair.
        device_id = self._held.qpu.device_id
        tasks = read_tasks(work.format, workload, device_id=device_id, priority=work.priority, work_id=work.work_id)
        results = []
        for task in tasks:
            if canceled.reason is not None:
                return b""
            results.append(self._held.run(task))
        return results_payload(work.format, results, workload)

    def close(self) -> None:
        self._held.close()


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
