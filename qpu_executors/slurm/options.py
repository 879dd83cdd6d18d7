"""What a job of a group asks of Slurm, and what it does before its workers start: pure functions of a site."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from ..device import QPU
from ..group import Group

HELD = "CONQURE_HELD"  # in a job that holds several groups: their names, or their QPUs', by component


def options(group: Group, qpu: QPU | None = None, workers: int = 0) -> list[str]:
    """The options of sbatch that choose resources: everything but the job's name, output, nodes and walltime.

    Args:
        qpu: what the job holds. workers: processes on a node; by default as the group says.

    >>> options(Group("quantum", "q"), QPU("ion0", "emulated", 11, reach="gres", resource="qpu:ion:1"))
    ['--partition=q', '--gres=qpu:ion:1', '--cpus-per-task=1', '--no-requeue']
    """
    qpu_gres = [qpu.resource] if qpu and qpu.reach == "gres" else []
    qpu_licenses = [qpu.resource] if qpu and qpu.reach == "license" else []
    given = {
        "partition": group.partition,
        "account": group.account,
        "qos": group.qos,
        "reservation": group.reservation,
        "constraint": group.constraint,
        "gres": ",".join([*filter(None, [group.gres]), *qpu_gres]),
        "licenses": ",".join([*group.licenses, *qpu_licenses]),
    }
    chosen = [f"--{name}={value}" for name, value in given.items() if value]
    chosen += ["--exclusive"] if group.exclusive else []
    chosen.append(f"--cpus-per-task={group.cores or workers or group.workers_for(qpu)}")
    chosen += [f"--mem={group.memory_mib}M"] if group.memory_mib else []
    # We submit a new job for what a lost one left undone. One that Slurm starts again would find its program gone on.
    chosen.append("--no-requeue")
    return [*chosen, *group.directives, *(qpu.directives if qpu else ())]


def prologue(group: Group) -> list[str]:
    """Lines of shell: modules, variables, then the site's own lines.

    >>> prologue(Group("cpu", modules=("python/3.11",), environment={"OMP_PLACES": "cores"}))
    ['module load python/3.11', 'export OMP_PLACES=cores']
    """
    modules = [f"module load {shlex.join(group.modules)}"] if group.modules else []
    variables = [f"export {name}={shlex.quote(value)}" for name, value in group.environment.items()]
    scratch = [f'export TMPDIR="{group.scratch}"'] if group.scratch else []
    return [*modules, *variables, *scratch, *group.lines]


def directives(words: Iterable[str]) -> str:
    """Options as lines of a batch script."""
    return "\n".join(f"#SBATCH {word}" for word in words)


def co_allocation(groups: Sequence[tuple[Group, QPU | None]], command: str, name: str = "conqure") -> str:
    """A batch script that holds several groups at once, and runs a command beside the first: a heterogeneous job.

    With one group it is an ordinary job. The QPUs are held from the first moment to the last, so this is for codes that
    must have both at the same time; see docs/slurm.md for what it costs.
    """
    parts = []
    for group, qpu in groups:
        size = [f"--nodes={group.nodes}", "--ntasks-per-node=1", f"--time={group.walltime}"]
        parts.append(directives([*size, *options(group, qpu)]))
    head = directives([f"--job-name={name}", f"--output={name}-%j.out"])
    names = ",".join(qpu.device_id if qpu else group.name for group, qpu in groups)
    before = [*prologue(groups[0][0]), f"export {HELD}={names}"]
    return "\n".join(["#!/bin/bash", head, "\n#SBATCH hetjob\n".join(parts), "", *before, command, ""])
