"""The driver of the stand-in vendor (`tests.waist.vendor`), as the vendor would publish it."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

from qpu_executors import DeviceFault, DeviceLost, RemoteFailed

LOOK_S = 0.02


class VendorDevice:
    """Programs go to the vendor as they are.

    Args:
        url: where the vendor's service answers.
        can_search: whether it can be asked for jobs by their tag.
    """

    languages = ("gates",)

    def __init__(self, device_id: str, n_qubits: int, *, url: str, can_search: bool = True) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        self._url, self._can_search = url, can_search
        self._ask("/")

    def prepare(self, program: str | bytes, language: str) -> str | bytes:
        return program

    def execute(
        self, prepared: Any, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[dict[str, int]]:
        return self.fetch(self.submit(prepared, parameter_values, shots, seed, ""), prepared, len(parameter_values))

    def submit(
        self, prepared: Any, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None, key: str
    ) -> str:
        job = {"program": prepared, "rows": parameter_values, "shots": shots, "seed": seed, "tag": key}
        return str(self._ask("/jobs", job)["id"])

    def fetch(self, remote_id: str, prepared: Any, n_rows: int) -> list[dict[str, int]]:
        while (job := self._ask(f"/jobs/{remote_id}"))["status"] in ("queued", "running"):
            time.sleep(LOOK_S)
        if job["status"] == "failed":
            raise RemoteFailed(f"job {remote_id} on {self._url} failed: {job['error']}. Submit the task again.")
        return list(job["counts"])

    def find(self, key: str) -> str:
        if not self._can_search:
            return ""
        found = self._ask(f"/jobs?{urllib.parse.urlencode({'tag': key})}")["ids"]
        return str(found[-1]) if found else ""

    def estimate(self, task: Any) -> float:
        return float(self._ask("/")["shot_s"]) * task.shots * task.n_rows

    def close(self) -> None: ...

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(self._url + path, data, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise DeviceFault(f"the vendor of {self.device_id!r} answers {error.code}. Try again later.") from None
        except OSError as error:
            raise DeviceLost(f"the vendor of {self.device_id!r} does not answer: {error}. Try again later.") from error
