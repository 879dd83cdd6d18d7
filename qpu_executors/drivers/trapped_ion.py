"""An emulated trapped-ion machine: its native gates, their errors and their times.

Programs are compiled to RX, RY, RZ and RXX between any two ions (`translation.ion_trap`) and simulated: by the state
vector where the machine is perfect, by Qiskit Aer where errors are asked for. A call takes as long as the machine
would: see `TrappedIonDevice.spent`. Where the default numbers come from: docs/drivers/trapped_ion.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from ..errors import InvalidSite
from ..translation.gates import GateProgram, Op
from ..translation.ion_trap import NATIVE, PULSES, to_native
from ..translation.stand_in import without_entanglement
from .emulated import Emulated, EmulatedDevice
from .statevector import MAX_QUBITS

# Depolarising probabilities from average fidelities F: (1 - F) · 2^n / (2^n - 1) for a gate of n qubits.
TYPICAL = {"one_qubit": 0.0005 * 2, "two_qubit": 0.004 * 4 / 3, "readout": 0.0039}


@dataclass
class IonProgram(Emulated):
    """A program compiled for the machine.

    Attributes:
        gates: how many there are of each native gate.
        measurements, resets: how many rounds of each there are; neighbours are one round.
        compiled_s: what compiling is to take, until the first call has spent it.
    """

    gates: dict[str, int]
    measurements: int
    resets: int
    compiled_s: float


class TrappedIonDevice(EmulatedDevice):
    """A machine with one chain of ions, one gate at a time.

    Args:
        noise: ``typical``; or ``{"one_qubit": p, "two_qubit": p, "readout": p}``, depolarising probabilities of each
            pulse and of each RXX, and the probability of a wrong bit. None: a perfect machine.
        gate_1q_s, gate_2q_s: seconds of an RX or RY, and of an RXX; RZ takes none.
        prepare_s: cooling and preparing the ions, seconds per shot; a reset in the circuit takes as long.
        measure_s: seconds per round of measurements, all ions together.
        job_s, row_s: seconds per call, and per row of parameter values. compile_s: seconds for a program that is new.
        reload_s: seconds to reload the trap, where a circuit has another number of qubits than the one before.
        stand_in: run each circuit without entanglement (`translation.stand_in`), every gate as it is written.
        failure_rate, failure_seed, clock: as of `EmulatedDevice`.

    >>> TrappedIonDevice("ion0", 7, noise="typical", clock="virtual").n_qubits
    7
    """

    def __init__(
        self,
        device_id: str,
        n_qubits: int,
        *,
        noise: Mapping[str, float] | Literal["typical"] | None = None,
        gate_1q_s: float = 135e-6,
        gate_2q_s: float = 600e-6,
        prepare_s: float = 5e-3,
        measure_s: float = 100e-6,
        job_s: float = 0.5,
        row_s: float = 0.0,
        compile_s: float = 0.0,
        reload_s: float = 20.0,
        stand_in: bool = False,
        failure_rate: float = 0.0,
        failure_seed: int | None = None,
        clock: Literal["real", "virtual"] = "real",
    ) -> None:
        self._seconds = {
            "gate_1q_s": gate_1q_s,
            "gate_2q_s": gate_2q_s,
            "prepare_s": prepare_s,
            "measure_s": measure_s,
            "compile_s": compile_s,
        }
        _check_seconds(device_id, self._seconds)
        strengths = _strengths(device_id, noise)
        options = {"noise": f"{__name__}:noise_model", "noise_arguments": strengths} if strengths else {}
        super().__init__(
            device_id,
            n_qubits,
            driver="aer" if strengths or n_qubits > MAX_QUBITS else "statevector",
            options=options,
            job_s=job_s,
            row_s=row_s,
            reload_s=reload_s,
            failure_rate=failure_rate,
            failure_seed=failure_seed,
            clock=clock,
        )
        self.languages = ("gates",)
        self._stand_in = stand_in

    def prepare(self, program: str | bytes, language: str) -> IonProgram:
        """Compile a `gates` program to native gates."""
        assert isinstance(program, str)
        read = GateProgram.parse(program)
        native = to_native(without_entanglement(read) if self._stand_in else read, merge=not self._stand_in)
        found = Counter(op.name for op in native.ops)
        return IonProgram(
            self._inner.prepare(native.dumps(), "gates"),
            read.n_qubits,
            {name: found[name] for name in NATIVE},
            _rounds(native.ops, "measure"),
            _rounds(native.ops, "reset"),
            self._seconds["compile_s"],
        )

    def spent(self, prepared: Emulated, n_rows: int, shots: int) -> dict[str, float]:
        """Seconds of a call: each shot cools and prepares, runs gate after gate, and measures."""
        assert isinstance(prepared, IonProgram)
        each, n_shots = self._seconds, n_rows * shots
        pulses = sum(prepared.gates[name] for name in PULSES)
        compiled_s, prepared.compiled_s = prepared.compiled_s, 0.0
        spent = super().spent(prepared, n_rows, shots) | {
            "compile": compiled_s,
            "prepare": n_shots * each["prepare_s"] * (1 + prepared.resets),
            "gates": n_shots * (pulses * each["gate_1q_s"] + prepared.gates["rxx"] * each["gate_2q_s"]),
            "measure": n_shots * each["measure_s"] * prepared.measurements,
        }
        del spent["shots"]  # the last three are its parts
        return spent

    def facts(self, prepared: Emulated, spent: Mapping[str, float]) -> dict[str, Any]:
        """``native_gates``: how many of each; ``spent_s``: seconds of the call by what they went into."""
        assert isinstance(prepared, IonProgram)
        return {"native_gates": dict(prepared.gates), "spent_s": dict(spent)}

    @staticmethod
    def describe(options: Mapping[str, Any]) -> dict[str, Any]:
        """What a site's options make of the machine."""
        noise = "perfect" if not options.get("noise") else "with errors"
        return {"is": f"emulated ion trap, {noise}", "native_gates": list(NATIVE), "emulated": True}


def noise_model(one_qubit: float, two_qubit: float, readout: float) -> Any:
    """Aer's noise model of the machine: errors of pulses, of RXX and of measurements; RZ is free of them."""
    from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

    model = NoiseModel(basis_gates=list(NATIVE))
    model.add_all_qubit_quantum_error(depolarizing_error(one_qubit, 1), list(PULSES))
    model.add_all_qubit_quantum_error(depolarizing_error(two_qubit, 2), ["rxx"])
    model.add_all_qubit_readout_error(ReadoutError([[1 - readout, readout], [readout, 1 - readout]]))
    return model


def _rounds(ops: Iterable[Op], name: str) -> int:
    return sum(kind == name for kind, _ in groupby(op.name for op in ops if op.name != "barrier"))


def _strengths(device_id: str, noise: object) -> dict[str, float]:
    where = f"[qpu.{device_id}.options] noise"
    if noise is None:
        return {}
    if noise == "typical":
        return dict(TYPICAL)
    if not isinstance(noise, Mapping):
        raise InvalidSite(f"{where} must be 'typical' or a table of {', '.join(TYPICAL)}, not {noise!r}.")
    for name, strength in noise.items():
        if name not in TYPICAL:
            raise InvalidSite(f"{where} has {name!r}. It takes: {', '.join(TYPICAL)}.")
        if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
            raise InvalidSite(f"{where}: {name} is a probability from 0 to 1, not {strength!r}.")
    return {name: float(noise.get(name, 0.0)) for name in TYPICAL}


def _check_seconds(device_id: str, seconds: Mapping[str, object]) -> None:
    for name, value in seconds.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise InvalidSite(f"[qpu.{device_id}.options] {name} must be a number of seconds from 0, not {value!r}.")
