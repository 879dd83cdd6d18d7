"""The pool of an embedded queue and the dispatcher in front of it, opened in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .store import Store

if TYPE_CHECKING:
    from qpu_executors.site import Site

LEASE_S = 15.0  # the works of a program that was killed are run by another one after this


class OwnPool:
    """Opens the site's quickest engine and runs the works of a store on it, until `close`.

    Attributes:
        error: why it could not be opened; None while all is well.
    """

    def __init__(self, store: Store, site: Site, opened: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._store, self._site, self._opened = store, site, opened
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="conqure-own-pool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait a moment for what runs; what waits stays READY."""
        self._end.set()
        self._thread.join()

    def _serve(self) -> None:
        from qpu_executors.observing import unobserved

        from ..engines import open_engine, quickest_engine
        from .dispatcher import Dispatcher

        site = replace(self._site, cpu_workers=1)  # no more than works need
        try:
            name = quickest_engine(site)
            with (
                unobserved(),  # works have records already
                open_engine(name, site) as engine,
                Dispatcher(self._store, engine.qpus, site.qpus, engine=name, lease_s=LEASE_S),
            ):
                self._opened()
                self._end.wait()
        except Exception as error:
            self.error = error
