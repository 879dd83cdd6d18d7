"""Where backends come from: a site's QPUs behind a pool, or the devices of a cloud queue."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qiskit.providers import JobV1

from qpu_executors.device import QPU
from qpu_executors.errors import InvalidTask, UnknownWork
from qpu_executors.records import QuantumTask
from qpu_executors.selector import Selector, select
from qpu_executors.site import Site

from ..door import Door, door
from .backend import QPUBackend
from .job import QPUJob

if TYPE_CHECKING:
    from conqure.queue.user_client import UserClient


def provider(
    site: Site | str | Path | None = None,
    engine: str | None = None,
    pool: Executor | None = None,
    client: UserClient | None = None,
) -> QPUProvider:
    """A provider of backends.

    Args:
        site, engine, pool: as of `conqure.interop.door.door`: by default the site to use here, and the engine that
            starts at once. The engine is opened at the first circuit.
        client: a `conqure.UserClient`; then every run is a work of its cloud queue.

    Raises:
        UnknownSite, InvalidSite; InvalidTask: a client and something of the others.

    >>> provider("laptop").get_backend("qubits>=12").run(circuit).result().get_counts()
    {'00': 507, '11': 517}
    """
    if client is None:
        return QPUProvider(door(site, engine=engine, pool=pool))
    if (site, engine, pool) != (None, None, None):
        raise InvalidTask("a client knows its own site. Give a client, or a site, engine or pool.")
    return QPUProvider(client=client)


class QPUProvider:
    """Backends over a pool (``door``) or a cloud queue (``client``); made by `provider`."""

    def __init__(self, door: Door | None = None, client: UserClient | None = None) -> None:
        self._door, self.client = door, client
        self._jobs: weakref.WeakValueDictionary[str, JobV1] = weakref.WeakValueDictionary()

    def backends(
        self,
        name: str | None = None,
        *,
        min_num_qubits: int = 0,
        tag: str | None = None,
        filters: Callable[[QPUBackend], bool] | None = None,
        **attributes: Any,
    ) -> list[QPUBackend]:
        """One backend for each QPU.

        Args:
            name: a name or a selector that it must fit. tag: a tag that it must have.
            filters: True for the backends that are wanted.
            attributes: of the backend or its QPU, for example ``driver="aer"``; others count as not equal.

        >>> [backend.name for backend in provider("laptop").backends(tag="ion")]
        ['ion0', 'ion1']
        """
        qpus = [qpu for qpu in self._qpus() if qpu.n_qubits >= min_num_qubits and tag in (None, *qpu.tags)]
        if name is not None:
            qpus = [qpu for qpu in qpus if qpu in select(name, self._qpus(), where=self._where)]
        found = [QPUBackend(self, qpu.device_id, [qpu]) for qpu in qpus]
        found = [backend for backend in found if filters is None or filters(backend)]
        return [b for b in found if all(_attribute(b, key) == value for key, value in attributes.items())]

    def get_backend(self, name: str = "any") -> QPUBackend:
        """The backend of a name, or one over all QPUs that a selector fits; `UnknownDevice` lists what there is."""
        qpus = select(name, self._qpus(), where=self._where)
        return QPUBackend(self, name, qpus)

    def job(self, work_id: str) -> JobV1:
        """A job by its id: a work of the queue from any process, a job in a pool from this one.

        Raises:
            UnknownWork: there is none.
        """
        if self.client is None:
            job = self._jobs.get(work_id)
            if job is None:
                raise UnknownWork(
                    f"this process has no job {work_id!r}. Jobs in a pool end with their program; those of a queue "
                    "are found from everywhere: provider(client=UserClient()).job(work_id)."
                )
            return job
        work = self.client.get_work(work_id)
        known = {qpu.device_id for qpu in self._qpus()}
        return self.get_backend(work.device_id if work.device_id in known else "any").attach(work_id)

    def close(self) -> None:
        """Close the engine, if it is ours; the next circuit opens it again. A client stays open."""
        if self._door is not None:
            self._door.close()

    def submit(self, tasks: Sequence[QuantumTask]) -> list[Future[Any]]:
        """Tasks to the pool, or as one work to the queue; futures of results, or of lists of them."""
        if self._door is not None:
            return [self._door.submit(task) for task in tasks]
        assert self.client is not None
        return [self.client.submit(list(tasks), _largest(tasks), str(tasks[0].priority))] if tasks else []

    def create_work(self, tasks: Sequence[QuantumTask], name: str) -> str:
        """One work of all tasks; its work_id."""
        assert self.client is not None
        more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
        work_id = self.client.create_work(
            list(tasks), _largest(tasks), str(tasks[0].priority), name=f"{name[:150]}{more}"
        )
        if work_id is None:
            raise InvalidTask("the queue did not take the circuits; its client has logged why.")
        return work_id

    def keep(self, job: QPUJob) -> QPUJob:
        self._jobs[job.job_id()] = job
        return job

    @property
    def _where(self) -> str:
        return f"site {self._door.site.name!r}" if self._door is not None else f"the queue {self.client!r}"

    def _qpus(self) -> Sequence[QPU]:
        if self._door is not None:
            return self._door.qpus
        assert self.client is not None
        return [_from_queue(self.client, device) for device in self.client.get_devices()]


def _from_queue(client: UserClient, device: dict[str, Any]) -> QPU:
    """A device as the queue describes it; what an embedded queue's site says of it is told as well."""
    about = client.get_soccfg(device["device_id"]) if client.setting == "embedded" else {}
    return QPU(
        device["device_id"],
        about.get("driver", ""),
        int(device.get("n_qubits") or 0),
        slots=int(device.get("slots") or 1),
        tags=tuple(device.get("tags") or ()),
        options=about.get("options") or {},
        reach="queue",
    )


def _largest(tasks: Sequence[QuantumTask]) -> str:
    """The device_id of the task that asks for most qubits: a work goes to one QPU."""
    return max((task.device_id for task in tasks), key=lambda device_id: Selector.parse(device_id).n_qubits)


def _attribute(backend: QPUBackend, name: str) -> Any:
    return getattr(backend, name, getattr(backend.qpus[0], name, None))
