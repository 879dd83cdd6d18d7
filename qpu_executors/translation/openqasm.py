"""OpenQASM 2 and 3 text: read at the door, written for other programs. Needs Qiskit (extra ``qiskit``)."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import InvalidTask, MissingPackage
from . import Translation
from .gates import GATES, GateProgram

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

MAX_OPENQASM3_BYTES = 2**20  # its parser, in Python, takes about a minute for this much
_INSTALL = "Install it: pip install 'conqure[qiskit]'"
_WORDS = """OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end return for
while in switch case default nop input output const readonly mutable qreg qubit creg bool bit int uint float angle
complex array void duration stretch inv pow ctrl negctrl delay reset measure barrier durationof true false
q U CX phase cphase gphase pi tau euler"""
_RESERVED = {*_WORDS.split(), *GATES}
_PLACE = re.compile(r"^(?:<input>:)?(\d+),(\d+): ")  # line, column from 0


def from_text(text: str | bytes, language: str, *, lift_angles: bool = True) -> Translation:
    """Read OpenQASM text. Inputs are the parameters, in the order of their declaration.

    Args:
        language: ``openqasm2`` or ``openqasm3``.

    Raises:
        InvalidTask: the text is wrong or asks for something no device of CONQURE has; with the line.
        MissingPackage: Qiskit or qiskit-qasm3-import is not installed.

    >>> from_text('OPENQASM 2.0; qreg q[1]; creg c[1]; measure q -> c;', "openqasm2").language
    'gates'
    """
    if isinstance(text, bytes):
        raise InvalidTask(f"an {language} program is text, not bytes. Decode it first.")
    if language not in ("openqasm2", "openqasm3"):
        raise InvalidTask(f"language {language!r} is not known: OpenQASM is read in versions 2 and 3.")
    try:
        from .qiskit import from_circuit
    except ModuleNotFoundError as error:
        raise MissingPackage(f"reading OpenQASM needs the package {error.name!r}. {_INSTALL}") from error
    if language == "openqasm2":
        return from_circuit(_read2(text), lift_angles=lift_angles)
    circuit, inputs = _read3(text)
    return from_circuit(circuit, lift_angles=lift_angles, order=inputs)


@lru_cache(maxsize=64)
def to_program(program: str | bytes, language: str) -> tuple[str | bytes, str]:
    """An OpenQASM program as (program, language) that devices read; parameters keep their columns."""
    found = from_text(program, language, lift_angles=False)
    return found.program, found.language


def to_openqasm3(program: str) -> str:
    """A `gates` program as OpenQASM 3 text, with one ``input`` per parameter, in the program's order.

    >>> to_openqasm3(as_task(circuit, lift_angles=False).program)
    'OPENQASM 3.0;\\ninclude "stdgates.inc";\\n…'
    """
    try:
        from qiskit import qasm3

        from .qiskit import to_circuit
    except ModuleNotFoundError as error:
        raise MissingPackage(f"writing OpenQASM needs the package {error.name!r}. {_INSTALL}") from error
    read = GateProgram.parse(program)
    names = _identifiers(read.parameters, "p")
    registers = _identifiers([name for name, _ in read.registers], "c", taken=names)
    sizes = [size for _, size in read.registers]
    named = GateProgram(read.n_qubits, tuple(zip(registers, sizes, strict=True)), tuple(names), read.ops)
    text: str = qasm3.dumps(to_circuit(named, keep_names=True)[0])
    inputs = {f"input float[64] {name};" for name in names}
    lines = [line for line in text.splitlines() if line not in inputs]
    head = next(i for i, line in enumerate(lines) if line.startswith("include")) + 1
    lines[head:head] = [f"input float[64] {name};" for name in names]  # Qiskit writes them sorted, and not all
    return "\n".join(lines) + "\n"


def _identifiers(names: Any, prefix: str, taken: Any = ()) -> list[str]:
    """Names as OpenQASM identifiers, all different, none a word of the language."""
    found: list[str] = []
    for number, name in enumerate(names):
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
        candidate = plain or str(number)
        if candidate in _RESERVED or not candidate[0].isalpha():
            candidate = f"{prefix}_{candidate}"
        while candidate in found or candidate in taken:
            candidate += f"_{number}"
        found.append(candidate)
    return found


def _read2(text: str) -> QuantumCircuit:
    from qiskit import qasm2

    try:
        return qasm2.loads(
            text,
            include_path=(),  # a text from anybody must not open files; qelib1.inc is built in
            custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
            custom_classical=qasm2.LEGACY_CUSTOM_CLASSICAL,
        )
    except Exception as error:
        raise InvalidTask(_sentence("OpenQASM 2", error)) from error


def _read3(text: str) -> tuple[QuantumCircuit, list[str]]:
    try:
        import qiskit_qasm3_import

        from .openqasm3 import prepare
    except ImportError as error:
        raise MissingPackage(f"reading OpenQASM 3 needs qiskit-qasm3-import. {_INSTALL}") from error
    if len(text) > MAX_OPENQASM3_BYTES:
        raise InvalidTask(
            f"the OpenQASM 3 text has {len(text) / 2**20:.1f} MiB, at most {MAX_OPENQASM3_BYTES >> 20} MiB are read. "
            "Use loops, OpenQASM 2, or a gates program."
        )
    tree = _parse3(text)
    try:
        inputs = prepare(tree)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it controls gates in a way Qiskit is giving up
            return qiskit_qasm3_import.convert(tree), inputs
    except InvalidTask:
        raise
    except RecursionError:
        raise InvalidTask("the OpenQASM 3 program is nested too deeply.") from None
    except Exception as error:  # the importer lets many kinds through
        raise InvalidTask(_sentence("OpenQASM 3", error)) from error


def _parse3(text: str) -> Any:
    """The syntax tree. As openqasm3.parse, which prints to stderr and raises without saying what is wrong."""
    from antlr4 import CommonTokenStream, InputStream
    from antlr4.error.ErrorListener import ErrorListener

    reference: Any = import_module("openqasm3.parser")  # lexer and parser are in it, though not in its __all__

    class Listener(ErrorListener):
        def syntaxError(self, recognizer: Any, symbol: Any, line: int, column: int, message: str, e: Any) -> None:
            raise InvalidTask(f"OpenQASM 3, line {line}, column {column + 1}: {message}")

    lexer = reference.qasm3Lexer(InputStream(text))
    parser = reference.qasm3Parser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(Listener())
    try:
        return reference.QASMNodeVisitor().visitProgram(parser.program())
    except InvalidTask:
        raise
    except RecursionError:
        raise InvalidTask("the OpenQASM 3 program is nested too deeply.") from None
    except Exception as error:  # text without statements, and rules the grammar leaves to the visitor
        raise InvalidTask(_sentence("OpenQASM 3", error)) from error


def _sentence(language: str, error: Exception) -> str:
    message = str(getattr(error, "message", "") or error).strip("'\"")
    place = _PLACE.match(message)
    if place is None:
        return f"{language}: {message or type(error).__name__}"
    return f"{language}, line {place[1]}, column {int(place[2]) + 1}: {message[place.end() :]}"
