"""The QPUs that Slurm's QRMI plugin gave to this job: found by its variables, opened, acquired, released."""

from __future__ import annotations

import json
import logging
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import qrmi

from ..errors import ConqureError, DeviceError, DeviceFault, MissingPackage, RemoteFailed

log = logging.getLogger(__name__)

# Types whose machines take IBM's primitives, in the words of the plugin's configuration, old names included.
TYPES = {
    "ibm-quantum-system": "IBMQuantumSystem",
    "ibm-quantum-compute-service": "IBMQuantumComputeService",
    "qiskit-runtime-service": "IBMQiskitRuntimeService",
    "direct-access": "IBMQuantumSystem",
}
# What the others take is no circuit of ours; where to go instead.
OTHERS = {
    "pasqal-cloud": "runs pulse sequences of neutral atoms, no circuits. Write them with Pulser and qrmi.pulser",
    "pasqal-local": "runs pulse sequences of neutral atoms, no circuits. Write them with Pulser and qrmi.pulser",
    "iqm-server": "takes IQM's circuits. Use the driver 'qiskit' with a function that returns IQM's backend",
    "alice-bob-felis": "takes QIR. Use the driver 'qiskit' with a function that returns Alice & Bob's backend",
    "oqtopus": "takes job descriptions of OQTOPUS. Use its client, oqtopus-client",
}
_HELD = ("QRMI_JOB_ACQUISITION_TOKEN", "QRMI_IBM_QCS_SESSION_ID", "QRMI_IBM_QRS_SESSION_ID")
_LONGEST_S = 7 * 86400  # S3 signs no address for longer; the plugin gives 2^32 - 1 for a job without a limit


@dataclass(frozen=True)
class Opened:
    """A resource that answers: QRMI's handle, and the machine as Qiskit's transpiler sees it."""

    name: str
    type: str
    resource: Any  # qrmi.QuantumResource
    backend: Any  # qrmi.primitives.ibm.backend.QRMIBackend


def find(who: str, n_qubits: int, name: str, kind: str, limit_s: int, fractional_gates: bool) -> Opened:
    """The resource of this name (with ``kind``: whatever the job was given), or the job's first that fits.

    Raises:
        DeviceError: the job has none, or none that fits, with the reason of each; DeviceFault: it may be there later.
    """
    offered = [(name, kind)] if kind else [one for one in _given(who) if name in ("", one[0])]
    if not offered:
        names = ", ".join(given for given, _ in _given(who)) or "none"
        raise DeviceError(
            f"{who}: this job has no resource {name!r}. It has: {names}. Ask for it with sbatch --qpu={name}."
        )
    refused: list[ConqureError] = []
    for one in offered:
        try:
            return _open(who, *one, n_qubits, limit_s, fractional_gates)
        except DeviceError as error:
            refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    kind_of_error = DeviceFault if any(error.transient for error in refused) else DeviceError
    raise kind_of_error(f"{who}: none of the job's resources fits. " + " ".join(map(str, refused)))


def acquire(owner: object, who: str, opened: Opened) -> weakref.finalize[Any, Any] | None:
    """Acquire it, until the result is called, ``owner`` is gone or the process ends; None if the job holds it."""
    if any(os.environ.get(f"{opened.name}_{variable}") for variable in _HELD):
        return None  # acquired by the plugin, who also releases it when the job ends
    with translated(f"{who}: {opened.name} cannot be acquired"):
        token = opened.resource.acquire()
    return weakref.finalize(owner, _release, who, opened, token, os.getpid())


@contextmanager
def translated(doing: str, invalid: type[ConqureError] = DeviceFault) -> Iterator[None]:
    """Errors of QRMI as ours; ``invalid`` for what it calls an invalid input, which also is an answer it can't read."""
    try:
        yield
    except (qrmi.UnsupportedPayloadError, qrmi.InvalidInputError) as error:
        raise invalid(f"{doing}: {error}") from error
    except (qrmi.TaskNotFoundError, qrmi.TaskNotReadyError) as error:
        raise RemoteFailed(f"{doing}: {error}") from error
    except (qrmi.EnvVarNotSetError, qrmi.ConfigError) as error:
        raise DeviceError(
            f"{doing}: {error}. The plugin sets it from the resource's 'environment' in qrmi_config.json; "
            "outside of such a job, set it yourself."
        ) from error
    except (qrmi.AuthenticationFailedError, qrmi.ResourceNotFoundError, qrmi.UnsupportedFunctionError) as error:
        raise DeviceError(f"{doing}: {error}") from error
    except qrmi.QrmiError as error:  # the network, or the service
        raise DeviceFault(f"{doing}: {error}") from error


def _given(who: str) -> list[tuple[str, str]]:
    """Names and types of the job's resources."""
    try:
        names, types = qrmi.get_job_qpu_resources_and_types()
    except ValueError as error:
        raise DeviceError(f"{who}: {error}") from error
    except RuntimeError:
        names, types = [], []
    if not names:
        told = os.environ.get("QRMI_PLUGIN_ERROR")
        raise DeviceError(
            f"{who}: this process was given no QPU: QRMI_JOB_QPU_RESOURCES is empty or not set. "
            + (f"The plugin says: {told}" if told else "Ask for one with sbatch --qpu=NAME.")
            + " Without the plugin, set the options 'resource' and 'resource_type', and QRMI's variables."
        )
    return [(name.strip(), kind.strip()) for name, kind in zip(names, types, strict=True)]


def _open(who: str, name: str, kind: str, n_qubits: int, limit_s: int, fractional_gates: bool) -> Opened:
    if kind not in TYPES:
        why = OTHERS.get(kind, f"is unknown. Known: {', '.join(TYPES)}")
        raise DeviceError(f"{who}: {name} is of the type {kind!r}, which {why}.")
    _complete_variables(name, kind, limit_s)
    with translated(f"{who}: {name} cannot be opened"):
        resource = qrmi.QuantumResource(name, getattr(qrmi.ResourceType, TYPES[kind]))
        status = resource.status()
        if status.status != qrmi.ResourceStatusCode.Online:
            reason = f" ({status.status_reason})" if status.status_reason else ""
            raise DeviceFault(f"{who}: {name} is {status.to_dict()['status']}{reason}. Try again later.")
        described = json.loads(resource.target().value)
        if not all(described.get(part) for part in ("configuration", "properties")):
            raise DeviceFault(f"{who}: {name} does not give its configuration and calibration now. Try again later.")
        backend = _backend(resource, fractional_gates)
    if backend.num_qubits < n_qubits:
        raise DeviceError(f"{who}: {name} has {backend.num_qubits} qubits, the site says {n_qubits}.")
    return Opened(name, kind, resource, backend)


def _backend(resource: Any, fractional_gates: bool) -> Any:
    try:
        from qrmi.primitives.ibm.backend import get_backend
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"QRMI needs {error.name!r} for IBM's machines. Install it: pip install 'qrmi[ibm]'"
        ) from error
    return get_backend(resource, use_fractional_gates=fractional_gates)


def _complete_variables(name: str, kind: str, limit_s: int) -> None:
    """What the library demands and an old plugin, or none, does not set."""
    if kind == "direct-access":  # renamed in QRMI 0.13, and its variables too
        old = f"{name}_QRMI_IBM_DA_"
        for variable, value in list(os.environ.items()):
            if variable.startswith(old):
                new = variable.removeprefix(old).replace("DAAPI", "QSAPI")
                os.environ.setdefault(f"{name}_QRMI_IBM_QS_{new}", value)
    limit = f"{name}_QRMI_JOB_TIMEOUT_SECONDS"
    given = os.environ.get(limit) or str(limit_s)
    os.environ[limit] = str(min(int(given), _LONGEST_S)) if given.isdigit() else given


def _release(who: str, opened: Opened, token: str, pid: int) -> None:
    if os.getpid() != pid:  # a forked child must not take the QPU away from its parent
        return
    try:
        opened.resource.release(token)
    except qrmi.QrmiError as error:
        log.warning("%s: %s could not be released: %s", who, opened.name, error)
