"""The way that the circuits of a front end take: an engine of a site, opened at the first circuit, closed at exit."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from pathlib import Path

from qpu_executors.device import QPU
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.running import run
from qpu_executors.selector import select
from qpu_executors.site import Site

from ..engines import open_engine, quickest_engine


class Door:
    """A site's QPUs behind one pool.

    Args:
        site: as of `conqure.open_engine`; by default the site to use here.
        engine: ``parsl``, ``dask`` or ``threads``; by default the one that starts at once.
        pool: a pool of your own that takes ``submit(run, task)``; then nothing is opened.

    >>> Door("laptop").submit(task).result().counts
    """

    def __init__(
        self, site: Site | str | Path | None = None, *, engine: str | None = None, pool: Executor | None = None
    ) -> None:
        self.site = Site.load(site)
        self.engine = engine or quickest_engine(self.site)
        self._pool = pool
        self._engine: ExitStack | None = None  # if it is ours
        self._opening = threading.Lock()

    @property
    def qpus(self) -> Sequence[QPU]:
        return getattr(self._pool, "qpus", None) or self.site.qpus

    def select(self, device_id: str) -> list[QPU]:
        """The QPUs that a name or selector fits; `UnknownDevice` if there is none."""
        return select(device_id, list(self.qpus), where=f"site {self.site.name!r}")

    def submit(self, task: QuantumTask) -> Future[QuantumResult]:
        """Run a task on a QPU that its ``device_id`` selects."""
        return self._opened().submit(run, task)

    def close(self) -> None:
        """Wait for what runs and close the engine; the next circuit opens it again. A pool of yours stays open."""
        with self._opening:
            atexit.unregister(self.close)
            if self._engine is not None:
                self._engine.close()
                self._engine, self._pool = None, None

    def _opened(self) -> Executor:
        with self._opening:
            if self._pool is None:
                self._engine = ExitStack()
                self._pool = self._engine.enter_context(open_engine(self.engine, self.site)).qpus
                atexit.register(self.close)
            return self._pool


_shared: dict[tuple[int, str, str], Door] = {}  # by process, site and engine
_sharing = threading.Lock()


def door(site: Site | str | Path | None = None, *, engine: str | None = None, pool: Executor | None = None) -> Door:
    """The door to a site; the same one for everybody in this process, so that each QPU is opened once."""
    found = Door(site, engine=engine, pool=pool)
    if pool is not None:
        return found
    with _sharing:
        return _shared.setdefault((os.getpid(), repr(found.site), found.engine), found)
