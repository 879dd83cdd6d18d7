"""The driver ``queue``: a QPU behind the cloud queue of another laboratory, as a QPU of this site."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from qpu_executors.device import Counts
from qpu_executors.errors import ConqureError, InvalidSite, WorkCanceled, WorkTimeout, error_of_kind
from qpu_executors.records import LANGUAGES, Priority, QuantumResult, QuantumTask

from .configuration import read_secret
from .packing import Packed
from .remote import RemoteQueue
from .setting import Order
from .work import WorkloadFormat, WorkRecord, WorkStatus

LOOK_S = 20.0  # how long the queue may let a question for the status wait
PATIENCE_S = 300.0  # how long the queue may be away before a task fails (with an error that engines try again)
_PAUSE_S = 0.5


class QueueDevice:
    """Each task becomes a work of the other queue; this waits for its counts.

    The program passes through as it is: what the QPU there reads, this one reads. ``run_s`` of a result is the time on
    the QPU; how long the work waited there is ``queue_s`` in its ``metadata``, beside the ``work_id``.

    Args:
        device_id: what the other laboratory calls the QPU, or a selector there; by default as here.
        url, token_file: where its queue answers, and the file (only yours to read) with your token; a site file says
            them once, in ``[queue]``.
        priority: HIGH, MEDIUM or LOW, of all works from here.
        timeout_s: the longest that a work may take, its wait included; then it is canceled. 0 for as long as it takes.
        ca: a file with the certificate that signed the other service's, where the system does not know it.

    Raises:
        InvalidSite: an option is missing or wrong; NotLoggedIn, NotAllowed: the token cannot be used.

    >>> QueueDevice("lab_ion0", 11, device_id="ion0", url="https://queue.lab.example", token_file="~/lab.token")
    """

    languages = LANGUAGES

    def __init__(
        self,
        name: str,
        n_qubits: int,
        /,
        *,
        device_id: str = "",
        url: str = "",
        token_file: str = "",
        priority: str = "MEDIUM",
        timeout_s: float = 0.0,
        ca: str = "",
    ) -> None:
        where = f"[qpu.{name}.options]"
        if not url or not token_file:
            raise InvalidSite(
                f"{where} lacks {'token_file' if url else 'url'}. Write it in [queue] of the site file, for all QPUs."
            )
        if priority not in list(Priority):
            raise InvalidSite(f"{where} priority must be one of {', '.join(Priority)}, not {priority!r}.")
        self.device_id, self.n_qubits = name, n_qubits
        self._remote_id, self._priority, self._timeout_s = device_id or name, Priority(priority), timeout_s
        self._queue = RemoteQueue(url, read_secret(Path(token_file).expanduser()), ca or None)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._waiting: set[str] = set()  # works that somebody here waits for
        self._is_closed = False

    @property
    def metadata(self) -> dict[str, Any]:
        """About the last task of this thread."""
        return getattr(self._local, "metadata", {})

    def prepare(self, program: str | bytes, language: str) -> tuple[str | bytes, str]:
        return program, language

    def execute(
        self,
        prepared: tuple[str | bytes, str],
        parameter_values: Sequence[Sequence[float]],
        shots: int,
        seed: int | None,
    ) -> Sequence[Counts]:
        """See `Device.execute`. Raises what the work ended with there, `QueueUnavailable` and `WorkTimeout`."""
        program, language = prepared
        task = QuantumTask(program, language, self._remote_id, shots, parameter_values, seed, self._priority)
        payload = Packed(task.to_json().encode(), WorkloadFormat.TASK, self._remote_id)
        order = Order(payload, self._priority)  # with its work_id: a repeated request makes no second work
        with self._waits_for(order.work_id):
            work = self._patiently(self._queue.create, order)
            self._check(self._wait(work))
            found, _ = self._patiently(self._queue.results, work.work_id)
        result = QuantumResult.from_json(found)
        about = {"work_id": work.work_id, "device_id": result.device_id, "queue_s": result.queue_s}
        self._local.metadata = result.metadata | about | {"run_s": result.run_s}
        return result.counts

    def close(self) -> None:
        """Cancel the works that somebody here waits for, and let go of the connections."""
        with self._lock:
            self._is_closed, left = True, list(self._waiting)
        for work_id in left:
            self._cancel(work_id, f"device {self.device_id!r} was closed")
        self._queue.close()

    @contextlib.contextmanager
    def _waits_for(self, work_id: str) -> Iterator[None]:
        with self._lock:
            if self._is_closed:
                raise WorkCanceled(f"device {self.device_id!r} is closed.")
            self._waiting.add(work_id)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, ConqureError) or isinstance(error, WorkTimeout):
                self._cancel(work_id, "nobody waits for it any more")
            raise
        finally:
            with self._lock:
                self._waiting.discard(work_id)

    def _wait(self, work: WorkRecord) -> WorkRecord:
        deadline = time.monotonic() + self._timeout_s if self._timeout_s else float("inf")
        while not work.status.is_final:
            left = deadline - time.monotonic()
            if left <= 0:
                raise WorkTimeout(f"work {work.work_id} on {self._queue.where} was not done in {self._timeout_s:g} s.")
            work = self._patiently(self._queue.look, work.work_id, min(LOOK_S, left), work.status).work
        return work

    def _check(self, work: WorkRecord) -> None:
        if work.status is WorkStatus.DONE:
            return
        said = f"work {work.work_id} on {self._queue.where}: {work.error or 'no reason was given'}"
        if work.status is WorkStatus.CANCELED:
            raise WorkCanceled(said)
        raise error_of_kind(work.error_kind or "device_error", said)

    def _cancel(self, work_id: str, reason: str) -> None:
        with contextlib.suppress(ConqureError):
            self._queue.cancel(work_id, reason)

    def _patiently(self, call: Callable[..., Any], *args: Any) -> Any:
        """Wait out a queue that is restarted, or a network that is lost for a while."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call(*args)
            except ConqureError as error:
                if not error.transient or self._is_closed or time.monotonic() > give_up:
                    raise
            time.sleep(_PAUSE_S)
