"""An ARTIQ master to test against: the control protocol, the schedule and the result files are as ARTIQ's own.

It speaks ``pc_rpc`` over TCP, takes runs through the states of ARTIQ, forgets those that are over, and leaves HDF5
files where and as ARTIQ leaves them. Its one experiment is DAX's ``ProgramClient``, on a trapped-ion system that is a
state vector: the text of the DAX program is read, never executed. One run of a pipeline goes on at a time; ARTIQ would
prepare the next one meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from qpu_executors import QPU, QuantumTask
from qpu_executors.drivers.artiq_protocol import decode, encode
from qpu_executors.running import HeldDevice
from qpu_executors.translation.dax import DaxProgram

ARGUMENTS = {"file", "class", "arguments", "operation", "data_context"}  # of ProgramClient
METHODS = ["check_pause", "check_termination", "delete", "get_status", "request_termination", "start", "stop", "submit"]


class StageError(Exception):
    """A stage of a run raised an error."""


@dataclass
class Run:
    """A run in the schedule."""

    rid: int
    pipeline: str
    expid: dict[str, Any]
    priority: int
    due_date: float | None
    flush: bool
    status: str = "pending"
    start_time: float = 0.0
    run_time: float = 0.0
    programs: tuple[DaxProgram, ...] = ()
    datasets: dict[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        names = ("pipeline", "expid", "priority", "due_date", "flush", "status")
        return {name: getattr(self, name) for name in names} | {"repo_msg": "a commit" if self._in_repo else None}

    @property
    def _in_repo(self) -> bool:
        return "repo_rev" in self.expid

    @property
    def key(self) -> tuple[int, float, int]:
        return self.priority, -(self.due_date or 0), -self.rid


class ArtiqMaster:
    """A master that listens on loopback while the ``with`` block lasts.

    Args:
        folder: where it runs; results come into its folder ``results``.
        target: ``schedule`` (ARTIQ 8 and later) or ``master_schedule``.
        dark, bright: what the detectors count for a 0 and for a 1.

    Attributes:
        fail_in: "build", "prepare", "run" or "analyze": that stage of the next runs raises an error.
        go: runs wait in the state "running" while this is not set.
        reachable: nobody can connect while this is not set; runs go on.
        submitted: every expid that was submitted.
        ran: the rids in the order in which they began to run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        target: str = "schedule",
        n_qubits: int = 8,
        dark: int = 0,
        bright: int = 1,
        port: int = 0,
    ) -> None:
        self.folder, self.target, self.port = folder, target, port
        self.fail_in, self.go = "", threading.Event()
        self.go.set()
        self.reachable = threading.Event()
        self.reachable.set()
        self.submitted: list[dict[str, Any]] = []
        self.ran: list[int] = []
        self._values = (dark, bright)
        self._system = HeldDevice(QPU("ions", "statevector", n_qubits))
        self._runs: dict[int, Run] = {}
        self._pipelines: dict[str, asyncio.Task[None]] = {}
        self._last_rid = 1000
        self._writers: set[asyncio.StreamWriter] = set()
        self._ready, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="artiq-master")
        (folder / "results").mkdir(exist_ok=True)

    def __enter__(self) -> ArtiqMaster:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._runs.clear()  # as a master that ends: it kills its workers, and knows of nothing afterwards
        self._closing.set()
        self.go.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._system.close()

    @property
    def states(self) -> dict[int, str]:
        return {rid: run.status for rid, run in list(self._runs.items())}

    async def _serve(self) -> None:
        server = await self._listen()
        self._ready.set()
        while not self._closing.is_set():
            if self.reachable.is_set() and not server.is_serving():
                server = await self._listen()
            elif not self.reachable.is_set() and server.is_serving():
                await self._hang_up(server)
            await asyncio.sleep(0.005)
        await self._hang_up(server)
        for pipeline in self._pipelines.values():
            pipeline.cancel()
        await asyncio.gather(*self._pipelines.values(), return_exceptions=True)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, limit=2**27)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _hang_up(self, server: asyncio.Server) -> None:
        server.close()
        await asyncio.sleep(0.01)  # what is accepted by now begins to talk
        while self._writers:
            for writer in list(self._writers):
                writer.transport.abort()
            await asyncio.sleep(0.005)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline() != b"ARTIQ pc_rpc\n":
            return
        targets = sorted(["dataset_db", "device_db", "experiment_db", self.target])
        writer.write(_line({"targets": targets, "description": None, "features": ["pyon_v2"]}))
        if (await reader.readline()).decode().split() != [self.target, "pyon_v2"]:
            return
        writer.write(_line({"__jsonclass__": ["set", [METHODS]]}))
        while line := await reader.readline():
            writer.write(_line(self._answer(decode(json.loads(line)))))

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            if request["action"] != "call" or request["name"] not in METHODS:
                raise AttributeError(f"'Scheduler' object has no attribute '{request['name']}'")
            return {
                "status": "ok",
                "ret": encode(getattr(self, request["name"])(*request["args"], **request["kwargs"])),
            }
        except Exception as error:
            exception = {"class": type(error).__name__, "message": str(error), "traceback": ["Traceback …"]}
            return {"status": "failed", "exception": exception}

    def submit(
        self,
        pipeline_name: str,
        expid: dict[str, Any],
        priority: int = 0,
        due_date: float | None = None,
        flush: bool = False,
    ) -> int:
        self._last_rid += 1
        if "repo_rev" in expid:
            expid["repo_rev"] = expid["repo_rev"] or "0123456789abcdef"
        else:
            expid["file"] = str(Path(expid["file"]).absolute())
        self._runs[self._last_rid] = Run(self._last_rid, pipeline_name, expid, priority, due_date, flush)
        self.submitted.append(expid)
        if pipeline_name not in self._pipelines:
            self._pipelines[pipeline_name] = asyncio.get_running_loop().create_task(self._pipeline(pipeline_name))
        return self._last_rid

    def get_status(self) -> dict[int, dict[str, Any]]:
        return {rid: run.shown() for rid, run in self._runs.items()}

    def delete(self, rid: int) -> None:
        """As ARTIQ: the worker is killed, whatever it does."""
        self._runs.pop(rid, None)

    def request_termination(self, rid: int) -> None:
        self.delete(rid)

    async def _pipeline(self, name: str) -> None:
        while True:
            waiting = [run for run in self._runs.values() if run.pipeline == name and run.status == "pending"]
            if waiting:
                await self._take(max(waiting, key=lambda run: run.key))
            await asyncio.sleep(0.002)

    async def _take(self, run: Run) -> None:
        try:
            run.status = "preparing"
            run.start_time = time.time()
            await asyncio.to_thread(self._build_and_prepare, run)
            run.status = "prepare_done"
            await asyncio.sleep(0)
            run.status, run.run_time = "running", time.time()
            self.ran.append(run.rid)
            await asyncio.to_thread(self._run, run)
            run.status = "run_done"
            await asyncio.sleep(0)
            run.status = "analyzing"
            await asyncio.to_thread(self._analyze, run)
        except StageError:
            pass  # into the master's log, and nowhere else
        run.status = "deleting"
        await asyncio.sleep(0.005)
        self._runs.pop(run.rid, None)

    def _build_and_prepare(self, run: Run) -> None:
        arguments = run.expid["arguments"]
        self._fail(run, "build", run.expid["class_name"] != "ProgramClient" or not ARGUMENTS.issuperset(arguments))
        path = Path(arguments["file"])
        run.datasets |= {name: arguments.get(name, "") for name in ("file", "class", "arguments")}
        self._fail(run, "prepare", not path.is_file())
        try:
            run.programs = DaxProgram.parse_rows(path.read_text())
        except ValueError as error:
            raise StageError from error

    def _run(self, run: Run) -> None:
        self.go.wait()
        try:
            for number, program in enumerate(run.programs):
                self._fail(run, "run", self.fail_in != "run" and program.n_qubits > self._system.qpu.n_qubits)
                key = f"histogram_context/histogram/raw/{number}"
                run.datasets[key] = rows = self._measure(program)
                if self.fail_in == "run":  # a context that is left by an error keeps what it has
                    del rows[len(rows) // 2 :]
                    raise StageError
        except StageError:
            self._write_results(run)
            raise

    def _measure(self, program: DaxProgram) -> list[list[int]]:
        """Shots in random order, as they come from a machine."""
        task = QuantumTask(program.program.dumps(), shots=program.shots)
        rows, each = program.raw(self._system.run(task).counts[0]), len(program.stores)
        shots = [rows[first : first + each] for first in range(0, len(rows), each)]
        random.shuffle(shots)
        return [[self._values[value] for value in row] for shot in shots for row in shot]

    def _analyze(self, run: Run) -> None:
        self._write_results(run)
        self._fail(run, "analyze", False)

    def _fail(self, run: Run, stage: str, wrong: bool) -> None:
        if run.rid not in self._runs or wrong or (self.fail_in == stage and stage != "run"):
            raise StageError(stage)

    def _write_results(self, run: Run) -> None:
        if run.rid not in self._runs:  # its worker was killed
            return
        started = time.localtime(run.start_time)
        folder = self.folder / "results" / time.strftime("%Y-%m-%d", started) / time.strftime("%H", started)
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / f"{run.rid:09}-{run.expid['class_name']}.h5", "w") as file:
            datasets = file.create_group("datasets")
            for name, value in run.datasets.items():
                datasets[name] = value
            file.create_group("archive")
            file["artiq_version"] = "8.0"
            file["rid"], file["start_time"], file["run_time"] = run.rid, run.start_time, run.run_time
            file["expid"] = json.dumps(encode(run.expid), separators=(",", ":"))


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
