"""`solve`: a parallel multi-start VQE on two pools."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from qpu_executors import QPU, open_device

from .ansatz import Ansatz
from .errors import CannotResume, InvalidProblem
from .graph import TaskGraph
from .inbox import Why
from .nodes import Plan
from .optimizers import default_optimizer, make_optimizer, write_optimizer
from .pauli import EXACT_QUBITS
from .problems import Problem, make_ansatz, read_problem
from .progress import Progress, Silent
from .record import RESULT, RunFolder, versions
from .result import Start, VQEResult
from .search import Settings

FINAL_SHOTS = 1024


def solve(
    problem: Problem,
    ansatz: Ansatz | str | None = None,
    optimizer: Settings | str | None = None,
    *,
    qpus: Executor,
    cpus: Executor,
    starts: int = 6,
    shots: int = 100,
    final_shots: int | None = None,
    seed: int | None = None,
    device_id: str = "any",
    priority: str = "MEDIUM",
    batched: bool = False,
    exact: bool = True,
    n_qpus: int | None = None,
    n_cpus: int | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    why: Why | None = None,
) -> VQEResult:
    """Minimise a problem's energy from several random starts at once; best of all starts wins.

    Args:
        problem: a `MaxCut` or `Molecule`, or anything with the face of `Problem`.
        ansatz: the circuit family, or its name; by default the problem's.
        optimizer: its settings, or its name; by default two sweeps of Rotosolve, and SPSA for QAOA.
        qpus: a pool whose workers hold QPUs. cpus: a pool for the optimisers' steps. Any `concurrent.futures`
            executors; CONQURE's pools (`conqure.open_engine`) pass results on without this process.
        starts: how many, each from its own random parameters.
        shots: repetitions of each circuit. final_shots: of the final state's circuits, at least 1024 by default.
        seed: the same seed gives the same run, on any engine. None draws one and records it.
        device_id: a QPU's name or selector; ``any`` means any with enough qubits.
        batched: send the points that are measured together as rows of one task instead of one task per circuit.
        exact: also compute the exact lowest energy, where that is quick, to compare with.
        n_qpus, n_cpus: what utilisation is a share of; by default what was seen working.
        out: folder to keep the run in. resume: folder of a run to go on with; everything else must be as it was.
        about: more to keep in run.json (site, command line, …).
        progress: is told what happens. why: says, in sentences, why tasks wait; it is asked when no node has ended for
            some seconds, and the progress shows the answer.

    Raises:
        InvalidProblem: something does not fit together. CannotResume: the folder holds another run.
        ConqureError: a circuit failed for good, or again and again.

    >>> with conqure.open_engine("threads") as engine:
    ...     solve(MaxCut.read("maxcut7"), qpus=engine.qpus, cpus=engine.cpus, seed=1).best.energy
    """
    ansatz = make_ansatz(ansatz, problem) if ansatz is None or isinstance(ansatz, str) else ansatz
    optimizer = optimizer or default_optimizer(ansatz)
    optimizer = make_optimizer(optimizer) if isinstance(optimizer, str) else optimizer
    _check(starts=starts, shots=shots)
    if ansatz.n_qubits != problem.hamiltonian.n_qubits:
        raise InvalidProblem(
            f"ansatz {ansatz.name} has {ansatz.n_qubits} qubits, {problem.name} needs {problem.hamiltonian.n_qubits}."
        )
    folder = RunFolder.resume(resume) if resume is not None else None
    if seed is None:
        seed = folder.run["identity"]["seed"] if folder else secrets.randbits(31)
    device_id = f"qubits>={ansatz.n_qubits}" if device_id == "any" else device_id
    final_shots = final_shots or max(shots, FINAL_SHOTS)
    plan = Plan(problem, ansatz, optimizer, starts, shots, final_shots, seed, device_id, priority, batched)
    if folder is not None and "run_id" in folder.run:
        plan = replace(plan, run_id=folder.run["run_id"])
    identity = describe(plan)
    if folder is not None:
        _check_same(folder, identity)
    elif out is not None:
        folder = RunFolder.create(out, _run_values(plan.run_id, identity, about))
    try:
        graph = TaskGraph(plan, qpus, cpus, folder, progress or Silent(), why)
        result = _solve(graph, identity, exact, n_qpus, n_cpus)
        if folder is not None:
            folder.write(RESULT, result.to_dict())
        return result
    finally:
        if folder is not None:
            folder.close()


def describe(plan: Plan) -> dict[str, Any]:
    """What makes a run the run it is, as JSON values: the same values give the same trajectory."""
    return {
        "problem": plan.problem.to_dict(),
        "ansatz": {"name": plan.ansatz.name, "layers": plan.ansatz.layers, "program": plan.programs[0]},
        "optimizer": write_optimizer(plan.optimizer),
        "starts": plan.starts,
        "shots": plan.shots,
        "final_shots": plan.final_shots,
        "seed": plan.seed,
        "batched": plan.batched,
    }


def rebuild(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `solve` from what `describe` wrote into run.json: ``solve(**rebuild(…), qpus=…, cpus=…)``."""
    problem = read_problem(identity["problem"])
    ansatz = make_ansatz(identity["ansatz"]["name"], problem, identity["ansatz"]["layers"])
    optimizer = make_optimizer(**identity["optimizer"])
    numbers = {key: identity[key] for key in ("starts", "shots", "final_shots", "seed", "batched")}
    return {"problem": problem, "ansatz": ansatz, "optimizer": optimizer, **numbers}


def _solve(
    graph: TaskGraph, identity: Mapping[str, Any], exact: bool, n_qpus: int | None, n_cpus: int | None
) -> VQEResult:
    plan = graph.plan
    graph.progress.begin(plan)
    try:
        starts = graph.run()
    finally:
        graph.progress.end()
    if exact:
        starts = _compared(plan, starts)
    trace = graph.trace
    setting = {key: value for key, value in identity.items() if key != "problem"}
    name = plan.ansatz.name + (f"({plan.ansatz.layers})" if plan.ansatz.layers > 1 else "")
    setting = {"problem": plan.problem.name, "unit": plan.problem.unit, **setting, "ansatz": name}
    return VQEResult(
        plan.problem,
        setting,
        tuple(starts),
        plan.problem.exact_energy() if exact else None,
        tuple(trace.circuits),
        tuple(trace.steps),
        n_qpus or len({circuit.device_id for circuit in trace.circuits}),
        n_cpus or len({step.worker for step in trace.steps}),
        graph.retries,
        tuple(trace.wakes),
    )


def _compared(plan: Plan, starts: list[Start]) -> list[Start]:
    """Starts with what only a computation can say about them: noiseless energies, and how many shots hit a solution."""
    starts = [replace(start, mass=plan.problem.mass_on_optimum(start.counts)) for start in starts]
    if plan.ansatz.n_qubits > EXACT_QUBITS:
        return starts
    device: Any = open_device(QPU("noiseless", "statevector", plan.ansatz.n_qubits))
    program, energy = plan.ansatz.program("Z" * plan.ansatz.n_qubits), plan.problem.hamiltonian.expectation
    return [replace(start, noiseless=energy(device.statevector(program, start.parameters))) for start in starts]


def _run_values(run_id: str, identity: Mapping[str, Any], about: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "identity": dict(identity),
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "versions": versions(),
        **(about or {}),
    }


def _check(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise InvalidProblem(f"{name} must be at least 1, not {value}.")


def _check_same(folder: RunFolder, identity: Mapping[str, Any]) -> None:
    kept = folder.run["identity"]
    for key, value in identity.items():
        if kept.get(key) != value:
            shown = "" if key in ("problem", "ansatz") else f": {kept.get(key)!r} there, {value!r} here"
            raise CannotResume(f"{folder.path} is a run with another {key}{shown}. Resume it with its own settings.")
