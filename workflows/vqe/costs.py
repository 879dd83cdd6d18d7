"""What a run costs at most: circuits, shots and time on QPUs, before anything is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qpu_executors import QPU, Estimator

from .nodes import Plan


def costs(arguments: Mapping[str, Any], device_id: str, qpus: Sequence[QPU]) -> dict[str, Any]:
    """``circuits`` and ``shots`` of a run with these arguments of `solve`, and ``seconds`` of QPUs.

    An optimiser may end earlier. The seconds are those of the slowest QPU whose driver states its times, with a task
    for every circuit; None if none does.
    """
    given = {name: arguments[name] for name in ("problem", "ansatz", "optimizer", "starts", "shots", "final_shots")}
    plan = Plan(**given, seed=arguments["seed"] or 0, device_id=device_id)
    points = plan.search(0).ask()[:1]
    search_task, final_task = (plan.tasks(0, 0, points, last)[0] for last in (False, True))
    n_search, n_final = (plan.starts * len(plan.groups) * n for n in (plan.evaluations - 1, 1))
    with Estimator(qpus) as estimator:
        each = [estimator.seconds(task) for task in (search_task, final_task)]
    known = [seconds for seconds in each if seconds is not None]
    return {
        "circuits": n_search + n_final,
        "shots": n_search * plan.shots + n_final * plan.final_shots,
        "seconds": n_search * known[0] + n_final * known[1] if len(known) == 2 else None,
        "qpus": [qpu.device_id for qpu in qpus],
    }
