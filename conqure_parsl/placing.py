"""Which executor of a running Parsl gets a quantum task, decided when the task is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

from parsl.dataflow.dflow import DataFlowKernel

from qpu_executors import QPU, NotOnQPU, Selector, select
from qpu_executors.draining import accepting

Labels = Sequence[str] | Literal["all"]


class HoldsQPUs(Protocol):
    """What makes an executor of Parsl a QPU executor."""

    label: str
    qpus: list[QPU]

    def outstanding(self) -> int: ...

    def open_session(self, session: str, device_id: str = "any", hold: bool = False) -> str: ...

    def close_session(self, session: str) -> None: ...


def qpu_executors(dfk: DataFlowKernel, labels: Labels = "all") -> list[HoldsQPUs]:
    """The QPU executors among those labels.

    Raises:
        NotOnQPU: there are none, or a label means something else.
    """
    holding = {label: cast(HoldsQPUs, each) for label, each in dfk.executors.items() if hasattr(each, "qpus")}
    if not holding:
        raise NotOnQPU(
            "this Parsl has no QPU executor. Load conqure_parsl.parsl_config(site), or add a QPUExecutor or "
            f"QPUThreadExecutor to your Config. It has: {', '.join(dfk.executors)}."
        )
    if labels == "all":
        return list(holding.values())
    strange = [label for label in labels if label not in holding]
    if strange:
        raise NotOnQPU(f"executor {strange[0]!r} holds no QPU. QPU executors here: {', '.join(holding)}.")
    return [holding[label] for label in labels]


def choose(dfk: DataFlowKernel, labels: Labels, device_id: str, session: str | None = None) -> HoldsQPUs:
    """The executor for a task: of those that have a fitting QPU, the one with the least to do per slot.

    Raises:
        UnknownDevice: none has one; the text lists what all of them have. DeviceDrained: those that fit are drained.
    """
    candidates = qpu_executors(dfk, labels)
    selector = Selector.parse(device_id)
    fitting = [each for each in candidates if any(map(selector.matches, each.qpus))]
    if not fitting:
        where = ", ".join(repr(each.label) for each in candidates)
        select(device_id, [qpu for each in candidates for qpu in each.qpus], where=f"the executors {where}")
    if session is None or session not in dfk.__dict__.get("_conqure_sessions", {}):
        qpus = [qpu for each in fitting for qpu in each.qpus if selector.matches(qpu)]
        open_to = accepting(device_id, qpus)
        fitting = [each for each in fitting if any(qpu in open_to for qpu in each.qpus)]
    chosen = fitting[0] if len(fitting) == 1 else min(fitting, key=_load)
    if session is not None:
        return _home_of(dfk, session, device_id, chosen)
    return chosen


def _load(executor: HoldsQPUs) -> float:
    return executor.outstanding() / sum(qpu.slots for qpu in executor.qpus)


def _home_of(dfk: DataFlowKernel, session: str, device_id: str, chosen: HoldsQPUs) -> HoldsQPUs:
    """A session stays on the executor that got its first task."""
    homes: dict[str, str] = dfk.__dict__.setdefault("_conqure_sessions", {})
    label = homes.setdefault(session, chosen.label)
    home = cast(HoldsQPUs, dfk.executors[label])
    home.open_session(session, device_id)
    return home


def forget_session(dfk: DataFlowKernel, session: str) -> None:
    label = dfk.__dict__.get("_conqure_sessions", {}).pop(session, None)
    if label is not None:
        cast(Any, dfk.executors[label]).close_session(session)
