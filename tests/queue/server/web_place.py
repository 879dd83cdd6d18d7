"""A service with QPUs and people for the tests of the page, and a browser without a window."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from conqure.queue.dispatcher import Dispatcher
from conqure.queue.server.passwords import hashed
from conqure.queue.server.service import Service
from conqure.queue.work import WorkloadFormat, WorkRecord, WorkStatus, new_work_id
from qpu_executors import QPU, QPUThreadPool, as_task

from .conftest import PASSWORD, running_service

QPUS = (QPU("sv0", "statevector", 12, tags=("simulator",)), QPU("sv1", "statevector", 5, tags=("small",)))
ADA, BOB = "ada@lab.example", "bob@lab.example"
HOSTILE = "<img src=x onerror=document.title='hacked'><b>&\"'"
BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'


@dataclass
class Place:
    """A running service. ``url`` is that of its page; nothing runs works until there is a dispatcher."""

    url: str
    service: Service

    @contextlib.contextmanager
    def dispatching(self) -> Iterator[None]:
        with QPUThreadPool(list(QPUS)) as pool, Dispatcher(self.service.works, pool, QPUS):
            yield

    def work(self, owner: str = ADA, workload: bytes | None = None, **facts: Any) -> WorkRecord:
        """A work that waits, as if it had come by another door."""
        payload = as_task(BELL, shots=100).to_json().encode() if workload is None else workload
        values = {"format": WorkloadFormat.TASK, "device_id": "sv0", "n_qubits": 2, "shots": 100} | facts
        now = time.time()
        work = WorkRecord(new_work_id(), owner, status=WorkStatus.READY, created_at=now, ready_at=now, **values)
        return self.service.works.add(work, payload)

    def ended(self, work: WorkRecord, status: WorkStatus = WorkStatus.DONE, **facts: Any) -> WorkRecord:
        """The same work after it has run."""
        self.service.works.claim([work.work_id], "somebody", None, time.time())
        return self.service.works.move(work.work_id, status, time.time(), **facts)

    def visitor(self, user_id: str | None = ADA) -> Visitor:
        found = Visitor(self.url)
        if user_id:
            found.log_in(user_id)
        return found


class Visitor(requests.Session):
    """A browser without a window: cookies, pages, forms with their token."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def show(self, path: str, **options: Any) -> requests.Response:
        return self.get(self.url + path, timeout=60, **options)

    def token(self, path: str = "/submit") -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.show(path).text)
        assert found, path
        return found[1]

    def submit(self, path: str, fields: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        data = {"form_token": self.token("/login" if path == "/login" else "/submit")} | (fields or {})
        return self.post(self.url + path, data, timeout=60, **options)

    def log_in(self, user_id: str, password: str = PASSWORD, **fields: str) -> requests.Response:
        return self.submit("/login", {"email": user_id, "password": password} | fields)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Place]:
    """A service with two QPUs, an administrator and two users."""
    with running_service(folder) as running:
        service: Service = running.app.state.service
        service.accounts.set_site_devices("lab", QPUS, time.time())
        service.accounts.refresh_site_devices("lab", "ONLINE", time.time() + 1e6)
        for user_id, name in ((ADA, "Ada"), (BOB, HOSTILE)):
            service.accounts.add_user(user_id, name, hashed(PASSWORD, by_us=True))
        yield Place(f"{running.url}/web", service)
