"""The text of DAX programs to circuits. Only the syntax tree is looked at; nothing is executed.

What is read: one class derived from ``DaxProgram``, whole numbers that its ``build`` sets, and in one method a loop
over the shots inside ``with self.data_context``: calls of ``self.q``, ``with parallel`` and ``with sequential``, and
loops over ranges. Anything else in there is refused, since leaving it out would give another circuit.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from ..errors import InvalidTask
from ..records import MAX_SHOTS
from .dax import MARK, READ, DaxProgram, StoredValues
from .dax_syntax import (
    angle,
    class_of,
    dotted,
    excerpt,
    header_of,
    is_timing,
    mistake,
    numbers_of,
    says_nothing,
    shots_loops,
    tree_of,
    whole,
)
from .gates import GATES, MAX_OPS, MAX_QUBITS, GateProgram, Op

Registers = tuple[tuple[str, int], ...]
Names = dict[str, int]


def read(text: str) -> DaxProgram:
    """See `DaxProgram.parse`."""
    found = read_rows(text)
    if len(found) > 1:
        raise InvalidTask(f"a DAX program has one block 'with self.data_context', this text has {len(found)}.")
    return found[0]


def read_rows(text: str) -> tuple[DaxProgram, ...]:
    """See `DaxProgram.parse_rows`."""
    try:
        program = class_of(tree_of(text))
        names, said = dict(numbers_of(program)), header_of(text)
        return tuple(_read(loop, names, said) for loop in shots_loops(program))
    except RecursionError:
        raise InvalidTask("the DAX program is nested too deeply.") from None


def stored_values(text: str) -> StoredValues:
    """See `StoredValues.of`."""
    said = header_of(text)
    if said is None or "shots" not in said:
        return DaxProgram.parse(text).stored
    order, registers = _said(said)
    shots = said["shots"]
    if type(shots) is not int or not 1 <= shots <= MAX_SHOTS or not order:
        raise InvalidTask(f"the line {MARK!r} of the DAX program must say shots from 1 to {MAX_SHOTS:,}, and bits.")
    return StoredValues(order, registers, shots)


def _read(loop: ast.For, names: Names, said: dict[str, Any] | None) -> DaxProgram:
    walk = _Walk(min(names.get("self._num_qubits", 0), MAX_QUBITS))
    shots = _range(loop.iter, names)
    if shots.start or shots.step != 1 or not 1 <= len(shots) <= MAX_SHOTS:
        raise mistake(loop, f"the loop over the shots must be range(N), with N from 1 to {MAX_SHOTS:,}")
    if said is not None and said.get("shots", len(shots)) != len(shots):
        raise mistake(loop, f"the loop runs {len(shots)} times, the line {MARK!r} says {str(said['shots'])[:20]} shots")
    walk.block(loop.body, names)
    order, registers = _bits(said, [walk.measured[number] for number in walk.stored])
    used = max((qubit for op in walk.ops for qubit in op.qubits), default=0) + 1
    circuit = GateProgram(max(walk.n_qubits, used), registers, (), tuple(walk.with_bits(order)))
    return DaxProgram(GateProgram.parse(circuit.dumps()), len(shots), order, tuple(walk.stores))


class _Walk:
    """Goes through the body of the loop over the shots.

    Attributes:
        ops: the circuit; a measurement's bit is its number, until `with_bits`.
        measured: the qubit of each measurement. stored: the numbers of the measurements that are stored.
        stores: how many values each call stores.
    """

    def __init__(self, n_qubits: int) -> None:
        self.n_qubits = n_qubits
        self.ops: list[Op] = []
        self.measured: list[int] = []
        self.stored: list[int] = []
        self.stores: list[int] = []
        self._last: dict[int, int] = {}  # qubit -> the number of its last measurement
        self._steps = 0

    def block(self, body: list[ast.stmt], names: Names) -> None:
        for part in body:
            self._count(part)
            if says_nothing(part):
                continue
            if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
                self.call(part.value, names)
            elif isinstance(part, ast.With) and is_timing(part):
                self.block(part.body, names)
            elif isinstance(part, ast.For) and isinstance(part.target, ast.Name) and not part.orelse:
                for value in _range(part.iter, names):
                    self.block(part.body, names | {part.target.id: value})
            else:
                raise mistake(part, f"cannot be read: {excerpt(part)}")

    def call(self, call: ast.Call, names: Names) -> None:
        owner, _, name = dotted(call.func).rpartition(".")
        if owner != "self.q" or call.keywords:
            raise mistake(call, f"cannot be read: {excerpt(call)}")
        if name in READ:
            self.gate(call, name, names)
        elif name in self._others:
            n_arguments, do = self._others[name]
            if len(call.args) != n_arguments:
                raise mistake(call, f"self.q.{name} takes {n_arguments or 'no'} argument{'s' * (n_arguments != 1)}")
            do(self, call, names)
        else:
            known = ", ".join([*READ, *self._others])
            raise mistake(call, f"self.q.{name} is not known. Known: {known}")

    def gate(self, call: ast.Call, name: str, names: Names) -> None:
        gate, fixed = READ[name]
        n_qubits, n_angles = GATES[gate][0], GATES[gate][1] - len(fixed)
        if len(call.args) != n_qubits + n_angles:
            raise mistake(call, f"self.q.{name} takes {n_angles} angle(s) and {n_qubits} qubit(s)")
        angles = fixed or tuple(map(angle, call.args[:n_angles]))
        qubits = tuple(_qubit(arg, names) for arg in call.args[n_angles:])
        if len(set(qubits)) < len(qubits):
            raise mistake(call, f"self.q.{name} names a qubit twice")
        self.ops.append(Op(gate, qubits, angles))

    def _prepare_all(self, call: ast.Call, names: Names) -> None:
        if self.ops:
            raise mistake(call, "prep_0_all after other operations; use prep_0 for each qubit")

    def _prepare(self, call: ast.Call, names: Names) -> None:
        self.ops.append(Op("reset", (_qubit(call.args[0], names),)))

    def _measure(self, call: ast.Call, qubits: list[int]) -> None:
        for qubit in qubits:
            self._count(call)
            self._last[qubit] = len(self.measured)
            self.ops.append(Op("measure", (qubit,), bits=(len(self.measured),)))
            self.measured.append(qubit)

    def _store(self, call: ast.Call, qubits: list[int]) -> None:
        for qubit in qubits:
            self._count(call)
            if qubit not in self._last:
                raise mistake(call, f"qubit {qubit} is stored before it is measured")
            self.stored.append(self._last[qubit])
        self.stores.append(len(qubits))

    def _all(self) -> list[int]:
        return list(range(self.n_qubits))

    _others: ClassVar[dict[str, tuple[int, Callable[[_Walk, ast.Call, Names], None]]]] = {
        "prep_0_all": (0, _prepare_all),
        "prep_0": (1, _prepare),
        "m_z": (1, lambda self, call, names: self._measure(call, [_qubit(call.args[0], names)])),
        "m_z_all": (0, lambda self, call, names: self._measure(call, self._all())),
        "store_measurement": (1, lambda self, call, names: self._store(call, [_qubit(call.args[0], names)])),
        "store_measurements": (1, lambda self, call, names: self._store(call, _qubits(call.args[0], names))),
        "store_measurements_all": (0, lambda self, call, names: self._store(call, self._all())),
    }

    def _count(self, part: ast.AST) -> None:
        self._steps += 1
        if self._steps > MAX_OPS:
            raise mistake(part, f"more than {MAX_OPS:,} operations a shot")

    def with_bits(self, order: tuple[int, ...]) -> Iterator[Op]:
        """The ops, each measurement into the classical bits of its stored values."""
        bits: dict[int, list[int]] = {}
        for bit, number in zip(order, self.stored, strict=True):
            bits.setdefault(number, []).append(bit)
        last_used = {qubit: place for place, op in enumerate(self.ops) for qubit in op.qubits}
        for place, op in enumerate(self.ops):
            if op.name != "measure":
                yield op
                continue
            qubit, number = op.qubits[0], op.bits[0]
            if number not in bits and last_used[qubit] > place:
                raise InvalidTask(f"qubit {qubit} is measured, not stored, and used again; 'gates' cannot say this.")
            for bit in bits.get(number, ()):
                yield Op("measure", op.qubits, bits=(bit,))


def _range(node: ast.expr, names: Names) -> range:
    if not (isinstance(node, ast.Call) and dotted(node.func) == "range" and not node.keywords):
        raise mistake(node, "a loop must be over range(…)")
    bounds = [whole(arg, names) for arg in node.args]
    if not 1 <= len(bounds) <= 3 or bounds[2:] == [0]:
        raise mistake(node, "range(…) takes one to three whole numbers, and a step other than 0")
    return range(*bounds)


def _qubit(node: ast.expr, names: Names) -> int:
    value = whole(node, names)
    if not 0 <= value < MAX_QUBITS:
        raise mistake(node, f"there is no qubit {value}")
    return value


def _qubits(node: ast.expr, names: Names) -> list[int]:
    if not isinstance(node, (ast.List, ast.Tuple)) or not node.elts:
        raise mistake(node, "store_measurements takes a list of qubits")
    return [_qubit(element, names) for element in node.elts]


def _bits(said: dict[str, Any] | None, qubits: list[int]) -> tuple[tuple[int, ...], Registers]:
    """The classical bit of each stored value, and the registers. Without a header the bits follow the qubits."""
    if not qubits:
        raise InvalidTask("the DAX program stores no measurement, so it has no results. Call store_measurements.")
    if said is None:
        ranks = {qubit: rank for rank, qubit in enumerate(sorted(set(qubits)))}
        once = len(ranks) == len(qubits)
        return tuple(ranks[q] for q in qubits) if once else tuple(range(len(qubits))), (("c", len(qubits)),)
    order, registers = _said(said)
    if len(order) != len(qubits):
        raise InvalidTask(f"the program stores {len(qubits)} values a shot, which its line {MARK!r} does not fit.")
    return order, registers


def _said(said: dict[str, Any]) -> tuple[tuple[int, ...], Registers]:
    """Bits and registers of a header."""
    try:
        registers = tuple((str(name), int(size)) for name, size in said["registers"])
        order = tuple(map(int, said["bits"]))
    except (TypeError, ValueError):
        raise InvalidTask(f"bits and registers in the line {MARK!r} must be [bit, …] and [[name, size], …].") from None
    n_bits = sum(size for _, size in registers)
    if n_bits > MAX_QUBITS or any(size < 0 for _, size in registers) or any(not 0 <= bit < n_bits for bit in order):
        raise InvalidTask(f"the bits in the line {MARK!r} do not fit its registers, or these have over {MAX_QUBITS:,}.")
    return order, registers
