"""What the form that submits a work holds, as a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qpu_executors.errors import InvalidWork, TooLarge
from qpu_executors.records import QuantumTask
from qpu_executors.translation import as_task

from ...work import WorkloadFormat, new_work_id
from .translating import translate

MOST_TEXT = 2**18  # bytes of a circuit that is translated here, while others wait; programs send more by the API

EXAMPLE = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;"""


@dataclass(frozen=True)
class Submission:
    """A form as it was sent; ``text`` is what was pasted, ``upload`` the bytes of a file, empty without one."""

    text: str = ""
    upload: bytes = b""
    format: str = "circuit"
    device_id: str = "any"
    priority: str = "LOW"
    shots: str = "1024"
    name: str = ""
    work_id: str = ""

    @classmethod
    def read(cls, form: Mapping[str, Any], upload: bytes) -> Submission:
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        return cls(
            text=given.get("text", ""),
            upload=upload,
            format=given.get("format", "circuit"),
            device_id=given.get("device_id", "").strip() or "any",
            priority=given.get("priority", "LOW"),
            shots=given.get("shots", "1024"),
            name=given.get("name", "").strip(),
            work_id=given.get("work_id", "") or new_work_id(),
        )

    def workload(self) -> tuple[WorkloadFormat, bytes]:
        """What goes into the queue.

        Raises:
            InvalidWork, InvalidTask: nothing was given, or it is no circuit; the text says what is wrong with it.
            TooLarge: the circuit is longer than a form takes.
        """
        payload = self.upload or self.text.encode()
        if not payload.strip():
            raise InvalidWork("there is nothing to run. Paste a circuit, or choose a file.")
        if self.upload and self.text.strip():
            raise InvalidWork("there is both a text and a file. Empty the text, or submit without the file.")
        if self.format != "circuit":
            return _format(self.format), payload
        if len(payload) > MOST_TEXT:
            raise TooLarge(
                f"the circuit has {len(payload):,} bytes, this form translates {MOST_TEXT:,}. "
                "Send it with: conqure work create FILE"
            )
        return WorkloadFormat.TASK, self._task(payload).to_json().encode()

    def _task(self, payload: bytes) -> QuantumTask:
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            raise InvalidWork("this file is no text. Is it meant for the device itself? Say so below it.") from None
        try:
            shots = int(self.shots)
        except ValueError:
            raise InvalidWork(f"shots must be a whole number, not {self.shots[:40]!r}.") from None
        asked: dict[str, Any] = {"shots": shots, "device_id": self.device_id, "priority": self.priority}
        if not text.lstrip().startswith("{"):
            return translate(text, **asked)
        is_task = '"is":"task"' in text[:200].replace(" ", "")
        return as_task(QuantumTask.from_json(text) if is_task else text, **asked)


def _format(value: str) -> WorkloadFormat:
    if value not in ("dax", "opaque"):
        raise InvalidWork(f"what it is must be circuit, dax or opaque, not {value[:40]!r}.")
    return WorkloadFormat(value)
