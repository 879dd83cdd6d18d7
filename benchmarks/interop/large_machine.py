"""A machine of 127 qubits in a variational loop: what its first call costs, and what later ones add.

The machine is IBM's own fake of one, with its coupling map and its gates. Its noise is left out: it takes seconds to
simulate, which would hide all else. The circuit is transpiled at the first call; then only angles change.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import numpy as np

from qpu_executors import QPU, QPUThreadPool, QuantumTask, run

from ..harness import Measure, beside, in_turn, measure, milliseconds
from ..waist.circuit import N_QUBITS, PROGRAM, ROW, SHOTS
from .circuits import qiskit_circuit

N_MACHINE, BACKEND = 127, "FakeSherbrooke"
RUN = {"noise_model": None}


def measures() -> Iterable[Measure]:
    options = {"backend": f"qiskit_ibm_runtime.fake_provider:{BACKEND}", "run_options": RUN}
    rng, number = np.random.default_rng(1), count()

    def row() -> list[float]:
        return (np.array(ROW) + rng.normal(size=len(ROW))).tolist()

    def other_program() -> str:
        """The same circuit as a program that the device has not seen: its register has another name."""
        return PROGRAM.replace('"meas"', f'"meas{next(number)}"')

    with QPUThreadPool([QPU("large", "qiskit", N_MACHINE, options=options)]) as pool:

        def call(program: str) -> Any:
            return pool.submit(run, QuantumTask(program, shots=SHOTS, parameter_values=row())).result()

        call(PROGRAM)  # the machine is opened here
        first = [milliseconds(lambda: call(other_program())) for _ in range(7)]
        by_hand = _by_hand()
        times = in_turn({"later calls": lambda: call(PROGRAM), "by hand": lambda: by_hand(row())}, rounds=15, repeat=3)
    yield measure(
        f"first call of a {N_QUBITS}-qubit circuit on {N_MACHINE} qubits",
        first,
        "ms",
        compared_with="later calls, with other angles",
        note=beside({"first calls": first, **times}),
    )
    yield measure("later calls, nothing is transpiled", times["later calls"], "ms")
    yield measure(
        "later calls: added to the backend's own run of the transpiled circuit",
        [ours - bare for ours, bare in zip(times["later calls"], times["by hand"], strict=True)],
        "ms",
        note=beside(times),
    )


def _by_hand() -> Any:
    """The same without us: transpiled once, and each call binds its angles."""
    from qiskit import transpile
    from qiskit_ibm_runtime import fake_provider

    backend = getattr(fake_provider, BACKEND)()
    circuit = transpile(qiskit_circuit(), backend, optimization_level=1, seed_transpiler=0)
    return lambda row: backend.run(circuit.assign_parameters(row), shots=SHOTS, **RUN).result().get_counts()
