"""A QPU, or what a selector fits, as Qiskit's `BackendV2`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2, JobV1, Options
from qiskit.result import Result
from qiskit.transpiler import Target

from qpu_executors.device import QPU
from qpu_executors.errors import InvalidTask
from qpu_executors.records import QuantumResult, QuantumTask

from .batch import Batch, Share
from .circuits import Ready, ready
from .job import QPUJob, Running, WorkJob
from .results import experiment, header, hexadecimal, result
from .targets import languages_of, target_of
from .works import About, named, read

if TYPE_CHECKING:
    from .provider import QPUProvider

VERSION = "1.0.0"
MOST_IN_A_WORK = 1000  # circuits; the queue takes that many tasks in a work


class QPUBackend(BackendV2):
    """A backend over the QPUs that a name or a selector fits.

    ``run`` takes circuits without free parameters. Options, for all runs by ``set_options`` or for one as arguments:
    ``shots`` (1024), ``memory`` (False; QPUs give counts, whose shots are then put into a random order),
    ``seed_simulator`` (None), ``priority`` (HIGH, MEDIUM or LOW).

    >>> backend.run([circuit, other], shots=1000, memory=True).result().get_memory(0)
    ['00', '11', …]
    """

    def __init__(self, provider: QPUProvider, device_id: str, qpus: Sequence[QPU]) -> None:
        what = f"{qpus[0].driver} with {qpus[0].n_qubits} qubits" if len(qpus) == 1 else f"any of {len(qpus)} QPUs"
        super().__init__(provider=provider, name=device_id, description=what, backend_version=VERSION)
        self.qpus = tuple(qpus)
        self._way: QPUProvider = provider

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024, memory=False, seed_simulator=None, priority="MEDIUM")

    @cached_property
    def target(self) -> Target:
        return target_of(self.qpus)

    @property
    def max_circuits(self) -> int | None:
        """None: of any number as few tasks are made as possible. A work of the queue has a limit."""
        return None if self._way.client is None else MOST_IN_A_WORK

    @cached_property
    def keeps_delays(self) -> bool:
        """Whether one of the QPUs may know what a delay is; for the others they are left out."""
        return any(known is None or "qpy" in known for known in map(languages_of, self.qpus))

    @property
    def n_slots(self) -> int:
        """Tasks that the QPUs take at the same time; a work goes to one QPU."""
        return sum(qpu.slots for qpu in self.qpus) if self._way.client is None else 1

    def ready(self, circuit: QuantumCircuit) -> Ready:
        """The circuit, translated for these QPUs; `InvalidTask` if none is large enough, or it cannot be carried."""
        largest = max(qpu.n_qubits for qpu in self.qpus)
        if largest and circuit.num_qubits > largest:  # a queue may not know a device's size
            raise InvalidTask(
                f"circuit {circuit.name!r} has {circuit.num_qubits} qubits, backend {self.name!r} has {largest}. "
                f"Choose a larger one: provider.backends(min_num_qubits={circuit.num_qubits})."
            )
        return ready(circuit, keeps_delays=self.keeps_delays)

    def submit(self, tasks: Sequence[QuantumTask]) -> list[Future[Any]]:
        """Tasks to the QPUs; futures of results, or of lists of them."""
        return self._way.submit(tasks)

    def run(self, run_input: QuantumCircuit | Iterable[QuantumCircuit], **options: Any) -> JobV1:
        """Run circuits.

        Raises:
            InvalidTask: no circuit, an unknown option, a free parameter, an operation that cannot be carried.
        """
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        chosen = self._chosen(options)
        _check(circuits)
        abouts = [About(self.ready(circuit), header(circuit)) for circuit in circuits]
        in_queue = self._way.client is not None
        seed = chosen["seed_simulator"]
        batch = Batch(self.name, seed, chosen["priority"], n_qpus=self.n_slots, in_order=in_queue)
        shares = [batch.add(about.ready, [about.ready.lifted], chosen["shots"]) for about in abouts]
        run = self._run_in_queue if in_queue else self._run_in_pool
        return run(batch, shares, abouts, bool(chosen["memory"]))

    def _run_in_pool(self, batch: Batch, shares: list[Share], abouts: list[About], memory: bool) -> JobV1:
        job_id = str(uuid.uuid4())

        def finish(results: list[QuantumResult]) -> Result:
            answers = batch.counts(results)
            counts = [answers.of(share)[0] for share in shares]
            return self._result(job_id, abouts, counts, results, memory, batch.seed)

        return self._way.keep(QPUJob(self, job_id, Running(self.submit(batch.tasks()), finish)))

    def _run_in_queue(self, batch: Batch, shares: list[Share], abouts: list[About], memory: bool) -> JobV1:
        if any(share.key is None for share in shares):
            raise InvalidTask("a circuit measures nothing; a work of the queue takes only circuits that do.")
        rest = iter(abouts)
        tasks = [named(task, [next(rest) for _ in range(task.n_rows)], memory=memory) for task in batch.tasks()]
        work_id = self._way.create_work(tasks, abouts[0].header["name"])
        return self.attach(work_id, abouts, memory=memory, seed=batch.seed)

    def attach(
        self, work_id: str, abouts: list[About] | None = None, *, memory: bool = False, seed: int | None = None
    ) -> WorkJob:
        """The job of a work.

        Args:
            abouts, memory, seed: of the run that made it; None for what the work itself tells about its circuits.
        """
        assert self._way.client is not None

        def finish(results: list[QuantumResult]) -> Result:
            counts = [counts for found in results for counts in found.counts]
            if abouts is not None:
                return self._result(work_id, abouts, counts, results, memory, seed)
            readings = [read(found) for found in results]
            told = [about for found, _ in readings for about in found]
            return self._result(work_id, told, counts, results, any(wanted for _, wanted in readings), None)

        return WorkJob(self, work_id, self._way.client, finish)

    def _result(
        self,
        job_id: str,
        abouts: list[About],
        counts: list[dict[str, int]],
        results: list[QuantumResult],
        memory: bool,
        seed: int | None,
    ) -> Result:
        rng = np.random.default_rng(seed)
        experiments = [
            experiment(about.header, hexadecimal(about.ready, found), sum(found.values()), memory=memory, rng=rng)
            for about, found in zip(abouts, counts, strict=True)
        ]
        ended = max((found.ended_at for found in results), default=None)
        date = None if ended is None else datetime.fromtimestamp(ended).astimezone()
        return result((self.name, VERSION), job_id, experiments, results, date)

    def _chosen(self, options: dict[str, Any]) -> dict[str, Any]:
        known = dict(self.options.items())
        for name in options:
            if name not in known:
                raise InvalidTask(f"backend.run has no option {name!r}. It has: {', '.join(known)}.")
        return known | {name: value for name, value in options.items() if value is not None}


def _check(circuits: list[Any]) -> None:
    if not circuits:
        raise InvalidTask("backend.run was given no circuit. Give a QuantumCircuit, or a list of them.")
    for circuit in circuits:
        if not isinstance(circuit, QuantumCircuit):
            raise InvalidTask(f"backend.run takes QuantumCircuits, not {type(circuit).__name__}.")
        if circuit.parameters:
            names = ", ".join(parameter.name for parameter in list(circuit.parameters)[:8])
            raise InvalidTask(
                f"circuit {circuit.name!r} has parameters without values: {names}. Bind them with "
                "circuit.assign_parameters(…), or hand the circuit and its values to SamplerV2."
            )
