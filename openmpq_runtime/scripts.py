"""Python scripts instead of gate sequences: files of the pool's owner, run next to the QPU with the program's data.

The program names a file, never its text: what runs is what lies in the folder that the owner named.
"""

from __future__ import annotations

import math
import re
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qpu_executors.errors import ConqureError, NotOnQPU, ScriptFailed, ScriptsNotAllowed
from qpu_executors.running import QPUHandle, current_qpu

MAX_SCRIPT_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.py")

Arrays = dict[str, list[float]]


def read_script(folder: Path | None, name: object) -> str:
    """The text of a script in the owner's folder.

    Raises:
        ScriptsNotAllowed: there is no folder, or the name is not that of a plain file in it.
    """
    if folder is None:
        raise ScriptsNotAllowed(
            f"this pool runs no scripts, so not {str(name)[:80]!r}. Its owner allows those in a folder with "
            "openmpq-run --scripts FOLDER, or openmpq_runtime.serve(pool, scripts=FOLDER)."
        )
    known = ", ".join(sorted(path.name for path in folder.glob("*.py"))[:20]) or "none"
    path = folder / str(name)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or path.resolve().parent != folder or not path.is_file():
        raise ScriptsNotAllowed(f"there is no script {str(name)[:80]!r} in the pool's folder. Known: {known}.")
    if path.stat().st_size > MAX_SCRIPT_BYTES:
        raise ScriptsNotAllowed(f"script {name!r} is larger than 1 MiB.")
    return path.read_text(encoding="utf-8") or "\n"  # an empty one has no main() either


def run_script(
    source: str, name: str, arrays: Mapping[str, list[float]], shots: int, seed: int | None
) -> dict[str, Any]:
    """Run a script's ``main(qpu, **arrays)`` on the worker that holds the QPU.

    Args:
        source, name: its text, and its file's name for error messages.
        arrays: name to numbers, what the program maps to it.
        shots, seed: what ``qpu.run(circuit)`` uses where the script says nothing else.

    Returns:
        ``device_id``, ``run_s`` (seconds), and ``arrays``: what ``main`` returned, each a list of floats.

    Raises:
        ScriptFailed: with the line of the script that raised.
    """
    held = current_qpu()
    if held is None:
        raise NotOnQPU(f"script {name!r} ran on a worker that holds no QPU. Serve the pool of the QPU workers.")
    qpu, started = QPUHandle(held, shots=shots, seed=seed), time.perf_counter()
    try:
        scope: dict[str, Any] = {"__name__": "openmpq_script", "__file__": name}
        exec(compile(source, name, "exec"), scope)  # the owner's own file
        returned = scope["main"](qpu, **arrays) if "main" in scope else _lacks_main()
        arrays = _checked(returned)
        return {"device_id": qpu.device_id, "arrays": arrays, "run_s": time.perf_counter() - started}
    except ConqureError as error:
        raise ScriptFailed(f"script {name!r}{_line(error, name)}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever the script does
        raise ScriptFailed(f"script {name!r}{_line(error, name)}: {type(error).__name__}: {error}") from error


def _lacks_main() -> Any:
    raise ScriptFailed("it has no function main(qpu, **arrays). Write one that returns a dict of lists.")


def _line(error: BaseException, name: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return f", line {lines[-1]}" if lines else ""


def _checked(returned: Any) -> Arrays:
    if returned is None:
        return {}
    if not isinstance(returned, Mapping):
        raise ScriptFailed(f"main() must return a dict of name to numbers, not {type(returned).__name__}.")
    return {str(key): _floats(str(key), value) for key, value in returned.items()}


def _floats(key: str, value: Any) -> list[float]:
    if hasattr(value, "tolist"):  # NumPy
        value = value.tolist()
    if isinstance(value, (int, float)):
        value = [value]
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError, OverflowError):
        raise ScriptFailed(
            f"main() returned {str(value)[:60]!r} for {key!r}, which is not a list of numbers."
        ) from None
    for place, number in enumerate(numbers):
        if not math.isfinite(number):
            raise ScriptFailed(f"main() returned {number} at {key}[{place}]. Only finite numbers can be sent back.")
    return numbers
