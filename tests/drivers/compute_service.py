"""A machine behind IBM's Quantum Compute Service (once: Qiskit Runtime), which knows sessions, on loopback.

QRMI's own library is the client (qiskit-community/qrmi, dependencies/quantum_compute_client).
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .ibm_machine import APIKEY, CRN, Machine, Service


class _ComputeAPI(Service):
    def do_GET(self) -> None:
        self.body()
        url, machine = urlsplit(self.path), self.machine
        if self.is_stranger():
            return None
        if url.path == "/jobs":
            session = parse_qs(url.query).get("session_id", [""])[0]
            mine = [j for j in machine.jobs.values() if j["session_id"] == session and j["status"] == "Queued"]
            return self.answer(200, {"jobs": mine, "count": len(mine), "offset": 0, "limit": 200})
        if session := re.fullmatch(r"/sessions/([^/]+)", url.path):
            found = machine.sessions.get(session[1])
            return self.answer(200, found) if found else self.refuse(404, f"session {session[1]} is not found")
        if url.path == "/backends":
            return self.answer(200, {"devices": [machine.entry()]})
        if backend := re.fullmatch(rf"/backends/{machine.name}/(status|configuration|properties)", url.path):
            return self.answer(200, machine.about()[backend[1]])
        job = re.fullmatch(r"/jobs/([^/]+)(/results|/logs|)", url.path)
        if job is None or job[1] not in machine.jobs:
            return self.refuse(404, f"{url.path} is not found")
        if job[2]:
            logs = machine.jobs[job[1]]["state"].get("reason", "").encode()
            return self.send(200, machine.results[job[1]] if job[2] == "/results" else logs, "text/plain")
        return self.answer(200, machine.jobs[job[1]])

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/identity/token":
            return self.give_token(body)
        if self.is_stranger():
            return None
        if self.path == "/sessions":
            return self.answer(200, self.machine.open_session(json.loads(body)))
        if self.path == "/jobs":
            return self.answer(200, self.machine.submit(json.loads(body)))
        job = re.fullmatch(r"/jobs/([^/]+)/cancel", self.path)
        if job is None or job[1] not in self.machine.jobs:
            return self.refuse(404, f"{self.path} is not found")
        self.machine.set_status(job[1], "Cancelled")
        return self.answer(204)

    def do_PATCH(self) -> None:
        """A session that accepts no more jobs ends with its last."""
        wanted = json.loads(self.body())
        self._end(self.path.rpartition("/")[2], wanted["accepting_jobs"])

    def do_DELETE(self) -> None:
        self.body()
        self._end(self.path.removesuffix("/close").rpartition("/")[2], False)

    def _end(self, session_id: str, accepting: bool) -> None:
        if not self.is_stranger():
            self.machine.sessions[session_id]["accepting_jobs"] = accepting
            self.answer(204)


class ComputeService(Machine):
    """See `Machine`; ``sessions`` are what the service says of each, by id, ``results`` those of jobs."""

    handler = _ComputeAPI

    def __init__(self, name: str = "test_eagle", model: str = "manila") -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.results: dict[str, bytes] = {}
        super().__init__(name, model)

    def environment(self) -> dict[str, str]:
        """What a job has that was given this machine, except for the plugin's acquisition."""
        access = {"ENDPOINT": self.url, "IAM_ENDPOINT": self.url, "IAM_APIKEY": APIKEY, "SERVICE_CRN": CRN}
        return {
            "QRMI_JOB_QPU_RESOURCES": self.name,
            "QRMI_JOB_QPU_TYPES": "ibm-quantum-compute-service",
            **{f"{self.name}_QRMI_IBM_QCS_{name}": value for name, value in access.items()},
        }

    def entry(self) -> dict[str, Any]:
        """The machine in the list of all."""
        status = {"name": self.status, "reason": "available" if self.status == "online" else "maintenance"}
        return {
            "name": self.name,
            "status": status,
            "qubits": self.configuration["n_qubits"],
            "queue_length": 0,
            "is_simulator": False,
            "backend_version": "1.0",
        }

    def about(self) -> dict[str, dict[str, Any]]:
        state = {"state": self.status == "online", "status": "active" if self.status == "online" else self.status}
        return {
            "status": {**state, "length_queue": 0, "backend_version": "1.0"},
            "configuration": self.configuration,
            "properties": self.properties,
        }

    def open_session(self, wanted: dict[str, Any]) -> dict[str, Any]:
        session = {
            "id": f"session-{uuid.uuid4()}",
            "backend_name": wanted["backend"],
            "mode": wanted["mode"],
            "max_ttl": wanted["max_ttl"],
            "active_ttl": wanted["max_ttl"],
            "accepting_jobs": True,
        }
        self.sessions[session["id"]] = session
        return session

    def submit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Accept a job; it runs after those before it."""
        job_id = f"job-{uuid.uuid4()}"
        self.jobs[job_id] = {
            "id": job_id,
            "backend": request["backend"],
            "session_id": request.get("session_id", ""),
            "program": {"id": request["program_id"]},
            "created": "2026-01-01T00:00:00Z",
            "cost": request.get("cost") or 0,
            "status": "Queued",
            "state": {"status": "Queued"},
        }
        self.runner.submit(self._run, job_id, request["params"])
        return {"id": job_id, "backend": request["backend"]}

    def set_status(self, job_id: str, status: str, reason: str = "") -> None:
        self.jobs[job_id].update(status=status, state={"status": status, "reason": reason})

    def _run(self, job_id: str, wanted: dict[str, Any]) -> None:
        try:
            result = self.compute(job_id, wanted)
        except Exception as error:
            return self.set_status(job_id, "Failed", str(error))
        if result is not None:
            self.results[job_id] = result
            self.set_status(job_id, "Completed")
        return None
