"""``@quantum_app``: a Python function whose circuits run on a QPU."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Literal, overload

from parsl.app.app import AppBase
from parsl.app.python import timeout
from parsl.dataflow.dflow import DataFlowKernel, DataFlowKernelLoader
from parsl.dataflow.futures import AppFuture

from qpu_executors import InvalidTask

from .calls import CALL, OPTION, returning_circuits, taking_qpu
from .memo import teach_memoizer
from .placing import choose
from .sessions import session_for
from .specification import PARAMETER, TICKET, Ticket, read_priority

_OPTIONS = ("device", "shots", "priority", "seed", "parameter_values")


class QuantumApp(AppBase):
    """What ``@quantum_app`` makes of a function; see there."""

    def __init__(
        self,
        func: Callable[..., Any],
        options: dict[str, Any],
        data_flow_kernel: DataFlowKernel | None,
        executors: list[str] | Literal["all"],
        cache: bool,
        ignore_for_cache: Sequence[str] | None,
    ) -> None:
        own = inspect.signature(func).parameters
        style = taking_qpu if "qpu" in own else returning_circuits
        super().__init__(style(func), data_flow_kernel, executors, cache, ignore_for_cache)
        functools.update_wrapper(self, func, updated=())
        self._options = options
        self._overridable = [name for name in _OPTIONS if name not in own]

    def __call__(self, *args: Any, **kwargs: Any) -> AppFuture:
        """Submit a call; arguments may be futures.

        Raises:
            UnknownDevice: no QPU executor has a QPU that fits; InvalidTask: a priority that does not exist.
        """
        if self.cache:
            teach_memoizer()
        dfk = self.data_flow_kernel or DataFlowKernelLoader.dfk()
        options = self._options | {name: kwargs.pop(name) for name in self._overridable if name in kwargs}
        kwargs = self.kwargs | kwargs
        specification = self._specification(options, kwargs.get(PARAMETER))
        executor = choose(dfk, self.executors, specification["device_id"], specification.get("session"))
        kwargs[PARAMETER] = specification
        kwargs |= {OPTION + name: value for name, value in options.items() if value is not None}
        kwargs[OPTION + CALL] = uuid.uuid4().hex  # Parsl's retries keep it
        return dfk.submit(
            self.func if kwargs.get("walltime") is None else timeout(self.func, kwargs["walltime"]),
            app_args=args,
            executors=[executor.label],
            cache=self.cache,
            ignore_for_cache=[*(self.ignore_for_cache or ()), PARAMETER, OPTION + CALL] if self.cache else None,
            app_kwargs=kwargs,
        )

    def _specification(self, options: dict[str, Any], given: dict[str, Any] | None) -> dict[str, Any]:
        """The resource specification of a call; what the caller gives there goes before our options."""
        if isinstance(options["device"], Future):
            raise InvalidTask("device must be known when the app is called, and is a future. Wait for its result.")
        specification = {"device_id": options["device"], "priority": options.pop("priority")} | (given or {})
        specification[TICKET] = Ticket()
        specification["priority"] = read_priority(specification["priority"])
        if "session" not in specification and (current := session_for(specification["device_id"])):
            specification |= current.specification
        options["device"] = specification["device_id"]
        return specification


@overload
def quantum_app(function: Callable[..., Any]) -> QuantumApp: ...


@overload
def quantum_app(
    function: None = None,
    *,
    device: str = "any",
    shots: int | None = None,
    priority: str = "MEDIUM",
    seed: int | None = None,
    parameter_values: Any = None,
    data_flow_kernel: DataFlowKernel | None = None,
    executors: list[str] | Literal["all"] = "all",
    cache: bool = False,
    ignore_for_cache: Sequence[str] | None = None,
) -> Callable[[Callable[..., Any]], QuantumApp]: ...


def quantum_app(
    function: Callable[..., Any] | None = None,
    *,
    device: str = "any",
    shots: int | None = None,
    priority: str = "MEDIUM",
    seed: int | None = None,
    parameter_values: Any = None,
    data_flow_kernel: DataFlowKernel | None = None,
    executors: list[str] | Literal["all"] = "all",
    cache: bool = False,
    ignore_for_cache: Sequence[str] | None = None,
) -> QuantumApp | Callable[[Callable[..., Any]], QuantumApp]:
    """Make a function a Parsl app that runs next to a QPU. A call returns an `AppFuture` at once.

    Two styles:

    * The function **returns a circuit** (Qiskit `QuantumCircuit`, OpenQASM text, PennyLane tape, gates text, or a
      `QuantumTask`), and the future resolves to its `QuantumResult`; or a list of circuits, then to a list of results.
    * The function **takes an argument named** ``qpu`` (a `QPUHandle`), runs circuits with ``qpu.run(circuit)`` as
      often as it likes, and the future resolves to what it returns.

    Everything else is as for `parsl.python_app`: futures as arguments and in ``inputs=``, retries, ``walltime``,
    memoisation and checkpoints, results as arguments of other apps and of join apps.

    Args:
        device: a QPU's name or a selector (``"any"``, ``"tag:ion"``, ``"qubits>=7"``).
        shots: repetitions; by default what a returned `QuantumTask` says, else 1024.
        priority: ``HIGH``, ``MEDIUM`` or ``LOW``.
        seed: for simulators; without one every call is a new sample.
        parameter_values: rows of angles in radians for a parametrised circuit, or a mapping from names.
        data_flow_kernel: the default is the one that `parsl.load` made.
        executors: labels; the default is all QPU executors that have the device, the one with the least to do first.
        cache: memoise. The key holds the function's name, its arguments, device, shots, seed and parameter values;
            note that with ``seed=None`` an old sample is as good as a new one then.
        ignore_for_cache: names of arguments that do not matter for memoisation.

    A call may override device, shots, priority, seed and parameter_values by keyword, unless the function has a
    parameter of that name itself: then the value is the function's.

    >>> @quantum_app(device="tag:ion", shots=1000)
    ... def ghz(n): return ghz_circuit(n)
    >>> ghz(3, shots=200).result().counts
    ({'000': 104, '111': 96},)
    """
    options = {
        "device": device,
        "shots": shots,
        "priority": read_priority(priority),
        "seed": seed,
        "parameter_values": parameter_values,
    }

    def decorate(func: Callable[..., Any]) -> QuantumApp:
        return QuantumApp(func, options, data_flow_kernel, executors, cache, ignore_for_cache)

    return decorate if function is None else decorate(function)
