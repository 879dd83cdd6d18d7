"""QPUs behind the Quantum Resource Management Interface (QRMI), as Slurm's plugin ``spank_qrmi`` gives them to jobs.

Needs the extra ``qrmi``. Page: docs/drivers/qrmi.md.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qrmi

from ..device import Counts
from ..errors import DeviceError, InvalidSite, InvalidTask, RemoteFailed
from .circuits import LANGUAGES, Prepared
from .qrmi_resources import acquire, find, translated


class QRMIDevice:
    """Runs sampler primitives on a machine of IBM that this job was given. See `RemoteDevice`.

    Args:
        resource: its name in the plugin's configuration; without it, the first of the job that answers, takes circuits
            and has ``n_qubits``.
        resource_type: its type (``ibm-quantum-system``, …), to open it whatever the job was given.
        session: acquire it for as long as the device is open, unless the plugin did.
        optimization_level: of Qiskit's transpiler, 0 to 3.
        fractional_gates: use the machine's rx and rzz of any angle.
        run_options: options of the sampler, as IBM's schema has them: ``{"dynamical_decoupling": {"enable": true}}``.
        limit_s: seconds after which the machine ends a task, where the job's variables do not say.
        wait_s: seconds after which a task that has not ended is stopped and has failed; 0 waits as long as it takes.
        poll_s: the longest pause between two questions for its status.

    The machine takes no seed. A key cannot be asked for either (`find`): a program that dies between sending a task
    and writing its name down sends it again.

    Raises:
        DeviceError: the job has no such QPU, see the text; DeviceFault: it is offline; InvalidSite: an option is wrong.
    """

    languages = LANGUAGES

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        resource: str = "",
        resource_type: str = "",
        session: bool = True,
        optimization_level: int = 1,
        fractional_gates: bool = False,
        run_options: Mapping[str, Any] | None = None,
        limit_s: int = 3600,
        wait_s: float = 0.0,
        poll_s: float = 1.0,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        self._who = f"device {device_id!r}"
        _check(f"[qpu.{device_id}.options]", resource, resource_type, optimization_level, limit_s, wait_s, poll_s)
        self._opened = find(self._who, n_qubits, resource, resource_type, limit_s, fractional_gates)
        self._release = acquire(self, self._who, self._opened) if session else None
        self.metadata = {"resource": self._opened.name, "resource_type": self._opened.type}
        self._resource, self._backend = self._opened.resource, self._opened.backend
        self._operations = frozenset(self._backend.target.operation_names)
        self._pass_manager = _pass_manager(self._backend, optimization_level)
        self._run_options = dict(run_options or {})
        self._wait_s, self._poll_s = wait_s, poll_s
        self._one_at_a_time = threading.Lock()  # QRMI's object belongs to one thread at a time

    def prepare(self, program: str | bytes, language: str) -> tuple[Prepared, str]:
        """Transpile for the machine; the circuit, and its OpenQASM 3 as the machine reads it."""
        prepared = Prepared.read(program, language, self.n_qubits)
        prepared.compile(self._pass_manager, self._operations, f"{self._who} ({self._opened.name})")
        return prepared, _exported(prepared)

    def execute(
        self, prepared: tuple[Prepared, str], parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> Sequence[Counts]:
        """See `Device.execute`."""
        return self.fetch(
            self.submit(prepared, parameter_values, shots, seed, ""), prepared, n_rows=len(parameter_values)
        )

    def submit(
        self,
        prepared: tuple[Prepared, str],
        parameter_values: Sequence[Sequence[float]],
        shots: int,
        seed: int | None,
        key: str,
    ) -> str:
        """Start one task with all rows; its id."""
        circuit, text = prepared
        circuit.check(parameter_values)
        most = self._backend.configuration().max_shots
        if shots > most:
            raise InvalidTask(f"shots is {shots:,}, {self._opened.name} takes at most {most:,}.")
        columns = [column for column, _ in circuit.used]
        if columns:
            pubs: list[Any] = [(text, [[row[column] for column in columns] for row in parameter_values], shots)]
        else:
            pubs = [(text, None, shots)] * len(parameter_values)
        asked = {"pubs": pubs, "shots": shots, "options": self._run_options, "version": 2, "support_qiskit": True}
        payload = qrmi.Payload.QiskitPrimitive(input=json.dumps(asked), program_id="sampler")
        with self._one_at_a_time, translated(f"{self._who}: {self._opened.name} does not take the task", InvalidTask):
            return str(self._resource.task_start(payload))

    def fetch(self, remote_id: str, prepared: tuple[Prepared, str], n_rows: int) -> Sequence[Counts]:
        """Wait for a task, whoever started it; see `RemoteDevice.fetch`."""
        self._wait(remote_id)
        result = self._ask(f"gives no result of task {remote_id}", self._resource.task_result, remote_id)
        counts = _counts(prepared[0], result.value)
        if len(counts) != n_rows:
            raise DeviceError(f"{self._who}: task {remote_id} has {len(counts)} rows of counts, not {n_rows}.")
        return counts

    def find(self, key: str) -> str:
        """QRMI cannot list or name tasks, so nobody can be asked."""
        return ""

    def close(self) -> None:
        """Release the QPU, if this device acquired it."""
        if self._release is not None:
            self._release()

    def _wait(self, remote_id: str) -> None:
        until = time.monotonic() + self._wait_s
        pause = min(0.05, self._poll_s)
        while True:
            status = self._ask(f"does not say how task {remote_id} is", self._resource.task_status, remote_id)
            if status == qrmi.TaskStatus.Completed:
                return
            if status in (qrmi.TaskStatus.Failed, qrmi.TaskStatus.Cancelled):
                raise RemoteFailed(f"{self._who}: task {remote_id} {self._why(remote_id, status)}")
            if self._wait_s and time.monotonic() > until:
                self._ask(f"does not stop task {remote_id}", self._resource.task_stop, remote_id)
                raise RemoteFailed(f"{self._who}: task {remote_id} did not end in {self._wait_s:g} s and was stopped.")
            time.sleep(pause)
            pause = min(pause * 1.5, self._poll_s)

    def _why(self, remote_id: str, status: Any) -> str:
        """What the machine says of a task that it ended: one kind of machine in the result, another in the logs."""
        told = [f"ended without counts: {str(status).rpartition('.')[2]}"]
        with self._one_at_a_time:
            for question in (self._resource.task_result, self._resource.task_logs):
                try:
                    told.append(str(question(remote_id))[-500:].strip())
                except qrmi.TaskNotReadyError as error:
                    told.append(str(error))
                except qrmi.QrmiError:  # a machine need not keep logs
                    pass
        return ". ".join(filter(None, told))

    def _ask(self, problem: str, question: Callable[[Any], Any], argument: object) -> Any:
        with self._one_at_a_time, translated(f"{self._who}: {self._opened.name} {problem}"):
            return question(argument)


def _pass_manager(backend: Any, optimization_level: int) -> Any:
    from qiskit.transpiler import generate_preset_pass_manager

    return generate_preset_pass_manager(optimization_level=optimization_level, backend=backend, seed_transpiler=0)


def _exported(prepared: Prepared) -> str:
    """OpenQASM 3. Parameters get names whose order is that of the columns: values are matched by position."""
    from qiskit import qasm3
    from qiskit.circuit import Parameter

    circuit = prepared.circuit
    circuit.global_phase = 0  # no count depends on it, and it may hold parameters
    names = {parameter: Parameter(f"p{column:06}") for column, parameter in prepared.used}
    return qasm3.dumps(
        circuit.assign_parameters(names),
        disable_constants=True,
        allow_aliasing=True,
        experimental=qasm3.ExperimentalFeatures.SWITCH_CASE_V1,
    )


def _counts(prepared: Prepared, text: str) -> list[Counts]:
    """The counts of each row in a sampler's result, in the encoding of IBM's primitives."""
    from qiskit.primitives import BitArray, PrimitiveResult
    from qiskit_ibm_runtime import RuntimeDecoder

    result = json.loads(text, cls=RuntimeDecoder)
    if not isinstance(result, PrimitiveResult):
        raise DeviceError(f"the machine's result is no PrimitiveResult: {text[:200]}")
    counts: list[Counts] = []
    for pub in result:
        bits = BitArray.concatenate_bits([pub.data[register.name] for register in prepared.circuit.cregs])
        flat = bits.reshape(bits.size)
        rows = (flat.get_int_counts(row) for row in range(flat.size))
        counts += [prepared.counts({hex(value): number for value, number in row.items()}) for row in rows]
    return counts


def _check(
    where: str, resource: str, kind: str, optimization_level: object, limit_s: object, wait_s: float, poll_s: float
) -> None:
    if kind and not resource:
        raise InvalidSite(
            f"{where} resource_type = {kind!r} needs 'resource', the name that QRMI's variables begin with."
        )
    if optimization_level not in (0, 1, 2, 3) or isinstance(optimization_level, bool):
        raise InvalidSite(f"{where} optimization_level must be 0, 1, 2 or 3, not {optimization_level!r}.")
    if type(limit_s) is not int or limit_s < 1:
        raise InvalidSite(f"{where} limit_s must be a whole number of seconds from 1, not {limit_s!r}.")
    if wait_s < 0 or poll_s <= 0:
        raise InvalidSite(f"{where} wait_s must not be negative and poll_s must be positive: {wait_s!r}, {poll_s!r}.")
