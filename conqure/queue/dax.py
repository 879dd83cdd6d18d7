"""Programs written for QisDAX: circuits of Qiskit to DAX programs, and raw measurements back to results of Qiskit.

>>> backend = DAX.get_backend("dax_code_simulator")
>>> job = execute(circuit, backend, shots=30)
>>> work_id = client.create_work(workload=job.get_dax(), device_id="ion0")
>>> client.wait_until_done(work_id)
>>> job.get_result_obj(raw_data=client.get_results(work_id)).get_counts()
{'0000': 14, '1111': 16}
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import InvalidTask, UnknownDevice

from .work import new_work_id

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.result import Result

    from qpu_executors.translation.dax import DaxProgram

BASIS_GATES = ["id", "x", "y", "z", "h", "rx", "ry", "rz", "rxx", "cx", "cz"]
MAX_QUBITS, MAX_SHOTS = 11, 1024
_VERSION = "1"


@dataclass
class DaxBackend:
    """What becomes of a DAX program: ``dax_code_printer`` prints it, ``dax_code_simulator`` runs it in this process,
    ``dax_artiq_device`` hands it to the cloud queue as a work for the device of that name.

    Attributes:
        config: what `load_config` read.
    """

    name: str
    max_shots: int = MAX_SHOTS
    config: dict[str, Any] = field(default_factory=dict)

    def load_config(self, path: str | Path) -> None:
        """Read a resources file (TOML). Its lasers and mirrors limit how much goes on at once, not what is computed."""
        self.config = tomllib.loads(Path(path).read_text())

    def run(self, circuit: QuantumCircuit, shots: int = MAX_SHOTS, **_: Any) -> DaxJob:
        """A circuit of `BASIS_GATES` as a job; `execute` takes any circuit apart first."""
        from qpu_executors.translation import as_task
        from qpu_executors.translation.dax_writer import to_dax

        if isinstance(circuit, (list, tuple)):
            raise InvalidTask("one circuit at a time: a DAX program holds one.")
        if not 1 <= shots <= self.max_shots:
            raise InvalidTask(f"shots is {shots}, backend {self.name!r} takes 1 to {self.max_shots}.")
        task = as_task(circuit, lift_angles=False, shots=shots)
        if not isinstance(task.program, str) or task.language != "gates":
            raise InvalidTask("the circuit has branches, delays or angles that DAX programs written here cannot have.")
        return DaxJob(self, to_dax(task.program, shots), circuit.name)


class DaxProvider:
    """The backends by name; `DAX` is the one instance."""

    name = "dax_provider"
    _NAMES = ("dax_code_printer", "dax_code_simulator", "dax_artiq_device")

    def get_provider(self) -> DaxProvider:
        return self

    def backends(self, name: str | None = None, **_: Any) -> list[DaxBackend]:
        return [DaxBackend(known) for known in self._NAMES if name in (None, known)]

    def get_backend(self, name: str) -> DaxBackend:
        if name not in self._NAMES:
            raise UnknownDevice(f"no DAX backend {name!r}. Known: {', '.join(self._NAMES)}.")
        return DaxBackend(name)


DAX = DaxProvider()


def execute(
    circuit: QuantumCircuit,
    backend: DaxBackend,
    shots: int = MAX_SHOTS,
    optimization_level: int | None = None,
    **_: Any,
) -> DaxJob:
    """Take a circuit apart into `BASIS_GATES` and give it to a backend; returns its job."""
    from qiskit import transpile

    simple = transpile(circuit, basis_gates=BASIS_GATES, optimization_level=optimization_level)
    return backend.run(simple, shots=shots)


class DaxJob:
    """A DAX program and how to read what comes of it."""

    def __init__(self, backend: DaxBackend, text: str, name: str) -> None:
        self._backend, self._text, self._name = backend, text, name
        self._job_id = new_work_id()

    def job_id(self) -> str:
        return self._job_id

    def backend(self) -> DaxBackend:
        return self._backend

    def status(self) -> str:
        return "success"

    def get_dax(self) -> str:
        """The program's text: what `create_work` takes."""
        return self._text

    @property
    def creg_indices(self) -> list[int]:
        """The classical bit of each stored value of a shot."""
        return list(self._program.order)

    def get_result_counts(self, raw_data: Any) -> dict[str, int]:
        """Raw measurements, in any shape, as counts: ``{"0xf": 16}``."""
        counts = self._program.counts(raw_data)
        return {hex(int(bits.replace(" ", ""), 2)): times for bits, times in counts.items()}

    def get_result_obj(self, raw_data: Any) -> Result:
        """Raw measurements, as `get_results` gives them, as a result of Qiskit.

        >>> job.get_result_obj(raw_data=client.get_results(work_id)).get_counts()
        {'0000': 14, '1111': 16}
        """
        return self._result(self.get_result_counts(raw_data))

    def result(self) -> Result:
        """Print the program, run it here, or run it on the device, as the backend does."""
        if self._backend.name == "dax_code_printer":
            print(self._text)
            return self._result({"0x0": 0})
        if self._backend.name == "dax_code_simulator":
            return self.get_result_obj(self._program.raw(self._simulate()))
        from .user_client import UserClient

        with UserClient() as client:
            work_id = client.create_work(workload=self._text, device_id=self._backend.name)
            assert work_id is not None
            client.wait_until_done(work_id, progress=False)
            return self.get_result_obj(client.get_results(work_id))

    @property
    def _program(self) -> DaxProgram:
        from qpu_executors.translation.dax import DaxProgram

        return DaxProgram.parse(self._text)

    def _simulate(self) -> dict[str, int]:
        from qpu_executors.device import QPU
        from qpu_executors.running import hold
        from qpu_executors.translation import as_task

        with hold(QPU(self._backend.name, "statevector", max(MAX_QUBITS, self._program.n_qubits))) as held:
            return held.run(as_task(self._text)).counts[0]

    def _result(self, counts: dict[str, int]) -> Result:
        from qiskit.result import Result
        from qiskit.result.models import ExperimentResult, ExperimentResultData

        program = self._program.program
        header = {
            "name": self._name,
            "creg_sizes": [list(register) for register in program.registers],
            "memory_slots": program.n_bits,
        }
        data = ExperimentResultData(counts=counts)
        experiment = ExperimentResult(shots=sum(counts.values()), success=True, data=data, header=header)
        return Result(
            backend_name=self._backend.name,
            backend_version=_VERSION,
            qobj_id=self._job_id,
            job_id=self._job_id,
            success=True,
            results=[experiment],
        )
