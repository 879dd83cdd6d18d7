"""The setting ``embedded``: nothing to start. Works are kept in the user's store and run on this process's own pool."""

from __future__ import annotations

import atexit
import contextlib
import getpass
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import InvalidTask, InvalidWork, NotAllowed

from .own_pool import OwnPool
from .results import check_done
from .setting import Conventions, Order, Sight
from .store import Store, WorkQuery, open_store
from .stores import default_url
from .work import WorkloadFormat, WorkRecord, WorkStatus
from .workloads import check_workload

if TYPE_CHECKING:
    from qpu_executors.site import Site

LOOK_S = 0.25  # how often a wait looks whether another process has changed the work
_MOST_BEFORE = 1000
_SERVICE = (
    "an embedded queue is one person's own: it has no users and takes no devices but the site's. A lab's queue is a "
    "service; an administrator starts one with: conqure serve --site SITE"
)


_shared: dict[tuple[int, str, str], EmbeddedQueue] = {}  # by process, store and site
_sharing = threading.Lock()


def open_embedded(site: Site, store: Store | str | None = None, start: bool = True) -> EmbeddedQueue:
    """The queue of a store on a site; the same one for all clients of a process, so that each QPU is opened once."""
    if not start or store == "memory:" or not (store is None or isinstance(store, str)):
        return EmbeddedQueue(site, store, start)
    key = (os.getpid(), store or default_url(), repr(site))
    with _sharing:
        if key not in _shared:
            _shared[key] = EmbeddedQueue(site, store)
        _shared[key].users += 1
        return _shared[key]


class EmbeddedQueue:
    """See `conqure.queue.setting.Setting`. The pool opens when the first work comes, in the background."""

    name = "embedded"

    def __init__(self, site: Site, store: Store | str | None = None, start: bool = True) -> None:
        self.site = site
        self._own_store = not hasattr(store, "claim")
        self._store: Store = open_store(store) if store is None or isinstance(store, str) else store
        self.where = self._store.url
        self.device_id: str | None = None
        self.conventions: Conventions = contextlib.nullcontext()
        self._start = start
        self._owner = getpass.getuser()
        self._changes = 0
        self._changed = threading.Condition()
        self._lock = threading.Lock()
        self._pool: OwnPool | None = None
        self._closed = False
        self.users = 0  # clients that share it
        self._store.listeners.append(self._notice)
        atexit.register(self._end)

    def create(self, order: Order) -> WorkRecord:
        packed, now = order.packed, time.time()
        facts = check_workload(packed.format, packed.payload)
        self._check_device(packed.device_id, facts["n_qubits"])
        work = WorkRecord(
            order.work_id,
            self._owner,
            packed.device_id,
            order.priority,
            WorkStatus.READY,
            packed.format,
            name=order.name,
            loop=order.loop,
            convergence=order.convergence,
            created_at=now,
            ready_at=now,
            **facts,
        )
        kept = self._store.add(work, packed.payload)
        if self._start:
            self._open_pool()
        return kept

    def look(self, work_id: str, wait: float = 0.0, seen: str = "") -> Sight:
        deadline = time.monotonic() + wait
        while True:
            changes = self._changes
            work = self._store.get(work_id)
            left = deadline - time.monotonic()
            if left <= 0 or work.status != seen:
                return Sight(work, self._position(work))
            self._run()
            with self._changed:
                if changes == self._changes:  # else something has changed since we looked
                    self._changed.wait(min(left, LOOK_S))

    def describe(self, work_id: str) -> WorkRecord:
        return self._store.get(work_id)

    def find(self, query: WorkQuery, limit: int, everybody: bool) -> list[WorkRecord]:
        return self._store.find(query, limit)

    def cancel(self, work_id: str, reason: str) -> WorkRecord:
        return self._store.ask_cancel(work_id, time.time(), reason)

    def results(self, work_id: str) -> tuple[bytes, WorkloadFormat | None]:
        work = self._store.get(work_id)
        check_done(work)
        return self._store.payload(work.results), work.format

    def add_user(self, email: str, fullname: str) -> Any:
        raise NotAllowed(f"no user {email!r} can be added: {_SERVICE}")

    def add_device(self, device_name: str, refresh_timeout: int) -> Any:
        raise NotAllowed(f"no device {device_name!r} can be added: {_SERVICE}")

    def devices(self) -> list[dict[str, Any]]:
        counts = self._store.counts()
        return [
            {
                "device_id": qpu.device_id,
                "uuid": "",
                "status": "ONLINE",
                "n_qubits": qpu.n_qubits,
                "slots": qpu.slots,
                "tags": list(qpu.tags),
                "at_site": True,
                "waiting": counts.get(qpu.device_id, {}).get(WorkStatus.READY, 0),
                "executing": counts.get(qpu.device_id, {}).get(WorkStatus.EXECUTING, 0),
            }
            for qpu in self.site.qpus
        ]

    def configuration(self, device_id: str | None) -> Any:
        if not device_id:
            raise InvalidWork("whose configuration? Give device_id; client.get_devices() lists the devices.")
        qpu = self.site.qpu(device_id)
        return next(found for found in self.site.describe()["qpus"] if found["device_id"] == qpu.device_id)

    def close(self) -> None:
        with _sharing:
            self.users -= 1
            if self.users > 0:
                return
            for key in [key for key, queue in _shared.items() if queue is self]:
                del _shared[key]
        self._end()

    def _run(self) -> None:
        """Run what waits, from now until the end; what keeps the pool from opening is raised here."""
        self._open_pool()
        if self._pool is not None and self._pool.error is not None:
            raise self._pool.error

    def _open_pool(self) -> None:
        with self._lock:
            if self._pool is None and not self._closed:
                self._pool = OwnPool(self._store, self.site, self._end_before_the_engine)

    def _end(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self._end)
        if self._pool is not None:
            self._pool.close()
        with contextlib.suppress(ValueError):
            self._store.listeners.remove(self._notice)
        if self._own_store:
            self._store.close()

    def _end_before_the_engine(self) -> None:
        """At the end of the program the last to register goes first, and engines have registered by now."""
        atexit.unregister(self._end)
        if not self._closed:
            atexit.register(self._end)

    def _notice(self, work: WorkRecord) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _check_device(self, device_id: str, n_qubits: int) -> None:
        """A work that fits no QPU would wait for ever."""
        largest = max(qpu.n_qubits for qpu in self.site.select(device_id))
        if n_qubits > largest:
            raise InvalidTask(
                f"the work needs {n_qubits} qubits, and {device_id!r} of site {self.site.name!r} has {largest}. Choose "
                "a larger device; 'conqure devices' lists them."
            )

    def _position(self, work: WorkRecord) -> int | None:
        """How many works are before it in its line."""
        if work.status is not WorkStatus.READY:
            return None
        before = [other.work_id for other in self._store.waiting([work.device_id], _MOST_BEFORE)]
        return before.index(work.work_id) if work.work_id in before else None
