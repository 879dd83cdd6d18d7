"""Qiskit Aer: larger circuits, noise, branches on measured bits. Needs the extra ``aer``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.transpiler import PassManager, generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from ..device import Counts
from ..errors import DeviceError, InvalidSite, InvalidTask
from ..translation.gates import GATES
from .circuits import LANGUAGES, Prepared, call_by_name, operations

_BESIDE_GATES = ("if_else", "for_loop", "while_loop", "switch_case", "delay", "measure", "reset")


class AerDevice:
    """Simulates with `AerSimulator`.

    Args:
        method: Aer's simulation method: automatic, statevector, density_matrix, stabilizer, matrix_product_state, …
        max_parallel_threads: of one call. 1 is fastest for small circuits (Aer's own default, all cores, was 3 to 4
            times slower at 7 qubits); for large ones give cores / slots.
        optimization_level: of Qiskit's transpiler, 0 to 3, where a circuit must be compiled: for gates Aer does not
            have, and for noise that belongs to certain gates. The default is 1 for the noise of a backend, else 0:
            what cancels in a circuit keeps its noise.
        noise: ``{"one_qubit": p, "two_qubit": p, "readout": p}`` (depolarising probabilities, probability of a wrong
            bit; noise on every gate of the circuit as it is), or ``module:callable`` of a `NoiseModel` or of a backend
            whose noise, gates and couplings are then used; ``noise_arguments`` are the callable's.
        options: any other option of `AerSimulator`, for example ``precision``, ``device``, ``max_memory_mb``.

    Raises:
        InvalidSite: an option does not exist or has an impossible value.

    >>> AerDevice("aer0", 20).execute(device.prepare(program, "gates"), [[0.1]], 100, seed=1)
    [{'0': 99, '1': 1}]
    """

    languages = LANGUAGES

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        method: str = "automatic",
        max_parallel_threads: int = 1,
        optimization_level: int | None = None,
        noise: Mapping[str, float] | str | None = None,
        noise_arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        self._where = f"[qpu.{device_id}.options]"
        _whole(f"{self._where} max_parallel_threads", max_parallel_threads)
        if optimization_level is not None:
            _whole(f"{self._where} optimization_level", optimization_level, at_most=3)
        source: Any = noise
        if isinstance(noise, str):
            source = call_by_name(f"{self._where} noise", noise, noise_arguments or {})
        elif noise is not None:
            source = _depolarising(f"{self._where} noise", noise)
        self._backend = self._open(source, method=method, max_parallel_threads=max_parallel_threads, **options)
        self._known = set(self._backend.target.operation_names)  # once: Aer builds its target anew on every access
        if isinstance(source, NoiseModel):
            self._known -= {name for name, (n, _) in GATES.items() if n > 2}  # they would be noiseless
        self._noise, self._method = source, method
        default_level = int(isinstance(source, BackendV2))
        self._optimization_level = default_level if optimization_level is None else optimization_level
        self._compile_all = isinstance(noise, str)  # the noise belongs to certain gates only

    def prepare(self, program: str | bytes, language: str) -> Prepared:
        """Parse, and compile if Aer lacks a gate of the program."""
        prepared = Prepared.read(program, language, self.n_qubits)
        if self._compile_all or not operations(prepared.circuit) <= self._known:
            prepared.compile(self._compiler, self._known, f"device {self.device_id!r}")
        if self._method == "stabilizer":
            _check_clifford(f"device {self.device_id!r}", prepared.circuit)
        return prepared

    def execute(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        """See `Device.execute`; all rows are one call of Aer."""
        prepared.check(parameter_values)
        options: dict[str, Any] = {"shots": shots}
        if seed is not None:
            options["seed_simulator"] = seed  # row i gets a seed of its own made from this one, by Aer
        used = prepared.used
        if used and len(parameter_values) > 1:  # Aer binds many rows faster than Qiskit, and one row slower
            circuits: Any = prepared.circuit
            options["parameter_binds"] = [{p: [row[column] for row in parameter_values] for column, p in used}]
        else:
            circuits = prepared.bound(parameter_values)
        result = self._backend.run(circuits, **options).result()
        if not result.success:
            self._fail(str(result.status))
        return [prepared.counts(result.data(row)["counts"]) for row in range(len(parameter_values))]

    def close(self) -> None:
        """Nothing to let go of."""

    def _open(self, noise: Any, **options: Any) -> AerSimulator:
        try:
            if isinstance(noise, BackendV2):
                simulator = AerSimulator.from_backend(noise, **options)
            else:
                simulator = AerSimulator(noise_model=noise, **options)
        except QiskitError as error:  # an unknown method, an unknown option
            known = [name for name, _ in AerSimulator().options.items()]
            unknown = [name for name in options if name not in known]
            near = difflib.get_close_matches(unknown[0], known, n=1) if unknown else []
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidSite(f"{self._where}: Aer says: {error.message}.{hint}") from error
        if simulator.options.noise_model is not None:
            _write_once(simulator.options.noise_model)
        return simulator

    @cached_property
    def _compiler(self) -> PassManager:
        chosen: dict[str, Any] = {"optimization_level": self._optimization_level, "seed_transpiler": 0}
        if isinstance(self._noise, BackendV2):
            return generate_preset_pass_manager(target=self._backend.target, **chosen)
        basis = [name for name in (*GATES, *_BESIDE_GATES) if name in self._known]
        return generate_preset_pass_manager(basis_gates=basis, **chosen)

    def _fail(self, status: str) -> None:
        text = f"device {self.device_id!r}: Aer reports {status.removeprefix('ERROR: ').strip()}"
        if "invalid" in status:
            raise InvalidTask(f"{text} Choose a device with another method.")
        if "Insufficient memory" in status:
            raise InvalidTask(f"{text}. Use fewer qubits, or a device whose method needs less memory.")
        raise DeviceError(text)


def _write_once(model: NoiseModel) -> None:
    """Aer writes the whole noise model out on every call, 70 ms for a machine of 7 qubits; this one never changes."""
    written = model.to_dict(serializable=True)
    model.to_dict = lambda serializable=False: written if serializable else NoiseModel.to_dict(model)


def _depolarising(where: str, noise: Mapping[str, float]) -> NoiseModel:
    """The same error on every gate of one and of two qubits, and on every measurement."""
    strengths = {"one_qubit": 0.0, "two_qubit": 0.0, "readout": 0.0}
    for name, strength in noise.items():
        if name not in strengths:
            raise InvalidSite(f"{where} has {name!r}. It takes: {', '.join(strengths)}.")
        if not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
            raise InvalidSite(f"{where}: {name} is a probability from 0 to 1, not {strength!r}.")
        strengths[name] = float(strength)
    model = NoiseModel()
    for n_qubits, strength in ((1, strengths["one_qubit"]), (2, strengths["two_qubit"])):
        gates = [name for name, (n, _) in GATES.items() if n == n_qubits]
        model.add_all_qubit_quantum_error(depolarizing_error(strength, n_qubits), gates)
    wrong = strengths["readout"]
    model.add_all_qubit_readout_error(ReadoutError([[1 - wrong, wrong], [wrong, 1 - wrong]]))
    return model


def _check_clifford(who: str, circuit: QuantumCircuit) -> None:
    """The stabilizer method takes rz by quarter turns only, and notices others while it runs."""
    for instruction in circuit.data:
        for angle in instruction.params if instruction.name == "rz" else ():
            if isinstance(angle, float) and abs(angle / (math.pi / 2) - round(angle / (math.pi / 2))) > 1e-9:
                raise InvalidTask(
                    f"{who} simulates Clifford circuits (method stabilizer); the gates of this one are not all "
                    f"Clifford gates: compiled, it has rz({angle:.6g}). Choose a device with another method."
                )


def _whole(where: str, value: object, at_most: int | None = None) -> None:
    if type(value) is not int or value < 0 or (at_most is not None and value > at_most):
        raise InvalidSite(f"{where} must be a whole number from 0{f' to {at_most}' if at_most else ''}, not {value!r}.")
