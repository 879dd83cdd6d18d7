"""``conqure run``: one circuit on one QPU, its counts as a table or JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import DeviceOption, EngineOption, JSONOption, SiteOption
from .output import bar, print_json, print_table, terminal_width

if TYPE_CHECKING:
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
    engine: EngineOption = "threads",
    top: Annotated[int, typer.Option(help="Show this many of the most frequent bit strings.", min=1)] = 16,
    json: JSONOption = False,
) -> None:
    """Run a circuit and show its counts.

    Bit strings are in Qiskit's order: qubit 0 on the right.

    \b
    Examples:
      conqure run bell.qasm --shots 1000
      conqure run ansatz.qasm --parameters 0.1,pi/2 --parameters 0.2,pi/2
      conqure run ansatz.qasm -p theta=0.1,phi=pi/2 --device tag:ion --seed 1
      conqure run bell.qasm --engine parsl --json
    """
    from qpu_executors.site import Site

    loaded = Site.load(site)
    task = _task(circuit, parameters or [], shots=shots, device_id=device, seed=seed)
    result = _execute(task, engine, loaded)
    if json:
        import json as json_

        print_json(json_.loads(result.to_json()))
        return
    _print_result(circuit, task, result, loaded, top)


def _execute(task: QuantumTask, engine: str, site: Site) -> QuantumResult:
    from qpu_executors.running import run as run_task

    from ..engines import open_engine

    fitting = site.only(task.device_id)
    with open_engine(engine, fitting) as opened:
        result: QuantumResult = opened.qpus.submit(run_task, task).result()
    return result


def _task(circuit: str, parameters: list[str], **settings: Any) -> QuantumTask:
    from qpu_executors.translation import as_task

    program = _read(circuit)
    task = as_task(program, **settings)
    if parameters:
        names = _parameter_names(task)
        task = task.replace(parameter_values=[parse_row(text, names) for text in parameters])
    return task


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


def parse_row(text: str, names: Sequence[str] | None) -> list[float]:
    """One row of parameter values from ``0.1,pi/2`` or ``theta=0.1,phi=pi/2``; `InvalidTask` says what is wrong.

    >>> parse_row("b=1,a=0.5", ["a", "b"])
    [0.5, 1.0]
    """
    from qpu_executors.errors import InvalidTask

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not any("=" in part for part in parts):
        return [_angle(part) for part in parts]
    given = {}
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name in given:
            raise InvalidTask(f"--parameters {text!r}: give every value a name of its own, or give none a name.")
        given[name] = _angle(value)
    known = list(given) if names is None else list(names)
    if sorted(given) != sorted(known):
        raise InvalidTask(
            f"--parameters {text!r} does not fit. The circuit's parameters are: {', '.join(known) or 'none'}."
        )
    return [given[name] for name in known]


def _angle(text: str) -> float:
    """A number, or a multiple of pi: ``0.5``, ``pi``, ``-pi/2``, ``3*pi/4``."""
    import math

    from qpu_executors.errors import InvalidTask

    try:
        if found := _PI.fullmatch(text):
            sign, factor, divisor = found.groups()
            return (-1 if sign == "-" else 1) * float(factor or 1) * math.pi / float(divisor or 1)
        return float(text)
    except (ValueError, ZeroDivisionError):
        raise InvalidTask(f"--parameters: {text!r} is not a number. Write 0.5, pi, -pi/2 or 3*pi/4.") from None


def _parameter_names(task: QuantumTask) -> list[str] | None:
    if task.language != "gates" or isinstance(task.program, bytes):
        return None
    from qpu_executors.translation.gates import GateProgram

    return list(GateProgram.parse(task.program).parameters)


def _print_result(circuit: str, task: QuantumTask, result: QuantumResult, site: Site, top: int) -> None:
    qpu = site.qpu(result.device_id)
    typer.echo(
        f"{circuit} on {result.device_id} ({qpu.driver}) of site {site.name}: "
        f"{result.shots:,} shots{f' × {task.n_rows} rows' if task.n_rows > 1 else ''} in {result.run_s * 1e3:.1f} ms"
    )
    for row, counts in zip(task.parameter_values, result.counts, strict=True):
        if row:
            typer.echo(f"\nparameters {', '.join(f'{value:.6g}' for value in row)}")
        _print_counts(counts, top)


def _print_counts(counts: dict[str, int], top: int) -> None:
    shots = sum(counts.values())
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
    width = max(10, min(50, terminal_width() - len(most[0][0]) - 30))
    peak = most[0][1]
    rows = [[bits, count, f"{count / shots:.1%}", bar(count / peak, width)] for bits, count in most]
    print_table(["state", "counts", "share", ""], rows, right=["counts", "share"])
    if len(counts) > top:
        typer.echo(f"… and {len(counts) - top} more states; see them with --top {len(counts)} or --json")
