"""Jobs: what `QPUBackend.run` gives, in a pool and in the cloud queue."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from qiskit.primitives import BasePrimitiveJob, PrimitiveResult
from qiskit.providers import JobError, JobStatus, JobTimeoutError, JobV1
from qiskit.providers.jobstatus import JOB_FINAL_STATES
from qiskit.result import Result

from qpu_executors.errors import InvalidTask, WorkCanceled, WorkFailed, WorkTimeout
from qpu_executors.records import QuantumResult

if TYPE_CHECKING:
    from conqure.queue.user_client import UserClient

Finish = Callable[[list[QuantumResult]], Any]

_OF_A_WORK = {
    "CREATED": JobStatus.QUEUED,
    "READY": JobStatus.QUEUED,
    "EXECUTING": JobStatus.RUNNING,
    "UPLOADING": JobStatus.RUNNING,
    "DONE": JobStatus.DONE,
    "CANCELED": JobStatus.CANCELLED,
    "ERROR": JobStatus.ERROR,
}


class Running:
    """Tasks on their way, and what is made of their results once they are all there.

    Args:
        futures: each of a `QuantumResult` or of a list of them.
        finish: called once, with the results in order.
    """

    def __init__(self, futures: Sequence[Future[Any]], finish: Finish) -> None:
        self._futures, self._finish = futures, finish
        self._lock = threading.Lock()
        self._found: Any = None

    def result(self, timeout: float | None = None) -> Any:
        if self._found is None:
            if self.status() is JobStatus.CANCELLED:
                raise JobError("the job was cancelled, so it has no result. Run it again.")
            results = self._gather(None if timeout is None else time.monotonic() + timeout)
            with self._lock:
                self._found = self._finish(results) if self._found is None else self._found
        return self._found

    def status(self) -> JobStatus:
        """CANCELLED as soon as one task was, ERROR as soon as one failed: the result is lost then."""
        done = [future for future in self._futures if future.done()]
        if any(future.cancelled() for future in done):
            return JobStatus.CANCELLED
        if any(future.exception() is not None for future in done):
            return JobStatus.ERROR
        if len(done) == len(self._futures):
            return JobStatus.DONE
        return JobStatus.RUNNING if done or any(f.running() for f in self._futures) else JobStatus.QUEUED

    def _gather(self, deadline: float | None) -> list[QuantumResult]:
        results: list[QuantumResult] = []
        for future in self._futures:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            found = future.result(left)  # without a time, some pools run the task right here
            results += [found] if isinstance(found, QuantumResult) else found
        return results

    def cancel(self) -> bool:
        """Cancel the tasks that wait; what runs goes on. True if there was one."""
        cancelled = [future.cancel() for future in self._futures]  # all of them, not up to the first
        return any(cancelled)


class QPUJob(JobV1):
    """A job in a pool; its tasks run in parallel as far as QPUs are free."""

    def __init__(self, backend: Any, job_id: str, running: Running) -> None:
        super().__init__(backend, job_id)
        self._running = running

    def submit(self) -> None:
        raise JobError("the job was submitted when it was made; backend.run(…) makes another one.")

    def result(self, timeout: float | None = None) -> Result:
        """Wait for all circuits.

        Raises:
            InvalidTask, DeviceError: of the first task that failed. JobError: it was cancelled. TimeoutError.
        """
        return self._running.result(timeout)

    def status(self) -> JobStatus:
        return self._running.status()

    def cancel(self) -> bool:
        """Cancel what waits; True if something did."""
        return self._running.cancel()


class WorkJob(JobV1):
    """A job that is a work of the cloud queue; its id is the work_id, and it outlives this process.

    Args:
        finish: makes a `Result` of the work's results.
    """

    def __init__(self, backend: Any, work_id: str, client: UserClient, finish: Finish) -> None:
        super().__init__(backend, work_id)
        self._client, self._finish = client, finish
        self._found: Result | None = None

    def submit(self) -> None:
        raise JobError("the work was created with the job; backend.run(…) makes another one.")

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the work.

        Raises:
            WorkFailed: it ended in ERROR; the text says why. JobError: it was cancelled. WorkTimeout: it goes on.
        """
        if self._found is None:
            try:
                self._client.wait_until_done(self.job_id(), progress=False, timeout=timeout)
            except WorkCanceled as error:
                raise JobError(str(error)) from error
            results = self._client.get_results(self.job_id())
            if isinstance(results, QuantumResult):
                results = [results]
            if not isinstance(results, list):
                raise InvalidTask(
                    f"work {self.job_id()} is no job of circuits: its results are bytes of the device. "
                    f"Read them with client.get_results({self.job_id()!r})."
                )
            self._found = self._finish(results)
        return self._found

    def status(self) -> JobStatus:
        return _OF_A_WORK[str(self._client.get_work(self.job_id()).status)]

    def cancel(self) -> bool:
        """End the work if it waits, ask it to end if it runs; True if it is cancelled now."""
        return str(self._client.cancel_work(self.job_id(), "cancelled by its Qiskit job").status) == "CANCELED"

    def wait_for_final_state(
        self, timeout: float | None = None, wait: float = 5, callback: Callable[..., Any] | None = None
    ) -> None:
        """As of `JobV1`; without a callback the end is noticed at once, not after up to ``wait`` seconds."""
        if callback is not None:
            super().wait_for_final_state(timeout, wait, callback)
            return
        with contextlib.suppress(WorkFailed, WorkCanceled):
            try:
                self._client.wait_until_done(self.job_id(), progress=False, timeout=timeout)
            except WorkTimeout as error:
                raise JobTimeoutError(str(error)) from error


class PoolPrimitiveJob(BasePrimitiveJob[PrimitiveResult[Any], JobStatus]):
    """What the primitives give: PUBs on their way."""

    def __init__(self, job_id: str, running: Running) -> None:
        super().__init__(job_id)
        self._running = running

    def result(self, timeout: float | None = None) -> PrimitiveResult[Any]:
        """Wait for all PUBs; errors as of `QPUJob.result`."""
        return self._running.result(timeout)

    def status(self) -> JobStatus:
        return self._running.status()

    def done(self) -> bool:
        return self.status() is JobStatus.DONE

    def running(self) -> bool:
        return self.status() is JobStatus.RUNNING

    def cancelled(self) -> bool:
        return self.status() is JobStatus.CANCELLED

    def in_final_state(self) -> bool:
        return self.status() in JOB_FINAL_STATES

    def cancel(self) -> bool:
        """Cancel what waits; True if something did."""
        return self._running.cancel()
