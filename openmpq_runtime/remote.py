"""The client in Python: QPUs behind a bridge as a standard-library executor, for a rank of an MPI program."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, InvalidStateError, wait
from dataclasses import dataclass, field, replace
from typing import Any

from qpu_executors import errors
from qpu_executors.errors import ConqureError, DeviceError, DeviceLost, InvalidTask
from qpu_executors.futures import when_ready
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.running import run

from . import wire
from .link import Lost, Unreachable, connected

MAX_IN_FLIGHT = 256  # the bridge reads no more of one client
ATTEMPTS = 5  # to connect again, a little longer apart each time

_KINDS: dict[str, type[ConqureError]] = {
    **{each.kind: each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ConqureError)},
    "disconnected": DeviceLost,
    "limit": InvalidTask,
    "error": DeviceError,
}


def connect(environment: Mapping[str, str] | None = None) -> RemotePool:
    """The QPUs that this program was started with: `openmpq-run` and ``Bridge.environment()`` say where they are.

    The ranks of a node share one connection to the bridge.

    Args:
        environment: the variables to go by; by default this process's own.

    Raises:
        Unreachable: there is no bridge, or it does not want to talk to us.

    >>> with openmpq_runtime.connect() as pool:
    ...     pool.submit(conqure.run, task).result().counts
    """
    return RemotePool(os.environ if environment is None else environment)


@dataclass(eq=False)
class _Call:
    """What was submitted; ``number`` is its request, once it was sent, so many times."""

    future: Future[QuantumResult] = field(default_factory=Future)
    task: QuantumTask | None = None
    number: int = 0
    attempts: int = 0


class RemotePool(Executor):
    """The QPUs behind a bridge; see `connect`. A connection that is lost is made again, and nothing runs twice.

    Attributes:
        qpus: what the bridge offers: names, qubits and slots.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._client_id = os.urandom(16).hex()
        self._lock = threading.RLock()  # who waits for a future may submit the next task in a callback
        self._calls: set[_Call] = set()  # not done yet
        self._waiting: deque[_Call] = deque()
        self._sent: dict[int, _Call] = {}
        self._last = 0
        self._closed = False
        self._link = connected(self._environment, self._client_id)
        self.qpus = self._link.qpus
        self._thread = threading.Thread(target=self._read, name="openmpq-pool", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """``submit(run, task)``. A task that is cancelled is taken back if it still waits.

        Raises:
            InvalidTask: it is another call, or its program is not text: only circuits pass a bridge.
        """
        if fn is not run or kwargs or len(args) != 1:
            raise InvalidTask(f"a bridge takes submit(conqure.run, task) and nothing else, not {fn!r}.")
        if isinstance(args[0], QuantumTask):
            _check(args[0])
        call = _Call()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown, or after the bridge has gone")
            self._calls.add(call)
        call.future.add_done_callback(lambda _: self._done(call))
        when_ready(args, {}, lambda ready, _, error: self._ready(call, ready[0], error))
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the standard library."""
        with self._lock:
            self._closed = True
            futures = [call.future for call in self._calls]
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            _wait(futures)
        self._close_if_done()
        if wait and self._thread is not threading.current_thread():
            self._thread.join()

    # -- the way there --

    def _ready(self, call: _Call, task: Any, error: BaseException | None) -> None:
        """The task, which may have been a future, is known."""
        try:
            call.task = _check(task)
        except InvalidTask as wrong:
            error = error or wrong
        if error is not None:
            return _settle(call.future.set_exception, error)
        with self._lock:
            self._waiting.append(call)
            self._send_what_fits()

    def _send_what_fits(self) -> None:
        """Send what waits, while the bridge reads (lock held)."""
        while self._waiting and len(self._sent) < MAX_IN_FLIGHT:
            call = self._waiting.popleft()
            if call.future.done():
                continue
            self._last += 1
            call.number = self._last
            self._sent[call.number] = call
            self._send(call)

    def _send(self, call: _Call) -> None:
        assert call.task is not None
        call.attempts += 1
        with contextlib.suppress(Lost):  # the thread that reads sees it too, and sends again what is under way
            self._link.submit(call.number, next(iter(self._sent)), call.task)

    def _done(self, call: _Call) -> None:
        """Its future has a result, an error, or was cancelled."""
        with self._lock:
            self._calls.discard(call)
            if call.future.cancelled():
                call.future.set_running_or_notify_cancel()
                if call.number in self._sent:
                    with contextlib.suppress(Lost):
                        self._link.cancel(call.number)
        self._close_if_done()

    def _close_if_done(self) -> None:
        with self._lock:
            if self._closed and not self._calls:
                self._link.end()

    # -- the way back, in a thread of its own --

    def _read(self) -> None:
        while True:
            try:
                self._take(self._link.receive())
            except Lost as lost:
                with self._lock:
                    if self._closed and not self._calls:
                        return self._link.close()
                if not self._begin_again() and not self._fail(lost):
                    return

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("is") == "refused":
            raise Lost(str(message.get("text")))
        with self._lock:
            call = self._sent.pop(message.get("request", 0), None)
            self._send_what_fits()
        if call is None:
            return
        if message["is"] == "result":
            assert call.task is not None
            _settle(call.future.set_result, _result(message["result"], call.task))
        elif message.get("kind") == "cancelled":
            call.future.cancel()
        else:
            _settle(call.future.set_exception, _error(message))

    def _begin_again(self) -> bool:
        """Connect again and ask again for what is under way; False if the bridge is gone, or is another one."""
        self._link.close()
        for attempt in range(ATTEMPTS):
            try:
                link = connected(self._environment, self._client_id)
            except Unreachable:
                time.sleep(0.02 * 2**attempt)
                continue
            with self._lock:
                before, self._link = self._link, link
                if link.server != before.server:
                    return False
                hopeless = [call for call in self._sent.values() if call.attempts == ATTEMPTS]
                for call in hopeless:  # it may itself be why connections break
                    del self._sent[call.number]
                for call in list(self._sent.values()):
                    self._send(call)
            for call in hopeless:
                _settle(call.future.set_exception, DeviceLost(f"the connection was lost {ATTEMPTS} times."))
            return True
        return False

    def _fail(self, lost: Lost) -> bool:
        """Nobody knows what became of what was under way; what waits is sent if there is another bridge now."""
        with self._lock:
            failed, self._sent = list(self._sent.values()), {}
            if gone := self._link.closed:
                failed += self._waiting
                self._waiting.clear()
                self._closed = True
            self._send_what_fits()
        for call in failed:
            text = f"{lost} The circuit ran once or not at all." if call.number else f"{lost} It did not run."
            _settle(call.future.set_exception, DeviceLost(text))
        return not gone


_wait = wait  # `shutdown` has an argument of that name


def _check(task: Any) -> QuantumTask:
    if not isinstance(task, QuantumTask):
        raise InvalidTask(
            f"a bridge takes a QuantumTask, not {type(task).__name__}. Make one: conqure.as_task(circuit)"
        )
    if task.language not in wire.LANGUAGES or not isinstance(task.program, str):
        raise InvalidTask(
            f"a program in {task.language} does not pass a bridge; {', '.join(wire.LANGUAGES)} do. "
            "as_task() writes gates where it can."
        )
    n_values = task.n_rows * len(task.parameter_values[0])
    if 2 * len(task.program) + 25 * n_values > wire.MAX_FRAME:  # as JSON, at the most
        raise InvalidTask("the circuit and its rows are larger than 64 MiB. Use parameters, or fewer rows at a time.")
    return task


def _result(fields: dict[str, Any], task: QuantumTask) -> QuantumResult:
    values = {name: value for name, value in fields.items() if name not in ("conqure", "is")}
    found = QuantumResult(**{**values, "counts": tuple(values["counts"])})
    return replace(found, task_id=task.task_id)


def _error(message: dict[str, Any]) -> ConqureError:
    error = _KINDS.get(message["kind"], DeviceError)(message["text"])
    if bool(message.get("transient")) != error.transient:
        error.transient = bool(message.get("transient"))  # type: ignore[misc]  # of this one
    return error


def _settle(give: Callable[[Any], None], outcome: Any) -> None:
    with contextlib.suppress(InvalidStateError):  # it was cancelled meanwhile
        give(outcome)
