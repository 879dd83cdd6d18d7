"""Makes of an OpenQASM 3 program one that Qiskit's importer (qiskit-qasm3-import) reads, and reads rightly.

The importer knows neither constants nor arrays of inputs nor functions, drops the names of single bits, and mixes up
the arguments of a user's gate when they are not in alphabetical order. So before it sees the syntax tree:

* constants, constant expressions and functions of them become numbers;
* loops over constants are unrolled, branches on constants decided;
* ``input array[float, n] theta`` becomes n inputs ``theta[0]``, ``theta[1]``, …;
* ``bit c`` becomes ``bit[1] c``, so that its name is kept;
* arguments of gate definitions get names in the order of the alphabet;
* ``U``, ``u2`` and ``u3`` get the phase that the specification gives them and Qiskit does not: it shows under ``ctrl``.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from openqasm3 import ast
from openqasm3.visitor import QASMTransformer

from ..errors import InvalidTask
from .gates import MAX_OPS

_CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "ceiling": math.ceil,
    "floor": math.floor,
    "pow": operator.pow,
    "mod": operator.mod,
}
_BINARY: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "**": operator.pow,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CASTS: dict[type, Callable[[Any], Any]] = {
    ast.IntType: int,
    ast.UintType: int,
    ast.FloatType: float,
    ast.AngleType: float,
    ast.BoolType: bool,
}
_LITERALS = (ast.IntegerLiteral, ast.FloatLiteral, ast.BooleanLiteral)


def prepare(program: ast.Program) -> list[str]:
    """Rewrite the tree in place; returns the names of the inputs in the order of their declaration.

    Raises:
        InvalidTask: with the line, what is wrong there.
    """
    rewriter = _Rewriter()
    rewriter.visit(program)
    return rewriter.inputs


def refuse(node: Any, message: str) -> NoReturn:
    span = getattr(node, "span", None)
    where = f"line {span.start_line}: " if span is not None else ""
    raise InvalidTask(f"OpenQASM 3, {where}{message}")


class _Rewriter(QASMTransformer[None]):
    """Names stand for expressions: constants for numbers, gate arguments for their new names, bits for ``name[0]``."""

    def __init__(self) -> None:
        self.inputs: list[str] = []
        self._names: dict[str, ast.Expression] = {name: _literal(value) for name, value in _CONSTANTS.items()}
        self._arrays: dict[str, int] = {}  # inputs that are arrays
        self._sizes: dict[str, int] = {}  # registers, of qubits and of bits
        self._own_gates: set[str] = set()
        self._unrolled = 0

    # Declarations

    def visit_ConstantDeclaration(self, node: Any) -> None:
        value = self._constant(node.init_expression)
        self._names[node.identifier.name] = _literal(_cast(node, node.type, value), node)

    def visit_QubitDeclaration(self, node: Any) -> Any:
        if node.size is not None:
            node.size = self.visit(node.size)
            self._declare(node.qubit.name, node.size)
        self._names.pop(node.qubit.name, None)
        return node

    def visit_ClassicalDeclaration(self, node: Any) -> Any:
        name = node.identifier.name
        self._names.pop(name, None)
        if node.init_expression is not None:
            node.init_expression = self.visit(node.init_expression)
        if isinstance(node.type, ast.BitType):
            size: Any = node.type.size
            node.type.size = self.visit(size) if size is not None else _literal(1, node)
            self._declare(name, node.type.size)
            if size is None:
                zero = _literal(0, node)
                self._names[name] = _at(ast.IndexExpression(collection=ast.Identifier(name), index=[zero]), node)
        return node

    def visit_IODeclaration(self, node: Any) -> Any:
        name = node.identifier.name
        self._names.pop(name, None)
        if not isinstance(node.type, ast.ArrayType):
            self.inputs.append(name)
            return node
        if len(node.type.dimensions) != 1:
            refuse(
                node, f"input {name!r} has {len(node.type.dimensions)} dimensions; arrays of one dimension are read."
            )
        size = self._constant(node.type.dimensions[0])
        self._arrays[name] = size
        names = [f"{name}[{i}]" for i in range(size)]
        self.inputs += names
        kind = node.io_identifier
        return [_at(ast.IODeclaration(kind, node.type.base_type, ast.Identifier(each)), node) for each in names]

    def visit_QuantumGateDefinition(self, node: Any) -> Any:
        self._own_gates.add(node.name.name)
        renamed = {name.name: f"{place:04d}_{name.name}" for place, name in enumerate(node.arguments)}
        inside = {name: ast.Identifier(new) for name, new in renamed.items()}
        with self._scope(inside, hidden=[qubit.name for qubit in node.qubits]):
            node.arguments = [ast.Identifier(new) for new in renamed.values()]
            node.body = self._statements(node.body)
        return node

    # Statements

    def visit_QuantumGate(self, node: Any) -> Any:
        for part in ("modifiers", "arguments", "qubits"):
            setattr(node, part, [self.visit(each) for each in getattr(node, part)])
        name = node.name.name
        if name not in ("U", "u2", "u3") or name in self._own_gates or len(node.arguments) != 2 + (name != "u2"):
            return node
        controls = [
            m for m in node.modifiers if m.modifier in (ast.GateModifierName.ctrl, ast.GateModifierName.negctrl)
        ]
        n_controls = sum(1 if m.argument is None else self._constant(m.argument) for m in controls)
        phase = self._phase(name, node.arguments)
        qubits = copy.deepcopy(node.qubits[:n_controls])
        return [node, _at(ast.QuantumPhase(copy.deepcopy(node.modifiers), phase, qubits), node)]

    def visit_ForInLoop(self, node: Any) -> Any:
        values = self._loop_values(node.set_declaration)
        if values is None or any(map(_leaves_loop, node.block)):
            with self._scope({}, hidden=[node.identifier.name]):
                return self.generic_visit(node)
        statements: list[Any] = []
        for value in values:
            with self._scope({node.identifier.name: _literal(value, node)}):
                statements += self._statements(copy.deepcopy(node.block))
            self._unrolled += len(node.block)
            if self._unrolled > MAX_OPS:
                refuse(node, f"the loops have more than {MAX_OPS:,} statements once unrolled.")
        return statements

    def visit_BranchingStatement(self, node: Any) -> Any:
        node.condition = self.visit(node.condition)
        if isinstance(node.condition, ast.BooleanLiteral):
            return self._statements(node.if_block if node.condition.value else node.else_block)
        node.if_block, node.else_block = self._statements(node.if_block), self._statements(node.else_block)
        return node

    def visit_AliasStatement(self, node: Any) -> Any:
        node.value = self.visit(node.value)
        self._names.pop(node.target.name, None)
        return node

    def visit_SubroutineDefinition(self, node: Any) -> Any:
        refuse(node, f"subroutines ('def {node.name.name}') are not read. Write a gate, or the statements themselves.")

    # Expressions

    def visit_Identifier(self, node: Any) -> Any:
        return copy.deepcopy(self._names[node.name]) if node.name in self._names else node

    def visit_IndexExpression(self, node: Any) -> Any:
        return self._indexed(node, node.collection, [node.index])

    def visit_IndexedIdentifier(self, node: Any) -> Any:
        return self._indexed(node, node.name, node.indices)

    def visit_UnaryExpression(self, node: Any) -> Any:
        node.expression = self.visit(node.expression)
        if isinstance(node.expression, _LITERALS) and node.op.name in ("-", "!"):
            value = node.expression.value
            return _literal(-value if node.op.name == "-" else not value, node)
        return node

    def visit_BinaryExpression(self, node: Any) -> Any:
        node.lhs, node.rhs = self.visit(node.lhs), self.visit(node.rhs)
        if node.op.name in ("==", "!="):
            _compare_bit(node.lhs, node)
            _compare_bit(node.rhs, node)
        compute = _BINARY.get(node.op.name)
        if compute is None or not (isinstance(node.lhs, _LITERALS) and isinstance(node.rhs, _LITERALS)):
            return node
        left, right = node.lhs.value, node.rhs.value
        if node.op.name == "/" and isinstance(left, int) and isinstance(right, int) and right:
            if left % right:
                refuse(node, f"{left}/{right} divides whole numbers, which is {left // right}. Write {left}.0/{right}.")
            compute = operator.floordiv
        return _computed(node, compute, left, right)

    def visit_FunctionCall(self, node: Any) -> Any:
        arguments = [self.visit(argument) for argument in node.arguments]
        name = node.name.name
        if name not in _FUNCTIONS:
            refuse(node, f"function {name!r} is not known. Known: {', '.join(_FUNCTIONS)}.")
        if not all(isinstance(argument, _LITERALS) for argument in arguments):
            refuse(node, f"{name}() of an input is not read. Declare an input for its value and compute it outside.")
        return _computed(node, _FUNCTIONS[name], *(argument.value for argument in arguments))

    def visit_Cast(self, node: Any) -> Any:
        node.argument = self.visit(node.argument)
        if isinstance(node.argument, _LITERALS):
            return _literal(_cast(node, node.type, node.argument.value), node)
        return node

    # Parts

    def _statements(self, nodes: list[Any]) -> list[Any]:
        done: list[Any] = []
        for node in nodes:
            new = self.visit(node)
            done += new if isinstance(new, list) else [] if new is None else [new]
        return done

    @contextmanager
    def _scope(self, names: Mapping[str, ast.Expression], hidden: list[str] | None = None) -> Iterator[None]:
        outside = self._names
        self._names = {name: value for name, value in outside.items() if name not in (hidden or ())} | dict(names)
        try:
            yield
        finally:
            self._names = outside

    def _declare(self, name: str, size: Any) -> None:
        if isinstance(size, ast.IntegerLiteral):
            self._sizes[name] = size.value

    def _constant(self, node: Any) -> Any:
        found = self.visit(node)
        if not isinstance(found, _LITERALS):
            refuse(node, "a constant is needed here.")
        return found.value

    def _phase(self, name: str, angles: list[Any]) -> Any:
        """What the specification's gate has on top of Qiskit's: θ/2 for U, -(φ+λ)/2 for u2 and u3."""
        angles = copy.deepcopy(angles)
        if name == "U":
            return self.visit(_binary("/", angles[0], _literal(2.0)))
        total = _binary("+", angles[-2], angles[-1])
        return self.visit(_binary("/", total, _literal(-2.0)))

    def _loop_values(self, given: Any) -> list[int] | None:
        if isinstance(given, ast.RangeDefinition):
            return self._range(given, None)
        if isinstance(given, ast.DiscreteSet):
            values: list[Any] = [self.visit(value) for value in given.values]
            given.values = values
            if all(isinstance(value, ast.IntegerLiteral) for value in values):
                return [value.value for value in values]
        return None

    def _range(self, given: Any, size: int | None) -> list[int] | None:
        """The whole numbers of a range (both ends belong to it); None if one of its parts is not constant."""
        parts = [None if part is None else self.visit(part) for part in (given.start, given.end, given.step)]
        given.start, given.end, given.step = parts
        if any(part is not None and not isinstance(part, ast.IntegerLiteral) for part in parts):
            return None
        start, end, step = (None if part is None else part.value for part in parts)
        step = 1 if step is None else step
        if step == 0:
            refuse(given, "the step of a range must not be 0.")
        if size is not None:  # a register's ends are implied, and negative places count from its end
            first, last = (0, size - 1) if step > 0 else (size - 1, 0)
            start = first if start is None else start + size * (start < 0)
            end = last if end is None else end + size * (end < 0)
        if start is None or end is None:
            return None
        if abs(end - start) // abs(step) > MAX_OPS:
            refuse(given, f"this range has more than {MAX_OPS:,} numbers.")
        return list(range(start, end + (1 if step > 0 else -1), step))

    def _indexed(self, node: Any, base: Any, indices: list[Any]) -> Any:
        name = base.name if isinstance(base, ast.Identifier) else None
        if name in self._arrays and len(indices) == 1 and isinstance(indices[0], list) and len(indices[0]) == 1:
            place, size = self._constant(indices[0][0]), self._arrays[name]
            if not -size <= place < size:
                refuse(node, f"{name}[{place}] is outside the array, which has {size} elements.")
            return _at(ast.Identifier(f"{name}[{place % size}]"), node)
        size_or_none = self._sizes.get(name) if name is not None else None
        indices = [self._index(node, name, index, size_or_none) for index in indices]
        if isinstance(node, ast.IndexedIdentifier):
            node.indices = indices
        else:
            node.index = indices[0]
            node.collection = base if name in self._sizes else self.visit(base)
        return node

    def _index(self, node: Any, name: str | None, index: Any, size: int | None) -> Any:
        """An index with its numbers worked out, and in the register if its size is known."""
        if isinstance(index, ast.DiscreteSet):
            index.values = [self.visit(value) for value in index.values]
            chosen = index.values
        elif len(index) == 1 and isinstance(index[0], ast.RangeDefinition):
            numbers = self._range(index[0], size) if size is not None else None
            if numbers is None:
                return index
            chosen = [_literal(number, node) for number in numbers]
            index = ast.DiscreteSet(chosen)
        else:
            index = chosen = [self.visit(each) for each in index]
        for value in chosen:
            if isinstance(value, ast.IntegerLiteral) and size is not None and not -size <= value.value < size:
                refuse(node, f"{name}[{value.value}] is outside the register, which has {size} elements.")
        return index


def _literal(value: Any, near: Any = None) -> Any:
    if isinstance(value, bool):
        return _at(ast.BooleanLiteral(value), near)
    return _at(ast.IntegerLiteral(value) if isinstance(value, int) else ast.FloatLiteral(value), near)


def _at(node: Any, near: Any) -> Any:
    """The node with the line of another one, for error messages."""
    if near is not None:
        node.span = near.span
    return node


def _binary(symbol: str, left: Any, right: Any) -> Any:
    return _at(ast.BinaryExpression(ast.BinaryOperator[symbol], left, right), left)


def _compare_bit(side: Any, comparison: Any) -> None:
    """``c[0] == 1`` is ``c[0] == true``; the importer knows only the latter."""
    if not isinstance(side, ast.IndexExpression) or not isinstance(side.index, list):
        return
    if len(side.index) == 1 and isinstance(side.index[0], ast.IntegerLiteral):
        for name in ("lhs", "rhs"):
            other = getattr(comparison, name)
            if isinstance(other, ast.IntegerLiteral) and other.value in (0, 1):
                setattr(comparison, name, _literal(bool(other.value), other))


def _computed(node: Any, compute: Callable[..., Any], *values: Any) -> Any:
    try:
        value = compute(*values)
    except (ArithmeticError, ValueError, TypeError) as error:
        refuse(node, f"this cannot be computed: {error}")
    if isinstance(value, complex) or not math.isfinite(value):
        refuse(node, f"this gives {value}, which is not a finite number.")
    return _literal(value, node)


def _cast(node: Any, to: Any, value: Any) -> Any:
    if type(to) not in _CASTS:
        refuse(node, f"constants of type {type(to).__name__.removesuffix('Type').lower()!r} are not read.")
    return _CASTS[type(to)](value)


def _leaves_loop(statement: Any) -> bool:
    """Whether a statement of a loop's body may end the loop early."""
    if isinstance(statement, (ast.BreakStatement, ast.ContinueStatement, ast.EndStatement)):
        return True
    parts = [getattr(statement, block, ()) for block in ("if_block", "else_block")]
    return any(_leaves_loop(inner) for part in parts for inner in part)
