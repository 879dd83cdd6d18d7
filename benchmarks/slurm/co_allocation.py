"""How long a QPU is held for nothing: held with the CPUs from beginning to end, or asked for when circuits wait."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from qpu_executors.slurm.options import co_allocation

from ..harness import Measure, figure, measure
from .cluster import Cluster, cluster
from .loops import CIRCUIT_S
from .program import CONCLUDE_S, PREPARE_S

ROOT = Path(__file__).parents[2]


def measures() -> Iterable[Measure]:
    with cluster() as here:
        for starts in (1, 6):
            together, apart = held_together(here, starts), decomposed(here, starts)
            yield measure(
                f"QPU idle while it is held, {starts} start{'s' * (starts > 1)}, decomposed",
                [apart[0]],
                "%",
                compared_with=f"a heterogeneous job: {figure(together[0])} %",
                note=f"held for {apart[1]:.0f} s, in the heterogeneous job for {together[1]:.0f} s; the program "
                f"computes for {PREPARE_S:.0f} s before its circuits and {CONCLUDE_S:.0f} s after them",
            )


def held_together(here: Cluster, starts: int) -> tuple[float, float]:
    """One heterogeneous job, in which the program runs: the QPU's idle share in percent, and how long it was held."""
    site, file = here.site(CIRCUIT_S, workers=4), here.folder / f"together-{starts}.json"
    script = here.folder / "together.sh"
    script.write_text(
        co_allocation(
            [(site.group("cpu"), None), (site.group("quantum"), site.qpu("ion0"))], _command(site.path, starts, file)
        )
    )
    subprocess.run(["sbatch", "--wait", script], check=True, capture_output=True, cwd=ROOT)
    return _idle(file)


def decomposed(here: Cluster, starts: int) -> tuple[float, float]:
    """The program runs by itself, and jobs come and go with its work."""
    site, file = here.site(CIRCUIT_S, workers=4, idle_s=1), here.folder / f"apart-{starts}.json"
    subprocess.run(_command(site.path, starts, file), shell=True, check=True, cwd=ROOT)
    return _idle(file)


def _command(site: Path | None, starts: int, file: Path) -> str:
    return f"{sys.executable} -m benchmarks.slurm.program {site} {starts} {file}"


def _idle(file: Path) -> tuple[float, float]:
    told = json.loads(file.read_text())
    held = sum(_seconds_of(job) for job in told["jobs"])
    return 100 * (1 - told["busy_s"] / held), held


def _seconds_of(job: str) -> float:
    words = subprocess.run(["scontrol", "-o", "show", "job", job], check=True, capture_output=True, text=True).stdout
    fields = dict(word.split("=", 1) for word in words.split() if "=" in word)
    return (datetime.fromisoformat(fields["EndTime"]) - datetime.fromisoformat(fields["StartTime"])).total_seconds()
