"""``conqure vqe``: the multi-start VQE from the command line."""

from __future__ import annotations

import contextlib
import json as jsonlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from qpu_executors import QPU, Budget, Priority

from .arguments import (
    JSON,
    Ansatz,
    Batch,
    BudgetSeconds,
    BudgetShots,
    Device,
    DryRun,
    Engine,
    Exact,
    FinalShots,
    Iterations,
    Layers,
    Level,
    Optimizer,
    Out,
    Plot,
    Resume,
    Seed,
    Shots,
    Site,
    Starts,
    Sweeps,
)
from .errors import InvalidProblem

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Run a parallel multi-start VQE: the maximum cut of a graph, or a molecule's energy.",
)

# What a resumed run takes from its folder, unless it is given again.
_SURROUNDINGS = ("engine", "site", "device", "priority")
_FREE = {*_SURROUNDINGS, "exact", "plot", "json", "resume", "dry_run", "budget_shots", "budget_s"}


@app.command()
def maxcut(
    context: typer.Context,
    graph: Annotated[
        str,
        typer.Argument(help="A shipped graph, an edge list (u v [weight]) or networkx's JSON."),
    ] = "maxcut7",
    ansatz: Ansatz = None,
    layers: Layers = 1,
    optimizer: Optimizer = None,
    sweeps: Sweeps = None,
    iterations: Iterations = None,
    starts: Starts = 6,
    shots: Shots = 100,
    final_shots: FinalShots = 1024,
    seed: Seed = None,
    engine: Engine = None,
    site: Site = None,
    device: Device = "any",
    priority: Level = Priority.MEDIUM,
    batch: Batch = False,
    exact: Exact = True,
    out: Out = None,
    resume: Resume = None,
    dry_run: DryRun = False,
    budget_shots: BudgetShots = None,
    budget_s: BudgetSeconds = None,
    plot: Plot = False,
    json: JSON = False,
) -> None:
    """Split a graph in two so that the edges between the parts weigh most.

    Every start is a chain of quantum nodes (circuits) and classical nodes (steps of its optimiser); all starts share
    the QPUs. The best start is the one with the lowest measured final energy, which is minus the expected cut.
    Shipped graphs: maxcut7, petersen, weighted10, weighted14, weighted20.

    \b
    Examples:
      conqure vqe maxcut --plot
      conqure vqe maxcut petersen --engine dask --starts 8 --seed 1
      conqure vqe maxcut my.edges --optimizer spsa --ansatz qaoa --layers 3
      conqure vqe maxcut graph.json --device 'tag:ion,qubits>=7' --out runs/mine
      conqure vqe maxcut --resume runs/mine
      conqure vqe maxcut petersen --device ion0 --dry-run
      conqure vqe maxcut petersen --device ion0 --budget-shots 100000
    """

    def problem() -> Any:
        from .maxcut import MaxCut

        return MaxCut.read(graph)

    _command(context, problem)


@app.command()
def molecule(
    context: typer.Context,
    species: Annotated[str, typer.Argument(help="H2 or LiH.")] = "H2",
    bond: Annotated[
        float | None, typer.Option(help="Bond length in angstrom; by default that at rest.", show_default=False)
    ] = None,
    active: Annotated[
        str | None,
        typer.Option(
            metavar="ELECTRONS,ORBITALS", help="Active space; LiH has 2,5 unless you say so.", show_default=False
        ),
    ] = None,
    ansatz: Ansatz = None,
    layers: Layers = 1,
    optimizer: Optimizer = None,
    sweeps: Sweeps = None,
    iterations: Iterations = None,
    starts: Starts = 6,
    shots: Shots = 1000,
    final_shots: FinalShots = 10_000,
    seed: Seed = None,
    engine: Engine = None,
    site: Site = None,
    device: Device = "any",
    priority: Level = Priority.MEDIUM,
    batch: Batch = False,
    exact: Exact = True,
    out: Out = None,
    resume: Resume = None,
    dry_run: DryRun = False,
    budget_shots: BudgetShots = None,
    budget_s: BudgetSeconds = None,
    plot: Plot = False,
    json: JSON = False,
) -> None:
    """Find the ground state energy of a small molecule, in hartree (STO-3G, Jordan-Wigner).

    PennyLane computes the Hamiltonian. Its terms are measured in groups that one circuit can read, and the energy's
    standard error counts the covariances inside a group.

    \b
    Examples:
      conqure vqe molecule H2 --bond 0.735
      conqure vqe molecule H2 --bond 1.5 --optimizer adam --plot
      conqure vqe molecule LiH --active 2,3 --starts 2 --batch
    """

    def problem() -> Any:
        from .molecule import Molecule

        return Molecule.of(species, bond, _active(active))

    _command(context, problem)


def _command(context: typer.Context, problem: Callable[[], Any]) -> None:
    """What both commands do, from their options as they were given."""
    given = context.params
    try:
        if given["resume"] is not None:
            _refuse_changes(context)
            _go(*_resumed(context), {"resume": given["resume"]}, context)
        else:
            arguments = _arguments(given, problem())
            surroundings = {name: given[name] for name in _SURROUNDINGS}
            out = given["out"] or Path("runs") / time.strftime(f"%Y%m%d-%H%M%S-{arguments['problem'].name}")
            _go(arguments, surroundings, {"out": out}, context)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _arguments(given: dict[str, Any], problem: Any) -> dict[str, Any]:
    from .optimizers import default_optimizer, make_optimizer
    from .problems import make_ansatz

    ansatz = make_ansatz(given["ansatz"], problem, given["layers"])
    settings = {name: given[name] for name in ("sweeps", "iterations")}
    optimizer = make_optimizer(given["optimizer"] or default_optimizer(ansatz).name, **settings)
    optimizer.circuit(ansatz)  # refuses what does not fit before an engine is started
    return {
        "problem": problem,
        "ansatz": ansatz,
        "optimizer": optimizer,
        "starts": given["starts"],
        "shots": given["shots"],
        "final_shots": given["final_shots"],
        "seed": given["seed"],
        "batched": given["batch"],
    }


def _resumed(context: typer.Context) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments and surroundings of a run from before; surroundings may be given anew."""
    from .record import read_run
    from .solve import rebuild

    run = read_run(context.params["resume"])
    kept = run.get("surroundings", {})
    surroundings = {
        name: context.params[name] if _was_given(context, name) else kept.get(name, context.params[name])
        for name in _SURROUNDINGS
    }
    return rebuild(run["identity"]), surroundings


def _go(
    arguments: dict[str, Any], surroundings: dict[str, Any], folder: dict[str, Any], context: typer.Context
) -> None:
    """Open the engine, solve, show."""
    import conqure

    from .progress import show_progress
    from .solve import solve

    given, command, (path,) = context.params, context.command.name, folder.values()
    site = conqure.load_site(surroundings["site"])
    n_qubits = arguments["problem"].hamiltonian.n_qubits
    device = f"qubits>={n_qubits}" if surroundings["device"] == "any" else surroundings["device"]
    chosen = site.select(device)
    if given["dry_run"]:
        _estimate(arguments, device, chosen, given["json"])
        return
    about = {"surroundings": surroundings, "site": site.describe(), "site_text": _text(site.path)}
    _say(f"{arguments['problem'].name} on {', '.join(q.device_id for q in chosen)}; run folder {path}")
    try:
        with (
            _ended_like_ctrl_c(),
            conqure.open_engine(surroundings["engine"], site) as engine,
            _within_budget(engine.qpus, given) as qpus,
        ):
            result = solve(
                **arguments,
                **folder,
                qpus=qpus,
                cpus=engine.cpus,
                device_id=device,
                priority=surroundings["priority"],
                exact=given["exact"],
                n_qpus=sum(qpu.slots for qpu in chosen),
                n_cpus=_classical_workers(engine),
                about={"engine": engine.name, **about},
                progress=show_progress(),
                why=conqure.why_here if site.groups and engine.name != "threads" else None,
            )
    except BaseException as error:
        if (path / "run.json").exists():
            stopped = "Stopped" if isinstance(error, KeyboardInterrupt) else "Given up"
            _say(f"\n{stopped}. What was measured is kept. Go on with:\n  conqure vqe {command} --resume {path}")
        raise
    _show(result, path, given)


@contextlib.contextmanager
def _within_budget(pool: Any, given: dict[str, Any]) -> Iterator[Any]:
    """The pool, which takes no more than the options say, if they do."""
    if given["budget_shots"] is None and given["budget_s"] is None:
        yield pool
        return
    budget = Budget(pool, shots=given["budget_shots"], seconds=given["budget_s"])
    try:
        yield budget
    finally:
        used = budget.used + budget.reserved
        budget.close()
        _say(f"of the budget: {used.shots:,} shots, {used.seconds:.3g} s of QPUs")


def _estimate(arguments: dict[str, Any], device_id: str, qpus: list[QPU], json: bool) -> None:
    """What the run would cost at most, by the times that the drivers state."""
    from .costs import costs

    shown = costs(arguments, device_id, qpus)
    if json:
        typer.echo(jsonlib.dumps(shown, indent=2))
        return
    print(f"{arguments['problem'].name} on {', '.join(qpu.device_id for qpu in qpus)}: nothing was run; at most")
    print(f"{'circuits':<12} {shown['circuits']:,}")
    print(f"{'shots':<12} {shown['shots']:,}")
    seconds = shown["seconds"]
    stated = "the drivers state none" if seconds is None else f"about {seconds:,.3g} s, on {len(qpus)} QPU(s)"
    print(f"{'device time':<12} {stated}")


def _classical_workers(engine: Any) -> int:
    """How many there are at most; the engine ``threads`` starts no jobs."""
    groups = engine.site.classical_groups if engine.name != "threads" else ()
    return sum(group.jobs * group.nodes * group.workers_for() for group in groups) or int(engine.site.cpu_workers)


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, which Slurm sends before a job's time is over, ends a run as cleanly as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(result: Any, path: Path, given: dict[str, Any]) -> None:
    from .plot import plot
    from .tables import print_result

    if given["plot"]:
        plot(result, path)
    if given["json"]:
        typer.echo(jsonlib.dumps({"run": str(path), **result.to_dict()}, indent=2))
        return
    print_result(result)
    files = ", ".join(sorted(file.name for file in path.iterdir() if not file.name.startswith(".")))
    print(f"{'run folder':<16} {path} ({files})")


def _refuse_changes(context: typer.Context) -> None:
    """A resumed run is the run it was: options that would make it another are an error."""
    changed = sorted(name for name in context.params if name not in _FREE and _was_given(context, name))
    if changed:
        raise InvalidProblem(
            f"--resume goes on with the run as it was, so {', '.join(changed)} cannot be given. "
            "Leave it out, or start a new run. These may change: --engine, --site, --device, --priority."
        )


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _active(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        electrons, orbitals = map(int, text.split(","))
    except ValueError:
        raise InvalidProblem(f"--active is ELECTRONS,ORBITALS, for example 2,5, not {text!r}.") from None
    return electrons, orbitals


def _text(path: Path | None) -> str | None:
    return path.read_text() if path else None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
