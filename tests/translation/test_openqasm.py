"""OpenQASM 2 and 3: what the text says is what runs, in the order it says, or an error with the line."""

import subprocess
import sys

import pytest

from qpu_executors import InvalidTask, MissingPackage, QuantumTask, as_task, hold
from qpu_executors.device import QPU
from qpu_executors.testing import gates
from qpu_executors.translation.gates import GATES, GateProgram
from qpu_executors.translation.openqasm import MAX_OPENQASM3_BYTES, from_text, to_openqasm3, to_program

from ..drivers.reference import probabilities

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
HEAD2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def read(text, language="openqasm3"):
    program, language = to_program(text, language)
    assert language == "gates"
    return program


def distribution(text, row=(), language="openqasm3"):
    return {key: p for key, p in probabilities(read(text, language), row).items() if p > 1e-9}


STDGATES = [
    *("p", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "rx", "ry", "rz", "cx", "cy", "cz", "cp"),
    *("crx", "cry", "crz", "ch", "swap", "ccx", "cswap", "cu", "CX", "phase", "cphase", "id", "u1", "u2", "u3"),
]
ANGLES = {"p": 1, "rx": 1, "ry": 1, "rz": 1, "cp": 1, "crx": 1, "cry": 1, "crz": 1, "cu": 4, "phase": 1, "cphase": 1}
ANGLES |= {"u1": 1, "u2": 2, "u3": 3}
OURS = {"CX": "cx", "phase": "p", "cphase": "cp"}


@pytest.mark.parametrize("name", STDGATES)
def test_every_gate_of_stdgates_is_read(name):
    angles = [0.3, 1.7, -0.6, 0.9][: ANGLES.get(name, 0)]
    ours = OURS.get(name, name)
    qubits = [2, 0, 1][: GATES[ours][0]]
    call = f"{name}({', '.join(map(str, angles))})" if angles else name
    text = (
        HEAD
        + f"""
    qubit[3] q; bit[3] c;
    for uint i in [0:2] {{ ry(0.4 + 0.5 * i) q[i]; rz(0.3 - i) q[i]; }}
    {call} {", ".join(f"q[{q}]" for q in qubits)};
    h q; c = measure q;
    """
    )
    spread = [op for i in range(3) for op in (["ry", [i], [0.4 + 0.5 * i]], ["rz", [i], [0.3 - i]])]
    expected = gates(3, *spread, [ours, qubits, angles], *(["h", [i]] for i in range(3)))
    assert distribution(text) == pytest.approx(probabilities(expected), abs=1e-9)


# The phases under ctrl are where readers go wrong: each pair must be equal by the specification's own definitions.
EQUAL = {
    "cu is p and a controlled U": ("cu(0.7,0.2,0.4,0.9) a, b;", "p(0.9-0.7/2) a; ctrl @ U(0.7,0.2,0.4) a, b;"),
    "a controlled x made of U": ("cx a, b;", "ctrl @ my_x a, b;"),
    "a controlled u3": ("ctrl @ u3(0.7,0.2,0.4) a, b;", "ctrl @ my_u3(0.7,0.2,0.4) a, b;"),
    "a controlled u2": ("ctrl @ u2(0.2,0.4) a, b;", "ctrl @ my_u2(0.2,0.4) a, b;"),
    "a controlled p made of gphase": ("cp(0.7) a, b;", "ctrl @ ctrl @ gphase(0.7) a, b;"),
    "an inverse": ("sdg a; ry(-0.7) b;", "inv @ s a; inv @ ry(0.7) b;"),
    "powers": ("s a; s b; z b;", "pow(0.5) @ z a; pow(3) @ s b;"),
    "a negated control": ("x a; ch a, b; x a;", "negctrl @ h a, b;"),
    "several controls": ("ccx a, b, d;", "ctrl(2) @ x a, b, d;"),
    "modifiers in a row": ("cry(-1.4) a, b;", "inv @ ctrl @ pow(2) @ ry(0.7) a, b;"),
}
DEFINITIONS = """
gate my_x a { U(pi, 0, pi) a; gphase(-pi/2); }
gate my_u3(theta, phi, lambda) q { gphase(-(phi+lambda+theta)/2); U(theta, phi, lambda) q; }
gate my_u2(phi, lambda) q { gphase(-(phi+lambda+pi/2)/2); U(pi/2, phi, lambda) q; }
"""


@pytest.mark.parametrize("name", EQUAL)
def test_modifiers_follow_the_specification(name):
    def text(statements):
        for short, long in zip("abd", ("q[0]", "q[2]", "q[1]"), strict=True):
            statements = statements.replace(f" {short},", f" {long},").replace(f" {short};", f" {long};")
        spread = "ry(0.4) q[0]; ry(1.4) q[1]; u3(0.8, 0.3, 0.2) q[2]; rz(1.1) q;"
        return HEAD + DEFINITIONS + f"qubit[3] q; bit[3] c; {spread} {statements} ry(0.9) q; c = measure q;"

    one, two = EQUAL[name]
    assert distribution(text(one)) == pytest.approx(distribution(text(two)), abs=1e-9)


def test_arguments_of_a_gate_go_by_their_place_not_by_the_alphabet():
    text = HEAD + "gate mine(b, a) q { rx(b) q; ry(a) q; } qubit q; bit c; mine(pi, 0) q; c = measure q;"
    assert [op.angles for op in GateProgram.parse(read(text)).ops[:2]] == [(pytest.approx(3.14159, 1e-4),), (0.0,)]


def test_inputs_are_the_parameters_in_the_order_of_their_declaration():
    text = (
        HEAD
        + """
    input float[64] zeta; input array[float[64], 3] theta; input angle alpha; input float unused;
    const int n = 3;
    qubit[n] q; bit[n] c;
    for uint i in [0:n-1] { ry(theta[i]/2 + alpha) q[i]; }
    rz(zeta * 2 - 1) q[0]; ry(theta[-1]) q[1];
    c = measure q;
    """
    )
    program = GateProgram.parse(read(text))
    assert program.parameters == ("zeta", "theta[0]", "theta[1]", "theta[2]", "alpha", "unused")
    angles = [op.angles[0] for op in program.ops if op.name in ("ry", "rz")]
    assert angles[0] == (0.0, 4, 1.0, 1, 0.5)
    assert angles[3] == (-1.0, 0, 2.0)
    assert angles[4] == (0.0, 3, 1.0)
    named = {"theta": [1, 2, 3], "alpha": 4, "zeta": 5, "unused": 6}
    assert as_task(text, parameter_values=named).parameter_values == ((5, 1, 2, 3, 4, 6),)


def test_single_bits_keep_their_names_and_places():
    text = (
        HEAD
        + "qubit[3] q; bit first; bit[2] pair; bit last; x q[0]; x q[2];"
        + ("first = measure q[0]; pair[1] = measure q[2]; last = measure q[1];")
    )
    assert GateProgram.parse(read(text)).registers == (("first", 1), ("pair", 2), ("last", 1))
    assert distribution(text) == {"0 10 1": 1.0}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("x q[0:-1];", "111"),
        ("x q[{0, 2}];", "101"),
        ("x q[-1];", "100"),
        ("x q[0:2:2];", "101"),
        ("x q[2:-1:1];", "110"),
        ("for int i in [2:-1:1] { x q[i]; }", "110"),
        ("for uint i in {0, 2} { x q[i]; if (i == 2) { x q[1]; } else { x q[0]; } }", "110"),
        ("let both = q[0:1]; x both;", "011"),
        ("const uint n = 2; const float half = sin(pi/6); rx(2 * half * pi) q[n - 1];", "010"),
        ("rx(pi ** 2 / pi) q[0]; rx(float(int(3.9)) / 3 * pi) q[1];", "011"),
        ("x q; reset q[1]; barrier q; id q[0];", "101"),
        ("U(pi, 0, pi) q[0]; gphase(0.3); CX q[0], q[1];", "011"),
    ],
)
def test_constants_ranges_and_loops_are_worked_out(statements, expected):
    assert distribution(HEAD + f"qubit[3] q; bit[3] c; {statements} c = measure q;") == {expected: pytest.approx(1.0)}


def test_physical_qubits_and_the_arrow_are_read():
    assert distribution(HEAD + "bit[2] c; x $1; measure $1 -> c[0]; c[1] = measure $0;") == {"01": 1.0}


def test_measurement_in_the_middle_reset_and_measuring_twice_are_kept():
    text = HEAD + "qubit q; bit[2] c; x q; c[0] = measure q; reset q; c[1] = measure q;"
    assert distribution(text) == {"01": 1.0}


def test_branches_on_bits_run_where_they_can():
    text = (
        HEAD
        + """
    input float zz; input float aa;
    qubit[2] q; bit flag; bit out;
    rx(zz) q[0]; flag = measure q[0];
    if (flag == 1) { rx(aa) q[1]; }
    out = measure q[1];
    """
    )
    task = as_task(
        text, parameter_values=[[3.141592653589793, 0.0], [0.0, 3.141592653589793], [3.14159265, 3.14159265]]
    )
    assert task.language == "qpy"
    with hold(QPU("aer0", "aer", 3)) as held:
        assert [set(row) for row in held.run(task).counts] == [{"0 1"}, {"0 0"}, {"1 1"}]


WRONG = {
    "qubit q;\nry(0.3 q;": r"line 4, column 8: no viable alternative",
    'qubit q;\nint x = "a;': r"line 4",
    "qubit q; bit c;\nwobble q;": r"line 4, column 1: gate 'wobble' is not defined",
    "qubit[2] q;\nx q[2];": r"line 4: q\[2\] is outside the register, which has 2 elements",
    "input array[float, 2] a; qubit q;\nry(a[2]) q;": r"line 4: a\[2\] is outside the array",
    "qubit q;\nry(1/2) q;": r"line 4: 1/2 divides whole numbers.*1.0/2",
    "qubit q;\nry(1.0/0) q;": r"line 4: this cannot be computed",
    "qubit q;\nry(1e300 * 1e300) q;": r"line 4: .*finite",
    "qubit q;\nry(0.3, 0.4) q;": r"OpenQASM 3",
    "input float a; qubit q;\nry(sin(a)) q;": r"line 4: sin\(\) of an input",
    "qubit q;\nry(sinc(1)) q;": r"line 4: function 'sinc' is not known. Known: sin",
    "input int n;": r"line 3.*only 'float' and 'angle' inputs",
    "input array[float, 2, 2] a;": r"line 3: .*2 dimensions",
    "def f(qubit q) { x q; }": r"line 3: subroutines",
    "qubit q;\nint n; n = 3;": r"line 4",
    "for uint i in [0:1000000000] { }": r"line 3: this range has more than",
    "for uint i in [0:0:3] { }": r"line 3: the step",
    'include "/etc/passwd";': r"line 3.*imports",
    "qubit q; x q;": r"measures nothing",
    "": r"no qubits",
}


@pytest.mark.parametrize("statements", WRONG)
def test_what_is_wrong_is_said_with_the_line(statements, capfd):
    with pytest.raises(InvalidTask, match=WRONG[statements]):
        read(HEAD + statements)
    assert capfd.readouterr() == ("", "")  # the parser has a habit of printing


@pytest.mark.slow
def test_text_nested_without_end_is_refused():
    with pytest.raises(InvalidTask, match="nested too deeply"):
        read(HEAD + "qubit q; ry(" + "(" * 3000 + "1" + ")" * 3000 + ") q;")


def test_an_openqasm_3_text_too_long_to_parse_is_refused():
    with pytest.raises(InvalidTask, match=r"at most 1 MiB"):
        read(HEAD + "// " + "x" * MAX_OPENQASM3_BYTES)


# Version 2

QELIB1 = [
    *("u3", "u2", "u1", "cx", "id", "u0", "u", "p", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "sx"),
    *("sxdg", "cz", "cy", "swap", "ch", "ccx", "cswap", "crx", "cry", "crz", "cu1", "cp", "cu3", "csx", "cu", "rxx"),
    *("rzz", "rccx", "rc3x", "c3x", "c3sqrtx", "c4x"),
]


def test_every_gate_of_qelib1_is_read():
    from qiskit import qasm2

    known = {custom.name: custom for custom in qasm2.LEGACY_CUSTOM_INSTRUCTIONS}
    lines = []
    for name in QELIB1:
        angles = "1" if name == "u0" else ",".join(str(0.1 + i) for i in range(known[name].num_params))
        qubits = ",".join(f"q[{i}]" for i in range(known[name].num_qubits))
        lines.append(f"{name}({angles}) {qubits};" if angles else f"{name} {qubits};")
    program = read(HEAD2 + "qreg q[5]; creg c[5];" + "".join(lines) + "measure q -> c;", "openqasm2")
    assert sum(probabilities(program).values()) == pytest.approx(1)


def test_version_2_keeps_registers_and_reads_definitions():
    text = (
        HEAD2
        + """
    qreg q[2]; creg a[1]; creg b[2];
    gate flip(x, y) r, s { u3(x, 0, pi) r; cx r, s; u1(y) s; }
    flip(pi, 0.3) q[0], q[1];
    measure q[0] -> a[0]; measure q[1] -> b[1];
    """
    )
    assert distribution(text, language="openqasm2") == {"10 1": pytest.approx(1.0)}


WRONG2 = {
    "qreg q[1];\nry(0.3 q[0];": r"OpenQASM 2, line 4, column 8: needed '\)'",
    "qreg q[1];\nwobble q[0];": r"line 4, column 1: 'wobble' is not defined",
    'include "/etc/passwd";': r"line 3, column 9: unable to find",
    "qreg q[1]; creg c[1]; opaque bar a;\nbar q[0]; measure q -> c;": r"'bar'.*no definition",
    "qreg q[1]; x q[0];": r"measures nothing",
}


@pytest.mark.parametrize("statements", WRONG2)
def test_what_is_wrong_in_version_2_is_said_with_the_line(statements):
    with pytest.raises(InvalidTask, match=WRONG2[statements]):
        read(HEAD2 + statements, "openqasm2")


def test_the_version_in_the_text_counts_not_the_claim():
    with pytest.raises(InvalidTask, match="can only handle OpenQASM 2"):
        read(HEAD + "qubit q;", "openqasm2")


def test_another_version_is_refused():
    with pytest.raises(InvalidTask, match="versions 2 and 3"):
        from_text("OPENQASM 4.0;", "openqasm4")


# A task may carry the text itself


def test_a_device_that_reads_gates_runs_openqasm_with_rows():
    text = HEAD + "input float b; input float a; qubit q; bit c; rx(b) q; rx(-a) q; c = measure q;"
    with hold(QPU("sv", "statevector", 3)) as held:
        task = QuantumTask(text, "openqasm3", parameter_values=[[3.141592653589793, 0], [1.0, 1.0]])
        assert [set(row) for row in held.run(task).counts] == [{"1"}, {"0"}]


def test_what_is_written_names_inputs_and_registers_as_they_were():
    program = gates(
        2,
        ["ry", [0], [[0.5, 1, 2.0]]],
        ["rzx", [0, 1], [0.3]],
        ["measure", [0, 1], [1, 0]],
        parameters=["theta[0]", "x", "b a"],
        registers=[["out", 2]],
    )
    text = to_openqasm3(program)
    inputs = [line for line in text.splitlines() if line.startswith("input")]
    assert inputs == [f"input float[64] {name};" for name in ("theta_0", "p_x", "b_a")]
    assert "bit[2] out;" in text
    again = read(text)
    row = [9.0, 0.4, 9.0]
    assert probabilities(again, row) == pytest.approx(probabilities(program, row), abs=1e-9)


@pytest.mark.parametrize("missing", ["qiskit_qasm3_import", "qiskit"])
def test_a_missing_package_is_named_with_what_to_type(missing):
    code = f"""
import sys
sys.modules[{missing!r}] = None
from qpu_executors import MissingPackage, as_task
try:
    as_task({HEAD + "qubit q; bit c; c = measure q;"!r})
except MissingPackage as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'conqure[qiskit]'" in done.stdout, done.stderr
    assert MissingPackage.kind == "missing_package"
