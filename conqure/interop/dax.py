"""Programs written for QisDAX: circuits of Qiskit to DAX programs, and raw measurements back to results of Qiskit.

>>> backend = DAX.get_backend("dax_code_simulator")
>>> backend.load_config("resources.toml")
>>> job = execute(circuit, backend, shots=30)
>>> work_id = client.create_work(workload=job.get_dax(), device_id="ion0")
>>> client.wait_until_done(work_id)
>>> job.get_result_obj(raw_data=client.get_results(work_id)).get_counts()
{'0000': 14, '1111': 16}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import InvalidTask, UnknownDevice

from .dax_job import DaxJob

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from qpu_executors.translation.dax_resources import Resources

BASIS_GATES = ["id", "x", "y", "z", "h", "rx", "ry", "rz", "rxx", "cx", "cz"]
MAX_QUBITS, MAX_SHOTS = 11, 1024
_ABOUT = {
    "dax_code_printer": "prints the program",
    "dax_code_simulator": "runs it in this process, on a state vector",
    "dax_artiq_device": "runs it on a QPU of the site with the driver artiq",
}


@dataclass
class DaxBackend:
    """What becomes of a DAX program: ``dax_code_printer`` prints it, ``dax_code_simulator`` runs it in this process,
    ``dax_artiq_device`` runs it on the site's QPU of that name, or its first one with the driver ``artiq``.

    Attributes:
        n_qubits, max_shots: the most it takes.
        resources: what `load_config` read; without it, operations follow each other.
    """

    name: str
    n_qubits: int = MAX_QUBITS
    max_shots: int = MAX_SHOTS
    resources: Resources | None = None

    def load_config(self, path: str | Path) -> None:
        """Read a resources file (TOML). Its lasers and mirrors limit how much goes on at once, not what is computed.

        Raises:
            InvalidSite: it cannot be read; the text names what is wrong.
        """
        from qpu_executors.translation.dax_resources import Resources

        self.resources = Resources.load(path)

    def run(self, circuit: QuantumCircuit, shots: int = MAX_SHOTS, **_: Any) -> DaxJob:
        """A circuit as a job; `execute` takes it apart into `BASIS_GATES` first.

        Raises:
            InvalidTask: too many qubits or shots, or something that no DAX program written here can do.
        """
        from qpu_executors.translation import as_task
        from qpu_executors.translation.dax_writer import to_dax

        if isinstance(circuit, (list, tuple)):
            raise InvalidTask("one circuit at a time: a DAX program holds one.")
        if type(shots) is not int or not 1 <= shots <= self.max_shots:
            raise InvalidTask(f"shots is {shots}, backend {self.name!r} takes 1 to {self.max_shots}.")
        if circuit.num_qubits > self.n_qubits:
            raise InvalidTask(
                f"the circuit has {circuit.num_qubits} qubits, backend {self.name!r} has {self.n_qubits}. "
                "For a larger machine set backend.n_qubits."
            )
        task = as_task(circuit, lift_angles=False, shots=shots)
        if not isinstance(task.program, str) or task.language != "gates":
            raise InvalidTask("the circuit has branches, delays or angles that DAX programs written here cannot have.")
        return DaxJob(self.name, to_dax(task.program, shots, resources=self.resources), circuit.name)


class DaxProvider:
    """The backends by name; `DAX` is the one instance."""

    name = "dax_provider"

    def get_provider(self) -> DaxProvider:
        return self

    def backends(
        self, name: str | None = None, filters: Callable[[DaxBackend], bool] | None = None, **_: Any
    ) -> list[DaxBackend]:
        found = [DaxBackend(known) for known in _ABOUT if name in (None, known)]
        return [backend for backend in found if filters is None or filters(backend)]

    def get_backend(self, name: str) -> DaxBackend:
        """A backend of its own each time, with no resources loaded yet."""
        if name not in _ABOUT:
            known = "; ".join(f"{known} {what}" for known, what in _ABOUT.items())
            raise UnknownDevice(f"no DAX backend {name!r}. Known: {known}.")
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

    if isinstance(circuit, (list, tuple)):
        raise InvalidTask("one circuit at a time: a DAX program holds one.")
    simple = transpile(circuit, basis_gates=BASIS_GATES, optimization_level=optimization_level)
    return backend.run(simple, shots=shots)
