"""A machine behind IBM's Quantum System API (once: Direct Access), with its IAM and its S3 bucket, on loopback.

QRMI's own library is the client. The paths, the fields and the codes are those that it uses (qiskit-community/qrmi,
dependencies/quantum_system_client). Jobs are read from the bucket through the presigned URL, run by Aer, and their
results are written there.
"""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from .ibm_machine import APIKEY, CRN, Machine, Service

BUCKET, ACCESS_KEY = "jobs", "an-access-key"


class _QuantumSystemAPI(Service):
    """Two services behind one address: the API under /v1 and /identity, the bucket under its name."""

    def do_GET(self) -> None:
        if self.path.startswith(f"/{BUCKET}/"):
            return self._get_object()
        self.body()
        path, machine = urlsplit(self.path).path, self.machine
        if self.is_stranger():
            return None
        if path == "/v1/jobs":
            return self.answer(200, {"jobs": list(machine.jobs.values())})
        if job := re.fullmatch(r"/v1/jobs/([^/]+)", path):
            found = machine.jobs.get(job[1])
            return self.answer(200, found) if found else self.refuse(404, f"job {job[1]} is not found")
        backend = re.fullmatch(r"/v1/backends/([^/]+)(/configuration|/properties|/lanes|)", path)
        if backend is None or backend[1] != machine.name:
            return self.refuse(404, f"{path} is not found")
        return self.answer(200, machine.about()[backend[2]])

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/identity/token":
            return self.give_token(body)
        if self.is_stranger():
            return None
        job = re.fullmatch(r"/v1/jobs/([^/]+)/cancel", self.path)
        if self.path == "/v1/jobs":
            self.machine.submit(json.loads(body))
        elif job is None or job[1] not in self.machine.jobs:
            return self.refuse(404, f"{self.path} is not found")
        else:
            self.machine.jobs[job[1]]["status"] = "Cancelled"
        return self.answer(204)

    def do_DELETE(self) -> None:
        self.body()
        job_id = self.path.rpartition("/")[2]
        if self.is_stranger():
            return None
        if self.machine.jobs.get(job_id, {"status": "Running"})["status"] == "Running":
            return self.refuse(404, f"job {job_id} is not found, or runs")
        self.machine.deleted.append(job_id)
        del self.machine.jobs[job_id]
        return self.answer(204)

    def do_PUT(self) -> None:
        body = self.body()
        if not self._is_signed():
            return self.answer(403, {})
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = _unchunked(body)
        self.machine.bucket[urlsplit(self.path).path] = body
        return self.answer(200)

    def _get_object(self) -> None:
        found = self.machine.bucket.get(urlsplit(self.path).path)
        if found is None or not self._is_signed():
            return self.answer(403 if found else 404, {})
        return self.send(200, found)

    def _is_signed(self) -> bool:
        signed = self.headers.get("Authorization", "").startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")
        return signed or f"X-Amz-Credential={ACCESS_KEY}" in self.path


class QuantumSystem(Machine):
    """See `Machine`; ``deleted`` are the ids of jobs that were."""

    handler = _QuantumSystemAPI

    def __init__(self, name: str = "test_heron", model: str = "manila") -> None:
        self.deleted: list[str] = []
        self.bucket: dict[str, bytes] = {}
        super().__init__(name, model)

    def environment(self) -> dict[str, str]:
        """What the SPANK plugin puts into a job that was given this machine."""
        return {
            "QRMI_JOB_QPU_RESOURCES": self.name,
            "QRMI_JOB_QPU_TYPES": "ibm-quantum-system",
            f"{self.name}_QRMI_JOB_TIMEOUT_SECONDS": "600",
            f"{self.name}_QRMI_JOB_ACQUISITION_TOKEN": "of-the-plugin",
            **{f"{self.name}_QRMI_IBM_QS_{name}": value for name, value in self.access().items()},
        }

    def access(self) -> dict[str, str]:
        """Addresses and credentials."""
        return {
            "ENDPOINT": self.url,
            "IAM_ENDPOINT": self.url,
            "IAM_APIKEY": APIKEY,
            "SERVICE_CRN": CRN,
            "S3_ENDPOINT": self.url,
            "S3_BUCKET": BUCKET,
            "S3_REGION": "us-east",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": "a-secret",
        }

    def about(self) -> dict[str, dict[str, Any]]:
        """What the API says of the machine, by the end of the path."""
        return {
            "": {"name": self.name, "status": self.status, "version": "1.0"},
            "/configuration": self.configuration,
            "/properties": self.properties,
            "/lanes": {"hpc_workload_manager": {"lanes": 4}, "ibm_quantum_compute": {"lanes": 1}},
        }

    def submit(self, request: dict[str, Any]) -> None:
        """Accept a job; it runs after those before it."""
        kept = ("id", "backend", "program_id", "log_level", "timeout_secs", "storage")
        job = {**{key: request[key] for key in kept}, "status": "Running", "created_time": "2026-01-01T00:00:00Z"}
        self.jobs[request["id"]] = job
        self.runner.submit(self._run, job)

    def _run(self, job: dict[str, Any]) -> None:
        with urllib.request.urlopen(job["storage"]["input"]["presigned_url"]) as answer:
            wanted = json.loads(answer.read())
        try:
            result = self.compute(job["id"], wanted)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            job.update(status="Failed", reason_code=1517, reason_message=text, reason_solution="Ask the operators.")
            return
        if result is not None:
            put = urllib.request.Request(job["storage"]["results"]["presigned_url"], data=result, method="PUT")
            urllib.request.urlopen(put).close()
            job["status"] = "Completed"


def _unchunked(body: bytes) -> bytes:
    """The payload of Amazon's chunked signing: chunks with their length in hexadecimal, then trailers."""
    payload = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if size == 0:
            return payload
        payload, body = payload + rest[:size], rest[size + 2 :]
    return payload
