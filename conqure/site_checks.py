"""What `conqure sites check` looks at beyond the format: drivers, what Slurm says of each job, a tiny task in each."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, MissingPackage, SlurmError, SlurmUnavailable
from qpu_executors.group import Group
from qpu_executors.running import run
from qpu_executors.site import Site
from qpu_executors.slurm import client
from qpu_executors.slurm.blame import blame

from .cluster import Cluster, read_cluster
from .doctor import ABSENT, FAILED, NOTE, OK, Check, check_qpu, tiny_task
from .engines import Engine, open_engine
from .rendering import engine_scripts, plain_script
from .slurm_groups import check_group, unusable_nodes
from .why import why_here

PROBE_S = 600.0  # a queue may be long; Ctrl-C ends the wait, too
JOBS, PROBES = "jobs", "probes"


def check_site_file(site: Site, probe: bool = False) -> Iterator[Check]:
    """All checks of a site whose format is right, one by one as they are made."""
    for qpu in site.qpus:
        yield check_qpu(qpu, probe=probe)
    if not site.groups:
        return
    cluster = None
    if client.available():
        try:
            cluster = read_cluster()
        except SlurmError as error:
            yield Check(JOBS, "slurm", FAILED, str(error), "See what is wrong: conqure doctor")
    else:
        yield Check(JOBS, "slurm", ABSENT, "Slurm's commands are not here, so it was not asked about the jobs")
    if cluster:
        for group in site.groups:
            yield from check_group(site, group, cluster)
    yield check_the_engine(site)
    yield from check_jobs(site, cluster)
    if probe and cluster:
        yield from probe_all(site)


def check_the_engine(site: Site) -> Check:
    """Only Parsl and Dask start jobs."""
    if site.engine == "threads":
        fix = f'Write in {site.path or "the site"}: [engine] name = "parsl", or "dask"'
        return Check(JOBS, "engine", FAILED, "the engine 'threads' starts no jobs, and this site has groups", fix)
    return Check(JOBS, "engine", OK, site.engine)


def check_jobs(site: Site, cluster: Cluster | None) -> Iterator[Check]:
    """Each kind of job: its script is rendered and, where Slurm is, Slurm says whether it would take it."""
    try:
        scripts, made_by = engine_scripts(site, site.engine), site.engine
    except MissingPackage as error:
        yield Check(JOBS, "scripts", NOTE, str(error).partition(". ")[0], f"pip install 'conqure[{site.engine}]'")
        scripts, made_by = {}, ""
    except ConqureError as error:
        yield Check(JOBS, "scripts", FAILED, str(error), f"conqure sites show {site.path or site.name} --render slurm")
        return
    for name, group, qpu in kinds_of_jobs(site):
        script = scripts.get(name) or plain_script(site, group, qpu)
        if cluster:
            yield check_job(site, name, group, qpu, script, cluster)
        else:
            said = f"script of {len(script.splitlines())} lines rendered" if made_by else "options rendered"
            yield Check(JOBS, name, OK, f"{said}; Slurm was not asked")


def kinds_of_jobs(site: Site) -> Iterator[tuple[str, Group, QPU | None]]:
    """The jobs that a site stands for: one kind for each classical group and for each QPU that needs a job."""
    for group in site.classical_groups:
        yield group.name, group, None
    for qpu in site.qpus:
        if qpu.group:
            yield qpu.device_id, site.group(qpu.group), qpu


def check_job(site: Site, name: str, group: Group, qpu: QPU | None, script: str, cluster: Cluster) -> Check:
    """What ``sbatch --test-only`` says of a script."""
    try:
        said = client.test_only(script)
    except SlurmUnavailable as error:
        return Check(JOBS, name, FAILED, str(error), "Try again, or see: conqure doctor")
    except SlurmError as error:
        # Slurm says the same of a job whose nodes are drained as of one that can never run.
        if out := unusable_nodes(group, qpu, cluster):
            return Check(JOBS, name, NOTE, f"its jobs would wait: {', '.join(out)}", "See why: sinfo --list-reasons")
        return Check(JOBS, name, FAILED, str(error), blame(str(error), group, qpu, site.path))
    return Check(JOBS, name, OK, (said.partition(" to ")[2] and f"its job would {said.partition(' to ')[2]}") or said)


def probe_all(site: Site) -> Iterator[Check]:
    """One tiny task in a job of each kind, one after the other."""
    for name, group, qpu in kinds_of_jobs(site):
        if group.mpi:
            yield Check(PROBES, name, NOTE, "its tasks are MPI programs, so none was tried")
        else:
            yield probe(site, name, group, qpu)


def probe(site: Site, name: str, group: Group, qpu: QPU | None) -> Check:
    """Start a job through the site's engine and run two tiny tasks in it: start-up, round trip, and who answered."""
    started = time.perf_counter()
    try:
        with open_engine(site.engine, _only(site, group, qpu)) as engine:
            first = _try(engine, qpu, os.getenv, "SLURM_JOB_ID")
            ready = time.perf_counter()
            second = _try(engine, qpu, platform.node)
            done = time.perf_counter()
    except TimeoutError as error:
        return Check(PROBES, name, FAILED, f"no answer within {PROBE_S:.0f} s", str(error) or "Ask Slurm: squeue --me")
    except SlurmError as error:
        return Check(PROBES, name, FAILED, str(error), blame(str(error), group, qpu, site.path))
    except Exception as error:  # engines and drivers fail in their own ways
        return Check(PROBES, name, FAILED, f"{type(error).__name__}: {error}", f"conqure sites check {site.name}")
    trip = f"started in {ready - started:.1f} s, round trip {(done - ready) * 1e3:.0f} ms"
    if qpu is None:
        return Check(PROBES, name, OK, f"{trip}: node {second} answered in job {first}")
    took = f" of which {second.run_s * 1e3:.0f} ms on the QPU"
    job = first.metadata.get("slurm_job_id", "?")
    return Check(PROBES, name, OK, f"{trip},{took}: {second.device_id} answered in job {job}")


def _try(engine: Engine, qpu: QPU | None, call: Callable[..., Any], *args: Any) -> Any:
    """A tiny circuit on the QPU, or this call in a classical worker."""
    if qpu:
        future: Future[Any] = engine.qpus.submit(run, tiny_task(qpu.n_qubits, qpu.device_id))
    else:
        future = engine.cpus.submit(call, *args)
    try:
        return future.result(PROBE_S)
    except TimeoutError:
        if future.done():
            raise
        raise TimeoutError(" ".join(why_here())) from None


def _only(site: Site, group: Group, qpu: QPU | None) -> Site:
    """The same site with one kind of job. A site must have a QPU; one that is not asked for starts no job."""
    if qpu:
        return replace(site, qpus=(qpu,), groups=(replace(group, min_jobs=0),), cpu_workers=1)
    other = next((each for each in site.qpus if each.group), site.qpus[0])
    groups = [replace(each, min_jobs=0) for each in site.groups if each.name in (group.name, other.group)]
    return replace(site, qpus=(other,), groups=tuple(groups))
