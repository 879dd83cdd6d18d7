"""A stand-in for a vendor's cloud: a small HTTP service in a process of its own, with a QPU that bills by the shot.

Jobs have ids and tags, run one after the other on our state vector, and outlive whoever submitted them. The service
counts what it was given and what it billed. While it is told to ``hold``, jobs are taken but none begins.

    POST /jobs            {"program", "rows", "shots", "seed", "tag"} -> {"id"}
    GET  /jobs?tag=TAG    -> {"ids"}, the oldest first
    GET  /jobs/ID         -> {"status": queued, running, done or failed, "counts", "error"}
    GET  /                -> {"submissions", "shots_billed", "shot_s", "jobs": {ID: status}}
    POST /reset           {}
    POST /behaviour       {"hold": bool, "fail": jobs that will fail, "offline": bool, "delay_s": seconds of a job}
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from qpu_executors import QPU, HeldDevice, QuantumTask, registry

SHOT_S = 0.001
NAME, DRIVER = "conqure_vendor", Path(__file__).with_name("conqure_vendor.py")


class Service:
    """What the requests act on."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self.reset()
        threading.Thread(target=self._work, daemon=True).start()

    def reset(self) -> dict[str, Any]:
        with self._changed:
            self.jobs.clear()
            self._ids = itertools.count(1)
            self.shots_billed = 0
            self.behaviour: dict[str, Any] = {"hold": False, "fail": 0, "offline": False, "delay_s": 0.0}
        return {}

    def submit(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            job_id = f"job-{next(self._ids)}"
            self.jobs[job_id] = {"status": "queued", "counts": None, "error": "", "order": order}
            self._changed.notify_all()
        return {"id": job_id}

    def behave(self, changes: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            self.behaviour |= changes
            self._changed.notify_all()
        return self.behaviour

    def find(self, tag: str) -> dict[str, Any]:
        return {"ids": [job_id for job_id, job in self.jobs.items() if job["order"]["tag"] == tag]}

    def look(self, job_id: str) -> dict[str, Any]:
        return {name: self.jobs[job_id][name] for name in ("status", "counts", "error")}

    def books(self) -> dict[str, Any]:
        jobs = {job_id: job["status"] for job_id, job in self.jobs.items()}
        return {"submissions": len(jobs), "shots_billed": self.shots_billed, "shot_s": SHOT_S, "jobs": jobs}

    def _work(self) -> None:
        held = HeldDevice(QPU("behind", "statevector", 10))
        while True:
            with self._changed:
                job = self._changed.wait_for(self._next)
                fails = self.behaviour["fail"] > 0
                self.behaviour["fail"] -= fails
            job["status"] = "running"
            time.sleep(self.behaviour["delay_s"])
            if fails:
                job |= {"status": "failed", "error": "the laser was off"}
                continue
            order = job["order"]
            task = QuantumTask(order["program"], "gates", "any", order["shots"], order["rows"], order["seed"])
            counts = held.run(task).counts
            self.shots_billed += task.shots * task.n_rows
            job |= {"status": "done", "counts": counts}

    def _next(self) -> dict[str, Any] | None:
        if self.behaviour["hold"]:
            return None
        return next((job for job in self.jobs.values() if job["status"] == "queued"), None)


class Handler(BaseHTTPRequestHandler):
    service: Service

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path)
        tag = urllib.parse.parse_qs(path.query).get("tag")
        if path.path == "/":
            self._answer(self.service.books)
        elif tag:
            self._answer(lambda: self.service.find(tag[0]))
        else:
            self._answer(lambda: self.service.look(path.path.removeprefix("/jobs/")))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        verbs = {"/behaviour": self.service.behave, "/jobs": self.service.submit}
        self._answer(self.service.reset if self.path == "/reset" else lambda: verbs[self.path](body))

    def _answer(self, verb: Callable[[], dict[str, Any]]) -> None:
        is_out = self.service.behaviour["offline"] and self.path not in ("/behaviour", "/reset")
        data = json.dumps({"error": "maintenance"} if is_out else verb()).encode()
        self.send_response(503 if is_out else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None: ...


class Vendor:
    """The service as a test sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def behave(self, **changes: Any) -> None:
        self._ask("/behaviour", changes)

    def reset(self) -> None:
        self._ask("/reset", {})

    @property
    def books(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("/")
        return found

    @property
    def submissions(self) -> int:
        return int(self.books["submissions"])

    @property
    def shots_billed(self) -> int:
        return int(self.books["shots_billed"])

    def qpu(self, name: str = "vendor0", **options: Any) -> QPU:
        return QPU(name, "vendor", 10, options={"url": self.url, **options})

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.url + path, data, timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def vendor_service() -> Iterator[Vendor]:
    """The service, in a process of its own until the block ends."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Vendor(process.stdout.readline().strip())
        finally:
            process.kill()


def install_driver(folder: Path) -> Path:
    """The driver as an installed package: in a folder for ``PYTHONPATH``, with its entry point."""
    about = folder / f"{NAME}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[conqure.devices]\nvendor = {NAME}:VendorDevice\n")
    (folder / DRIVER.name).write_text(DRIVER.read_text())
    return folder


# Fixtures: a conftest.py that imports them offers them.


@pytest.fixture(scope="session")
def vendors_service() -> Iterator[Vendor]:
    with vendor_service() as service:
        yield service


@pytest.fixture(name="vendor")
def vendor_without_a_past(vendors_service: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """The service, and its driver installed for this process and those it starts."""
    vendors_service.reset()
    folder = install_driver(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    registry._entry_points.cache_clear()
    yield vendors_service
    registry._entry_points.cache_clear()


if __name__ == "__main__":
    Handler.service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
