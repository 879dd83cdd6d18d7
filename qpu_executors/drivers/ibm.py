"""IBM's machines, through `QiskitRuntimeService` and `SamplerV2`. Needs the extra ``ibm``."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qiskit.exceptions import QiskitError
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, SamplerV2, Session, fake_provider
from qiskit_ibm_runtime.exceptions import (
    IBMAccountError,
    IBMError,
    IBMInputValueError,
    IBMNotAuthorizedError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobNotFound,
)

from ..device import Counts
from ..errors import ConqureError, DeviceError, DeviceFault, InvalidSite, InvalidTask, RemoteFailed
from .circuits import LANGUAGES, Prepared, named
from .sampling import counts, pubs, without_empty_registers

_MODES: dict[str, Any] = {"job": None, "session": Session, "batch": Batch}
_ENDED = (RuntimeJobFailureError, RuntimeJobMaxTimeoutError, RuntimeInvalidStateError, RuntimeJobNotFound)
_TROUBLE = (IBMError, OSError)  # OSError: what `requests` raises where nobody wraps it
_REFUSED = re.compile(r"\b4(?!08|29)\d\d Client Error")  # the service understood and will not; 408 and 429 pass
_SESSION_OVER = re.compile(r"(session|batch)\b.*\b(closed|expired|terminated|not active)", re.IGNORECASE | re.DOTALL)
_CREDENTIALS = (
    "Credentials stay out of site files: save them once, where only you can read them, with "
    "QiskitRuntimeService.save_account(token=…, instance=…) (~/.qiskit/qiskit-ibm.json), or set QISKIT_IBM_TOKEN and "
    "QISKIT_IBM_INSTANCE in the worker's environment."
)
_SEEDS = 2**31 - 1


class IBMDevice:
    """Runs on a machine of IBM Quantum; or on a fake one on this computer, in the runtime's local mode.

    A machine of IBM is a `RemoteDevice`: ``submit``, ``fetch`` and ``find`` are there, and the remote id is the job's.

    Args:
        backend: the machine's name, or ``least_busy`` of those with enough qubits, chosen when the device is opened.
        instance, account, channel: `QiskitRuntimeService`'s ``instance``, ``name`` (of a saved account), ``channel``.
            ``channel = "local"`` runs on the fake machine named ``backend``.
        fake: a class of `qiskit_ibm_runtime.fake_provider`, for example ``FakeManilaV2``, in place of a machine.
        mode: ``job``, or one ``session`` or ``batch`` that the first task opens and `close` closes.
        max_time: of the session or batch, seconds or text such as ``"2h 30m"``.
        sampler_options: of `SamplerV2`, for example ``{"dynamical_decoupling": {"enable": true}}``.
        optimization_level: of the transpiler, 0 to 3. A program is transpiled once, for all its rows and calls.
        use_fractional_gates: take the machine with its fractional gates.

    Raises:
        InvalidSite: an option is wrong; DeviceError: no credentials, no such machine; DeviceFault: no answer.

    >>> IBMDevice("manila", 5, fake="FakeManilaV2")
    """

    languages = LANGUAGES
    submit: Callable[..., str]  # there for machines only: `RemoteDevice` is a matter of what an object has
    fetch: Callable[..., list[Counts]]
    find: Callable[[str], str]

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        backend: str = "least_busy",
        instance: str | None = None,
        account: str | None = None,
        channel: str | None = None,
        fake: str | None = None,
        mode: str = "job",
        max_time: int | str | None = None,
        sampler_options: Mapping[str, Any] | None = None,
        optimization_level: int = 1,
        use_fractional_gates: bool = False,
        token: object = None,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        self._where = f"[qpu.{device_id}.options]"
        if token is not None:
            raise InvalidSite(f"{self._where} has a token. {_CREDENTIALS} Revoke this one: it was in a file.")
        if mode not in _MODES:
            raise InvalidSite(f"{self._where} mode must be one of {', '.join(_MODES)}, not {mode!r}.")
        if optimization_level not in (0, 1, 2, 3) or isinstance(optimization_level, bool):
            raise InvalidSite(f"{self._where} optimization_level must be 0, 1, 2 or 3, not {optimization_level!r}.")
        self._mode, self._max_time, self._options = mode, max_time, dict(sampler_options or {})
        self._local = fake is not None or channel == "local"
        given = {"instance": instance, "name": account, "channel": channel}
        if fake is not None:
            self._backend = named(f"{self._where} fake", f"{fake_provider.__name__}:{fake}")()
        else:
            self._service = self._open_service({name: value for name, value in given.items() if value is not None})
            with warnings.catch_warnings():  # local: of fake machines that nobody asked for, since it makes them all
                warnings.filterwarnings("ignore", "Properties of fake_", UserWarning)
                self._backend = self._choose(
                    backend, {} if self._local else {"use_fractional_gates": use_fractional_gates}
                )
        self._check_size()
        self._operations = frozenset(self._backend.target.operation_names)
        self._pass_manager = generate_preset_pass_manager(
            optimization_level=optimization_level, backend=self._backend, seed_transpiler=0
        )
        self.metadata: dict[str, Any] = {"backend": self._backend.name, "mode": mode}
        self._opening = threading.Lock()  # two slots share one session
        self._session: Any = None
        self._sampler(self._backend, None, "")  # says now what is wrong with its options
        if not self._local:
            self.submit, self.fetch, self.find = self._submit, self._fetch, self._find

    def prepare(self, program: str | bytes, language: str) -> Prepared:
        """Parse, and transpile to the machine's target."""
        prepared = Prepared.read(program, language, self.n_qubits)
        prepared.circuit = without_empty_registers(prepared.circuit)
        prepared.compile(self._pass_manager, self._operations, f"device {self.device_id!r} ({self._backend.name})")
        return prepared

    def execute(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        """See `Device.execute`; all rows are one job. Seeds work on fake machines."""
        return counts(prepared, self._run(prepared, parameter_values, shots, seed, "").result())

    def close(self) -> None:
        """Close the session or batch: what was submitted runs to its end, and nobody pays for waiting."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except _TROUBLE as error:
                raise DeviceFault(
                    self._says(error, "close the session", "It ends by itself after max_time.")
                ) from error

    def _submit(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None, key: str
    ) -> str:
        """One job with the tag ``key``; returns its id. IBM's machines take no seed."""
        return str(self._run(prepared, parameter_values, shots, None, key).job_id())

    def _fetch(self, remote_id: str, prepared: Prepared, n_rows: int) -> list[Counts]:
        try:
            found = counts(prepared, self._service.job(remote_id).result())
        except _ENDED as error:
            raise RemoteFailed(self._says(error, f"finish job {remote_id}", "Trying again submits it anew.")) from error
        except _TROUBLE as error:
            raise DeviceFault(self._says(error, f"be asked for job {remote_id}", "The job may go on.")) from error
        if len(found) != n_rows:
            raise DeviceError(f"device {self.device_id!r}: job {remote_id} has {len(found)} rows, not {n_rows}.")
        return found

    def _find(self, key: str) -> str:
        """The newest job with this tag that did not fail."""
        instance = getattr(self._backend, "_instance", None)  # other instances' jobs are not listed
        try:
            for job in self._service.jobs(job_tags=[key], instance=instance):
                if job.status() not in ("ERROR", "CANCELLED"):
                    return str(job.job_id())
        except _TROUBLE as error:
            raise DeviceFault(self._says(error, "be asked what was submitted", "Try again.")) from error
        return ""

    def _open_service(self, given: dict[str, str]) -> Any:
        try:
            return QiskitRuntimeService(**given)
        except (IBMAccountError, IBMNotAuthorizedError) as error:
            raise DeviceError(self._says(error, "be opened", _CREDENTIALS)) from error
        except ValueError as error:  # IBMInputValueError too
            raise InvalidSite(f"{self._where} {given}: {error} {_CREDENTIALS}") from error
        except _TROUBLE as error:
            raise DeviceFault(self._says(error, "be reached", "Is the network there? Try again.")) from error

    def _choose(self, name: str, more: dict[str, Any]) -> Any:
        try:
            if name != "least_busy":
                return self._service.backend(name, **more)
            if not self._local:
                more = {**more, "operational": True, "simulator": False}
            return self._service.least_busy(min_num_qubits=self.n_qubits, **more)
        except QiskitBackendNotFoundError as error:
            wanted = f"{self.n_qubits} qubits" if name == "least_busy" else f"the name {name!r}"
            known = ", ".join(sorted(one.name for one in self._service.backends())[:20])
            raise DeviceError(
                f"device {self.device_id!r}: your account of IBM Quantum has no backend with {wanted}. It has: {known}."
            ) from error
        except IBMInputValueError as error:
            raise InvalidSite(f"{self._where} backend = {name!r}: {error.message}") from error
        except _TROUBLE as error:
            raise DeviceFault(self._says(error, "be reached", "Is the network there? Try again.")) from error

    def _check_size(self) -> None:
        has = self._backend.num_qubits
        if self.n_qubits > has:
            raise InvalidSite(f"{self._where}: {self._backend.name!r} has {has} qubits, the site says {self.n_qubits}.")

    def _sampler(self, where: Any, seed: int | None, key: str) -> Any:
        """One for each job (0.3 ms), since the tags and the seed of a job are settings of the sampler."""
        options = dict(self._options)
        if key:
            own = options.get("environment") or {}
            options["environment"] = {**own, "job_tags": [*own.get("job_tags", ()), key]}
        if seed is not None and self._local:
            options["simulator"] = {**options.get("simulator", {}), "seed_simulator": seed % _SEEDS + 1}  # 0 is none
        try:
            with self._opening, warnings.catch_warnings():
                # It names a successor, whose results are made by the process that submitted: no other could fetch them.
                warnings.filterwarnings("ignore", "The SamplerV2 class is deprecated", DeprecationWarning)
                return SamplerV2(mode=where, options=options)
        except (ValueError, TypeError) as error:
            raise InvalidSite(f"{self._where} sampler_options: {' '.join(str(error).split())[:400]}") from error

    def _place(self) -> Any:
        """The machine, or the session or batch on it, which the first task opens."""
        kind = _MODES[self._mode]
        if kind is None:
            return self._backend
        with self._opening:
            if self._session is None:
                self._session = kind(backend=self._backend, max_time=self._max_time)
                self.metadata["session_id"] = self._session.session_id or ""
            return self._session

    def _run(self, prepared: Prepared, rows: Sequence[Sequence[float]], shots: int, seed: int | None, key: str) -> Any:
        prepared.check(rows)
        wanted = pubs(prepared, rows)
        try:
            return self._sampler(self._place(), seed, key).run(wanted, shots=shots)
        except _TROUBLE as error:
            if self._session is None or not _SESSION_OVER.search(str(error)):
                raise self._refusal(error) from error
        self._session = None  # its time was over: open the next one
        try:
            return self._sampler(self._place(), seed, key).run(wanted, shots=shots)
        except _TROUBLE as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> ConqureError:
        if isinstance(error, IBMInputValueError):
            return InvalidTask(self._says(error, "run this circuit", "Change the circuit or sampler_options."))
        if isinstance(error, IBMNotAuthorizedError) or _REFUSED.search(str(error)):
            return DeviceError(self._says(error, "take the job", "Trying again will not help; change what it names."))
        return DeviceFault(self._says(error, "take the job", "Try again."))

    def _says(self, error: Exception, cannot: str, advice: str) -> str:
        words = error.message if isinstance(error, QiskitError) else str(error)
        return f"device {self.device_id!r} (IBM) cannot {cannot}: {words.rstrip('.')}. {advice}"
