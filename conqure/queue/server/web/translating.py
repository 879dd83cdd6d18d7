"""OpenQASM from strangers, read in a process of its own: a kilobyte of it can stand for a billion gates.

The process may use so much time and memory and no more; the service goes on meanwhile. ``python -m`` of this module is
that process: text on its standard input, a task as JSON or an error on its standard output.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import Any

from qpu_executors.errors import ConqureError, InvalidTask, error_of_kind
from qpu_executors.records import QuantumTask

MOST_S = 15
MOST_MEMORY = 2 * 2**30  # bytes of address space; Qiskit and NumPy take half of one before they read anything
_TOO_MUCH = (
    f"reading this circuit takes more than {MOST_S} s or {MOST_MEMORY >> 30} GiB. Does it repeat gates, or have too "
    "many qubits? Send large circuits as a task, from Python: UserClient.create_work(circuit)"
)


def translate(text: str, **overrides: Any) -> QuantumTask:
    """The task of an OpenQASM text (`qpu_executors.as_task`), made within the limits.

    Raises:
        InvalidTask: the text is wrong, or asks for too much. MissingPackage: Qiskit is not installed.

    >>> translate("OPENQASM 2.0; qreg q[1]; creg c[1]; measure q -> c;", shots=10).shots
    10
    """
    asked = json.dumps({"text": text, "overrides": overrides}).encode()
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=asked,
            capture_output=True,
            timeout=2 * MOST_S,  # of the clock: the machine may be busy; of its processor time it gets MOST_S
            env=os.environ | one_thread,
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):  # it was ended at a limit, so it said nothing
        raise InvalidTask(_TOO_MUCH) from None
    if "task" not in answer:
        raise error_of_kind(answer["kind"], answer["message"])
    return QuantumTask.from_json(answer["task"])


def _answer(asked: dict[str, Any]) -> dict[str, str]:
    from qpu_executors.translation import as_task

    try:
        return {"task": as_task(asked["text"], **asked["overrides"]).to_json()}
    except ConqureError as error:
        return {"kind": error.kind, "message": str(error)}
    except MemoryError:
        return {"kind": InvalidTask.kind, "message": _TOO_MUCH}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_S, MOST_S))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = _answer(json.loads(sys.stdin.buffer.read()))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
