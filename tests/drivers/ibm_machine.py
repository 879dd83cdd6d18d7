"""What the stand-ins for IBM's services share: a machine that samples as IBM's primitives do, and HTTP with IAM."""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import parse_qs

from qiskit import ClassicalRegister, qasm3
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import RuntimeEncoder

APIKEY, CRN, TOKEN = "an-api-key", "crn:v1:quantum", "an-access-token"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is part of the tests; everything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Machine:
    """A machine with the configuration of a real one, whose jobs Aer computes, one after the other.

    Attributes:
        jobs: what the service says of each, by id. inputs: what each was asked to run.
        status: online, offline or paused. fail: the reason by which the next jobs fail.
        may_run: clear it, and jobs wait.
    """

    handler: ClassVar[type[BaseHTTPRequestHandler]]

    def __init__(self, name: str = "test_heron", model: str = "manila") -> None:
        self.name, self.status, self.fail = name, "online", ""
        folder = files("qiskit_ibm_runtime.fake_provider.backends") / model
        self.configuration = json.loads((folder / f"conf_{model}.json").read_text()) | {"backend_name": name}
        self.configuration.setdefault("online_date", "2025-01-01T00:00:00Z")
        self.properties = json.loads((folder / f"props_{model}.json").read_text()) | {"backend_name": name}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, dict[str, Any]] = {}
        self.may_run = threading.Event()
        self.may_run.set()
        self._simulator = AerSimulator(max_parallel_threads=1)
        self.runner = ThreadPoolExecutor(1)
        self._server = _Server(("127.0.0.1", 0), type("Handler", (self.handler,), {"machine": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def compute(self, job_id: str, wanted: dict[str, Any]) -> bytes | None:
        """The result of a sampler job as the primitives encode it; None if it was cancelled before."""
        self.inputs[job_id] = wanted
        self.may_run.wait()
        if self.jobs[job_id]["status"] == "Cancelled":
            return None
        if self.fail:
            raise RuntimeError(self.fail)
        result = PrimitiveResult([self._sample(*pub) for pub in wanted["pubs"]])
        return json.dumps(result, cls=RuntimeEncoder).encode()

    def close(self) -> None:
        self.may_run.set()
        self.runner.shutdown(cancel_futures=True)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _sample(self, text: str, rows: list[list[float]] | None, shots: int) -> SamplerPubResult:
        circuit = qasm3.loads(text)
        given = rows if rows is not None else [[]]
        circuits = [circuit.assign_parameters(row) for row in given]
        result = self._simulator.run(circuits, shots=shots).result()
        assert result.success, result.status
        per_row = [result.get_counts(row) for row in range(len(given))]
        shape = (len(given),) if rows is not None else ()
        fields = {r.name: _register(per_row, circuit.cregs, r).reshape(shape) for r in circuit.cregs}
        return SamplerPubResult(DataBin(shape=shape, **fields))


def _register(per_row: list[dict[str, int]], registers: list[ClassicalRegister], wanted: ClassicalRegister) -> BitArray:
    """One register's shots, of shape (rows, shots)."""
    position = -1 - registers.index(wanted)
    samples = [bits.split(" ")[position] for counts in per_row for bits, n in sorted(counts.items()) for _ in range(n)]
    return BitArray.from_samples(samples, wanted.size).reshape(len(per_row), len(samples) // len(per_row))


class Service(BaseHTTPRequestHandler):
    """Answers in JSON, gives tokens for the API key, and knows its users by them."""

    protocol_version = "HTTP/1.1"
    machine: Any

    def log_message(self, *args: object) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def give_token(self, body: bytes) -> None:
        if parse_qs(body.decode()).get("apikey") != [APIKEY]:
            return self.answer(400, {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key not found"})
        lasting = {"expires_in": 3600, "expiration": int(time.time()) + 3600}
        return self.answer(200, {"access_token": TOKEN, "token_type": "Bearer", **lasting})

    def is_stranger(self) -> bool:
        """Whether the token or the instance is wrong; then the answer is sent."""
        if (self.headers.get("Authorization"), self.headers.get("Service-CRN")) == (f"Bearer {TOKEN}", CRN):
            return False
        self.refuse(401, "the token is not valid")
        return True

    def refuse(self, status: int, message: str) -> None:
        error = {"code": "1", "message": message, "more_info": ""}
        self.answer(status, {"status_code": status, "trace": "t", "errors": [error]})

    def answer(self, status: int, body: Any = None) -> None:
        self.send(status, b"" if body is None else json.dumps(body).encode())

    def send(self, status: int, body: bytes, content: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
