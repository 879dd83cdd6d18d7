"""What driver `artiq` is given: DAX programs, as files that the master reads, and its options."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from ..errors import InvalidSite, InvalidTask
from ..submissions import KEPT_S
from ..translation.dax import DaxProgram, StoredValues

_NAME = re.compile(r"conqure-[0-9a-f]{32}-(\d{1,10})\.py$")  # the task's key, and its shots


def file_name(key: str, shots: int) -> str:
    """Of a task's program. It is all that a master tells of what it runs, and has run.

    >>> file_name("conqure-7d793037a0760186574b0282f2f435e7", 100)
    'conqure-7d793037a0760186574b0282f2f435e7-100.py'
    """
    return f"{key}-{shots}.py"


def shots_in(path: str) -> int | None:
    """The shots of a program by its path; None if it is none of ours."""
    found = _NAME.search(path)
    return int(found[1]) if found else None


def stored_values(program: str, device_id: str, n_qubits: int) -> StoredValues:
    """What a DAX program stores: of its calls, or of its header where it does more than is read here."""
    try:
        read = DaxProgram.parse(program)
    except InvalidTask as error:
        try:
            return StoredValues.of(program)
        except InvalidTask:
            raise InvalidTask(
                f"{error} What its values mean cannot be told, so there would be no counts. Say it in a line at the "
                'top of the program: # conqure: {"bits":[0,1],"registers":[["c",2]],"shots":100}'
            ) from None
    if read.n_qubits > n_qubits:
        raise InvalidTask(f"the DAX program has {read.n_qubits} qubits, device {device_id!r} has {n_qubits}.")
    return read.stored


def forget_programs(folder: Path) -> None:
    """Remove the programs of tasks that nobody will try again; until then their names tell what was submitted."""
    for path in folder.glob("conqure-*.py"):
        with contextlib.suppress(OSError):  # somebody else's, or gone
            if _NAME.search(path.name) and path.stat().st_mtime < time.time() - KEPT_S:
                path.unlink()


def folder(where: str, path: str) -> Path:
    found = Path(path).expanduser()
    if not found.is_dir():
        raise InvalidSite(
            f"{where} = {path!r} is no folder here. It must be one that this machine and the master see; "
            "make it if the master has not yet (it makes its results with its first run)."
        )
    return found.resolve()


def check(where: str, port: object, priority: object, **seconds: float) -> None:
    if type(port) is not int or not 0 < port < 65536:
        raise InvalidSite(f"{where} port must be from 1 to 65535, not {port!r}.")
    if type(priority) is not int:
        raise InvalidSite(f"{where} priority must be a whole number, higher is sooner, not {priority!r}.")
    for name, value in seconds.items():
        if type(value) not in (int, float) or not value >= 0:
            raise InvalidSite(f"{where} {name} must be seconds from 0, not {value!r}.")
