"""``python -m conqure.workflows.mpi_vqe``: the loop as an MPI program, or with ``--graph`` as tasks of Parsl."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import conqure

from .graph import MODULE, run_graph
from .loop import State


def main() -> None:
    options = _parser().parse_args()
    if options.step:
        step(*options.step)
    elif options.graph:
        starts = [begin(options, seed) for seed in range(options.seed, options.seed + options.starts)]
        for state in run_graph(starts, options.iterations, options.site, options.folder, *solver(options)):
            report(state)
    else:
        run_ranks(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--qubits", type=int, default=8)
    parser.add_argument("--field", type=float, default=0.5, help="strength of the transverse field")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--shots", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--site", help="whose QPUs; without openmpq-run, or with --graph")
    graph = parser.add_argument_group("as a graph of Parsl tasks, on a site with a group of mpi = true")
    graph.add_argument("--graph", action="store_true")
    graph.add_argument("--starts", type=int, default=2, help="chains that share the QPUs and the nodes")
    graph.add_argument("--nodes", type=int, default=1, help="of each solver")
    graph.add_argument("--ranks-per-node", type=int, default=2)
    graph.add_argument("--srun", default="", metavar="OPTIONS", help="further options of srun, such as --mpi=pmix")
    graph.add_argument("--folder", type=Path, help="for files that the nodes share; default: one in this folder")
    parser.add_argument("--step", nargs=3, metavar=("STATE", "COUNTS", "NEXT"), help=argparse.SUPPRESS)
    return parser


def begin(options: argparse.Namespace, seed: int) -> State:
    return State.begin(options.qubits, options.field, options.layers, options.shots, seed)


def solver(options: argparse.Namespace) -> tuple[int, int, str]:
    return options.nodes, options.ranks_per_node, options.srun


def report(state: State) -> None:
    print(f"seed {state.seed}: energy {state.energies[-1]:.9f}, {len(state.kept)} configurations", flush=True)


# -- an MPI program: under openmpq-run the ranks share the QPUs of a site --


def run_ranks(options: argparse.Namespace) -> None:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    state = begin(options, options.seed)
    with qpus_of(comm, options.site) as (pool, rows):
        for _ in range(options.iterations):
            futures = {row: pool.submit(conqure.run, state.ask(row)) for row in rows} if pool else {}
            mine = {row: future.result().counts[0] for row, future in futures.items()}
            counts = dict(pair for each in comm.allgather(mine) for pair in each.items())
            state = state.tell(comm, counts[0], counts[1])
    if comm.rank == 0:
        report(state)


@contextlib.contextmanager
def qpus_of(comm: Any, site: str | None) -> Iterator[tuple[Executor | None, list[int]]]:
    """A pool of QPUs, and which of an iteration's two circuits this rank measures on it."""
    if "OPENMPQ_POOL" in os.environ:
        with conqure.connect() as pool:
            yield pool, [row for row in (0, 1) if row % comm.size == comm.rank]
    elif comm.rank == 0:
        with conqure.open_engine("threads", site) as engine:
            yield engine.qpus, [0, 1]
    else:
        yield None, []


# -- one classical node of the graph, an MPI program of its own --


def step(state: str, counts: str, after: str) -> None:
    from mpi4py import MPI

    found = State.read(state).tell(MPI.COMM_WORLD, *json.loads(Path(counts).read_text()))
    if MPI.COMM_WORLD.rank == 0:
        found.write(after)


if __name__ == "__main__":
    main()
