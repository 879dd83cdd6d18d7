"""The bridge over Parsl and Dask: the same answers as over the thread pool, and scripts on their workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import conqure_dask
import conqure_parsl
from openmpq_runtime import Tally, serve
from qpu_executors import QPU, Site

from .client import ROW, WireClient
from .test_bridge import Recorder, until

SITE = Site(
    "pair",
    (
        QPU("sv0", "statevector", 5),
        QPU("slow0", "emulated", 7, options={"driver": "statevector", "job_s": 0.3}),
    ),
    cpu_workers=1,
)
OPEN: dict[str, Any] = {"parsl": conqure_parsl.open_engine, "dask": conqure_dask.open_engine}
SCRIPT = """
def main(qpu, angles):
    counts = qpu.run('OPENQASM 3.0; include "stdgates.inc"; qubit q; bit c; x q; c = measure q;').counts[0]
    return {"angles": [counts["1"] * angle for angle in angles]}
"""

pytestmark = pytest.mark.slow


@contextmanager
def opened(engine: str) -> Iterator[Executor]:
    with OPEN[engine](SITE) as (qpus, _):
        yield qpus


@pytest.fixture(params=sorted(OPEN), scope="module")
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("engine"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with opened(request.param) as qpus:
            yield qpus


def script(request: int, **fields: Any) -> dict[str, Any]:
    message = {"is": "script", "request": request, "oldest": 1, "script": "double.py", "device_id": "any", "shots": 2}
    return message | {"arrays": {"angles": [0.5, 1.0]}} | fields


def test_circuits_from_many_connections_are_all_answered(pool: Executor) -> None:
    tally = Tally(SITE.qpus)
    with serve(pool, observers=[tally]) as bridge:
        clients = [WireClient(bridge.address) for _ in range(8)]
        for client in clients:
            for number in range(1, 26):
                client.submit(number, oldest=1, device_id="sv0", rows=[ROW, ROW], waits=number % 2 == 0)
        for client in clients:
            answers = [client.receive() for _ in range(25)]
            assert sorted(answer["request"] for answer in answers) == list(range(1, 26))
            assert all(sum(row.values()) == 100 for a in answers for row in a["result"]["counts"])
            client.socket.close()
    assert tally.figures()["qpus"]["sv0"]["circuits"] == 8 * 25 * 2


def test_errors_are_those_of_the_thread_pool(pool: Executor) -> None:
    with serve(pool) as bridge, WireClient(bridge.address) as client:
        client.submit(1, device_id="ion9")
        client.submit(2, oldest=1, rows=[[1.0]])
        client.submit(3, oldest=1, shots=0)
        kinds = {answer["request"]: answer["kind"] for answer in (client.receive() for _ in range(3))}
    assert kinds == {1: "unknown_device", 2: "invalid_task", 3: "invalid_task"}


def test_a_client_that_dies_frees_its_place(pool: Executor) -> None:
    recorder = Recorder()
    with serve(pool, grace_s=0.1, observers=[recorder]) as bridge:
        client = WireClient(bridge.address)
        for number in range(1, 21):
            client.submit(number, oldest=1, device_id="slow0")
        until(lambda: len(recorder.submissions) == 20)
        client.socket.close()
        until(lambda: len(recorder.outcomes) == 20, seconds=4)  # not the 6 s that they would take
    assert sum(getattr(outcome, "kind", "") == "cancelled" for outcome in recorder.outcomes) >= 10


def test_a_script_runs_beside_a_qpu(pool: Executor, tmp_path: Path) -> None:
    (tmp_path / "double.py").write_text(SCRIPT)
    (tmp_path / "leaves.py").write_text("import sys\ndef main(qpu, **arrays):\n    sys.exit(3)\n")
    with serve(pool, scripts=tmp_path) as bridge, WireClient(bridge.address) as client:
        client.send(script(1))
        answer = client.receive()
        assert answer["is"] == "arrays", answer
        assert answer["arrays"] == {"angles": [1.0, 2.0]}
        assert answer["device_id"] in ("sv0", "slow0")
        client.send(script(2, script="leaves.py"))
        answer = client.receive()
        assert answer["kind"] == "script_failed", answer
        assert "line 3: SystemExit: 3" in answer["text"]
        client.send(script(3))  # the worker is still there
        assert client.receive()["is"] == "arrays"


def test_a_script_for_one_of_several_qpus_is_refused_in_words_where_the_engine_cannot(
    pool: Executor, tmp_path: Path
) -> None:
    (tmp_path / "double.py").write_text(SCRIPT)
    with serve(pool, scripts=tmp_path) as bridge, WireClient(bridge.address) as client:
        for number, device_id in enumerate(["sv0", "nobody", "qubits>=5"], start=1):
            client.send(script(number, device_id=device_id))
        answers = {answer["request"]: answer for answer in (client.receive() for _ in range(3))}
    assert (answers[1]["kind"], answers[2]["kind"]) == ("invalid_task", "unknown_device")
    assert "whichever QPU is free" in answers[1]["text"]
    assert answers[3]["is"] == "arrays"  # any of them fits
