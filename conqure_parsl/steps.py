"""Blocks as steps of the job that the program itself runs in: for codes that hold CPUs and QPU at the same time.

Inside a job made by ``conqure sites show SITE --render slurm`` (a heterogeneous job, one component for each group)
nothing is submitted: the same configuration starts its workers on the job's own nodes, with srun.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from parsl.jobs.states import JobState, JobStatus

from qpu_executors import QPU, Group
from qpu_executors.slurm.options import HELD

from .slurm import GroupProvider, Queue


def component_of(name: str) -> int | None:
    """Which component of this program's job holds a group or QPU; None if it runs in no such job."""
    held = os.environ.get(HELD, "").split(",") if os.environ.get("SLURM_JOB_ID") else []
    return held.index(name) if name in held else None


class StepProvider(GroupProvider):
    """A `GroupProvider` whose one block is a step of the running job.

    Args:
        component: of the heterogeneous job.
    """

    def __init__(self, group: Group, qpu: QPU | None = None, queue: Queue | None = None, component: int = 0) -> None:
        super().__init__(replace(group, jobs=1, min_jobs=0), qpu, queue)
        self.component = component
        self._steps: dict[str, subprocess.Popen[bytes]] = {}

    def execute_wait(self, cmd: str, timeout: float | None = None) -> tuple[int, str, str]:
        """What would be handed to sbatch is run by srun."""
        if not cmd.startswith("sbatch "):
            return 1, "", ""
        script = Path(cmd.removeprefix("sbatch "))
        nodes = "1" if self.qpu else str(self.group.nodes)
        words = ["srun", "--overlap", "--mem=0", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
        words += [f"--het-group={self.component}"] if int(os.environ.get("SLURM_HET_SIZE", 1)) > 1 else []
        with open(f"{script}.stdout", "wb") as out, open(f"{script}.stderr", "wb") as err:
            step = subprocess.Popen([*words, "bash", str(script)], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        self._steps[f"step-{step.pid}"] = step
        return 0, f"Submitted batch job step-{step.pid}", ""

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        for job_id in job_ids:
            step = self._steps[job_id]
            step.terminate()
            try:
                step.wait(5)
            except subprocess.TimeoutExpired:
                step.kill()
                step.wait()
            self.resources[job_id]["status"] = JobStatus(JobState.CANCELLED)
        return [True] * len(job_ids)

    def _status_of(self, job_id: str, known: Mapping[str, Any]) -> JobStatus:
        code = self._steps[job_id].poll()
        if code is None:
            return JobStatus(JobState.RUNNING)
        paths = {name: known[f"job_{name}"] for name in ("stdout_path", "stderr_path")}
        return JobStatus(JobState.FAILED if code else JobState.COMPLETED, f"srun ended with {code}", code, **paths)


def provider_for(group: Group, qpu: QPU | None, queue: Queue) -> GroupProvider:
    """How the blocks of a group, or of a QPU, come to be: as steps of the job we are in, else as jobs of their own."""
    component = component_of(qpu.device_id if qpu else group.name)
    if component is None:
        return GroupProvider(group, qpu, queue)
    return StepProvider(group, qpu, queue, component)
