"""The device itself: a batch of tapes in, tasks to the pool, the measurements' results out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pennylane import CompilePipeline
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.exceptions import DeviceError
from pennylane.measurements import Shots
from pennylane.tape import QuantumScript

from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.site import Site

from ..door import door
from .circuits import Circuit, Programs
from .preprocessing import METHODS, pipeline
from .results import Outcomes, results_of

DEFAULT_SHOTS = 1024


@dataclass
class _Sent:
    """A task on its way: which tapes are its rows."""

    tapes: list[int]
    future: Future[QuantumResult]


@simulator_tracking
@single_tape_support
class ConqureDevice(Device):
    """The QPUs of a site as one PennyLane device, with sampled results only.

    Args:
        wires: their number or their labels; by default whatever a circuit uses.
        shots: for circuits that do not say; a number or a shot vector. None means 1024.
        site: a site, its name or its file; by default the site to use here.
        device: which QPU: a name or a selector (``"tag:ion"``, ``"qubits>=7"``).
        engine: ``threads``, ``parsl`` or ``dask``; by default the one that starts at once.
        pool: a pool of your own that takes ``submit(run, task)``; then no engine is opened.
        seed: for simulators: a device made with the same seed gives the same results call by call.

    Raises:
        UnknownSite, UnknownEngine, UnknownDevice: there is none of that name; the text lists what there is.

    A batch (the tapes of a gradient, of a Hamiltonian's groups, of a broadcast) runs in parallel: tapes that differ
    in angles alone are the rows of as many tasks as QPUs can take at the same time, every other tape is a task.

    >>> qml.device("conqure.qpu", wires=2, site="laptop", device="any", shots=1000, seed=1)
    """

    def __init__(
        self,
        wires: Any = None,
        shots: int | Sequence[int] | None = None,
        *,
        site: Site | str | Path | None = None,
        device: str = "any",
        engine: str | None = None,
        pool: Executor | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(wires=wires)
        self._shots = Shots(
            DEFAULT_SHOTS if shots is None else shots
        )  # PennyLane's own way warns: a simulator has none
        self._door = door(site, engine=engine, pool=pool)
        self._device_id = device
        self._seeded = seed is not None
        self._rng = np.random.default_rng(seed)
        self._programs = Programs()
        self._door.select(device)

    @property
    def name(self) -> str:
        return "conqure.qpu"

    def setup_execution_config(
        self, config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> ExecutionConfig:
        """See PennyLane's `Device`; refuses what a QPU cannot be told to do."""
        config = config or ExecutionConfig()
        if config.mcm_config.mcm_method not in METHODS:
            raise DeviceError(
                f"{self.name} has no mcm_method {config.mcm_config.mcm_method!r}. Choose 'device' (measures in the "
                "middle, as written), 'deferred' (at the end, on more qubits) or none ('device' where it is possible)."
            )
        if config.mcm_config.postselect_mode == "fill-shots":
            raise DeviceError(
                f"{self.name} cannot fill up the shots that a postselection drops. Use postselect_mode='hw-like' and "
                "more shots."
            )
        for option in config.device_options:
            raise DeviceError(f"{self.name} has no device option {option!r}; give its arguments to qml.device.")
        return replace(config, use_device_gradient=False, use_device_jacobian_product=False, grad_on_execution=False)

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """See PennyLane's `Device`; the steps are those of `preprocessing.pipeline`."""
        method = (execution_config or ExecutionConfig()).mcm_config.mcm_method
        return pipeline(self.name, self.wires, self.shots, method)

    def execute(self, circuits: Sequence[QuantumScript], execution_config: ExecutionConfig | None = None) -> Any:
        """Run a batch of preprocessed tapes; one result per tape, in PennyLane's shapes.

        Raises:
            InvalidTask, UnknownDevice: no QPU takes a circuit. DeviceError (CONQURE's): one failed.
        """
        read = [self._programs.read(tape) for tape in circuits]
        sent: list[_Sent] = []
        try:
            for tapes in _of_one_program(read):
                sent += self._send(read, tapes)
            counts: dict[int, dict[str, int]] = {}
            for task in sent:
                counts.update(zip(task.tapes, task.future.result().counts, strict=True))
        except BaseException:
            for task in sent:
                task.future.cancel()
            raise
        return tuple(
            results_of(tape, circuit, Outcomes.of(counts[number]), self._rng)
            for number, (tape, circuit) in enumerate(zip(circuits, read, strict=True))
        )

    def _send(self, read: Sequence[Circuit], tapes: list[int]) -> list[_Sent]:
        """Tasks for tapes of one program: as many as can run at a time."""
        first = read[tapes[0]]
        device_id = f"{self._device_id},qubits>={first.n_qubits}"
        places = sum(qpu.slots for qpu in self._door.select(device_id))
        n_tasks = min(places, len(tapes))
        tasks = []
        for part in range(n_tasks):
            share = tapes[part::n_tasks]
            task = QuantumTask(
                first.program,
                device_id=device_id,
                shots=first.shots,
                parameter_values=[read[tape].row for tape in share],
                seed=int(self._rng.integers(2**32)) if self._seeded else None,
            )
            tasks.append(_Sent(share, self._door.submit(task)))
        return tasks


def _of_one_program(read: Sequence[Circuit]) -> list[list[int]]:
    """The tapes' numbers, those of the same program and shots together."""
    groups: dict[tuple[str, int], list[int]] = {}
    for number, circuit in enumerate(read):
        groups.setdefault((circuit.program, circuit.shots), []).append(number)
    return list(groups.values())
