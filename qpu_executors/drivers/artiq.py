"""Trapped-ion machines that are run by ARTIQ with DAX. Needs the extra ``artiq`` (h5py), and no part of ARTIQ.

A task becomes one DAX program, with a data context for each row. It is written where the master can read it, and
submitted to the master's schedule as the argument ``file`` of DAX's ``ProgramClient``. The program's file name carries
the task's key, by which a run is found again in the schedule or among the results.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..device import Counts
from ..errors import DeviceError, DeviceFault, InvalidSite, InvalidTask, RemoteFailed
from ..files import write_whole
from ..translation.dax import StoredValues
from ..translation.dax_basis import BASIS, check_basis
from ..translation.dax_resources import Resources
from ..translation.dax_writer import to_dax_rows
from ..translation.gates import GateProgram
from .artiq_programs import check, file_name, folder, forget_programs, shots_in, stored_values
from .artiq_protocol import PORT, MasterConnection
from .artiq_results import DATASET, RunFile, find_file, h5, wait_for_file

RAW_RESULTS = "results_base64"  # in a result's metadata: the raw rows, which the cloud queue keeps as the result
_CLOCKS_APART_S = 300.0  # between this machine and the master's file server
MAX_RAW = 10**6  # values; more than this do not travel beside the counts
_FATES = {
    "running": "its run() raised an error, or somebody deleted it",
    "paused": "somebody deleted it while it was paused",
    "run_done": "its data were not kept",
    "analyzing": "its data were not kept",
}


@dataclass(frozen=True)
class Prepared:
    """A program ready to be written for the machine.

    Attributes:
        gates: a program in `gates`, written as DAX when its rows are known; else None.
        text: a DAX program as it came.
        stored: what the values are that the DAX program stores.
    """

    gates: str | None = None
    text: str = ""
    stored: StoredValues | None = None


class ARTIQDevice:
    """Runs DAX programs through an ARTIQ master.

    Args:
        host, port: the master's control port.
        results: the master's folder ``results``, as seen from here.
        programs: a folder that the master can read, for the programs; ``programs_at_master`` is its path there.
        client: the file of the experiment that runs DAX programs: in the master's repository if ``repository``, else a
            path at the master. ``class_name`` is its class.
        operation, data_context: keys of the system's interfaces, where it has several of them.
        arguments: further arguments of the experiment, by name.
        resources: a ``resources.toml``: what may go on at once. Without it, one operation follows the other.
        basis: DAX names of the gates that the machine has; by default all.
        dataset: where the data context archives raw values.
        threshold: a value above it is a 1 (for detectors that give counts of photons).
        pipeline, priority, flush: of the schedule; a higher priority runs sooner.
        timeout_s: for an answer of the master. outage_s: how long it may be away while a run goes on.
        patience_s: how long a run may take, waiting included; 0 for any time.
        settle_s: how long a result file may take to be seen here.
        poll_s: between two looks at the schedule.

    Raises:
        InvalidSite: an option is wrong; the text names it.
    """

    languages = ("gates", "dax")

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        results: str,
        programs: str,
        host: str = "127.0.0.1",
        port: int = PORT,
        programs_at_master: str = "",
        client: str = "program_client.py",
        class_name: str = "ProgramClient",
        repository: bool = True,
        operation: str = "",
        data_context: str = "",
        arguments: dict[str, Any] | None = None,
        resources: str = "",
        basis: Sequence[str] | None = None,
        dataset: str = DATASET,
        threshold: float = 0,
        pipeline: str = "main",
        priority: int = 0,
        flush: bool = False,
        timeout_s: float = 10.0,
        outage_s: float = 60.0,
        patience_s: float = 0.0,
        settle_s: float = 10.0,
        poll_s: float = 0.2,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        where = f"[qpu.{device_id}.options]"
        self._results, self._programs = (
            folder(f"{where} {name}", path) for name, path in (("results", results), ("programs", programs))
        )
        seconds = {"timeout_s": timeout_s, "outage_s": outage_s, "patience_s": patience_s}
        check(where, port, priority, **seconds, settle_s=settle_s, poll_s=poll_s)
        self._address = (host, port, timeout_s)
        self._at_master = programs_at_master or str(self._programs)
        given = {"operation": operation, "data_context": data_context}
        self._arguments = {name: value for name, value in given.items() if value} | (arguments or {})
        self._expid = _expid(client, class_name, repository)
        self._resources = Resources.load(resources) if resources else None
        try:
            self._basis = BASIS if basis is None else check_basis(basis)
        except InvalidTask as error:
            raise InvalidSite(f"{where} basis: {error}") from None
        self._dataset, self._threshold = dataset.strip("/"), threshold
        self._pipeline, self._priority, self._flush = pipeline, priority, flush
        self._outage_s, self._patience_s, self._settle_s, self._poll_s = outage_s, patience_s, settle_s, poll_s
        self._of_thread = threading.local()
        h5()
        forget_programs(self._programs)

    @property
    def metadata(self) -> dict[str, Any]:
        """Of this thread's last result."""
        found: dict[str, Any] = getattr(self._of_thread, "metadata", {})
        return found

    def prepare(self, program: str | bytes, language: str) -> Prepared:
        if isinstance(program, bytes):
            raise InvalidTask(f"a {language} program is text, not bytes.")
        if language == "gates":
            self._write(program, 1, [(0.0,) * len(GateProgram.parse(program).parameters)])  # all that can be refused
            return Prepared(gates=program)
        return Prepared(text=program, stored=stored_values(program, self.device_id, self.n_qubits))

    def execute(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> Sequence[Counts]:
        """Submit and wait. A machine takes no seed."""
        key = f"conqure-{os.urandom(16).hex()}"
        remote_id = self.submit(prepared, parameter_values, shots, seed, key)
        return self.fetch(remote_id, prepared, len(parameter_values))

    def submit(
        self,
        prepared: Prepared,
        parameter_values: Sequence[Sequence[float]],
        shots: int,
        seed: int | None,
        key: str,
    ) -> str:
        """Write the program and submit it; the remote id is the run's id (rid) at the master."""
        text = self._text(prepared, parameter_values, shots)
        name = file_name(key, shots)
        write_whole(self._programs / name, text.encode(), mode=0o644)  # the master runs as another user
        expid = {**self._expid, "arguments": {**self._arguments, "file": f"{self._at_master}/{name}"}}
        with self._master() as master:
            rid = master.call("submit", self._pipeline, expid, self._priority, None, self._flush)
        if type(rid) is not int:
            raise DeviceError(f"device {self.device_id!r}: the ARTIQ master gave {str(rid)[:40]!r} as the id of a run.")
        return str(rid)

    def fetch(self, remote_id: str, prepared: Prepared, n_rows: int) -> Sequence[Counts]:
        """Wait until the run has left the schedule, and read its file."""
        rid = int(remote_id)
        state = self._follow(rid)
        found = wait_for_file(self._results, rid, self._settle_s)
        if found is None:
            fate = _FATES.get(state, "its build() or prepare() failed, or somebody deleted it")
            raise self._failed(rid, f"it left no result file in {self._results}; {fate}")
        try:
            if shots_in(found.program) is None:
                raise DeviceError(f"it ran {found.program[:80]!r}, which is not what was submitted from here")
            return self._counts(found, prepared, n_rows)
        except DeviceError as error:
            fate = f" ({_FATES[state]})" if state in _FATES else ""
            raise self._failed(rid, f"{error}{fate}") from None

    def find(self, key: str) -> str:
        """The run of this task in the schedule, or among the results if it is over."""
        path = next(self._programs.glob(f"{key}-*.py"), None)
        if path is None:  # it was never written, so it was never submitted
            return ""
        with self._master() as master:
            for rid, run in _runs(master).items():
                expid = run.get("expid")
                arguments = expid.get("arguments") if isinstance(expid, dict) else None
                program = str(arguments.get("file", "")) if isinstance(arguments, dict) else ""
                if program.rpartition("/")[2].startswith(f"{key}-"):
                    return str(rid)
        over = find_file(self._results, f"{key}-", path.stat().st_mtime - _CLOCKS_APART_S)
        return str(over.rid) if over else ""

    def close(self) -> None:
        """Nothing is held: connections last as long as a call."""

    def _text(self, prepared: Prepared, rows: Sequence[Sequence[float]], shots: int) -> str:
        if prepared.gates is not None:
            return self._write(prepared.gates, shots, rows)
        assert prepared.stored is not None
        if len(rows) != 1 or rows[0]:
            raise InvalidTask("a DAX program has no parameters: give one row without values.")
        if prepared.stored.shots != shots:
            raise InvalidTask(f"the DAX program runs {prepared.stored.shots} shots, the task says {shots}. Make it so.")
        return prepared.text

    def _write(self, program: str, shots: int, rows: Sequence[Sequence[float]]) -> str:
        return to_dax_rows(program, shots, rows, resources=self._resources, basis=self._basis)

    def _follow(self, rid: int) -> str:
        """Wait until a run has left the schedule; the last state it was seen in, "" if it was not seen at all."""
        state, started, seen = "", time.monotonic(), time.monotonic()
        while True:
            try:
                with self._master() as master:
                    while (run := _runs(master).get(rid)) is not None:
                        status = str(run.get("status"))
                        state, seen = state if status == "deleting" else status, time.monotonic()
                        if self._patience_s and seen - started > self._patience_s:
                            raise TimeoutError
                        time.sleep(self._poll_s)
                    return state
            except TimeoutError:
                raise DeviceFault(
                    f"device {self.device_id!r}: run {rid} is {state} since {self._patience_s} s (patience_s). It goes "
                    "on; try again to wait for it, or delete it at the master: artiq_client delete"
                ) from None
            except DeviceFault:
                if time.monotonic() - seen > self._outage_s:
                    raise
                time.sleep(self._poll_s)

    def _counts(self, found: RunFile, prepared: Prepared, n_rows: int) -> list[Counts]:
        stored = prepared.stored or self._stored(found, prepared)
        raw = [self._values(found, number, stored.n_values) for number in range(n_rows)]
        self._of_thread.metadata = {"artiq_rid": found.rid, "artiq_file": str(found.path)}
        if prepared.gates is None and stored.n_values <= MAX_RAW:
            width = len(stored.order)
            rows = [raw[0][first : first + width] for first in range(0, len(raw[0]), width)]
            packed = json.dumps(rows, separators=(",", ":")).encode()
            self._of_thread.metadata[RAW_RESULTS] = base64.b64encode(packed).decode()
        return [stored.counts(values) for values in raw]

    def _values(self, found: RunFile, number: int, n_values: int) -> list[int]:
        return [int(value > self._threshold) for value in found.raw(self._dataset, number, n_values)]

    def _stored(self, found: RunFile, prepared: Prepared) -> StoredValues:
        """Of the program that was written for these gates: the order does not depend on rows and shots."""
        assert prepared.gates is not None
        shots = shots_in(found.program)
        assert shots is not None  # `fetch` has looked
        parameters = len(GateProgram.parse(prepared.gates).parameters)
        stored = StoredValues.of(self._write(prepared.gates, 1, [(0.0,) * parameters]))
        return StoredValues(stored.order, stored.registers, shots)

    def _failed(self, rid: int, why: str) -> RemoteFailed:
        return RemoteFailed(f"device {self.device_id!r}: run {rid} gave no counts: {why}. See the master's log of it.")

    @contextlib.contextmanager
    def _master(self) -> Iterator[MasterConnection]:
        with MasterConnection(*self._address) as master:
            yield master


def _runs(master: MasterConnection) -> dict[int, dict[str, Any]]:
    """The runs in the schedule by rid."""
    found = master.call("get_status")
    if not isinstance(found, dict):
        raise DeviceFault(f"the ARTIQ master says {str(found)[:80]!r} for its schedule.")
    return {rid: run for rid, run in found.items() if type(rid) is int and isinstance(run, dict)}


def _expid(client: str, class_name: str, repository: bool) -> dict[str, Any]:
    """What an experiment is called at the master; ``repo_rev`` None is the newest revision of its repository."""
    expid = {"devarg_override": {}, "log_level": 30, "class_name": class_name, "file": client}
    return expid | {"repo_rev": None} if repository else expid
