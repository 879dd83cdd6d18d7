"""Circuits to the text of DAX programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import InvalidTask
from ..records import MAX_SHOTS
from .dax import header
from .dax_basis import BASIS, lower
from .dax_layers import Call, Lane, layers
from .dax_resources import Resources
from .dax_syntax import MAX_BYTES
from .gates import GateProgram, Op, bind

CLASS = "ConqureProgram"
_INDENT, _DEEPER = " " * 16, " " * 4
_TEMPLATE = '''\
"""Program written by CONQURE for a machine with DAX."""
{header}
from dax.program import *


class {name}(DaxProgram, Experiment):
    def build(self):
        self._num_iterations = {shots}
        self._num_qubits = {n_qubits}
        self.update_kernel_invariants("_num_iterations", "_num_qubits")

    def run(self):
        if self._num_qubits > self.q.num_qubits:
            raise RuntimeError("The circuit needs more qubits than this system has")
        self._run()

    @kernel
    def _run(self):
        t0 = self.core.get_rtio_counter_mu()
{calls}
        self.core.wait_until_mu(now_mu())
        t1 = self.core.get_rtio_counter_mu()
        self.set_dataset("dt", self.core.mu_to_seconds(t1 - t0))
{kernels}'''
_KERNEL = """
    @kernel
    def {name}(self):
        with self.data_context:
            for _ in range(self._num_iterations):
                self.core.reset()
                self.q.prep_0_all()
{body}
"""


def to_dax(
    program: str,
    shots: int = 1024,
    row: Sequence[float] = (),
    *,
    resources: Resources | None = None,
    basis: frozenset[str] = BASIS,
) -> str:
    """A `gates` program as the text of a DAX program.

    Args:
        row: a value for each parameter of the program, radians; DAX programs have none.
        resources: what may go on at once; None writes one operation after the other.
        basis: the gates that the machine has, by their DAX names.

    Raises:
        InvalidTask: the machine's gates cannot express one; the text names it. Nothing is ever left out.

    >>> print(to_dax(as_task(bell).program, shots=30))
    """
    return to_dax_rows(program, shots, [row], resources=resources, basis=basis)


def to_dax_rows(
    program: str,
    shots: int,
    rows: Sequence[Sequence[float]],
    *,
    resources: Resources | None = None,
    basis: frozenset[str] = BASIS,
) -> str:
    """As `to_dax`, for several rows of parameter values: one DAX program with a data context for each row, in order."""
    read = GateProgram.parse(program)
    if any(len(row) != len(read.parameters) for row in rows):
        given = next(len(row) for row in rows if len(row) != len(read.parameters))
        raise InvalidTask(f"a DAX program has no parameters: give {len(read.parameters)} values, not {given}.")
    if not 1 <= shots <= MAX_SHOTS:
        raise InvalidTask(f"shots must be from 1 to {MAX_SHOTS:,}, not {shots!r}.")
    names = ["_circuit"] if len(rows) == 1 else [f"_circuit_{number}" for number in range(len(rows))]
    kernels: list[str] = []
    order: tuple[int, ...] = ()
    size = 0
    for name, row in zip(names, rows, strict=True):
        body, order = _body(read, row, resources, basis)
        kernels.append(_KERNEL.format(name=name, body=body))
        size += len(body)
        if size > MAX_BYTES - 10_000:
            raise InvalidTask(
                f"the DAX program would be longer than {MAX_BYTES >> 20} MiB. Use fewer rows of parameter values in "
                "one task, or a shorter circuit."
            )
    return _TEMPLATE.format(
        header=header(order, read.registers, shots),
        name=CLASS,
        shots=shots,
        n_qubits=read.n_qubits,
        calls="\n".join(f"        self.{name}()" for name in names),
        kernels="".join(kernels),
    )


def _body(
    program: GateProgram, row: Sequence[float], resources: Resources | None, basis: frozenset[str]
) -> tuple[str, tuple[int, ...]]:
    """The lines of the loop over the shots, and the classical bit of each value that they store."""
    calls = [call for op in program.ops for call in _calls(op, row, basis)]
    measures = [op for op in program.ops if op.name == "measure"]
    together = len(measures) == 1  # all calls of store_measurements must store the same number of values
    lines: list[str] = []
    order: list[int] = []
    for line, measured in _written(calls, resources):
        lines.append(line)
        if not together:
            lines += [f"self.q.store_measurements({list(call.qubits)})" for call in measured]
            order += [bit for call in measured for bit in call.bits]
    if together:
        lines.append(f"self.q.store_measurements({list(measures[0].qubits)})")
        order += measures[0].bits
    return "\n".join(_INDENT + line for line in lines), tuple(order)


def _written(calls: Sequence[Call], resources: Resources | None) -> Iterator[tuple[str, list[Call]]]:
    """Lines, each with the measurements that are over after it."""
    if resources is None:
        for call in calls:
            yield call.text, [call] if call.name == "m_z" else []
        return
    for lanes in layers(calls, resources):
        *lines, last = _layer(lanes)
        for line in lines:
            yield line, []
        yield last, [lane.calls[-1] for lane in lanes if lane.calls[-1].name == "m_z"]


def _layer(lanes: Sequence[Lane]) -> list[str]:
    if len(lanes) == 1:
        return [call.text for call in lanes[0].calls]
    lines = ["with parallel:"]
    for lane in lanes:
        lines.append(f"{_DEEPER}with sequential:")
        lines += [_DEEPER * 2 + call.text for call in lane.calls]
    return lines


def _calls(op: Op, row: Sequence[float], basis: frozenset[str]) -> Iterator[Call]:
    if op.name == "measure":
        for qubit, bit in zip(op.qubits, op.bits, strict=True):
            yield Call(f"self.q.m_z({qubit})", "m_z", (qubit,), (bit,))
    elif op.name == "barrier":  # it holds back a compiler that moves gates, such as `layers`; DAX itself moves none
        if op.qubits:
            yield Call(f"# barrier {', '.join(map(str, op.qubits))}", "", op.qubits)
    elif op.name == "reset":
        for qubit in op.qubits:
            yield Call(f"self.q.prep_0({qubit})", "prep_0", (qubit,))
    else:
        for name, qubits, angles in lower(op.name, op.qubits, [bind(angle, row) for angle in op.angles], basis):
            yield Call(f"self.q.{name}({', '.join([*map(repr, angles), *map(str, qubits)])})", name, qubits)
