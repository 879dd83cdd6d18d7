"""`UserClient`: hand in works, leave, come back for the results."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import InvalidWork, WorkTimeout
from qpu_executors.records import Priority

from .packing import pack
from .results import check_ended_well, read_results
from .setting import Order, Setting, Sight
from .store import Store, WorkQuery
from .watching import Watcher, WorkFuture
from .work import WorkRecord, WorkStatus

if TYPE_CHECKING:
    from qpu_executors.site import Site


class UserClient:
    """A user's door to the cloud queue, in one of three settings with the same methods.

    * ``embedded``: nothing to start; works run on this process's pool for the current site, records are kept in the
      user's own store.
    * ``remote``: a service (`conqure serve`) keeps the works and runs them.
    * ``sideqick``: the AWS interface, by the configuration files of SideQICK. Its eight methods answer as SideQICK's:
      errors of the interface are logged, and the method returns None.

    ``client.setting`` says which one it is. Without arguments the configuration decides (docs/queue.md): the variable
    CONQURE_QUEUE_URL, ``~/.config/conqure/client.toml``, the current site, ``~/.config/qick.conf``, else embedded.
    A client is used by several threads at once if need be, and closes itself at the end of the program. Embedded
    clients of one process share the pool where they share store and site.

    Args:
        url: address of a service, ``https://queue.lab.example``.
        token: what proves who you are there; by default the configured one of the same address.
        ca: a file with the certificate that signed the service's, where the system does not know it.
        embedded: no service, whatever is configured. store, site: the same, with this store (or its URL) and site.
        start: False to keep works without running them until somebody waits (embedded only).

    Raises:
        InvalidWork, NotLoggedIn, UnknownSite, StoreError: the configuration is not usable; the text says why.

    >>> with UserClient(embedded=True, store="memory:") as client:
    ...     work_id = client.create_work(bell, shots=100)
    ...     client.wait_until_done(work_id, progress=False)
    ...     client.get_results(work_id).counts
    ({'00': 52, '11': 48},)
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        ca: str | Path | None = None,
        embedded: bool = False,
        store: Store | str | None = None,
        site: Site | str | Path | None = None,
        start: bool = True,
    ) -> None:
        from .configuration import choose

        self._queue: Setting = choose(url, token, ca, embedded, store, site, start)
        self._watcher: Watcher | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def setting(self) -> str:
        """``embedded``, ``remote`` or ``sideqick``."""
        return self._queue.name

    @property
    def where(self) -> str:
        """The address of the service, or the store of an embedded queue."""
        return self._queue.where

    def create_work(
        self,
        workloadfile: Any = None,
        device_id: str | None = None,
        priority: str = "LOW",
        *,
        workload: Any = None,
        shots: int | None = None,
        parameter_values: Any = None,
        seed: int | None = None,
        name: str = "",
        loop: str = "",
        convergence: float | None = None,
        format: str | None = None,
    ) -> str | None:
        """Hand in a work; it is on disk when this returns.

        Args:
            workloadfile, workload: one of the two: a `QuantumCircuit`, OpenQASM text, a gates program, a PennyLane
                tape, a `QuantumTask`, a list of these, DAX text, a path, a binary file (read from its start, then
                closed), or bytes or text that only the device understands.
            device_id: a name, a UUID or a selector (``"any"``, ``"tag:ion"``, ``"qubits>=7"``).
            priority: HIGH, MEDIUM or LOW.
            shots, parameter_values, seed: as `as_task` takes them, for circuits and tasks.
            name: what you call it. loop, convergence: see `WorkRecord`.
            format: ``opaque`` to hand bytes or text to the device as they are; else found out.

        Returns:
            The work_id.

        Raises:
            InvalidWork, InvalidTask, UnknownDevice: it cannot be run as it is; TooLarge, TooMany, NotLoggedIn,
            QueueUnavailable, StoreError.

        >>> client.create_work(circuit, "ion0", "HIGH", shots=1000)
        '5e8d0a52-…'
        """
        if workload is not None and workloadfile is not None:
            raise InvalidWork("workload and workloadfile are two names of the same argument. Give one of them.")
        given = workloadfile if workload is None else workload
        settings: dict[str, Any] = {
            "shots": shots,
            "parameter_values": parameter_values,
            "seed": seed,
            "format": format,
        }
        about: dict[str, Any] = {"name": name, "loop": loop, "convergence": convergence}
        with self._queue.conventions:
            return self._create(given, device_id, priority, **settings, **about).work_id
        return None

    def get_work(self, work_id: str) -> Any:
        """The work as it is now: a `WorkRecord`; in the setting ``sideqick`` the dictionary that AWS's interface gives.

        >>> client.get_work(work_id).status
        <WorkStatus.DONE: 'DONE'>
        """
        with self._queue.conventions:
            return self._queue.describe(work_id)

    def list_work(
        self,
        *,
        device_id: str = "",
        status: str | WorkStatus | tuple[str, ...] | list[str] = (),
        priority: str | None = None,
        owner: str = "",
        source: str = "",
        loop: str = "",
        since: float | None = None,
        limit: int = 100,
        everybody: bool = False,
    ) -> list[WorkRecord]:
        """Works, newest first; every filter narrows the list.

        Args:
            status: one or several. since: created at this time (seconds since the epoch) or later.
            everybody: others' works too, as far as you may see them; by default yours.
        """
        names = [status] if isinstance(status, str) else list(status)
        query = WorkQuery(
            owner=owner,
            device_id=device_id,
            statuses=tuple(_choice("status", WorkStatus, name) for name in names),
            priority=None if priority is None else _choice("priority", Priority, priority),
            source=source,
            loop=loop,
            since=since,
        )
        return self._queue.find(query, limit, everybody)

    def cancel_work(self, work_id: str, reason: str = "") -> WorkRecord:
        """End a work that waits at once; ask one that runs to end (``cancel_requested``); leave one that has ended."""
        return self._queue.cancel(work_id, reason)

    def wait_until_done(
        self, work_id: str, interval: float = 1.0, progress: bool = True, *, timeout: float | None = None
    ) -> None:
        """Return when the work is DONE.

        Args:
            interval: seconds between two signs of life; the end is noticed at once wherever the setting can.
            progress: print the status and a dot for each interval.
            timeout: seconds; None waits for as long as it takes.

        Raises:
            WorkFailed, WorkCanceled: it ended otherwise; the text says why. WorkTimeout: it goes on.
        """
        with _Progress(progress) as shown:
            work = self._wait(work_id, interval, timeout, shown)
        check_ended_well(work)

    def get_results(self, work_id: str) -> Any:
        """What came of a work.

        Returns:
            `QuantumResult` for a circuit or a task, a list of them for a list, else a binary file at its start that
            is an array too (`numpy.asarray`) and reads JSON (``.json()``).

        Raises:
            WorkNotDone: it is not DONE.
        """
        with self._queue.conventions:
            return read_results(*self._queue.results(work_id))

    def submit(self, workload: Any, device_id: str | None = None, priority: str = "LOW", **options: Any) -> WorkFuture:
        """`create_work`, with the same options, as a future of what `get_results` will give.

        ``future.work_id`` is the work; ``cancel()`` cancels it too. One thread per client looks after all its futures.

        >>> client.submit(circuit, "ion0", shots=100).result().counts
        ({'00': 48, '11': 52},)
        """
        work = self._create(workload, device_id, priority, **options)
        with self._lock:
            self._watcher = self._watcher or Watcher(self._queue)
        return self._watcher.watch(work)

    def add_user(self, email: str, fullname: str) -> Any:
        """Make a user (admins only). Without a password of your choice one is made: the answer shows it this once."""
        with self._queue.conventions:
            return self._queue.add_user(email, fullname)

    def add_device(self, device_name: str, refresh_timeout: int = 60) -> Any:
        """Register a lab's device (admins only); the answer shows its ``client_id`` and ``client_secret`` this once.

        Args:
            refresh_timeout: seconds of silence after which the device counts as OFFLINE.
        """
        with self._queue.conventions:
            return self._queue.add_device(device_name, refresh_timeout)

    def get_devices(self) -> Any:
        """The devices, a list of dictionaries: name, status, size, how many works wait for it."""
        with self._queue.conventions:
            return self._queue.devices()

    def get_soccfg(self, device_id: str | None = None) -> Any:
        """The configuration that a device uploaded, a dictionary; of an embedded queue what the site says about it."""
        with self._queue.conventions:
            return self._queue.configuration(device_id or self._queue.device_id)

    def close(self) -> None:
        """End the client's threads and connections; works go on, and those of an embedded queue that wait are kept."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._watcher is not None:
            self._watcher.close()
        self._queue.close()

    def __enter__(self) -> UserClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<UserClient {self.setting} {self.where}>"

    def _create(
        self,
        workload: Any,
        device_id: str | None,
        priority: str,
        *,
        name: str = "",
        loop: str = "",
        convergence: float | None = None,
        **settings: Any,
    ) -> WorkRecord:
        urgency = _choice("priority", Priority, priority)
        packed = pack(workload, device_id or self._queue.device_id, urgency, **settings)
        return self._queue.create(Order(packed, urgency, name, loop, convergence))

    def _wait(self, work_id: str, interval: float, timeout: float | None, shown: _Progress) -> WorkRecord:
        deadline = None if timeout is None else time.monotonic() + timeout
        sight = self._queue.look(work_id)
        while True:
            shown.see(sight)
            if sight.work.status.is_final:
                return sight.work
            left = interval if deadline is None else min(interval, deadline - time.monotonic())
            if left <= 0 and deadline is not None:
                raise WorkTimeout(
                    f"work {work_id} is {sight.work.status} after {timeout:g} s and goes on. Wait again, or end it: "
                    f"client.cancel_work({work_id!r})"
                )
            sight = self._queue.look(work_id, max(left, 0.0), sight.work.status)


class _Progress:
    """Prints how a work goes: its status, a dot for each look, a new line when something changes."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._text = ""

    def see(self, sight: Sight) -> None:
        if not self._wanted:
            return
        text = f"workload is {sight.work.status}"
        if sight.position and sys.stdout.isatty():
            text += f", {sight.position} before it"
        if text == self._text:
            print(".", end="", flush=True)
        else:
            print("\n" * bool(self._text) + text, end="", flush=True)
            self._text = text

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._text:
            print(flush=True)


def _choice(name: str, kind: Any, value: object) -> Any:
    try:
        return kind(str(value).upper())
    except ValueError:
        raise InvalidWork(f"{name} must be one of {', '.join(kind)}, not {str(value)[:40]!r}.") from None
