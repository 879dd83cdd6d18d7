"""The jobs of QisDAX: a DAX program, and how to read what comes of it, also long after it was made."""

from __future__ import annotations

import base64
import json
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qpu_executors.errors import DeviceError, UnknownDevice

if TYPE_CHECKING:
    from collections.abc import Callable

    from qiskit.result import Result

    from qpu_executors.translation.dax import StoredValues

_VERSION = "1"
_RAW = "results_base64"  # in the metadata of a machine's result: what it stored, shot by shot


class DaxJob:
    """A DAX program and how to read what comes of it.

    A job can be made again from its program's text, which says what its values are: with a text and raw measurements
    that were kept, `get_result_obj` gives the result, whenever and wherever that is.

    Args:
        backend_name: says what `result` does.
        text: of the program.

    >>> DaxJob("dax_artiq_device", Path("ghz.py").read_text()).get_result_counts(numpy.load("raw.npy"))
    {'0x0': 14, '0xf': 16}
    """

    def __init__(self, backend_name: str, text: str, name: str = "program") -> None:
        self._backend_name, self._text, self._name = backend_name, text, name
        self._job_id = str(uuid.uuid4())
        self._raw: Any = None
        self._status = "success"

    def job_id(self) -> str:
        return self._job_id

    def backend(self) -> Any:
        """A backend of the name that this job's had."""
        from .dax import DAX

        return DAX.get_backend(self._backend_name)

    def status(self) -> str:
        """``success``, as QisDAX says of every job; ``failed`` once `result` has raised an error."""
        return self._status

    def get_dax(self) -> str:
        """The program's text: what `create_work` takes."""
        return self._text

    @property
    def creg_indices(self) -> list[int]:
        """The classical bit of each stored value of a shot."""
        return list(self._stored.order)

    def get_raw_data(self, fname: str | None = None) -> Any:
        """The values that the program stores, a row for each call of ``store_measurements``; it runs once.

        Args:
            fname: a file with the program, as QisDAX has it; by default the job's own text, and no file at all.
        """
        if fname is not None:
            with open(fname) as file:
                return _raw_of(self._backend_name, file.read())
        if self._raw is None:
            self._raw = _raw_of(self._backend_name, self._text)
        return self._raw

    def get_result_counts(self, raw_data: Any) -> dict[str, int]:
        """Raw measurements, in any shape, as counts: ``{"0xf": 16}``.

        Raises:
            InvalidTask: they are no whole number of shots.
        """
        counts = self._stored.counts(raw_data)
        return {hex(int(bits.replace(" ", ""), 2)): times for bits, times in counts.items()}

    def get_result_obj(self, raw_data: Any) -> Result:
        """Raw measurements, as `get_results` gives them, as a result of Qiskit.

        >>> job.get_result_obj(raw_data=client.get_results(work_id)).get_counts()
        {'0000': 14, '1111': 16}
        """
        return self._result(self.get_result_counts(raw_data))

    def result(self, program_callback: Callable[[str], object] | None = None) -> Result:
        """Print the program, run it here, or run it on a machine, as the backend does.

        Args:
            program_callback: called with the program's text first.
        """
        if program_callback is not None:
            program_callback(self._text)
        if self._backend_name == "dax_code_printer":
            print(self._text)
            return self._result({"0x0": 0})
        self._status = "failed"
        found = self.get_result_obj(self.get_raw_data())
        self._status = "success"
        return found

    @cached_property
    def _stored(self) -> StoredValues:
        from qpu_executors.translation.dax import StoredValues

        return StoredValues.of(self._text)

    def _result(self, counts: dict[str, int]) -> Result:
        from qiskit.result import Result
        from qiskit.result.models import ExperimentResult, ExperimentResultData

        header = {
            "name": self._name,
            "creg_sizes": [list(register) for register in self._stored.registers],
            "memory_slots": sum(size for _, size in self._stored.registers),
        }
        data = ExperimentResultData(counts=counts)
        experiment = ExperimentResult(shots=sum(counts.values()), success=True, data=data, header=header)
        return Result(
            backend_name=self._backend_name,
            backend_version=_VERSION,
            qobj_id=self._job_id,
            job_id=self._job_id,
            success=True,
            results=[experiment],
        )


def _raw_of(backend_name: str, text: str) -> Any:
    """Run a program as the backend does, and give what it stored."""
    if backend_name == "dax_artiq_device":
        return _run_on_machine(backend_name, text)
    from qpu_executors.device import QPU
    from qpu_executors.running import hold
    from qpu_executors.translation import as_task
    from qpu_executors.translation.dax import DaxProgram

    program = DaxProgram.parse(text)
    with hold(QPU(backend_name, "statevector", program.n_qubits)) as held:
        return program.raw(held.run(as_task(text)).counts[0])


def _run_on_machine(backend_name: str, text: str) -> Any:
    """On the site's QPU of that name, or else its first one behind an ARTIQ master."""
    from qpu_executors.translation import as_task

    from .door import door

    at = door()
    names = [qpu.device_id for qpu in at.qpus if qpu.device_id == backend_name]
    names += [qpu.device_id for qpu in at.qpus if qpu.driver == "artiq"]
    if not names:
        raise UnknownDevice(
            f"site {at.site.name!r} has no QPU {backend_name!r}, and none with the driver 'artiq'. "
            f'Add [qpu.{backend_name}] with driver = "artiq" to its file; docs/drivers/artiq.md names the options.'
        )
    result = at.submit(as_task(text, device_id=names[0])).result()
    if _RAW in result.metadata:
        return json.loads(base64.b64decode(result.metadata[_RAW]))
    from qpu_executors.translation.dax import DaxProgram

    try:
        return DaxProgram.parse(text).raw(result.counts[0])
    except ValueError as error:
        raise DeviceError(f"device {names[0]!r} gave counts, but no raw values, and {error}") from error
