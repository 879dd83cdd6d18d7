"""What a DAX program's text consists of: its syntax tree, the places that matter in it, numbers and names."""

from __future__ import annotations

import ast
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import InvalidTask
from ..records import MAX_SHOTS
from .dax import MARK

MAX_BYTES = 2**20  # Python's parser takes about 150 times as much memory
_QUIET = ("reset", "break_realtime", "wait_until_mu", "delay", "delay_mu")  # of self.core: no quantum operation
_WHOLE: dict[type, Callable[[int, int], int]] = {ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__}
_REAL: dict[type, Callable[[float, float], float]] = {
    ast.Add: float.__add__,
    ast.Sub: float.__sub__,
    ast.Mult: float.__mul__,
    ast.Div: float.__truediv__,
}


def mistake(node: ast.AST, message: str) -> InvalidTask:
    return InvalidTask(f"DAX program, line {getattr(node, 'lineno', 0)}: {message}.")


def tree_of(text: str) -> ast.Module:
    if len(text) > MAX_BYTES:
        raise InvalidTask(f"the DAX program has {len(text) / 2**20:.1f} MiB, at most {MAX_BYTES >> 20} MiB are read.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the text, such as a strange escape
            return ast.parse(text)
    except SyntaxError as error:
        raise InvalidTask(f"DAX program, line {error.lineno}: {error.msg}.") from None
    except (MemoryError, ValueError) as error:
        raise InvalidTask(f"the DAX program cannot be read: {error or 'it is nested too deeply'}.") from None


def class_of(tree: ast.Module) -> ast.ClassDef:
    """The one class derived from ``DaxProgram``."""
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and any(map(_is_dax_program, node.bases))]
    if len(found) != 1:
        raise InvalidTask(f"a DAX program has one class derived from DaxProgram, this text has {len(found)}.")
    return found[0]


def shots_loops(program: ast.ClassDef) -> list[ast.For]:
    """The loops over the shots, each alone inside its ``with self.data_context``, from top to bottom."""
    found = [node for node in ast.walk(program) if isinstance(node, ast.With) and _is_context(node)]
    if not found:
        raise InvalidTask("a DAX program has one block 'with self.data_context', this text has 0.")
    return [_shots_loop(context) for context in sorted(found, key=lambda node: node.lineno)]


def _shots_loop(context: ast.With) -> ast.For:
    inside = [part for part in context.body if not says_nothing(part)]
    if len(inside) != 1 or not isinstance(inside[0], ast.For):
        raise mistake(context, "inside 'with self.data_context' there must be one loop over the shots")
    return inside[0]


def numbers_of(program: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """Attributes that ``build`` sets to whole numbers."""
    build = [part for part in program.body if isinstance(part, ast.FunctionDef) and part.name == "build"]
    for part in (part for method in build for part in method.body):
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant) and type(part.value.value) is int:
            for target in part.targets:
                yield dotted(target), part.value.value


def header_of(text: str) -> dict[str, Any] | None:
    """What the comment at the top says about classical bits; None if there is none."""
    line = next((line for line in text[:100_000].splitlines() if line.startswith(MARK)), None)
    if line is None:
        return None
    try:
        said = json.loads(line.removeprefix(MARK))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or set(said) - {"shots"} != {"bits", "registers"}:
        raise InvalidTask(
            f"the line {MARK!r} of the DAX program must be an object with bits and registers (and shots)."
        )
    return said


def says_nothing(part: ast.stmt) -> bool:
    """``pass``, a text alone, or a call that only moves the clock."""
    if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
        owner, _, name = dotted(part.value.func).rpartition(".")
        return (owner == "self.core" and name in _QUIET) or (not owner and name in ("delay", "delay_mu"))
    return isinstance(part, ast.Pass) or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))


def is_timing(block: ast.With) -> bool:
    """``with parallel`` or ``with sequential``: the same circuit at other times."""
    return all(
        dotted(item.context_expr) in ("parallel", "sequential") and item.optional_vars is None for item in block.items
    )


def dotted(node: ast.AST) -> str:
    """``self.q.rx`` of an attribute or a name; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def whole(node: ast.expr, names: Mapping[str, int]) -> int:
    """A whole number, a name that stands for one, and sums, differences and products of these."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        value: int = node.value
    elif dotted(node) in names:
        value = names[dotted(node)]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = -whole(node.operand, names)
    elif isinstance(node, ast.BinOp) and type(node.op) in _WHOLE:
        value = _WHOLE[type(node.op)](whole(node.left, names), whole(node.right, names))
    else:
        raise mistake(node, f"not a whole number that can be known: {excerpt(node)}")
    if abs(value) > MAX_SHOTS:
        raise mistake(node, f"a number beyond {MAX_SHOTS:,}")
    return value


def angle(node: ast.expr) -> float:
    """A finite number, ``pi`` or ``self.q.pi``, and arithmetic with these."""
    try:
        value = _real(node)
    except (ZeroDivisionError, OverflowError):
        value = math.inf
    if not math.isfinite(value):
        raise mistake(node, "an angle must be a finite number")
    return value


def excerpt(node: ast.AST) -> str:
    return repr(ast.unparse(node).partition("\n")[0][:60])


def _real(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if dotted(node) in ("pi", "self.q.pi", "np.pi", "math.pi"):
        return math.pi
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return -_real(node.operand) if isinstance(node.op, ast.USub) else _real(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _REAL:
        return _REAL[type(node.op)](_real(node.left), _real(node.right))
    raise mistake(node, f"not an angle that can be known: {excerpt(node)}")


def _is_dax_program(base: ast.expr) -> bool:
    return dotted(base).rpartition(".")[2] == "DaxProgram"


def _is_context(block: ast.With) -> bool:
    return any(dotted(item.context_expr) == "self.data_context" for item in block.items)
