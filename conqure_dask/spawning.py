"""Workers that do not run your script again.

Python's multiprocessing imports the main script into each process it starts. Dask's workers do not need that, since
functions and classes of the script travel by value, but they pay for it: with ``import qiskit_aer`` at its top, a
script waited 6 s for eight workers instead of 1.7, and one without ``if __name__ == "__main__":`` did not get any.
"""

from __future__ import annotations

from multiprocessing import spawn
from typing import Any

_DASK_WORKER = "Dask Worker process"  # how `distributed.Nanny` names the processes it starts
_original = spawn.get_preparation_data


def leave_out_the_script() -> None:
    """From now on the Dask workers that this process starts do not import its main script; all else stays the same."""
    spawn.get_preparation_data = _get_preparation_data


def _get_preparation_data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = _original(name)
    if name.startswith(_DASK_WORKER):
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data
