"""Sessions: a loop stays on one QPU."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from parsl.dataflow.dflow import DataFlowKernel, DataFlowKernelLoader

from qpu_executors import QPU, Selector

from .placing import Labels, choose, forget_session


@dataclass(frozen=True)
class Session:
    """A loop's hold on one QPU.

    Attributes:
        name: what tasks say in their resource specification.
        qpu: the QPU they run on.
        label: the executor that has it.
    """

    name: str
    qpu: QPU
    label: str

    @property
    def specification(self) -> dict[str, Any]:
        """For ``parsl_resource_specification=``, where the call is not made inside the ``with`` block."""
        return {"session": self.name, "device_id": self.qpu.device_id}


_current: ContextVar[Session | None] = ContextVar("session", default=None)


@contextlib.contextmanager
def session(
    device: str = "any",
    *,
    hold: bool = False,
    data_flow_kernel: DataFlowKernel | None = None,
    executors: Labels = "all",
) -> Iterator[Session]:
    """Keep the quantum apps and pool tasks that are submitted inside this block on one QPU.

    The session takes the fitting QPU with the fewest sessions, so several loops spread over the QPUs. With ``hold``
    the QPU runs nothing else meanwhile: the loop pays no queue. Calls that name another device go there.

    >>> with session("tag:ion") as s:
    ...     results = [energy(angles) for angles in starts]   # all on s.qpu
    """
    dfk = data_flow_kernel or DataFlowKernelLoader.dfk()
    name = f"session-{uuid.uuid4().hex[:12]}"
    executor = choose(dfk, executors, device, name)
    bound = executor.open_session(name, device, hold)
    opened = Session(name, next(qpu for qpu in executor.qpus if qpu.device_id == bound), executor.label)
    token = _current.set(opened)
    try:
        yield opened
    finally:
        _current.reset(token)
        forget_session(dfk, name)


def session_for(device_id: str) -> Session | None:
    """The session we are in, if a task for this device belongs to it."""
    current = _current.get()
    if current is not None and Selector.parse(device_id).matches(current.qpu):
        return current
    return None
