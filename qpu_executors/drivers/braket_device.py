"""Amazon Braket: simulators on this computer, machines and simulators of AWS. Needs the extra ``braket``."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, ProfileNotFound
from braket.aws import AwsDevice, AwsQuantumTask, AwsSession
from braket.devices import LocalSimulator
from braket.ir.openqasm import Program

from ..device import Counts
from ..errors import DeviceError, DeviceFault, InvalidSite, InvalidTask, RemoteFailed
from ..translation.gates import GateProgram
from .braket_text import Prepared

_KEY, _ROW = "conqure", "conqure-row"  # the tags of a quantum task
_PASSING = (
    "ThrottlingException",
    "InternalServiceException",
    "DeviceOfflineException",
    "ServiceQuotaExceededException",
)
_CREDENTIALS = (
    "AWS reads them from ~/.aws or from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the worker's environment, and "
    "the region from AWS_REGION; 'aws configure' writes both. The option 'profile' chooses one of several."
)


class BraketDevice:
    """Runs on a `LocalSimulator`, or on a device of AWS named by its ARN.

    A device of AWS is a `RemoteDevice`: ``submit``, ``fetch`` and ``find`` are there. Each row is one quantum task of
    Braket, and a remote id is the ARNs of all rows, separated by spaces.

    Args:
        simulator: the name of a local simulator: ``default`` (state vector) or ``braket_dm`` (density matrix).
        arn: of a device of AWS, in place of the local simulator.
        profile: of the AWS credentials.
        s3: where AWS puts the results, ``s3://bucket/folder``; its own choice is a bucket of your account's region.
        poll_s: seconds between two questions whether a task is done; AWS's own choice depends on the device.

    Braket takes no seeds. Devices of AWS measure at the end only; the simulators here measure and reset anywhere.

    Raises:
        InvalidSite: an option is wrong; DeviceError: AWS knows neither you nor the device; DeviceFault: no answer.

    >>> BraketDevice("b0", 10, simulator="default")
    """

    languages = ("gates",)
    submit: Callable[..., str]  # there for devices of AWS only: `RemoteDevice` is a matter of what an object has
    fetch: Callable[..., list[Counts]]
    find: Callable[[str], str]

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        simulator: str = "default",
        arn: str | None = None,
        profile: str | None = None,
        s3: str | None = None,
        poll_s: float | None = None,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        self._where = f"[qpu.{device_id}.options]"
        self._local = arn is None
        if arn is None:
            self._device = self._open_local(simulator)
        else:
            self._device = self._open_aws(arn, profile)
            self._s3 = self._folder(s3)
            self._poll = {} if poll_s is None else {"poll_interval_seconds": float(poll_s)}
            self.submit, self.fetch, self.find = self._submit, self._fetch, self._find
            self._begun: dict[str, dict[int, str]] = {}  # key -> row -> ARN, of submissions that broke off
        self._gates, self._max_qubits = self._abilities()
        if n_qubits > self._max_qubits:
            raise InvalidSite(
                f"{self._where}: {self._device.name!r} has {self._max_qubits} qubits, the site says {n_qubits}."
            )
        self.metadata: dict[str, Any] = {"backend": str(self._device.name)}

    def prepare(self, program: str | bytes, language: str) -> Prepared:
        """In the gates the device has."""
        assert isinstance(program, str)
        who = f"device {self.device_id!r} ({self._device.name})"
        return Prepared.of(GateProgram.parse(program), self._gates, who, midway=self._local)

    def execute(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        """See `Device.execute`; row by row."""
        if not self._local:
            return self._fetch(
                self._submit(prepared, parameter_values, shots, seed, ""), prepared, len(parameter_values)
            )
        with warnings.catch_warnings():  # that another simulator may be faster; the site chose this one
            warnings.filterwarnings("ignore", "You are running a noise-free circuit", UserWarning)
            tasks = [self._device.run(Program(source=prepared.text(row)), shots=shots) for row in parameter_values]
        return [prepared.counts(_seen(task.result().measurements)) for task in tasks]

    def close(self) -> None:
        """Nothing to let go of."""

    def _submit(
        self, prepared: Prepared, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None, key: str
    ) -> str:
        """One quantum task for each row, with the key and its number as tags; the ARNs."""
        begun = self._begun.pop(key, {})  # `find`, a moment ago, found some of them
        arns = []
        for number, row in enumerate(parameter_values):
            arn = begun.get(number)
            if arn is None:
                tags = {_KEY: key, _ROW: f"{number} of {len(parameter_values)}"} if key else None
                with _Blame(self, "take the task"):
                    arn = self._device.run(
                        Program(source=prepared.text(row)), self._s3, shots=shots, tags=tags, quiet=True
                    ).id
            arns.append(arn)
        return " ".join(arns)

    def _fetch(self, remote_id: str, prepared: Prepared, n_rows: int) -> list[Counts]:
        arns = remote_id.split()
        if len(arns) != n_rows:
            raise DeviceError(f"device {self.device_id!r}: {len(arns)} quantum tasks for {n_rows} rows: {remote_id}.")
        return [self._wait(arn, prepared) for arn in arns]

    def _wait(self, arn: str, prepared: Prepared) -> Counts:
        session = self._device.aws_session
        with _Blame(self, f"be asked for {arn}"), _own_loop():
            task = AwsQuantumTask(arn, session, quiet=True, **self._poll)
            result = task.result()
            state = task.metadata(use_cached_value=True)
        if result is None and state["status"] in AwsQuantumTask.NO_RESULT_TERMINAL_STATES:
            reason = state.get("failureReason", "no reason is given").rstrip(".")
            raise RemoteFailed(
                f"device {self.device_id!r}: {arn} is {state['status']}: {reason}. Trying again submits it anew."
            )
        if result is None:
            raise DeviceFault(f"device {self.device_id!r}: {arn} is still {state['status']}. Trying again waits on.")
        column = {qubit: place for place, qubit in enumerate(result.measured_qubits)}
        missing = [qubit for qubit in prepared.qubits if qubit not in column]
        if missing:
            raise DeviceError(f"device {self.device_id!r}: the result of {arn} lacks qubit {missing[0]}.")
        return prepared.counts(_seen(result.measurements[:, [column[qubit] for qubit in prepared.qubits]]))

    def _find(self, key: str) -> str:
        """The ARNs of all rows. AWS promises no search by tags, but tells them: this looks at all tasks of the device.

        Where only some rows were submitted, it is "", and `submit` with this key adds the others.
        """
        rows: dict[int, str] = {}
        total = 0
        filters = [{"name": "deviceArn", "operator": "EQUAL", "values": [self._device.arn]}]
        with _Blame(self, "be asked what was submitted"):
            pages = self._device.aws_session.braket_client.get_paginator("search_quantum_tasks")
            found = [task for page in pages.paginate(filters=filters) for task in page["quantumTasks"]]
        for task in sorted(found, key=lambda task: task["createdAt"]):  # of two, the newer counts
            tags = task.get("tags", {})
            if tags.get(_KEY) == key and task["status"] not in ("FAILED", "CANCELLING", "CANCELLED"):
                number, total = (int(word) for word in tags[_ROW].split(" of "))
                rows[number] = task["quantumTaskArn"]
        if rows and len(rows) == total:
            return " ".join(rows[number] for number in range(total))
        self._begun[key] = rows
        return ""

    def _open_local(self, name: str) -> Any:
        known = LocalSimulator.registered_backends()
        if name not in known:
            raise InvalidSite(
                f"{self._where} simulator = {name!r} is not installed. There is: {', '.join(sorted(known))}."
            )
        try:
            device = LocalSimulator(name)
            device.properties.action["braket.ir.openqasm.program"]
        except KeyError:
            raise InvalidSite(f"{self._where} simulator = {name!r} does not run circuits. Choose another.") from None
        return device

    def _open_aws(self, arn: str, profile: str | None) -> Any:
        if not arn.startswith("arn:") or arn.count("/") < 2:
            raise InvalidSite(
                f"{self._where} arn must be that of a device, such as "
                f"'arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1', not {arn!r}."
            )
        with _Blame(self, "be opened"):
            region = arn.split(":")[3] or os.environ.get("AWS_REGION")
            try:
                return AwsDevice(arn, AwsSession(boto3.Session(profile_name=profile, region_name=region)))
            except ValueError as error:  # what the SDK makes of an unknown ARN
                raise DeviceError(
                    f"device {self.device_id!r}: AWS has no device {arn!r} for your account: {error}. "
                    "Braket's console lists them, each with its ARN."
                ) from error

    def _folder(self, s3: str | None) -> tuple[str, str] | None:
        try:
            return None if s3 is None else tuple(AwsSession.parse_s3_uri(s3))
        except ValueError as error:
            raise InvalidSite(f"{self._where} s3 must be 's3://bucket/folder', not {s3!r}: {error}") from error

    def _abilities(self) -> tuple[frozenset[str], int]:
        """The gates the device has, and its number of qubits."""
        properties = self._device.properties
        action = properties.action.get("braket.ir.openqasm.program")
        if action is None:
            raise InvalidSite(f"{self._where}: {self._device.name!r} does not run circuits. Choose another device.")
        return frozenset(action.supportedOperations), properties.paradigm.qubitCount


class _Blame:
    """Turns what AWS's SDK raises into our errors, in its words."""

    def __init__(self, device: BraketDevice, cannot: str) -> None:
        self._device, self._cannot = device, cannot

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        text = f"device {self._device.device_id!r} (AWS) cannot {self._cannot}: {error}"
        if isinstance(error, (NoCredentialsError, NoRegionError, ProfileNotFound)):
            raise DeviceError(f"{text}. {_CREDENTIALS}") from error
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "ValidationException":
                raise InvalidTask(text) from error
            if code in _PASSING or status >= 500:
                raise DeviceFault(f"{text}. Try again.") from error
            raise DeviceError(f"{text}. Are the credentials those of an account that may? {_CREDENTIALS}") from error
        if isinstance(error, (BotoCoreError, OSError)):
            raise DeviceFault(f"{text}. Is the network there? Try again.") from error


class _own_loop:
    """A thread's event loop for the SDK, which waits in one and else leaves one behind."""

    def __enter__(self) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def __exit__(self, *_: object) -> None:
        asyncio.set_event_loop(None)
        self._loop.close()


def _seen(measurements: Any) -> list[tuple[Sequence[int], int]]:
    """How often each row of an array of shape (shots, bits) is there."""
    return list(Counter(map(tuple, measurements.tolist())).items())
