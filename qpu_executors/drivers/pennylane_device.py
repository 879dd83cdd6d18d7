"""Any PennyLane device, for example ``lightning.qubit``. Needs the extra ``pennylane``."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.tape import QuantumScript

from ..device import Counts
from ..errors import InvalidSite, InvalidTask, MissingPackage
from ..translation.gates import GateProgram, Op, is_final
from ..translation.pennylane import operations

_CANNOT = (qml.exceptions.DeviceError, qml.wires.WireError, NotImplementedError)
_BITS = 62  # an outcome of this many bits fits an int64


class PennyLaneDevice:
    """Runs on ``qml.device(device, wires=n_qubits, **arguments)``.

    Args:
        device: PennyLane's name of the device.
        arguments: what else its constructor takes.

    Seeds work where the constructor takes ``seed``; otherwise every call is a fresh sample.

    Raises:
        InvalidSite: PennyLane cannot open the device; MissingPackage: no installed package has it.

    >>> PennyLaneDevice("pl0", 7, device="lightning.qubit")
    """

    languages = ("gates",)

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        device: str = "lightning.qubit",
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.device_id, self.n_qubits = device_id, n_qubits
        self._name, self._arguments = device, {**(arguments or {}), "wires": n_qubits}
        self._takes_seed = True
        self._of_thread = threading.local()  # PennyLane's simulators keep a state; two slots must not share one
        self._own_device()
        self._midway_methods: tuple[str, ...] = ("tree-traversal", "one-shot")

    def prepare(self, program: str | bytes, language: str) -> Circuit:
        """Turn a `gates` program into PennyLane's operations."""
        assert isinstance(program, str)
        return Circuit.of(GateProgram.parse(program))

    def execute(
        self, prepared: Circuit, parameter_values: Sequence[Sequence[float]], shots: int, seed: int | None
    ) -> list[Counts]:
        """See `Device.execute`; all rows are one batch of tapes."""
        prepared.check(parameter_values)
        device = self._own_device() if seed is None or not self._takes_seed else self._open(seed)
        with qml.QueuingManager.stop_recording():
            tapes = [prepared.tape(row, shots) for row in parameter_values]
            samples = self._sample(device, prepared, tapes)
        return [prepared.counts(np.asarray(sample), shots) for sample in samples]

    def close(self) -> None:
        """Nothing to let go of."""

    def _own_device(self) -> Any:
        """This thread's device, with a seed from the system: PennyLane's default is the same in forked workers."""
        if not hasattr(self._of_thread, "device"):
            self._of_thread.device = self._open(None)
        return self._of_thread.device

    def _open(self, seed: int | None) -> Any:
        try:
            if self._takes_seed:
                try:
                    return qml.device(self._name, **self._arguments, seed=seed)
                except TypeError:
                    self._takes_seed = False
            return qml.device(self._name, **self._arguments)
        except (qml.exceptions.DeviceError, ImportError) as error:
            raise MissingPackage(
                f"PennyLane cannot open {self._name!r} for device {self.device_id!r}: {' '.join(str(error).split())} "
                "Install the package that has it, or correct the name."
            ) from error
        except Exception as error:  # whatever a third party's constructor raises
            raise InvalidSite(
                f"[qpu.{self.device_id}.options] device = {self._name!r}, arguments = {self._arguments!r}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _sample(self, device: Any, prepared: Circuit, tapes: list[QuantumScript]) -> Any:
        if prepared.reads is None:
            return self._sample_midway(device, tapes)
        if prepared.is_native is None:
            prepared.is_native = _takes_as_is(device, tapes[0])
        if prepared.is_native:
            return device.execute(tapes)  # what qml.execute comes to, without its 0.6 ms
        return self._run(device, tapes)

    def _sample_midway(self, device: Any, tapes: list[QuantumScript]) -> Any:
        """Outcomes in the middle: by branches where the device can, else shot by shot (slow)."""
        for method in self._midway_methods:
            try:
                samples = qml.execute(tapes, device, diff_method=None, mcm_method=method)
            except (*_CANNOT, ValueError) as error:
                said: Exception = error
            else:
                self._midway_methods = (method,)
                return samples
        raise InvalidTask(
            f"device {self.device_id!r} ({self._name}) cannot measure or reset in the middle of a circuit: {said}"
        ) from said

    def _run(self, device: Any, tapes: list[QuantumScript]) -> Any:
        try:
            return qml.execute(tapes, device, diff_method=None)
        except _CANNOT as error:
            raise InvalidTask(f"device {self.device_id!r} ({self._name}) cannot run this circuit: {error}") from error


@dataclass
class Circuit:
    """A program as PennyLane's operations.

    Attributes:
        steps: operations without parameters as they are, the others as ops of the program.
        reads: the qubits measured at the end, in the order of the samples' columns; None if outcomes in the middle
            count.
        bits: the classical bits each column goes to.
        is_native: whether the device takes such a tape as it is; None until the first call.
    """

    program: GateProgram
    steps: list[Operator | Op]
    reads: list[int] | None
    bits: list[list[int]]
    is_native: bool | None = None

    @classmethod
    def of(cls, program: GateProgram) -> Circuit:
        if len({bit for op in program.ops for bit in op.bits}) > _BITS:
            raise InvalidTask(f"the program measures into more than {_BITS} bits, too many for this driver.")
        final = is_final(program)
        steps: list[Operator | Op] = []
        for op in program.ops:
            if op.name == "barrier" or (final and op.name == "measure"):
                continue
            fixed = op.name not in ("measure", "reset") and not any(isinstance(angle, tuple) for angle in op.angles)
            steps += operations(op, ()) if fixed else [op]
        writes = [pair for op in program.ops for pair in zip(op.qubits, op.bits, strict=False)]
        if not final:
            return cls(program, steps, None, [[bit] for bit in dict.fromkeys(bit for _, bit in writes)])
        reads = list(dict.fromkeys(qubit for qubit, _ in writes))
        return cls(program, steps, reads, [[bit for read, bit in writes if read == qubit] for qubit in reads])

    def check(self, rows: Sequence[Sequence[float]]) -> None:
        """`InvalidTask` unless each row has one value per parameter."""
        names = self.program.parameters
        if any(len(row) != len(names) for row in rows):
            some = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            raise InvalidTask(
                f"parameter_values has {len(rows[0])} columns, the program has {len(names)} "
                f"parameters{': ' + some if some else ''}. Give one value per parameter in each row."
            )

    def tape(self, row: Sequence[float], shots: int) -> QuantumScript:
        """The tape of one row."""
        done: list[Any] = []
        outcomes: dict[int, Any] = {}
        for step in self.steps:
            if not isinstance(step, Op):
                done.append(step)
            elif step.name == "measure":
                for qubit, bit in zip(step.qubits, step.bits, strict=True):
                    outcomes[bit] = qml.measure(qubit)
                    done += outcomes[bit].measurements
            elif step.name == "reset":
                for qubit in step.qubits:
                    done += qml.measure(qubit, reset=True).measurements
            else:
                done += operations(step, row)
        if self.reads is None:
            return QuantumScript(done, [qml.sample([outcomes[bit] for (bit,) in self.bits])], shots=shots)
        return QuantumScript(done, [qml.sample(wires=self.reads)], shots=shots)

    def counts(self, samples: Any, shots: int) -> Counts:
        """Counts of samples, shape (shots, n_columns) of 0 and 1; one column or one shot may have lost its axis."""
        columns = samples.reshape(shots, len(self.bits)).astype(np.int64)
        packed = columns @ (1 << np.arange(len(self.bits), dtype=np.int64))
        outcomes, numbers = np.unique(packed, return_counts=True)
        counts: Counts = {}
        for outcome, number in zip(outcomes.tolist(), numbers.tolist(), strict=True):
            value = sum((outcome >> column & 1) << bit for column, bits in enumerate(self.bits) for bit in bits)
            counts[self.program.key(value)] = number
        return counts


def _takes_as_is(device: Any, tape: QuantumScript) -> bool:
    """Whether the device's own preprocessing leaves such a tape alone, so that it can be left out."""
    try:
        (same,), _ = device.preprocess_transforms()([tape])
    except Exception:  # it has no such preprocessing, or splits the tape, or refuses it: qml.execute says what it is
        return False
    return (
        len(same.operations) == len(tape.operations)
        and all(
            type(new) is type(old) and new.wires == old.wires and new.data == old.data
            for new, old in zip(same.operations, tape.operations, strict=True)
        )
        and same.measurements == tape.measurements
    )
