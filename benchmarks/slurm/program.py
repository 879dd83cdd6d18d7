"""A user's program: it prepares for some seconds, runs loops on the QPU, and then computes for some seconds.

``python -m benchmarks.slurm.program SITE STARTS FILE`` writes what it saw; see `co_allocation`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import conqure

from .loops import STEPS, loop

PREPARE_S = CONCLUDE_S = 8.0


def main(site: str, starts: int, file: Path) -> None:
    with conqure.open_engine("parsl", site) as engine:
        engine.cpus.submit(time.sleep, PREPARE_S).result()  # stands for classical work
        circuits = [circuit for _ in range(starts) for circuit in loop(engine.qpus, engine.cpus, STEPS)]
        results = [circuit.result() for circuit in circuits]
        engine.cpus.submit(time.sleep, CONCLUDE_S).result()
    jobs = sorted({result.metadata["slurm_job_id"] for result in results})
    file.write_text(json.dumps({"busy_s": sum(result.run_s for result in results), "jobs": jobs}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
