"""The loop as a graph of Parsl tasks: circuits on QPUs, solvers on nodes, chains of them side by side."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import conqure

from .loop import State

MODULE = "conqure.workflows.mpi_vqe"


def run_graph(
    starts: Sequence[State],
    iterations: int,
    site: str | None,
    folder: Path | None,
    nodes: int,
    ranks_per_node: int,
    srun: str,
) -> list[State]:
    """Every chain of circuit, solver, circuit, … is submitted at once; the engine knows what waits for what.

    Args:
        folder: for files that the nodes share. nodes, ranks_per_node, srun: of each solver, and options of its srun.
    """
    import parsl

    on = conqure.Site.load(site)
    group = next((group.name for group in on.groups if group.mpi), None)
    if group is None:
        raise conqure.InvalidSite(f"site {on.name!r} has no group with mpi = true, for the solver: docs/mpi.md.")
    resources = {"num_nodes": nodes, "ranks_per_node": ranks_per_node, "launcher_options": srun}
    with conqure.open_engine("parsl", on) as engine, _folder(folder) as shared:

        @parsl.join_app
        def measure(state: Path, row: int, after: Any) -> Any:
            return engine.qpus.submit(conqure.run, State.read(state).ask(row))

        solve = parsl.bash_app(executors=[group])(solver_command)
        ends = []
        for start in starts:
            files = [shared / f"seed{start.seed}-{k}.json" for k in range(iterations + 1)]
            start.write(files[0])
            done = None
            for before, after in pairwise(files):
                results = [measure(before, row, done) for row in (0, 1)]
                said = {"stdout": f"{after}.out", "stderr": f"{after}.err"}
                done = solve(before, results, after, sys.executable, parsl_resource_specification=resources, **said)
            ends.append((files[-1], done))
        return [_end(*end) for end in ends]


def solver_command(state: Path, results: Any, after: Path, python: str, **parsl_options: Any) -> str:
    """What runs the solver on its nodes: a line of shell, made on the first of them."""
    counts = after.with_suffix(".counts")
    counts.write_text(json.dumps([result.counts[0] for result in results]))
    return f"$PARSL_MPI_PREFIX {shlex.join([python, '-m', MODULE, '--step', *map(str, (state, counts, after))])}"


def _end(file: Path, done: Any) -> State:
    if done is not None:
        done.result()
    return State.read(file)


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.absolute()
    else:
        with tempfile.TemporaryDirectory(prefix="mpi-vqe-", dir=".") as folder:
            yield Path(folder).absolute()
