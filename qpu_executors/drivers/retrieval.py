"""Jobs of a Qiskit backend that any process can fetch by their ids. Needs the extra ``qiskit``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import DeviceFault, InvalidSite, RemoteFailed

_WAYS = (  # how vendors call it: IonQ and IQM, AQT, older providers, IBM
    ("retrieve_job",),
    ("restore_job",),
    ("provider", "retrieve_job"),
    ("service", "job"),
)
_ENDED = ("ERROR", "CANCELLED")


class Retrieval:
    """Submits jobs and gets them back, on whatever method the backend or its provider has for that.

    A remote id is the ids of all jobs of a task, separated by spaces. Qiskit's backends take no tags, so nobody can be
    asked what became of a job whose id was not yet written down: `find` knows none.

    Raises:
        InvalidSite: neither has such a method.
    """

    def __init__(self, device_id: str, backend: Any, where: str) -> None:
        self._device_id, self._name = device_id, backend.name
        self._retrieve = _way(backend)
        if self._retrieve is None:
            raise InvalidSite(
                f"{where} = true: backend {self._name!r} cannot give back a job by its id; neither it nor its provider "
                f"has one of {', '.join('.'.join(way) for way in _WAYS)}. Leave the option out."
            )

    def submit(self, starts: Sequence[Callable[[], Any]]) -> str:
        """Start each job; returns their ids."""
        ids = []
        for start in starts:
            job = start()
            if hasattr(job, "persist"):  # AQT: what is not in its store on disk cannot be restored
                job.persist()
            ids.append(str(job.job_id()))
        return " ".join(ids)

    def results(self, remote_id: str) -> Iterator[Any]:
        """The result of each job, in order, as they end.

        Raises:
            RemoteFailed: a job ended without; DeviceFault: the backend does not answer.
        """
        assert self._retrieve is not None
        for job_id in remote_id.split():
            job = None
            try:
                job = self._retrieve(job_id)
                result = job.result()
            except Exception as error:  # whatever a third party's provider raises
                ended = "JobFailure" in type(error).__name__  # IonQ looks at the job while it makes the object
                raise self._blame(job_id, job, f"{type(error).__name__}: {error}", ended=ended) from error
            if getattr(result, "success", True) is False:
                raise self._blame(job_id, job, str(getattr(result, "status", "no success")))
            yield result

    def find(self, key: str) -> str:
        """Nobody can be asked."""
        return ""

    def _blame(self, job_id: str, job: Any, words: str, *, ended: bool = False) -> DeviceFault:
        text = f"device {self._device_id!r} ({self._name}), job {job_id}: {words.rstrip('.')}."
        try:
            status = job.status()
        except Exception:
            status = None
        if ended or str(getattr(status, "name", status)).upper() in _ENDED:
            return RemoteFailed(f"{text} It ended; trying again submits it anew.")
        return DeviceFault(f"{text} It may go on; trying again asks for the same job.")


def _way(backend: Any) -> Callable[[str], Any] | None:
    for way in _WAYS:
        found = backend
        for name in way:
            found = getattr(found, name, None)
            if name == "provider" and callable(found):  # a method in older providers
                found = found()
        if callable(found):
            return found
    return None
