"""Any Qiskit `BackendV2`: a vendor's machine, a fake one, another simulator. Needs the extra ``qiskit``."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit.transpiler import generate_preset_pass_manager

from ..device import Counts
from ..errors import DeviceError, InvalidSite
from .circuits import LANGUAGES, Prepared, call_by_name, named
from .retrieval import Retrieval
from .sampling import counts, pubs, without_empty_registers

_SEEDS = 2**31
_STRIDE = 1_000_003  # between the seeds of two rows


class QiskitBackendDevice:
    """Runs on a backend, or through a sampler primitive on it.

    Args:
        backend: ``package.module:callable`` that gives the backend, for example
            ``qiskit_ibm_runtime.fake_provider:FakeManilaV2``; ``arguments`` are the callable's. Where it gives a
            provider, ``get`` is the path to its method that gives the backend, for example ``get_backend`` or
            ``offline.ideal``, and ``get_arguments`` are that method's; a part that ends with ``()`` is called. An
            argument ``{env = "NAME"}`` is read from the environment of the worker: a token has no place in a file.
        optimization_level: of the transpiler, 0 to 3. A program is transpiled once, for all its rows.
        run_options: further options of ``backend.run``.
        sampler: ``package.module:callable`` of a SamplerV2 class, for backends without ``run`` (IBM's machines:
            ``qiskit_ibm_runtime:SamplerV2``), called with ``mode=backend`` or ``backend=backend`` and the
            ``sampler_arguments``.
        remote: whether tasks are jobs that any process can fetch by their id: the device is a `RemoteDevice` then.
            Needs a backend or provider with a method ``retrieve_job``, ``restore_job`` or ``job``.

    Seeds work where the backend has the option ``seed_simulator``.

    Raises:
        InvalidSite: an option is wrong, or the backend is smaller than the site says; MissingPackage.

    >>> QiskitBackendDevice("fake0", 5, backend="qiskit_ibm_runtime.fake_provider:FakeManilaV2")
    """

    languages = LANGUAGES
    submit: Callable[..., str]  # there with `remote`: `RemoteDevice` is a matter of what an object has
    fetch: Callable[..., list[Counts]]
    find: Callable[[str], str]

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        backend: str,
        arguments: Mapping[str, Any] | None = None,
        get: str | None = None,
        get_arguments: Mapping[str, Any] | None = None,
        optimization_level: int = 1,
        run_options: Mapping[str, Any] | None = None,
        sampler: str | None = None,
        sampler_arguments: Mapping[str, Any] | None = None,
        remote: bool = False,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        where = f"[qpu.{device_id}.options]"
        self._backend = call_by_name(f"{where} backend", backend, from_environment(where, arguments or {}))
        if get is not None:
            self._backend = _got(f"{where} get", self._backend, get, from_environment(where, get_arguments or {}))
        _check(where, self._backend, backend, n_qubits, optimization_level)
        self._operations = frozenset(self._backend.target.operation_names)  # some backends build it on every access
        self._pass_manager = generate_preset_pass_manager(
            optimization_level=optimization_level, backend=self._backend, seed_transpiler=0
        )
        self._run_options = dict(run_options or {})
        self._takes_seed = hasattr(self._backend.options, "seed_simulator")
        self._draws_rows_apart = True  # until a job shows otherwise
        self._sampler: Any = None
        if sampler is not None:
            accepted = inspect.signature(named(f"{where} sampler", sampler)).parameters
            given = {"mode" if "mode" in accepted else "backend": self._backend, **(sampler_arguments or {})}
            self._sampler = call_by_name(f"{where} sampler", sampler, given)
        if remote:
            jobs = Retrieval(device_id, self._backend, f"{where} remote")
            self.submit, self.fetch, self.find = self._submit, self._fetch, jobs.find
            self._jobs = jobs

    def prepare(self, program: str | bytes, language: str) -> Prepared:
        """Parse, and transpile to the backend's target."""
        prepared = Prepared.read(program, language, self.n_qubits)
        if self._sampler is not None:
            prepared.circuit = without_empty_registers(prepared.circuit)
        prepared.compile(self._pass_manager, self._operations, f"device {self.device_id!r} ({self._backend.name})")
        return prepared

    def execute(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        """See `Device.execute`; the rows go to the backend in as few jobs as it allows."""
        prepared.check(parameter_values)
        if self._sampler is not None:
            return counts(prepared, self._sampler.run(pubs(prepared, parameter_values), shots=shots).result())
        circuits = prepared.bound(parameter_values)
        if seed is None or not self._takes_seed:
            return self._run(prepared, circuits, shots)[0]
        return self._run_seeded(prepared, circuits, shots, seed)

    def close(self) -> None:
        """Nothing to let go of."""

    def _submit(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None, key: str
    ) -> str:
        """As few jobs as the backend allows, and one for each row if there is a seed for it."""
        prepared.check(parameter_values)
        if self._sampler is not None:
            return self._jobs.submit([lambda: self._sampler.run(pubs(prepared, parameter_values), shots=shots)])
        circuits = prepared.bound(parameter_values)
        seeded = seed is not None and self._takes_seed
        most = 1 if seeded else self._backend.max_circuits or len(circuits)

        def start(first: int) -> Any:
            options = {"seed_simulator": (seed + _STRIDE * first) % _SEEDS} if seed is not None and seeded else {}
            batch = circuits[first : first + most]
            run_input = batch if len(batch) > 1 else batch[0]  # IonQ takes measurements midway of a single one only
            return self._backend.run(run_input, **self._run_options, **options, shots=shots)

        return self._jobs.submit([partial(start, first) for first in range(0, len(circuits), most)])

    def _fetch(self, remote_id: str, prepared: Prepared, n_rows: int) -> list[Counts]:
        found: list[Counts] = []
        for result in self._jobs.results(remote_id):
            if self._sampler is not None:
                found += counts(prepared, result)
            else:
                found += [prepared.counts(_raw(result, row)) for row in range(len(result.results))]
        if len(found) != n_rows:
            raise DeviceError(f"device {self.device_id!r}: {remote_id} has {len(found)} rows, the task has {n_rows}.")
        return found

    def _run(
        self, prepared: Prepared, circuits: list[QuantumCircuit], shots: int, **options: Any
    ) -> tuple[list[Counts], list[Any]]:
        """Counts of each circuit, and the seed that the backend says it used for each."""
        most = self._backend.max_circuits or len(circuits)
        counts: list[Counts] = []
        seeds: list[Any] = []
        for first in range(0, len(circuits), most):
            result = self._backend.run(
                circuits[first : first + most], **self._run_options, **options, shots=shots
            ).result()
            if not result.success:
                raise DeviceError(f"device {self.device_id!r}: {self._backend.name} reports {result.status}")
            counts += [prepared.counts(_raw(result, row)) for row in range(len(result.results))]
            seeds += [getattr(row, "seed_simulator", None) for row in result.results]
        return counts, seeds

    def _run_seeded(self, prepared: Prepared, circuits: list[QuantumCircuit], shots: int, seed: int) -> list[Counts]:
        """One job if the backend then draws each row apart (Aer does), else one job per row."""
        if len(circuits) == 1 or self._draws_rows_apart:
            counts, seeds = self._run(prepared, circuits, shots, seed_simulator=seed % _SEEDS)
            if len(set(seeds)) == len(circuits):
                return counts
            self._draws_rows_apart = False
        rows = enumerate(circuits)
        return [
            self._run(prepared, [circuit], shots, seed_simulator=(seed + _STRIDE * row) % _SEEDS)[0][0]
            for row, circuit in rows
        ]


def _raw(result: Any, row: int) -> dict[str, int]:
    """Counts by hexadecimal outcome; some providers give bit strings, with or without spaces."""
    raw = result.data(row)["counts"]
    return {
        bits if bits.startswith("0x") else hex(int(bits.replace(" ", ""), 2)): number for bits, number in raw.items()
    }


def _check(where: str, backend: object, name: str, n_qubits: int, optimization_level: object) -> None:
    if not isinstance(backend, BackendV2):
        raise InvalidSite(f"{where} backend = {name!r} gives {type(backend).__name__}, not a Qiskit BackendV2.")
    if backend.num_qubits is not None and n_qubits > backend.num_qubits:
        raise InvalidSite(
            f"{where}: backend {backend.name!r} has {backend.num_qubits} qubits, the site says {n_qubits}."
        )
    if optimization_level not in (0, 1, 2, 3) or isinstance(optimization_level, bool):
        raise InvalidSite(f"{where} optimization_level must be 0, 1, 2 or 3, not {optimization_level!r}.")


def from_environment(where: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, each ``{"env": NAME}`` replaced by that variable; `DeviceError` if it is not set."""
    found = dict(arguments)
    for name, value in arguments.items():
        if isinstance(value, Mapping) and set(value) == {"env"}:
            if value["env"] not in os.environ:
                raise DeviceError(
                    f"{where}: {name} is read from {value['env']}, which is not set. Set it and try again."
                )
            found[name] = os.environ[value["env"]]
    return found


def _got(where: str, provider: Any, path: str, arguments: Mapping[str, Any]) -> Any:
    """What the last part of the path, called with the arguments, gives."""
    *steps, last = path.split(".")
    try:
        for step in steps:
            found = getattr(provider, step.removesuffix("()"))
            provider = found() if step.endswith("()") else found
        return getattr(provider, last.removesuffix("()"))(**arguments)
    except Exception as error:  # whatever a third party's provider raises
        raise InvalidSite(f"{where} = {path!r} failed: {type(error).__name__}: {error}") from error
