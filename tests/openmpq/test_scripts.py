"""Python scripts instead of gates: the owner's files only, run next to the QPU with the program's data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openmpq_runtime import Bridge, serve
from qpu_executors import QPU, QPUThreadPool

from .client import WireClient

SCRIPT = """
COIN = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; bit c; x q; c = measure q;'

def main(qpu, angles, energy):
    counts = qpu.run(COIN).counts[0]
    return {"energy": [sum(angles) + counts["1"]], "angles": [2 * a for a in angles]}
"""

NUMPYS = """
import numpy as np

def main(qpu, angles, energy):
    return {"angles": np.array(angles) * 2, "energy": np.float64(qpu.n_qubits), "n": 3}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "energy.py").write_text(SCRIPT)
    (folder / "broken.py").write_text("def main(qpu, **arrays):\n    x = 1\n    return {'a': 1 / 0}\n")
    (folder / "empty.py").write_text("")
    (folder / "wrong.py").write_text("def main(qpu, **arrays):\n    return {'a': 'text'}\n")
    (folder / "endless.py").write_text("def main(qpu, **arrays):\n    return {'a': [0.0, float('inf')]}\n")
    (folder / "leaves.py").write_text("import sys\ndef main(qpu, **arrays):\n    sys.exit('enough')\n")
    (folder / "syntax.py").write_text("def main(qpu:\n")
    (folder / "gates.py").write_text("def main(qpu, **arrays):\n    return {'a': [qpu.run('{}').shots]}\n")
    (folder / "numpys.py").write_text(NUMPYS)
    (tmp_path / "outside.py").write_text("def main(qpu, **arrays):\n    return {}\n")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    return folder


@pytest.fixture
def bridge(folder: Path) -> Iterator[Bridge]:
    qpus = [QPU("sv0", "statevector", 7), QPU("sv1", "statevector", 7)]
    with QPUThreadPool(qpus) as pool, serve(pool, scripts=folder) as opened:
        yield opened


def ask(bridge: Bridge, script: Any, **fields: Any) -> dict[str, Any]:
    with WireClient(bridge.address) as client:
        message = {"is": "script", "request": 1, "oldest": 1, "script": script, "device_id": "any", "shots": 50}
        client.send(message | {"arrays": {"angles": [0.5, 1.0], "energy": [0]}} | fields)
        return client.receive()


def test_a_script_gets_the_data_and_the_qpu_and_gives_data_back(bridge: Bridge) -> None:
    answer = ask(bridge, "energy.py")
    assert answer["is"] == "arrays", answer
    assert answer["arrays"] == {"energy": [51.5], "angles": [1.0, 2.0]}
    assert answer["run_s"] > 0


def test_a_script_may_return_what_numpy_has(bridge: Bridge) -> None:
    assert ask(bridge, "numpys.py")["arrays"] == {"angles": [1.0, 2.0], "energy": [7.0], "n": [3.0]}


def test_a_client_that_waits_for_a_script_runs_it_where_its_connection_is_read(bridge: Bridge, folder: Path) -> None:
    names = "import threading\ndef main(qpu, **arrays):\n    raise ValueError(threading.current_thread().name)\n"
    (folder / "names.py").write_text(names)
    with WireClient(bridge.address) as client:
        script = {"is": "script", "oldest": 1, "script": "names.py", "device_id": "sv0", "arrays": {}, "waits": True}
        threads = []
        for number in range(1, 31):  # the first opens the device, in the QPU's own thread, which may be quicker again
            client.send(script | {"request": number})
            threads.append(client.receive()["text"])
    assert any("openmpq-connection" in thread for thread in threads)


def test_a_script_runs_on_the_qpu_that_is_named(bridge: Bridge) -> None:
    assert ask(bridge, "energy.py", device_id="sv1")["device_id"] == "sv1"


@pytest.mark.parametrize(
    "name", ["nothere.py", "../outside.py", "/etc/passwd", "link.py", "", ".py", 7, None, "energy.py\0"]
)
def test_nothing_but_the_owners_files_runs(bridge: Bridge, name: Any) -> None:
    answer = ask(bridge, name)
    assert (answer["is"], answer["kind"]) == ("failed", "scripts_not_allowed")
    assert "energy.py" in answer["text"]


def test_without_a_folder_no_script_runs_and_the_owner_learns_how() -> None:
    with QPUThreadPool([QPU("sv0", "statevector", 7)]) as pool, serve(pool) as bridge:
        answer = ask(bridge, "energy.py")
    assert answer["kind"] == "scripts_not_allowed"
    assert "--scripts FOLDER" in answer["text"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("broken.py", "line 3: ZeroDivisionError"),
        ("empty.py", "no function main"),
        ("wrong.py", "not a list of numbers"),
        ("endless.py", "main() returned inf at a[1]"),
        ("leaves.py", "line 3: SystemExit: enough"),
        ("syntax.py", "SyntaxError"),
        ("gates.py", "line 2: "),
    ],
)
def test_what_goes_wrong_in_a_script_is_told(bridge: Bridge, name: str, text: str) -> None:
    answer = ask(bridge, name)
    assert answer["kind"] == "script_failed"
    assert text in answer["text"]


@pytest.mark.parametrize("arrays", [None, [1], {"a": 1}, {"a": ["x"]}, {"not a name": [1]}, {"a": [True]}])
def test_data_that_is_none_is_refused(bridge: Bridge, arrays: Any) -> None:
    answer = ask(bridge, "energy.py", arrays=arrays)
    assert answer["kind"] == "invalid_task"
