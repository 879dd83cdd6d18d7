"""The batch scripts that a site stands for, as text: nothing is submitted, and Slurm need not be there."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

from qpu_executors.device import QPU
from qpu_executors.errors import InvalidSite
from qpu_executors.group import Group
from qpu_executors.site import Site
from qpu_executors.slurm.options import co_allocation

from .engines import check_engine

RENDERERS = ("parsl", "dask", "slurm")
TOGETHER = "co-allocation"


def render(site: Site, renderer: str, device: str | None = None, group: str | None = None) -> dict[str, str]:
    """The scripts by the name of the QPU or group whose jobs they start.

    Args:
        renderer: ``parsl`` or ``dask`` for the jobs that this engine would submit, ``slurm`` for one job that holds a
            classical group and a QPU at the same time.
        device, group: only of these QPUs (a name or a selector) or of this group; for ``slurm`` what the job holds, by
            default the first QPU that needs a job and the first classical group.

    Raises:
        InvalidSite: the site starts no jobs; UnknownDevice; MissingPackage: the engine is not installed.

    >>> print(render(Site.load("slurm_gres"), "slurm")["co-allocation"])
    """
    if not site.groups:
        raise InvalidSite(
            f"site {site.name!r} starts no jobs: it has no [group.NAME] table. Sites that do, as examples: slurm_gres, "
            "slurm_spank, slurm_partition, slurm_license."
        )
    if renderer == "slurm":
        return {TOGETHER: held_together(site, device, group)}
    scripts = engine_scripts(site, renderer)
    wanted = _wanted(site, device, group)
    return {name: script for name, script in scripts.items() if name in wanted}


def engine_scripts(site: Site, engine: str) -> dict[str, str]:
    """The scripts that an engine would submit, by QPU or group.

    Raises:
        UnknownEngine, MissingPackage.
    """
    if engine not in ("parsl", "dask"):
        raise InvalidSite(f"the engine {engine!r} starts no jobs. Scripts can be rendered for: {', '.join(RENDERERS)}.")
    check_engine(engine)
    if engine == "parsl":
        from conqure_parsl.slurm import job_scripts as of_parsl

        # Where jobs look for their program is left open in Parsl's scripts, so that no folder need be made for it here.
        return of_parsl(replace(site, groups=tuple(replace(group, shared="") for group in site.groups)))
    from conqure_dask.slurm import job_scripts as of_dask

    return of_dask(site)


def held_together(site: Site, device: str | None = None, group: str | None = None) -> str:
    """One batch script that holds a classical group and a QPU, for ``sbatch``; the command is left to you."""
    qpu = _qpu(site, device) if device or any(qpu.group for qpu in site.qpus) else None
    classical = _classical(site, group)
    parts: list[tuple[Group, QPU | None]] = [(classical, None)] if classical else []
    parts += [(site.group(qpu.group), qpu)] if qpu else []
    return co_allocation(parts, _command(site))


def plain_script(site: Site, group: Group, qpu: QPU | None = None) -> str:
    """What Slurm is asked for where the site's engine is not installed: the same options around nothing."""
    return co_allocation([(group, qpu)], "true")


def _qpu(site: Site, device: str | None) -> QPU:
    fitting = site.select(device or "any")
    found = next((qpu for qpu in fitting if qpu.group), None)
    if found is None:
        raise InvalidSite(
            f"QPU {fitting[0].device_id!r} of site {site.name!r} needs no job: it is reached by {fitting[0].reach!r}. "
            f"QPUs that do: {', '.join(qpu.device_id for qpu in site.qpus if qpu.group) or 'none'}."
        )
    return found


def _classical(site: Site, group: str | None) -> Group | None:
    if group:
        return site.group(group)
    return next(iter(site.classical_groups), None)


def _wanted(site: Site, device: str | None, group: str | None) -> set[str]:
    """The names of the scripts that are asked for: all, or those of some QPUs, or of one group."""
    if device is None and group is None:
        return {each.name for each in site.groups} | {qpu.device_id for qpu in site.qpus}
    named = {qpu.device_id for qpu in site.select(device)} if device else set()
    if group:
        named |= {site.group(group).name} | {qpu.device_id for qpu in site.qpus_of(group)}
    return named


def _command(site: Site) -> str:
    """A program of CONQURE, which uses what its job holds; for another one, write it in the place."""
    where = f"CONQURE_SITE={shlex.quote(str(site.path))} " if site.path else ""
    return f"{where}{shlex.quote(sys.executable)} your_program.py"
