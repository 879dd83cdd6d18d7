"""`SamplerV2`: Qiskit's sampler over the pool."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import ClassicalRegister, QuantumCircuit
from qiskit.primitives import BaseSamplerV2, BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub, SamplerPubLike
from qiskit.providers import BackendV2

from qpu_executors.device import Counts
from qpu_executors.records import Priority, QuantumResult
from qpu_executors.site import Site

from .backend import QPUBackend
from .batch import Batch, Row
from .circuits import Ready
from .job import PoolPrimitiveJob, Running
from .provider import provider

Bits = NDArray[np.uint8]


class SamplerV2(BaseSamplerV2):
    """Samples circuits on QPUs: a PUB's bindings are the rows of one task, and PUBs of one circuit share it.

    Args:
        backend: of `provider`, or a name or selector of a QPU.
        default_shots: where neither a PUB nor `run` says how many.
        seed: for simulators: the same seed gives the same bits.
        priority: HIGH, MEDIUM or LOW.
        site, engine, pool: as of `provider`, where the backend is a name.

    The bits of a register are in the order of shots only as far as that means anything: QPUs give counts, whose shots
    are put into a random order, the same one in all registers.

    >>> SamplerV2("any", site="laptop").run([(circuit, [[0.1], [0.2]])]).result()[0].data.meas.get_counts(1)
    {'0': 1014, '1': 10}
    """

    def __init__(
        self,
        backend: QPUBackend | str = "any",
        *,
        default_shots: int = 1024,
        seed: int | None = None,
        priority: Priority | str = Priority.MEDIUM,
        site: Site | str | Path | None = None,
        engine: str | None = None,
        pool: Executor | None = None,
    ) -> None:
        self.backend = as_backend(backend, site, engine, pool)
        self.default_shots, self.seed, self.priority = default_shots, seed, priority

    def run(self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None) -> PoolPrimitiveJob:
        """Run PUBs; the job is on its way when this returns.

        Raises:
            InvalidTask: an operation cannot be carried; the text names it. ValueError, TypeError: no valid PUB.
        """
        coerced = [SamplerPub.coerce(pub, self.default_shots if shots is None else shots) for pub in pubs]
        batch = Batch(self.backend.name, self.seed, self.priority, n_qpus=self.backend.n_slots)
        readies, shares = [], []
        for number, pub in enumerate(coerced):
            _check_registers(number, pub.circuit)
            ready = self.backend.ready(pub.circuit)
            readies.append(ready)
            shares.append(batch.add(ready, rows_of(pub, ready), pub.shots))

        def finish(results: list[QuantumResult]) -> PrimitiveResult[SamplerPubResult]:
            answers, rng = batch.counts(results), np.random.default_rng(self.seed)
            made = [
                _pub_result(pub, ready, answers.of(share), rng)
                for pub, ready, share in zip(coerced, readies, shares, strict=True)
            ]
            return PrimitiveResult(made, metadata={"version": 2})

        return PoolPrimitiveJob(str(uuid.uuid4()), Running(self.backend.submit(batch.tasks()), finish))


def as_backend(
    backend: QPUBackend | str, site: Site | str | Path | None, engine: str | None, pool: Executor | None
) -> QPUBackend:
    """A backend of ours; TypeError for somebody else's."""
    if isinstance(backend, str):
        return provider(site, engine, pool).get_backend(backend)
    if isinstance(backend, QPUBackend):
        return backend
    kind = type(backend).__name__
    hint = (
        " Qiskit's BackendSamplerV2 and BackendEstimatorV2 take any backend." if isinstance(backend, BackendV2) else ""
    )
    raise TypeError(
        f"backend must be one of conqure.interop.qiskit.provider(…), or the name of a QPU, not {kind}.{hint}"
    )


def rows_of(pub: Any, ready: Ready) -> list[Row]:
    """A PUB's bindings as rows, its array's last axis fastest; without parameters the angles of the circuit itself."""
    bindings = pub.parameter_values
    size = int(np.prod(bindings.shape, dtype=int))
    if not ready.parameters:
        return [ready.lifted] * size
    values = bindings.as_array(ready.parameters).reshape(size, len(ready.parameters))
    return list(map(tuple, values.tolist()))


def _check_registers(number: int, circuit: QuantumCircuit) -> None:
    if not circuit.cregs:
        warnings.warn(
            f"The {number}-th pub's circuit has no output classical registers and so the result will be empty. Did you "
            "mean to add measurement instructions?",
            UserWarning,
            stacklevel=3,
        )


def _pub_result(pub: SamplerPub, ready: Ready, counts: list[Counts], rng: np.random.Generator) -> SamplerPubResult:
    registers = [_Register(pub.circuit, register) for register in pub.circuit.cregs]
    arrays = [np.empty((len(counts), pub.shots, register.n_bytes), np.uint8) for register in registers]
    for row, found in enumerate(counts):
        values = [ready.value(key) for key in found]
        order = rng.permutation(np.repeat(np.arange(len(values)), list(found.values())))
        for array, register in zip(arrays, registers, strict=True):
            array[row] = register.packed(values)[order]
    data = {
        register.name: BitArray(array.reshape(*pub.shape, pub.shots, register.n_bytes), register.n_bits)
        for array, register in zip(arrays, registers, strict=True)
    }
    about = {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata}
    return SamplerPubResult(DataBin(**data, shape=pub.shape), metadata=about)


class _Register:
    """Cuts the bits of one register out of the values of all classical bits."""

    def __init__(self, circuit: QuantumCircuit, register: ClassicalRegister) -> None:
        self.name, self.n_bits = register.name, register.size
        self.n_bytes = -(-register.size // 8)
        self._bits = [circuit.find_bit(bit).index for bit in register]
        first = self._bits[0] if self._bits else 0
        self._shift = first if self._bits == list(range(first, first + self.n_bits)) else None

    def packed(self, values: Sequence[int]) -> Bits:
        """Big-endian bytes, shape (len(values), n_bytes)."""
        raw = b"".join(self._value(value).to_bytes(self.n_bytes, "big") for value in values)
        return np.frombuffer(raw, np.uint8).reshape(len(values), self.n_bytes)

    def _value(self, value: int) -> int:
        if self._shift is not None:
            return value >> self._shift & ((1 << self.n_bits) - 1)
        return sum((value >> place & 1) << number for number, place in enumerate(self._bits))
