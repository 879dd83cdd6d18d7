"""Calls as Dask tasks with futures of the standard library; small results come back with the news that they are done.

Stock Dask tells the client that a task is done, then the client asks the scheduler, which asks the worker. Here a
result of up to 64 KiB travels along (through `DaskQPUs`, see `scheduler`), which saves two round trips. Larger ones
are gathered as usual.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from queue import SimpleQueue
from typing import Any

import distributed
from distributed import Client, get_worker
from distributed.protocol import pickle

from qpu_executors.futures import when_ready

from . import serialization  # noqa: F401  (teaches Dask about PennyLane's tensors)
from .priorities import IN_ORDER
from .scheduler import PUSH, DaskQPUs

MAX_PUSHED = 64 * 2**10

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class TaskFuture(Future[Any]):
    """A standard future of a Dask task. As an argument of another task it stays on the workers."""

    task: distributed.Future[Any] | None = None

    def cancel(self) -> bool:
        """As in the standard library; a task that a worker has begun is not interrupted, its result is dropped."""
        if self.cancelled():
            return True
        if not super().cancel():
            return False
        self.set_running_or_notify_cancel()
        if self.task is not None:
            self.task.cancel()
        return True


class TaskSubmitter:
    """Submits calls to a client and resolves their futures.

    Args:
        resources: what each call asks of its worker, unless told otherwise.
        call: how a worker calls the function: ``call(fn, *args, **kwargs)``.
    """

    def __init__(self, client: Client, resources: dict[str, float], call: Callable[..., Any] | None = None) -> None:
        self._client, self._resources, self._call = client, resources, call
        self._topic = f"{PUSH}-{uuid.uuid4().hex}"
        self._numbers = itertools.count()
        self._open: dict[int, TaskFuture] = {}
        self._all_done = threading.Condition()
        # Futures are resolved here, not in the event loop, where the scheduler may live: a callback may take its time.
        self._outcomes: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._resolve, name="dask-outcomes", daemon=True).start()
        hasten(client)
        client.subscribe_topic(self._topic, self._pushed)

    def submit(self, fn: Callable[..., Any], args: Args, kwargs: Kwargs, **options: Any) -> Future[Any]:
        """One call; futures among its arguments, also in lists, are waited for: Dask's by Dask, others here."""
        number, future = next(self._numbers), TaskFuture()
        with self._all_done:
            self._open[number] = future
        args, kwargs = _as_dask(args), _as_dask(kwargs)
        when_ready(args, kwargs, lambda a, k, error: self._ready(number, fn, a, k, options, error))
        return future

    def cancel_all(self) -> None:
        for future in list(self._open.values()):
            future.cancel()

    def wait(self) -> None:
        with self._all_done:
            self._all_done.wait_for(lambda: not self._open)

    def close(self) -> None:
        self._outcomes.put(None)
        if self._client.status == "running":
            self._client.unsubscribe_topic(self._topic)

    def _resolve(self) -> None:
        while (settle := self._outcomes.get()) is not None:
            settle()

    def _ready(
        self,
        number: int,
        fn: Callable[..., Any],
        args: Args,
        kwargs: Kwargs,
        options: Kwargs,
        error: BaseException | None,
    ) -> None:
        future = self._open[number]
        if error is not None or future.cancelled():
            self._outcomes.put(lambda: self._settle(number, error=error))
            return
        try:
            future.task = self._client.submit(
                call_and_push,
                (self._client.id, self._topic, number),
                kwargs,
                *((self._call,) if self._call else ()),
                fn,
                *args,
                key=f"{getattr(fn, '__name__', 'call')}-{uuid.uuid4().hex}",
                **{"resources": self._resources, "pure": False, "fifo_timeout": IN_ORDER, **options},
            )
            future.task.add_done_callback(lambda task: self._done(number, task))
        except Exception as error_:  # arguments that can't be pickled, a client that is closed
            problem = error_
            self._outcomes.put(lambda: self._settle(number, error=problem))

    def _pushed(self, event: tuple[float, tuple[int, bytes]]) -> None:
        """In the client's event loop: a result has come with its task's completion."""
        number, data = event[1]
        self._outcomes.put(lambda: self._settle(number, pickled=data))

    def _done(self, number: int, task: distributed.Future[Any]) -> None:
        """In Dask's callback thread: the task is over; where no result was pushed, find out what became of it."""
        if number not in self._open:
            return
        if task.status == "finished":
            self._client.loop.add_callback(self._gather, number, task)
        else:
            error = task.exception() if task.status == "error" else CancelledError()
            self._outcomes.put(lambda: self._settle(number, error=error))

    async def _gather(self, number: int, task: distributed.Future[Any]) -> None:
        try:
            result = await self._client.gather(task, asynchronous=True)
        except BaseException as error_:
            problem = error_
            self._outcomes.put(lambda: self._settle(number, error=problem))
        else:
            self._outcomes.put(lambda: self._settle(number, result))

    def _settle(
        self, number: int, result: Any = None, pickled: bytes | None = None, error: BaseException | None = None
    ) -> None:
        """In our own thread: a call has come to its end, perhaps told twice."""
        future = self._open.get(number)
        if future is None:
            return
        try:
            result = result if pickled is None else pickle.loads(pickled)
        except Exception as problem:
            error = problem
        if isinstance(error, CancelledError):
            future.cancel()
        elif not future.cancelled() and future.set_running_or_notify_cancel():
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        with self._all_done:
            del self._open[number]
            if not self._open:
                self._all_done.notify_all()


def call_and_push(back: tuple[str, str, int], kwargs: Kwargs, fn: Callable[..., Any], *args: Any) -> Any:
    """On a worker: the call, and its result sent to the client at once if it is small.

    The keywords come as one argument, since `Client.submit` has some of its own.
    """
    result = fn(*args, **kwargs)
    client, topic, number = back
    try:
        data = pickle.dumps(result)
    except Exception:
        return result  # Dask has its own ways to send this, or to say why it can't
    if len(data) <= MAX_PUSHED:
        worker = get_worker()
        message = {"op": PUSH, "client": client, "topic": topic, "message": (number, data)}
        worker.loop.add_callback(worker.batched_send, message)
    return result


def hasten(client: Client) -> None:
    """Load our scheduler plugin, if it is not there, and send what the client sends at once instead of every 10 ms."""
    client.register_plugin(DaskQPUs())
    client.scheduler_comm.interval = 0.0


def _as_dask(value: Any) -> Any:
    """Futures of Dask tasks as Dask's own, so that results go from worker to worker."""
    if isinstance(value, TaskFuture) and value.task is not None and not value.cancelled():
        return value.task
    if type(value) in (list, tuple):
        return type(value)(map(_as_dask, value))
    if type(value) is dict:
        return {name: _as_dask(each) for name, each in value.items()}
    return value
