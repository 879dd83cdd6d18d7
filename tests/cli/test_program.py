"""The command as a whole: help, versions, exit codes, terminals, pipes, and commands that load when used."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import typer

from conqure import __version__
from conqure.cli import app
from qpu_executors.testing import BELL

COMMANDS = [
    [],
    ["sites"],
    ["sites", "list"],
    ["sites", "show"],
    ["sites", "check"],
    ["devices"],
    ["run"],
    ["doctor"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(conqure, command):
    done = conqure(*command, "--help")
    assert done.code == 0
    assert done.out == conqure(*command, "-h").out
    assert done.out.startswith(f"Usage: {' '.join(['conqure', *command])} ")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != ["sites"]], ids=" ".join)
def test_every_help_has_examples_that_parse(conqure, command):
    text = conqure(*command, "--help").out
    examples = re.findall(r"^ +conqure (.+?)(?:  .*| [|>] .*)?$", text, re.MULTILINE)
    assert examples
    root = typer.main.get_command(app)
    for words in (example.split() for example in examples):
        context = root.make_context("conqure", [word.strip("'") for word in words])
        name, found, rest = root.resolve_command(context, [*context._protected_args, *context.args])
        if name != "vqe":  # has its own tests
            found.make_context(name, rest, parent=context)


def test_every_option_has_a_line_of_help():
    def walk(command):
        yield command
        for child in getattr(command, "commands", {}).values():
            yield from walk(child)

    root = typer.main.get_command(app)
    silent = [f"{c.name} {p.name}" for c in walk(root) for p in c.params if not p.help]
    assert not silent


def test_the_version_is_printed(conqure, program):
    assert conqure("--version").out == program("--version").out == f"conqure {__version__}\n"


@pytest.mark.slow
def test_python_dash_m_is_the_same_program(program):
    done = subprocess.run([sys.executable, "-m", "conqure", "--help"], capture_output=True, text=True, timeout=60)
    assert done.stdout == program("--help").out


def test_without_a_command_the_help_is_shown(conqure):
    done = conqure()
    assert done.code == 2
    assert "Usage: conqure" in done.out + done.err


def test_a_wrong_command_gets_the_right_one(conqure):
    done = conqure("devices", "--jsn")
    assert done.code == 2
    assert "No such option" in done.err
    assert "Did you mean 'doctor'?" in conqure("docter").err


def test_errors_go_to_standard_error_with_exit_code_2(program):
    done = program("sites", "show", "nowhere")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("UnknownSite: no site 'nowhere'. Known: ")
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    "arguments", [["--debug", "sites", "show", "nowhere"], ["sites", "show", "--debug", "nowhere"]]
)
def test_debug_shows_the_traceback_wherever_it_stands(program, arguments):
    done = program(*arguments)
    assert done.code == 1
    assert "Traceback (most recent call last)" in done.err
    assert "UnknownSite: no site 'nowhere'" in done.err


@pytest.mark.slow
def test_control_c_ends_a_run_with_exit_code_130_and_no_traceback(folder):
    (folder / "conqure.toml").write_text('[qpu.slow]\ndriver = "fake"\nqubits = 2\noptions = { delay_s = 1.5 }\n')
    (folder / "bell.json").write_text(BELL)
    command = [Path(sys.executable).with_name("conqure"), "run", "bell.json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while psutil.Process(process.pid).num_threads() == 1:  # the pool's threads come when the command is under way
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_pipe_gets_plain_text(program):
    for arguments in (["--help"], ["devices"], ["sites", "list"], ["sites", "show"], ["run", "bell.qasm"]):
        text = program(*arguments).out
        assert not re.search("[\x1b─-╿█]", text), text


@pytest.mark.slow
def test_a_terminal_gets_lines_and_colours(terminal):
    assert "─────" in terminal("devices").out
    assert "█████" in terminal("run", "bell.qasm").out
    assert "\x1b[31m\x1b[1mUnknownSite\x1b[0m: no site 'nowhere'" in terminal("sites", "show", "nowhere").out
    assert "╭" in terminal("--help").out


def test_a_reader_that_leaves_early_is_no_error(folder):
    conqure = Path(sys.executable).with_name("conqure")
    done = subprocess.run(
        f"{conqure} devices --json | head -n 1", shell=True, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[\n", "")


def test_vqe_is_a_command_that_costs_nothing_until_it_is_used(run_python):
    printed = run_python(
        "import sys, typer; from conqure.cli import app; from typer.testing import CliRunner;"
        "print(CliRunner().invoke(app, ['--help']).output);"
        "print([name for name in ('numpy', 'conqure.workflows', 'rich', 'asyncio') if name in sys.modules])"
    )
    assert "Run a parallel multi-start VQE" in printed
    assert printed.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("scipy", "MissingPackage: 'conqure vqe' needs the package 'scipy', which is not installed. "),
        ("conqure.workflows", "MissingPackage: this installation has no VQE workflow. "),
    ],
)
def test_vqe_says_what_it_lacks(conqure, monkeypatch, missing, said):
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name in (missing, "conqure.workflows.vqe.cli"):
                raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    for name in [name for name in sys.modules if name.startswith("conqure.workflows")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    done = conqure("vqe", "maxcut")
    assert done.code == 1
    assert done.err.startswith(said)
    assert "pip install 'conqure[vqe]'" in done.err


@pytest.mark.slow
def test_tab_offers_sites_devices_and_engines(program):
    def offered(*words):
        line = " ".join(["conqure", *words])
        return program(_CONQURE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words))).out.split()

    assert offered("run", "--device", "ion") == ["ion0", "ion1"]
    assert offered("run", "--engine", "p") == ["parsl"]
    assert "laptop" in offered("sites", "show", "")
    assert offered("sites", "c") == ["check"]


@pytest.mark.slow
def test_a_terminal_without_these_characters_gets_plain_text(terminal, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    done = terminal("run", "bell.qasm", "--top", "1")
    assert done.code == 0
    assert "? and 1 more state;" in done.out
    assert "####" in done.out
    assert "\x1b" not in done.out
