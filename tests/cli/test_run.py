"""`conqure run`: circuits in, counts out."""

import json
import math

import pytest

from conqure.cli.run import parse_parameters
from qpu_executors import InvalidTask, QuantumResult
from qpu_executors.testing import BELL, ROTATION


def test_counts_are_shown_as_a_table(conqure):
    done = conqure("run", "bell.qasm", "--shots", "1000", "--seed", "1", "--site", "./lab.toml")
    assert done.code == 0
    first, heading, *states = done.out.splitlines()
    assert first.startswith("bell.qasm on sv0 (statevector) of site lab: 1,000 shots in ")
    assert heading.split() == ["STATE", "COUNTS", "SHARE"]
    assert sorted(line.split()[0] for line in states) == ["00", "11"]
    assert sum(int(line.split()[1]) for line in states) == 1000
    assert states[0].split()[3] == "#" * 50  # the most frequent state has the longest bar


def test_json_is_the_whole_result(conqure):
    done = conqure("run", "bell.qasm", "--shots", "10", "--json")
    result = QuantumResult.from_json(done.out)
    assert sum(result.counts[0].values()) == 10
    assert done.json["is"] == "result"


def test_a_seed_repeats_the_counts(conqure):
    one, two = (conqure("run", "bell.qasm", "--seed", "7", "--json").json["counts"] for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    "rows", [("0,pi", "pi,0"), ("theta=0,phi=pi", "phi=0,theta=pi"), (" theta = 0 , phi = pi ", "theta=pi,phi=0,")]
)
def test_rows_of_parameters_come_by_position_or_by_name(conqure, rows):
    done = conqure("run", "rotations.qasm", "-p", rows[0], "-p", rows[1], "--shots", "8", "--json")
    assert done.json["counts"] == [{"10": 8}, {"01": 8}]


def test_rows_are_shown_with_their_parameters(conqure):
    done = conqure("run", "rotations.qasm", "-p", "0,pi", "-p", "pi,0", "--shots", "8")
    assert "8 shots × 2 rows" in done.out
    assert "\nparameters 0, 3.14159\n" in done.out


def test_only_the_most_frequent_states_are_shown(conqure):
    done = conqure("run", "rotations.qasm", "-p", "pi/2,pi/2", "--top", "2")
    assert done.out.splitlines()[-1] == "… and 2 more states; see all with --top 4 or --json"


def test_a_circuit_goes_to_a_qpu_that_is_large_enough(conqure, folder):
    (folder / "wide.qasm").write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[8];\ncreg c[1];\nx q[7];\nmeasure q[7] -> c[0];\n'
    )
    done = conqure("run", "wide.qasm", "--site", "./lab.toml", "--json")
    assert done.json["device_id"] == "sv1"
    refused = conqure("run", "wide.qasm", "--site", "./lab.toml", "--device", "tag:fast")
    assert refused.code == 2
    assert "the circuit has 8 qubits, device 'sv0' has 5" in refused.err


def test_a_gates_program_and_standard_input_are_read(conqure, folder):
    (folder / "rotation.json").write_text(ROTATION)
    assert conqure("run", "rotation.json", "-p", "pi", "-n", "5", "--json").json["counts"] == [{"1": 5}]
    assert sum(conqure("run", "-", "-n", "5", "--json", stdin=BELL).json["counts"][0].values()) == 5


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_an_engine_may_be_chosen(conqure, engine):
    done = conqure("run", "bell.qasm", "--engine", engine, "--site", "./lab.toml", "--json")
    assert sum(done.json["counts"][0].values()) == 1024


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bell.qasm", "--shots", "0"], "InvalidTask: shots must be from 1 to 1,000,000,000, not 0."),
        (
            ["bell.qasm", "--shots", "20000000"],
            "InvalidTask: shots is 20,000,000, device 'sv0' takes at most 10,000,000.",
        ),
        (
            ["bell.qasm", "--device", "ion7"],
            "UnknownDevice: no device 'ion7' on site 'laptop'. Known: 'sv0' (14 qubits",
        ),
        (["bell.qasm", "--device", "qubits>"], "InvalidTask: device_id 'qubits>' is neither a name nor a selector."),
        (["bell.qasm", "--engine", "prsl"], "UnknownEngine: no engine 'prsl'. Did you mean 'parsl'?"),
        (["bell.qasm", "--site", "nowhere"], "UnknownSite: no site 'nowhere'."),
        (["bell.qasm", "--parameters", "1"], "InvalidTask: "),
        (["rotations.qasm"], "InvalidTask: the circuit has 2 parameters (theta, phi) without values."),
        (["rotations.qasm"], "\nHere: --parameters 0.1,pi/2 or --parameters theta=0.1,phi=pi/2"),
        (
            ["rotations.qasm", "-p", "1,x"],
            "InvalidTask: --parameters: 'x' is not a number. Write 0.5, pi, -pi/2 or 3*pi/4.",
        ),
        (["rotations.qasm", "-p", "inf,1"], "InvalidTask: parameter_values[0][0] is inf."),
        (["rotations.qasm", "-p", "theta=1,psi=2"], "InvalidTask: the circuit has no parameter 'psi'."),
        (["nothing.qasm"], "Error: Invalid value for CIRCUIT: there is no file 'nothing.qasm'."),
        (["."], "Error: Invalid value for CIRCUIT: there is no file '.'."),
        ([], "Error: Missing argument"),
        (["bell.qasm", "--shots", "ten"], "Error: Invalid value for '--shots'"),
        (["bell.qasm", "--shoots", "10"], "Error: No such option"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(conqure, arguments, said):
    done = conqure("run", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "this text is no circuit: ''"),
        (b"\x7fELF\xff", "odd.qasm is not text. Give OpenQASM or gates JSON as UTF-8 text, or a .qpy file."),
        (b"hello", "InvalidTask: "),
        (b"OPENQASM 3.0;\nqubit q;\nwobble q;\n", "wobble"),
        (b"x" * (17 * 2**20), "odd.qasm has 17 MiB, the limit is 16 MiB. Is it a circuit?"),
    ],
)
def test_a_file_that_is_no_circuit_is_refused(conqure, folder, content, said):
    (folder / "odd.qasm").write_bytes(content)
    done = conqure("run", "odd.qasm")
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["0.1,-2e-3"], [[0.1, -0.002]]),
        (
            ["pi", "-pi/2", "3*pi/4", "2pi", "1e1*pi", "+ pi / 8"],
            [[f * math.pi] for f in (1, -0.5, 0.75, 2, 10, 0.125)],
        ),
        (["b=1,a=pi", "a=2,b=3"], {"b": [1.0, 3.0], "a": [math.pi, 2.0]}),
    ],
)
def test_parameters_are_numbers_and_multiples_of_pi(texts, expected):
    assert parse_parameters(texts) == expected


@pytest.mark.parametrize("texts", [["a=1,2"], ["a=1,a=2"], ["a=1", "b=2"], ["a=1", "2"], ["1", "a=2"], ["=1,a=2"]])
def test_names_are_given_to_all_values_or_to_none(texts):
    with pytest.raises(InvalidTask, match="name each value once in every row"):
        parse_parameters(texts)


@pytest.mark.parametrize("text", ["pi/0", "pie", "1.2.3", "", "1,,2"])
def test_what_is_no_number_is_named(text):
    if text in ("", "1,,2"):  # a comma too many means nothing
        assert parse_parameters([text]) == [[float(part) for part in text.split(",") if part]]
    else:
        with pytest.raises(InvalidTask, match="is not a number"):
            parse_parameters([text])


@pytest.mark.slow
def test_a_wire_result_on_standard_output_is_one_json_document(program):
    done = program("run", "bell.qasm", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["device_id"] == "sv0"
