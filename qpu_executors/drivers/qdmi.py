"""QPUs behind the Quantum Device Management Interface (QDMI), through MQT Core's driver and its Qiskit backend.

Needs the extra ``qdmi``. Page: docs/drivers/qdmi.md.
"""

from __future__ import annotations

import atexit
import difflib
import json
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qiskit.exceptions import QiskitError
from qiskit.transpiler import generate_preset_pass_manager

from ..device import Counts
from ..errors import DeviceError, DeviceFault, InvalidSite, InvalidTask, MissingPackage
from .circuits import LANGUAGES, Prepared

try:
    from mqt.core.plugins.qiskit import (
        CircuitValidationError,
        JobSubmissionError,
        QDMIBackend,
        QDMIQiskitError,
    )
    from mqt.core.plugins.qiskit.exceptions import UnsupportedDeviceError
    from mqt.core.qdmi import Device, builtin_driver
    from mqt.core.typing import QDMISessionParameters
except ModuleNotFoundError as error:  # `mqt` is a namespace of several packages: its name is no advice
    raise MissingPackage(
        "driver 'qdmi' needs MQT Core. Install it: pip install 'conqure[qdmi]', or pip install 'mqt-core>=4'"
    ) from error

_READY = (Device.Status.IDLE, Device.Status.BUSY)


class QDMIDevice:
    """Runs on a device of a QDMI device library.

    Args:
        device: its stable id, such as ``mqt.ddsim.default``. Without ``library``, one that MQT Core's configuration has
            (its files are in docs/drivers/qdmi.md).
        library: a QDMI device library, an absolute path; ``prefix`` is that of its functions. It becomes known to QDMI
            as ``device``, which then defaults to ``conqure.`` and the device_id.
        config: what the library reads of the device: a table, or the path of a file.
        session: how to sign in: ``base_url``, ``token``, ``auth_file``, ``auth_url``, ``username``, ``password``,
            ``custom1`` to ``custom5``. A secret belongs into an ``auth_file`` or QDMI's own configuration.
        optimization_level: of Qiskit's transpiler, 0 to 3.
        run_options: further options of the backend's ``run``, such as ``max_retries``.

    QDMI has no seeds. The ids that the device gave its jobs are in the metadata of each result.

    Raises:
        InvalidSite: an option is wrong, or there is no such device; DeviceError: it runs no circuits; DeviceFault: it
            is offline, in maintenance or being calibrated.

    >>> QDMIDevice("dd0", 20, device="mqt.ddsim.default")
    """

    languages = LANGUAGES

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        device: str = "",
        library: str = "",
        prefix: str = "",
        config: Mapping[str, Any] | str | None = None,
        session: Mapping[str, str] | None = None,
        optimization_level: int = 1,
        run_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        where = f"[qpu.{device_id}.options]"
        if optimization_level not in (0, 1, 2, 3) or isinstance(optimization_level, bool):
            raise InvalidSite(f"{where} optimization_level must be 0, 1, 2 or 3, not {optimization_level!r}.")
        name = device or f"conqure.{device_id}"
        if library or prefix:
            _register(where, name, library, prefix)
        elif not device:
            raise InvalidSite(
                f"{where} needs 'device', the id of a QDMI device ({_known()}), or 'library' and 'prefix'."
            )
        self._backend = _open(where, name, {**_session(where, session or {}), **_configuration(config)})
        self._who = f"device {device_id!r} ({self._backend.name})"
        _check(where, self._who, self._backend, n_qubits)
        self._operations = frozenset(self._backend.target.operation_names)
        self._pass_manager = generate_preset_pass_manager(
            optimization_level=optimization_level, backend=self._backend, seed_transpiler=0
        )
        self._run_options = dict(run_options or {})
        self._last = threading.local()

    @property
    def metadata(self) -> dict[str, Any]:
        """Of this thread's last call: slots call at the same time."""
        return getattr(self._last, "metadata", {})

    def prepare(self, program: str | bytes, language: str) -> Prepared:
        """Parse, and transpile to the operations and places that the device has."""
        prepared = Prepared.read(program, language, self.n_qubits)
        prepared.compile(self._pass_manager, self._operations, self._who)
        return prepared

    def execute(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        """See `Device.execute`; all rows are one QDMI job where the device takes several programs, else one each."""
        prepared.check(parameter_values)
        try:
            job = self._backend.run(prepared.bound(parameter_values), shots=shots, **self._run_options)
        except JobSubmissionError as error:
            raise DeviceFault(f"{self._who} did not take the job: {error}") from error
        except CircuitValidationError as error:
            raise InvalidTask(f"{self._who}: {error}") from error
        except QDMIQiskitError as error:
            raise InvalidTask(f"{self._who} cannot run this circuit: {error}") from error
        self._last.metadata = {"device": self._backend.name, "job_ids": _ids(job)}
        try:
            result = job.result()
        except (QiskitError, RuntimeError) as error:  # an unsuccessful job, or a library that fails
            told = getattr(error, "message", error)
            raise DeviceFault(f"{self._who}: job {', '.join(_ids(job))} gave no counts: {told}") from error
        return [prepared.counts(result.data(row)["counts"]) for row in range(len(result.results))]

    def close(self) -> None:
        """QDMI ends the session when nobody refers to it any more."""
        self._backend.last_job = None  # it refers to the backend
        del self._backend, self._pass_manager


def _register(where: str, name: str, library: str, prefix: str) -> None:
    """Make a library known to QDMI's driver in this process, which takes such news until it is first asked."""
    if not library or not prefix:
        raise InvalidSite(f"{where} needs both 'library' and 'prefix', the file and how its functions' names begin.")
    if not Path(library).is_file():
        raise InvalidSite(f"{where} library = {library!r}: there is no such file.")
    folder = Path(tempfile.mkdtemp(prefix="conqure-qdmi-"))  # QDMI reads it later, so it stays
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    manifest = folder / f"{name}.qdmi.json"
    entry = {"id": name, "library": str(Path(library).resolve()), "prefix": prefix, "enabled": True}
    manifest.write_text(json.dumps({"schema-version": 1, "qdmi": {"devices": [entry]}}))
    try:
        builtin_driver.add_manifest(manifest)
    except RuntimeError as error:
        if "Bad state" not in str(error):
            raise InvalidSite(f"{where} library = {library!r}: QDMI says: {error}") from error
        if name not in builtin_driver.registered_device_ids():
            raise DeviceError(
                f"{where} library = {library!r}: QDMI is already in use in this process and takes no more libraries. "
                "Name all libraries in one file for MQT_CORE_QDMI_CONFIG_FILE, and give only 'device' here; or give "
                "each of these QPUs a worker of its own (engine 'parsl' or 'dask')."
            ) from error


def _session(where: str, session: Mapping[str, str]) -> Mapping[str, str]:
    known = sorted(set(QDMISessionParameters.__annotations__) - {"device_config", "device_config_file"})
    for name, value in session.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidSite(f"{where} session has {name!r}.{hint} It takes: {', '.join(known)}.")
        if not isinstance(value, str):
            raise InvalidSite(f"{where} session: {name} must be text, not {type(value).__name__}.")
    return session


def _configuration(config: Mapping[str, Any] | str | None) -> dict[str, str]:
    if config is None:
        return {}
    if isinstance(config, str):
        return {"device_config_file": config}
    return {"device_config": json.dumps(dict(config))}


def _open(where: str, name: str, session: Mapping[str, Any]) -> QDMIBackend:
    known = builtin_driver.registered_device_ids()
    if name not in known:
        raise InvalidSite(f"{where} device = {name!r}: QDMI knows no such device. It knows: {_known()}.")
    try:
        return QDMIBackend.from_device_id(name, **session)
    except UnsupportedDeviceError as error:
        raise DeviceError(f"{where} device = {name!r} is no device of gates: {error}") from error
    except (RuntimeError, ValueError, IndexError) as error:
        told = f" with {', '.join(session)}" if session else ""
        raise DeviceError(f"{where} device = {name!r} cannot be opened{told}: QDMI says: {error}") from error


def _check(where: str, who: str, backend: QDMIBackend, n_qubits: int) -> None:
    device = backend.device
    if not device.supported_program_formats():
        raise DeviceError(f"{who} describes a machine and runs no programs. Choose another 'device': {_known()}.")
    if n_qubits > device.qubits_num():
        raise InvalidSite(f"{where}: {who} has {device.qubits_num()} qubits, the site says {n_qubits}.")
    status = device.status()
    if status not in _READY:
        raise DeviceFault(f"{who} is {status.name.lower()}. Try again later.")


def _known() -> str:
    return ", ".join(builtin_driver.registered_device_ids())


def _ids(job: Any) -> list[str]:
    """What the device called its jobs, each once."""
    handles = {id(a.handle): a.handle for entry in job.entries for a in entry.attempts if a.handle is not None}
    return [handle.id for handle in handles.values()]
