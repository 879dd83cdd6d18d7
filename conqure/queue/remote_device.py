"""The driver ``queue``: a QPU behind the cloud queue of another laboratory, as a QPU of this site."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from qpu_executors.device import Counts
from qpu_executors.errors import (
    ConqureError,
    InvalidSite,
    UnknownWork,
    WorkCanceled,
    WorkConflict,
    WorkTimeout,
    error_of_kind,
)
from qpu_executors.records import LANGUAGES, Priority, QuantumResult, QuantumTask
from qpu_executors.submissions import over

from .configuration import read_secret
from .packing import Packed
from .remote import RemoteQueue
from .setting import Order
from .work import WorkloadFormat, WorkRecord, WorkStatus

LOOK_S = 20.0  # how long the queue may let a question for the status wait
PATIENCE_S = 300.0  # how long the queue may be away before a task fails (with an error that engines try again)
_PAUSE_S = 0.5
_KEYS = uuid.uuid5(uuid.NAMESPACE_URL, "https://conqure/submissions")


def work_id_of(key: str) -> str:
    """The work_id of what is submitted with this key.

    >>> work_id_of("conqure-7d793037a0760186574b0282f2f435e7")
    '9e9a4aab-238a-5bec-8fcc-64dc319a3d85'
    """
    return str(uuid.uuid5(_KEYS, key))


class QueueDevice:
    """Each task becomes a work of the other queue; this waits for its counts.

    The work's id follows from the task: who tries the same task again finds the same work (`RemoteDevice`).

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
        remote_id = self.submit(prepared, parameter_values, shots, seed, uuid.uuid4().hex)
        return self.fetch(remote_id, prepared, len(parameter_values))

    def submit(
        self,
        prepared: tuple[str | bytes, str],
        parameter_values: Sequence[Sequence[float]],
        shots: int,
        seed: int | None,
        key: str,
    ) -> str:
        """Make the work whose work_id follows from the key; if there is one, it is the same."""
        program, language = prepared
        task = QuantumTask(program, language, self._remote_id, shots, parameter_values, seed, self._priority)
        payload = Packed(task.to_json().encode(), WorkloadFormat.TASK, self._remote_id)
        order = Order(payload, self._priority, work_id=work_id_of(key))
        self._begin_waiting(order.work_id)  # from now on `close` cancels it
        try:
            with contextlib.suppress(WorkConflict):  # it has its workload, whose task was made at another time
                self._patiently(self._queue.create, order)
        except BaseException:
            self._end_waiting(order.work_id)
            raise
        return order.work_id

    def fetch(self, remote_id: str, prepared: Any, n_rows: int) -> Sequence[Counts]:
        """See `RemoteDevice.fetch`. What the work ended with there may be any error of ours."""
        with self._waits_for(remote_id):
            self._check(self._wait(remote_id))
            found, _ = self._patiently(self._queue.results, remote_id)
        result = QuantumResult.from_json(found)
        about = {"work_id": remote_id, "device_id": result.device_id, "queue_s": result.queue_s}
        self._local.metadata = result.metadata | about | {"run_s": result.run_s}
        return result.counts

    def find(self, key: str) -> str:
        """The work of this key, if it is there with its workload."""
        try:
            work = self._patiently(self._queue.look, work_id_of(key)).work
        except UnknownWork:
            return ""
        return "" if work.status is WorkStatus.CREATED else str(work.work_id)

    def close(self) -> None:
        """Cancel the works that somebody here waits for, and let go of the connections."""
        with self._lock:
            self._is_closed, left = True, list(self._waiting)
        for work_id in left:
            self._cancel(work_id, f"device {self.device_id!r} was closed")
        self._queue.close()

    @contextlib.contextmanager
    def _waits_for(self, work_id: str) -> Iterator[None]:
        self._begin_waiting(work_id)
        try:
            yield
        except (KeyboardInterrupt, WorkTimeout) as error:  # not SystemExit: who ends a worker may start it again
            self._cancel(work_id, "nobody waits for it any more")
            over(error)
            raise
        finally:
            self._end_waiting(work_id)

    def _begin_waiting(self, work_id: str) -> None:
        with self._lock:
            if self._is_closed:
                raise over(WorkCanceled(f"device {self.device_id!r} is closed."))
            self._waiting.add(work_id)

    def _end_waiting(self, work_id: str) -> None:
        with self._lock:
            self._waiting.discard(work_id)

    def _wait(self, work_id: str) -> WorkRecord:
        deadline = time.monotonic() + self._timeout_s if self._timeout_s else float("inf")
        seen: WorkStatus = WorkStatus.READY
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise WorkTimeout(f"work {work_id} on {self._queue.where} was not done in {self._timeout_s:g} s.")
            work: WorkRecord = self._patiently(self._queue.look, work_id, min(LOOK_S, left), seen).work
            if work.status.is_final:
                return work
            seen = work.status

    def _check(self, work: WorkRecord) -> None:
        if work.status is WorkStatus.DONE:
            return
        said = f"work {work.work_id} on {self._queue.where}: {work.error or 'no reason was given'}"
        if work.status is WorkStatus.CANCELED:
            raise over(WorkCanceled(said))
        raise over(error_of_kind(work.error_kind or "device_error", said))

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
