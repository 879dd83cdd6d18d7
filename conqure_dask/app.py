"""``@quantum_app``: a Python function whose circuits run on a QPU worker of a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import inspect
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from typing import Any, overload
from weakref import WeakKeyDictionary

import dask
from dask.delayed import Delayed, delayed
from distributed import Client, Future, get_client

from qpu_executors import InvalidTask, Selector, select
from qpu_executors.observing import Observer, Outcome, follow, observers, results_in, task_of

from . import serialization  # noqa: F401  (teaches Dask about PennyLane's tensors)
from .calls import call_with_qpu, run_returned
from .priorities import IN_ORDER, dask_priority
from .resources import CLASSICAL, qpus_of_client, wanted

_SETTINGS = ("shots", "seed", "parameter_values")  # what as_task and a handle take
_OPTIONS = ("device", "priority", *_SETTINGS)
FETCH_S = 30.0  # for a result that an observer wants to see


class QuantumApp:
    """What ``@quantum_app`` makes of a function; see there."""

    def __init__(self, func: Callable[..., Any], options: dict[str, Any], client: Client | None) -> None:
        functools.update_wrapper(self, func, updated=())
        own = inspect.signature(func).parameters
        self._func, self._options, self._client = func, options, client
        self._travels = call_with_qpu if "qpu" in own else run_returned
        self._overridable = [name for name in _OPTIONS if name not in own]
        self._name = getattr(func, "__name__", type(func).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a call; arguments may be Dask futures, also in lists and dicts.

        Raises:
            UnknownDevice: no QPU of the cluster fits; InvalidTask: a priority that does not exist.
        """
        options, settings = self._split(kwargs)
        client = self._client or _current_client()
        check_device(client, options["device"])
        future = client.submit(
            self._travels,
            options["device"],
            self._func,
            settings,
            kwargs,
            *args,
            key=self._key(),
            resources=wanted(options["device"]),
            priority=dask_priority(options["priority"]),
            fifo_timeout=IN_ORDER,
            pure=False,
        )
        if not client.asynchronous and (watching := observers("dask")):
            self._tell(watching, future, options, settings)
        return future

    def delayed(self, *args: Any, **kwargs: Any) -> Delayed:
        """The same call as a node of a `dask.delayed` graph: nothing runs before ``compute`` or ``persist``.

        >>> dask.delayed(energy)(ghz.delayed(3, shots=100)).compute()
        """
        options, settings = self._split(kwargs)
        Selector.parse(options["device"])
        with dask.annotate(resources=wanted(options["device"]), priority=dask_priority(options["priority"])):
            node = delayed(self._travels, name=self._name, pure=False)
            return node(options["device"], self._func, settings, kwargs, *args, dask_key_name=self._key())

    def _split(self, kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Take our options out of a call's keywords: all of them, and those that go along with the call."""
        options = self._options | {name: kwargs.pop(name) for name in self._overridable if name in kwargs}
        if not isinstance(options["device"], str):
            raise InvalidTask(f"device must be a name or a selector when the app is called, not {options['device']!r}.")
        return options, {name: options[name] for name in _SETTINGS if options[name] is not None}

    def _tell(
        self, watching: tuple[Observer, ...], future: Future[Any], options: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        """Observers hear of a call and its results; what a function makes of results itself is not fetched for them."""
        told = {name: value for name, value in settings.items() if isinstance(value, int)}
        task = task_of(self._func, options["device"], priority=options["priority"], **told)
        follow(watching, task, future, _outcome if self._travels is run_returned else _end)

    def _key(self) -> str:
        return f"{self._name}-{uuid.uuid4().hex}"  # never the same: equal circuits are separate samples


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
    client: Client | None = None,
) -> Callable[[Callable[..., Any]], QuantumApp]: ...


def quantum_app(
    function: Callable[..., Any] | None = None,
    *,
    device: str = "any",
    shots: int | None = None,
    priority: str = "MEDIUM",
    seed: int | None = None,
    parameter_values: Any = None,
    client: Client | None = None,
) -> QuantumApp | Callable[[Callable[..., Any]], QuantumApp]:
    """Make a function a Dask task that runs next to a QPU. A call returns a `distributed.Future` at once.

    Two styles:

    * The function **returns a circuit** (Qiskit `QuantumCircuit`, OpenQASM text, PennyLane tape, gates text, or a
      `QuantumTask`), and the future resolves to its `QuantumResult`; or a list of circuits, then to a list of results.
    * The function **takes an argument named** ``qpu`` (a `QPUHandle`), runs circuits with ``qpu.run(circuit)`` as
      often as it likes, and the future resolves to what it returns.

    ``app.delayed(…)`` is the same call as a node of a `dask.delayed` graph.

    Args:
        device: a QPU's name or a selector (``"any"``, ``"tag:ion"``, ``"qubits>=7"``).
        shots: repetitions; by default what a returned `QuantumTask` says, else 1024.
        priority: ``HIGH``, ``MEDIUM`` or ``LOW``; Dask's priorities 1, 0 and -1.
        seed: for simulators; without one every call is a new sample.
        parameter_values: rows of angles in radians for a parametrised circuit, or a mapping from names.
        client: the default is the current one.

    A call may override device, shots, priority, seed and parameter_values by keyword, unless the function has a
    parameter of that name itself: then the value is the function's. A call is never pure: calling twice runs twice.

    If a worker is lost with the call or its result, Dask runs the call again; the results then say so
    (``metadata["attempts"]``).

    >>> @quantum_app(device="tag:ion", shots=1000)
    ... def ghz(n): return ghz_circuit(n)
    >>> ghz(3, shots=200).result().counts
    ({'000': 104, '111': 96},)
    """
    dask_priority(priority)
    options = {
        "device": device,
        "priority": priority,
        "shots": shots,
        "seed": seed,
        "parameter_values": parameter_values,
    }

    def decorate(func: Callable[..., Any]) -> QuantumApp:
        return QuantumApp(func, options, client)

    return decorate if function is None else decorate(function)


def classical() -> AbstractContextManager[None]:
    """Tasks made inside this block run on CPU workers only.

    On a cluster of ours tasks that say nothing do so anyway; this is for clusters without our scheduler plugin.

    >>> with classical():
    ...     step = dask.delayed(optimise)(result)
    """
    block: AbstractContextManager[None] = dask.annotate(resources=CLASSICAL)
    return block


_fitting: WeakKeyDictionary[Client, set[str]] = WeakKeyDictionary()  # device_ids that a QPU of the cluster fits


def check_device(client: Client, device_id: str) -> None:
    """`UnknownDevice` if no QPU of the cluster fits; each text is looked up once."""
    if device_id in _fitting.get(client, ()):
        return
    if client.asynchronous:
        Selector.parse(device_id)  # an answer can't be waited for here: the scheduler plugin fails the task instead
        return
    select(device_id, qpus_of_client(client), "this Dask cluster")
    _fitting.setdefault(client, set()).add(device_id)


def _end(future: Future[Any]) -> Outcome:
    """How a call ended, without its value."""
    if future.status == "finished":
        return None
    return future.exception(timeout=FETCH_S) if future.status == "error" else CancelledError()


def _outcome(future: Future[Any]) -> Outcome:
    """How a call ended, with its value, which is fetched."""
    return results_in(future.result(timeout=FETCH_S)) if future.status == "finished" else _end(future)


def _current_client() -> Client:
    with contextlib.suppress(ValueError):
        return Client.current()
    try:
        return get_client()  # inside a task
    except ValueError:
        raise RuntimeError(
            "there is no Dask client. Make one first: client = conqure_dask.cluster(site).get_client(), "
            "or give it to the decorator: @quantum_app(client=client)."
        ) from None
