"""``conqure run``: one circuit on one QPU, its counts as a table or JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import DeviceOption, EngineOption, JSONOption, SiteOption
from .output import bar, print_json, print_table, terminal_width

if TYPE_CHECKING:
    from qpu_executors.device import QPU
    from qpu_executors.records import QuantumResult, QuantumTask
    from qpu_executors.site import Site

_PI = re.compile(r"([+-]?)\s*(?:([0-9.]+(?:[eE][+-]?\d+)?)\s*\*?\s*)?pi(?:\s*/\s*([0-9.]+))?")


def run(
    circuit: Annotated[
        str,
        typer.Argument(metavar="CIRCUIT", help="OpenQASM 2 or 3 (.qasm), Qiskit's .qpy, gates JSON (.json), or '-'."),
    ],
    shots: Annotated[int, typer.Option("--shots", "-n", help="Repetitions of each row.")] = 1024,
    device: DeviceOption = "any",
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameters",
            "-p",
            metavar="VALUES",
            help="Parameter values in radians: '0.1,pi/2' or 'theta=0.1,phi=pi/2'; once for each row.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Makes a simulator repeat its counts.", show_default=False)] = None,
    site: SiteOption = None,
    engine: EngineOption = None,
    top: Annotated[int, typer.Option(help="Show this many of the most frequent bit strings.", min=1)] = 16,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost; run nothing.")] = False,
    budget_shots: Annotated[
        int | None, typer.Option(min=1, help="Refuse to run if it needs more shots, rows included.", show_default=False)
    ] = None,
    budget_s: Annotated[
        float | None,
        typer.Option(min=0.0, help="Refuse to run if it needs more seconds of the QPU.", show_default=False),
    ] = None,
    json: JSONOption = False,
) -> None:
    """Run a circuit and show its counts.

    It goes to the first QPU that fits, or to the one you name; 'conqure devices' lists them. Bit strings are in
    Qiskit's order: qubit 0 on the right.

    \b
    Examples:
      conqure run bell.qasm --shots 1000
      conqure run ansatz.qasm --parameters 0.1,pi/2 --parameters 0.2,pi/2
      conqure run ansatz.qasm -p theta=0.1,phi=pi/2 --device tag:ion --seed 1
      conqure run bell.qasm --engine parsl --json
      conqure run bell.qasm --device ion0 --shots 100000 --dry-run
      conqure run bell.qasm --device ion0 --budget-shots 2000
    """
    from qpu_executors.site import Site

    loaded = Site.load(site)
    task = _task(circuit, parameters or [], shots=shots, device_id=device, seed=seed)
    task = task.replace(device_id=_choose(task, loaded).device_id)
    if dry_run:
        _estimate(circuit, task, loaded, json)
        return
    result = _execute(task, engine, loaded, budget_shots, budget_s)
    if json:
        import json as json_

        print_json(json_.loads(result.to_json()))
        return
    typer.echo(_headline(circuit, task, result, loaded))
    for row, counts in zip(task.parameter_values, result.counts, strict=True):
        if parameters:
            typer.echo(f"\nparameters {', '.join(f'{value:.6g}' for value in row)}")
        print_counts(counts, top)


def _estimate(circuit: str, task: QuantumTask, site: Site, json: bool) -> None:
    """What the task would cost, by the times that its QPU's driver states."""
    from qpu_executors.estimating import Estimator

    with Estimator([site.qpu(task.device_id)]) as estimator:
        seconds = estimator.seconds(task)
    shots = task.shots * task.n_rows
    if json:
        print_json({"device_id": task.device_id, "circuits": task.n_rows, "shots": shots, "seconds": seconds})
        return
    rows = f" × {task.n_rows} rows" if task.n_rows > 1 else ""
    typer.echo(
        f"{circuit} on {task.device_id} ({site.qpu(task.device_id).driver}) of site {site.name}: nothing was run"
    )
    stated = "the driver states none" if seconds is None else f"about {seconds:.3g} s"
    told = {"circuits": f"{task.n_rows:,}", "shots": f"{shots:,} ({task.shots:,}{rows})", "device time": stated}
    for name, value in told.items():
        typer.echo(f"{name:<12} {value}")


def _execute(
    task: QuantumTask, engine: str | None, site: Site, budget_shots: int | None, budget_s: float | None
) -> QuantumResult:
    from qpu_executors.budget import Budget
    from qpu_executors.running import run as run_task

    from ..engines import open_engine, quickest_engine

    alone = replace(site.only(task.device_id), cpu_workers=1)  # one circuit: start no more than it needs
    with open_engine(engine or quickest_engine(alone), alone) as opened:
        budget = Budget(opened.qpus, shots=budget_shots, seconds=budget_s)
        result: QuantumResult = budget.submit(run_task, task).result()
        budget.close()
    return result


def _task(circuit: str, parameters: list[str], **settings: Any) -> QuantumTask:
    from qpu_executors.errors import InvalidTask
    from qpu_executors.translation import as_task

    try:
        return as_task(_read(circuit), parameter_values=parse_parameters(parameters), **settings)
    except InvalidTask as error:
        if "parameter_values" not in str(error):
            raise
        raise InvalidTask(f"{error}\nHere: --parameters 0.1,pi/2 or --parameters theta=0.1,phi=pi/2") from error


def _choose(task: QuantumTask, site: Site) -> QPU:
    """The first QPU of the site that the selector fits and the circuit fits on."""
    from qpu_executors.draining import accepting

    fitting = accepting(task.device_id, site.select(task.device_id))
    if task.language != "gates" or not isinstance(task.program, str):
        return fitting[0]
    from qpu_executors.translation.gates import GateProgram

    wanted = GateProgram.parse(task.program).n_qubits
    return next((qpu for qpu in fitting if qpu.n_qubits >= wanted), fitting[0])  # the first one says it is too small


def _read(circuit: str) -> str | bytes:
    from qpu_executors.errors import InvalidTask
    from qpu_executors.records import MAX_PROGRAM_BYTES

    if circuit == "-":
        return sys.stdin.read(MAX_PROGRAM_BYTES + 1)
    path = Path(circuit)
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {circuit!r}.", param_hint="CIRCUIT")
    if path.stat().st_size > MAX_PROGRAM_BYTES:
        raise InvalidTask(
            f"{circuit} has {path.stat().st_size / 2**20:.0f} MiB, the limit is {MAX_PROGRAM_BYTES // 2**20} MiB. "
            "Is it a circuit?"
        )
    data = path.read_bytes()
    if path.suffix == ".qpy":
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidTask(
            f"{circuit} is not text. Give OpenQASM or gates JSON as UTF-8 text, or a .qpy file."
        ) from None


def parse_parameters(texts: Sequence[str]) -> list[list[float]] | dict[str, list[float]] | None:
    """The rows of ``--parameters``, as rows or, where they have names, as the values of each name.

    >>> parse_parameters(["0.1,0.2"]), parse_parameters(["b=1,a=0.5", "a=2,b=3"])
    ([[0.1, 0.2]], {'b': [1.0, 3.0], 'a': [0.5, 2.0]})
    """
    from qpu_executors.errors import InvalidTask

    rows = [_values(text) for text in texts]
    names = [[name for name, _ in row] for row in rows]
    if not any(map(any, names)):
        return [[value for _, value in row] for row in rows] or None
    if any(sorted(row) != sorted(set(names[0]) - {""}) for row in names):
        raise InvalidTask(
            "--parameters: name each value once in every row, as in 'theta=0.1,phi=pi/2', or name none: '0.1,pi/2'."
        )
    return {name: [dict(row)[name] for row in rows] for name in names[0]}


def _values(row: str) -> list[tuple[str, float]]:
    """``theta=0.1,0.2`` as pairs of a name, which may be empty, and a value."""
    parts = [part.rpartition("=") for part in row.split(",") if part.strip()]
    return [(name.strip(), _angle(value.strip())) for name, _, value in parts]


def _angle(text: str) -> float:
    """A number, or a multiple of pi: ``0.5``, ``pi``, ``-pi/2``, ``3*pi/4``."""
    import math

    from qpu_executors.errors import InvalidTask

    try:
        if found := _PI.fullmatch(text):
            sign, factor, divisor = found.groups()
            return float(f"{sign}{factor or 1}") * math.pi / float(divisor or 1)
        return float(text)
    except (ValueError, ZeroDivisionError):
        raise InvalidTask(f"--parameters: {text!r} is not a number. Write 0.5, pi, -pi/2 or 3*pi/4.") from None


def _headline(circuit: str, task: QuantumTask, result: QuantumResult, site: Site) -> str:
    rows = f" × {task.n_rows} rows" if task.n_rows > 1 else ""
    where = f"{result.device_id} ({site.qpu(result.device_id).driver}) of site {site.name}"
    return f"{circuit} on {where}: {result.shots:,} shots{rows} in {result.run_s * 1e3:.1f} ms"


def print_counts(counts: dict[str, int], top: int) -> None:
    """The most frequent bit strings as a table with bars."""
    shots = sum(counts.values())
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
    width = max(10, min(50, terminal_width() - len(most[0][0]) - 30))
    peak = most[0][1]
    rows = [[bits, count, f"{count / shots:.1%}", bar(count / peak, width)] for bits, count in most]
    print_table(["state", "counts", "share", ""], rows, right=["counts", "share"])
    if (more := len(counts) - top) > 0:
        typer.echo(f"… and {more} more state{'s' if more > 1 else ''}; see all with --top {len(counts)} or --json")
