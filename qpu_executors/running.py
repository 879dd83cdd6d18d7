"""`run`, the one function that travels, and what a worker has around it: the QPU it holds.

A worker (a thread, a process, a Dask worker) *holds* a QPU from its start to its end; `run` inside uses it. Where
nobody holds one, `run` opens a fitting QPU of the current site itself, once per process.

What every device needs is written here once: limits, a bounded cache of prepared programs, the check of columns,
timing, and the result.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from .device import QPU, Counts, Device, RemoteDevice
from .errors import ConqureError, DeviceError, InvalidTask, NotOnQPU, about_device
from .lasting import keep_loaded
from .records import QuantumResult, QuantumTask
from .registry import open_device
from .selector import Selector, select

JOB_ID, RESTARTS = "SLURM_JOB_ID", "SLURM_RESTART_COUNT"
CACHED_PROGRAMS = 128  # prepared programs kept per device; a variational loop needs one or a few


class HeldDevice:
    """A QPU that this thread or process holds: the open device and its cache of prepared programs."""

    def __init__(self, qpu: QPU, device: Device | None = None) -> None:
        self.qpu = qpu
        if device is None:
            _check_job(qpu)
        self.device = device if device is not None else _open(qpu)
        self._remote = self.device if isinstance(self.device, RemoteDevice) else None
        self._job = {"slurm_job_id": os.environ[JOB_ID]} if os.environ.get(JOB_ID) else {}
        self.metadata: dict[str, Any] = {}  # an engine may add facts for the next result, e.g. a repeated attempt
        self._prepared: OrderedDict[tuple[str | bytes, str], Any] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, task: QuantumTask) -> QuantumResult:
        """Run a task here.

        Raises:
            InvalidTask: the program, its parameters or shots do not fit this device.
            UnknownDevice: the task is for another device.
            DeviceError: the device failed; its own message is in the text.
        """
        self._check(task)
        prepared, parameters = self._prepare(task.program, task.language)
        if parameters is not None:
            _check_columns(task, parameters)
        started_at, clock = time.time(), time.perf_counter()
        try:
            counts, remote = self._execute(prepared, task)
        except DeviceError as error:
            about_device(error, self.qpu.device_id)
            raise
        except ConqureError:
            raise
        except Exception as error:  # whatever a driver's SDK raises
            raise DeviceError(f"device {self.qpu.device_id!r} failed: {type(error).__name__}: {error}") from error
        run_s = time.perf_counter() - clock
        metadata = dict(getattr(self.device, "metadata", None) or {}) | self._job | remote | self.metadata
        run_s = metadata.pop("run_s", run_s)
        return QuantumResult(
            task_id=task.task_id,
            device_id=self.qpu.device_id,
            counts=tuple(counts),
            shots=task.shots,
            queue_s=max(0.0, started_at - task.created_at),  # two machines' clocks may differ
            run_s=run_s,
            started_at=started_at,
            ended_at=started_at + run_s,
            metadata=metadata,
        )

    def _execute(self, prepared: Any, task: QuantumTask) -> tuple[Sequence[Counts], dict[str, Any]]:
        """Counts of each row, and how to find them again at a machine that keeps them."""
        if self._remote is None:
            return self.device.execute(prepared, task.parameter_values, task.shots, task.seed), {}
        from .submissions import execute_once

        repeated = "attempts" in self.metadata or os.environ.get(RESTARTS, "0") != "0"
        counts, remote_id = execute_once(self._remote, prepared, task, repeated=repeated)
        return counts, {"remote_id": remote_id}

    def close(self) -> None:
        self._prepared.clear()
        self.device.close()

    def _check(self, task: QuantumTask) -> None:
        if not Selector.parse(task.device_id).matches(self.qpu):
            select(task.device_id, [self.qpu], where="this worker")
        if task.shots > self.qpu.max_shots:
            raise InvalidTask(
                f"shots is {task.shots:,}, device {self.qpu.device_id!r} takes at most {self.qpu.max_shots:,}. "
                "Use fewer shots, or several rows or tasks."
            )

    def _prepare(self, program: str | bytes, language: str) -> tuple[Any, tuple[str, ...] | None]:
        """The device's prepared program, and the names of its parameters where we can read them."""
        key = (program, language)
        with self._lock:
            if key in self._prepared:
                self._prepared.move_to_end(key)
                return self._prepared[key]
        compiled = self._compile(program, language)
        with self._lock:
            self._prepared[key] = compiled
            if len(self._prepared) > CACHED_PROGRAMS:
                self._prepared.popitem(last=False)
        return compiled

    def _compile(self, program: str | bytes, language: str) -> tuple[Any, tuple[str, ...] | None]:
        if language in ("openqasm2", "openqasm3") and language not in self.device.languages:
            keep_loaded("qiskit")
            from .translation.openqasm import to_program  # the door for OpenQASM; needs the extra 'qiskit'

            program, language = to_program(program, language)
        elif language == "dax" and "dax" not in self.device.languages:
            from .translation.dax import to_program as from_dax  # what a trapped-ion machine reads, as a circuit

            program, language = from_dax(program)
        if language not in self.device.languages:
            raise InvalidTask(
                f"device {self.qpu.device_id!r} does not read {language!r}. "
                f"It reads: {', '.join(self.device.languages)}.{_HINTS.get(language, '')}"
            )
        parameters = _read(program, self.qpu) if language == "gates" else None
        try:
            return self.device.prepare(program, language), parameters
        except ConqureError:
            raise
        except Exception as error:  # whatever a driver's SDK raises
            raise DeviceError(
                f"device {self.qpu.device_id!r} cannot prepare the program: {type(error).__name__}: {error}"
            ) from error


def _open(qpu: QPU) -> Device:
    try:
        return open_device(qpu)
    except Exception as error:
        about_device(error, qpu.device_id, at_opening=True)
        raise


def _check_job(qpu: QPU) -> None:
    """A site may say how a job can tell that it was given the QPU; without that it must not be touched."""
    if qpu.reach in ("gres", "license", "partition") and not os.environ.get(JOB_ID):
        raise DeviceError(
            f"device {qpu.device_id!r} is reached by {qpu.reach}: only a job of Slurm may open it, and this process is "
            "in none. Use the engine 'parsl' or 'dask', which submit one, or run this inside a job: "
            "conqure sites show SITE --render slurm"
        )
    name, _, word = qpu.expects.partition("=")
    if not name:
        return
    given = os.environ.get(name, "")
    if given and (not word or word in given.split(",")):
        return
    job = f"job {os.environ[JOB_ID]}" if os.environ.get(JOB_ID) else "this process, which is in no job of Slurm,"
    found = f"{name} is {given!r}" if given else f"{name} is not set"
    raise DeviceError(
        f"device {qpu.device_id!r} was not given to {job}: {found}, and "
        f"the site file expects {qpu.expects!r}. See 'resource' and 'directives' of [qpu.{qpu.device_id}], and whether "
        "the site's plugin for QPUs is loaded: srun --help shows its options."
    )


_HINTS = {"qpy": " A circuit with branches, delays or angles that are not affine in its parameters needs an 'aer' QPU."}


def _check_columns(task: QuantumTask, parameters: tuple[str, ...]) -> None:
    wanted, given = len(parameters), len(task.parameter_values[0])
    if given != wanted:
        names = (": " + ", ".join(parameters[:8]) if wanted else "") + (", …" if wanted > 8 else "")
        raise InvalidTask(
            f"parameter_values has {given} columns, the program has {wanted} parameters{names}. "
            "Give one value per parameter in each row."
        )


def _read(program: str | bytes, qpu: QPU) -> tuple[str, ...]:
    """The parameters of a gates program; `InvalidTask` if it has more qubits than the QPU."""
    from .translation.gates import GateProgram

    if isinstance(program, bytes):
        raise InvalidTask("a gates program is text, not bytes.")
    read = GateProgram.parse(program)
    n_qubits = read.n_qubits
    if n_qubits > qpu.n_qubits:
        raise InvalidTask(
            f"the circuit has {n_qubits} qubits, device {qpu.device_id!r} has {qpu.n_qubits}. "
            f"Choose a larger one with device_id='qubits>={n_qubits}', or see 'conqure devices'."
        )
    return read.parameters


class QPUHandle:
    """What a function with a ``qpu`` argument gets: run circuits next to the device, as often as it likes."""

    def __init__(self, held: HeldDevice, **defaults: Any) -> None:
        self._held = held
        self._defaults = defaults

    @property
    def device_id(self) -> str:
        return self._held.qpu.device_id

    @property
    def n_qubits(self) -> int:
        return self._held.qpu.n_qubits

    def run(self, circuit: Any, **overrides: Any) -> QuantumResult:
        """Run a circuit (anything `as_task` reads) with ``shots``, ``parameter_values``, ``seed`` of your choice."""
        from .translation import as_task

        return self._held.run(as_task(circuit, **{**self._defaults, "device_id": self.device_id, **overrides}))


_held = threading.local()  # the QPU of this thread
_process_held: HeldDevice | None = None  # the QPU of a whole worker process


def current_qpu() -> HeldDevice | None:
    """The QPU this thread or process holds, if any."""
    return getattr(_held, "device", None) or _process_held


@contextlib.contextmanager
def hold(qpu: QPU | HeldDevice, *, process: bool = False) -> Iterator[HeldDevice]:
    """Open a QPU and hold it: `run` in this thread (or in the whole process) uses it until the block ends.

    >>> with hold(QPU("sv0", "statevector", 14)) as held:
    ...     held.run(task)
    """
    global _process_held
    held = qpu if isinstance(qpu, HeldDevice) else HeldDevice(qpu)
    before = _process_held if process else getattr(_held, "device", None)
    try:
        if process:
            _process_held = held
        else:
            _held.device = held
        yield held
    finally:
        if process:
            _process_held = before
        else:
            _held.device = before
        if held is not qpu:
            held.close()


def run(task: QuantumTask) -> QuantumResult:
    """Run one task on the QPU at hand. This is the function that passes the waist: ``pool.submit(run, task)``.

    Raises:
        InvalidTask, UnknownDevice, DeviceError: as `HeldDevice.run`.

    >>> run(QuantumTask(program, shots=100, seed=1)).counts
    ({'00': 52, '11': 48},)
    """
    held = current_qpu()
    if held is not None:
        return held.run(task)
    if os.environ.get("CONQURE_WORKER"):  # an engine's worker without a QPU must not open one behind its back
        raise NotOnQPU(
            f"task {task.task_id} ran on a worker that holds no QPU. Submit it through the pool of the QPU workers "
            "(conqure_parsl.pool(…), conqure_dask.pool(…)), not through the classical one."
        )
    return _site_device(task).run_in_slot(task)


class _SharedDevice:
    """A QPU of the site, opened on first use by whoever comes first in this process; its slots are respected."""

    def __init__(self, qpu: QPU) -> None:
        self.qpu = qpu
        self._slots = threading.BoundedSemaphore(qpu.slots)
        self._open = threading.Lock()
        self._held: HeldDevice | None = None

    def run_in_slot(self, task: QuantumTask) -> QuantumResult:
        with self._slots:
            with self._open:
                if self._held is None:
                    self._held = HeldDevice(self.qpu)
            return self._held.run(task)


_shared: dict[str, _SharedDevice] = {}
_shared_lock = threading.Lock()


def _site_device(task: QuantumTask) -> _SharedDevice:
    from .draining import accepting
    from .site import current_site

    site = current_site()
    qpu = accepting(task.device_id, select(task.device_id, site.qpus, where=f"site {site.name!r}"))[0]
    with _shared_lock:
        return _shared.setdefault(f"{site.name}/{qpu.device_id}", _SharedDevice(qpu))
