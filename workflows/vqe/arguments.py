"""The options that the commands of ``conqure vqe`` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qpu_executors import Priority

Ansatz = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Circuit: listing2 (the paper's), qaoa, uccsd (molecules).", show_default=False),
]
Layers = Annotated[int, typer.Option(min=1, help="Repetitions of the block of listing2 and qaoa.")]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        "-o",
        metavar="NAME",
        help="rotosolve, spsa, adam, cobyla, nelder-mead, powell; by default rotosolve, and spsa for qaoa.",
        show_default=False,
    ),
]
Sweeps = Annotated[
    int | None, typer.Option(min=1, help="Sweeps over all parameters, for rotosolve: 2.", show_default=False)
]
Iterations = Annotated[
    int | None,
    typer.Option(
        min=1, help="Steps of spsa (150) and adam (40), most energies for the SciPy ones (200).", show_default=False
    ),
]
Starts = Annotated[int, typer.Option(min=1, help="Initial points, each with its own chain of circuits and steps.")]
Shots = Annotated[int, typer.Option("--shots", "-n", min=1, help="Repetitions of each circuit.")]
FinalShots = Annotated[int, typer.Option(min=1, help="Repetitions of the circuits of the final state.")]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Makes a run repeatable; drawn and kept if not given.", show_default=False)
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", "-e", metavar="NAME", help="parsl, dask, threads; the site's own.", show_default=False),
]
Site = Annotated[
    str | None,
    typer.Option("--site", "-s", metavar="NAME|FILE", help="Site; by default the one used here.", show_default=False),
]
Device = Annotated[
    str, typer.Option("--device", "-d", metavar="SELECTOR", help="A name, 'any', 'tag:NAME' or 'qubits>=N'.")
]
Level = Annotated[
    Priority, typer.Option(metavar="LEVEL", case_sensitive=False, help="HIGH, MEDIUM or LOW: who goes first.")
]
Batch = Annotated[
    bool, typer.Option("--batch/--no-batch", help="Points measured together are rows of one task, not a task each.")
]
Exact = Annotated[bool, typer.Option("--exact/--no-exact", help="Compare with the exact minimum, where it is quick.")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the run; by default runs/<time>-<problem>.", show_default=False),
]
Resume = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Go on with the run in this folder.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost, at most; run nothing.")]
BudgetShots = Annotated[
    int | None, typer.Option(min=1, help="Give up before more shots than this are submitted.", show_default=False)
]
BudgetSeconds = Annotated[
    float | None,
    typer.Option(
        "--budget-s", min=0.0, help="Give up before QPUs are busy for longer, in seconds.", show_default=False
    ),
]
Plot = Annotated[bool, typer.Option("--plot/--no-plot", help="Draw convergence.png and timeline.png.")]
JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON for scripts.")]
