"""`openmpq-run` as users start it: what the program sees, how it ends, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer

from conqure import Group, MissingPackage, Site, mpi
from conqure.cli.openmpq_run import app

from .client import WireClient
from .compiling import BIN, GCC

RUN = [str(BIN / "openmpq-run")]
NOTED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# Says that it is there, then which signals it gets, until SIGUSR2 or 20 s.
LISTENER = """
import signal, sys, time
def note(number, frame):
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGUSR2:
        sys.exit(9)
for number in (1, 2, 3, 10, 12, 15):
    signal.signal(number, note)
print("there", flush=True)
time.sleep(20)
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working folder, with a site of QPUs that open at once; temporary files are in it too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):  # in a container one often is
        monkeypatch.setenv(name, "1")
    (tmp_path / "conqure.toml").write_text(
        '[engine]\nname = "threads"\n'
        '[qpu.sv0]\ndriver = "statevector"\nqubits = 5\ntags = ["fast"]\n'
        '[qpu.sv1]\ndriver = "statevector"\nqubits = 9\n'
    )
    return tmp_path


def run(*arguments: object, timeout: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *map(str, arguments)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


class Running:
    """An `openmpq-run` under way."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [*RUN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def begin(*arguments: object) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.communicate()


def gone(pids: list[int], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(runs, pids))


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def started_in(folder: Path, process: psutil.Process) -> bool:
    try:
        return process.environ().get("STARTED_IN") == str(folder)
    except psutil.Error:
        return False


# -- what the program sees --


def test_a_program_uses_the_qpus_and_the_figures_are_summed_up(folder: Path) -> None:
    done = run("--json", "run.json", GCC.compile("bells.cpp"), 5)
    assert (done.returncode, done.stdout) == (0, "5 of 5\n")
    assert re.search(r"^openmpq-run: 5 circuits in 5 tasks, 500 shots; \S+ s on QPUs in \S+ s$", done.stderr, re.M)
    assert re.search(r"^  sv0 +\d circuits +\S+ s +\S+% busy$", done.stderr, re.M)
    figures = json.loads((folder / "run.json").read_text())
    assert figures["circuits"] == sum(qpu["circuits"] for qpu in figures["qpus"].values()) == 5
    assert (figures["exit_code"], figures["engine"], figures["failures"]) == (0, "threads", 0)
    assert figures["program"][1:] == ["5"]
    assert figures["qpu_s"] > 0


def test_nothing_of_the_environment_changes_but_the_pools_address() -> None:
    before = dict(os.environ)
    done = run("-q", sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    after = json.loads(done.stdout)
    assert after.pop("OPENMPQ_POOL").startswith("unix:/")
    assert {name: value for name, value in after.items() if name != "LC_CTYPE"} == before
    assert done.stderr == ""


def test_what_follows_the_program_is_its_own() -> None:
    words = ["-n", "3", "--help", "--", "--quiet", "äö €"]
    assert run("-q", "printf", "%s,", *words).stdout == "".join(f"{word}," for word in words)
    assert run("-q", "--", "printf", "%s,", *words).stdout == "".join(f"{word}," for word in words)


def test_the_program_reads_our_standard_input() -> None:
    done = subprocess.run([*RUN, "-q", "cat"], input="hello", capture_output=True, text=True, timeout=60)
    assert done.stdout == "hello"


def test_files_that_the_shell_opens_for_the_program_stay_open(folder: Path) -> None:
    (folder / "given").write_text("hello")
    command = f'{RUN[0]} -q sh -c "cat <&7" 7<given'
    assert subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60).stdout == "hello"


@pytest.mark.slow
def test_only_the_selected_qpus_serve() -> None:
    done = run("--device", "tag:fast", GCC.compile("bells.cpp"), 3)
    assert done.returncode == 0
    assert "sv1" not in done.stderr


@pytest.mark.slow
def test_over_tcp_the_program_proves_a_token_that_is_gone_afterwards() -> None:
    script = 'echo $OPENMPQ_POOL; echo $OPENMPQ_TOKEN_FILE; stat -c %a "$OPENMPQ_TOKEN_FILE"; exec "$0" 2'
    done = run("--listen", "tcp:127.0.0.1:0", "sh", "-c", script, GCC.compile("bells.cpp"))
    address, token, mode, said = done.stdout.splitlines()
    assert re.fullmatch(r"tcp:127\.0\.0\.1:\d+", address)
    assert (mode, said) == ("600", "2 of 2")
    assert not Path(token).parent.exists()


@pytest.mark.slow
def test_a_program_that_needs_no_qpu_is_told_what_may_be_wrong() -> None:
    done = run("true")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("openmpq-run: no circuit came to this pool. ")
    assert run("--quiet", "true").stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_every_engine_serves(engine: str) -> None:
    done = run("--engine", engine, GCC.compile("bells.cpp"), 5)
    assert (done.returncode, done.stdout) == (0, "5 of 5\n"), done.stderr
    assert "5 circuits in 5 tasks" in done.stderr


# -- how it ends --


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_the_exit_code_is_the_programs(script: str, code: int) -> None:
    assert run("-q", "sh", "-c", script).returncode == code


@pytest.mark.slow
def test_a_program_that_cannot_run_is_named_with_a_shells_exit_code(folder: Path) -> None:
    (folder / "vqe").write_text("not a program")
    (folder / "text").write_text("not a program")
    (folder / "text").chmod(0o755)
    for name, code, text in [
        ("nope", 127, "there is no program 'nope' on the PATH."),
        ("./nope", 127, "there is no file './nope'."),
        ("vqe", 127, "there is no program 'vqe' on the PATH. For the file of this name type ./vqe"),
        ("./vqe", 126, "'./vqe' may not be executed. Allow it: chmod +x ./vqe"),
        (".", 126, "'.' is a folder, not a program."),
        (
            "./text",
            126,
            "cannot run './text': it is neither a program of this machine nor a script that starts with #!.",
        ),
    ]:
        done = run(name)
        assert (done.returncode, done.stderr.strip()) == (code, f"openmpq-run: {text}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--site", "nowhere"], "UnknownSite: no site 'nowhere'."),
        (["--engine", "prsl"], "UnknownEngine: no engine 'prsl'. Did you mean 'parsl'?"),
        (["--device", "ion7"], "UnknownDevice: "),
        (["--listen", "pipe:x"], "InvalidAddress: 'pipe:x' is not an address."),
        (["--listen", "tcp:host.invalid:1"], "InvalidAddress: cannot listen at tcp:host.invalid:1"),
        (["--scripts", "nowhere"], "Usage: "),
        (["--json", "nowhere/run.json"], "Usage: "),
        (["--ranks", "0"], "Usage: "),
    ],
)
def test_a_mistake_is_a_sentence_and_the_program_is_not_started(folder: Path, options: list[str], said: str) -> None:
    done = run(*options, "touch", "started")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert not (folder / "started").exists()


def test_debug_shows_the_traceback() -> None:
    assert "Traceback (most recent call last)" in run("--debug", "--site", "nowhere", "true").stderr


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["threads", "parsl", "dask"])
def test_a_program_that_dies_does_not_leave_us_waiting_for_its_circuits(folder: Path, engine: str) -> None:
    (folder / "slow.toml").write_text(
        '[qpu.ion0]\ndriver = "emulated"\nqubits = 5\noptions = { driver = "statevector", job_s = 60 }\n'
    )
    script = '"$0" 1 & sleep 2; kill -9 $!'
    started = time.monotonic()
    done = run("--site", "./slow.toml", "--engine", engine, "sh", "-c", script, GCC.compile("bells.cpp"))
    assert time.monotonic() - started < 15
    assert done.returncode == 0


# -- signals --


@pytest.mark.slow
@pytest.mark.parametrize("number", NOTED, ids=lambda number: number.name)
def test_a_signal_reaches_the_program_once_and_the_program_decides(
    start: Callable[..., Running], number: signal.Signals
) -> None:
    running = start("-q", sys.executable, "-c", LISTENER)
    assert running.line() == "there"
    running.process.send_signal(number)
    assert running.line() == number.name
    if number != signal.SIGUSR2:
        running.process.send_signal(signal.SIGUSR2)
        assert running.line() == "SIGUSR2"
    assert running.end() == (9, "", "")


def test_sigterm_ends_the_program_and_everything_else(start: Callable[..., Running], folder: Path) -> None:
    running = start("sh", "-c", "echo $$; exec sleep 60")
    pid = int(running.line())
    children = [child.pid for child in psutil.Process(running.process.pid).children(recursive=True)]
    assert pid in children
    assert list(folder.glob("openmpq-*/pool"))
    running.process.terminate()
    assert running.end()[0] == 143
    assert gone(children, 1)
    assert not list(folder.glob("openmpq-*"))


def test_a_signal_that_is_ignored_where_we_start_is_ignored_by_the_program() -> None:
    script = "trap '' HUP USR1; exec \"$@\""
    inner = "kill -HUP $PPID; kill -HUP $$; kill -USR1 $$; echo alive"
    done = subprocess.run(["sh", "-c", script, "sh", *RUN, "-q", "sh", "-c", inner], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"alive\n")


def test_what_the_program_leaves_in_the_background_ends_with_it() -> None:
    done = run("-q", "sh", "-c", "sleep 66 & setsid sleep 67 & echo $!; exit 5")
    assert done.returncode == 5
    assert not runs(int(done.stdout))


def test_control_c_on_a_terminal_reaches_the_program_once(folder: Path) -> None:
    (folder / "listener.py").write_text(LISTENER)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(RUN[0], [*RUN, "-q", sys.executable, "listener.py"])
    shown = b""

    def until(text: bytes) -> None:
        nonlocal shown
        while text not in shown:
            shown += os.read(terminal, 1000)

    until(b"there")
    os.write(terminal, b"\x03")
    until(b"SIGINT")
    time.sleep(0.3)
    os.kill(pid, signal.SIGUSR2)
    until(b"SIGUSR2")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    os.close(terminal)
    assert shown.count(b"SIGINT") == 1


def test_kill_9_leaves_nothing_running_not_even_what_the_program_let_go(start: Callable[..., Running]) -> None:
    script = "setsid sleep 61 & echo $!; (setsid sh -c 'echo $$; sleep 62; true' &) ; echo $$; sleep 63; true"
    running = start("sh", "-c", script)
    pids = sorted(int(running.line()) for _ in range(3))
    keepers = [child.pid for child in psutil.Process(running.process.pid).children()]
    everything = {child.pid for child in psutil.Process(running.process.pid).children(recursive=True)} | set(pids)
    assert len(everything) >= 5
    running.process.kill()
    assert gone([*everything, *keepers])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_the_engine_ends_with_us(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str, number: signal.Signals
) -> None:
    monkeypatch.setenv("STARTED_IN", str(tmp_path))
    running = start("--engine", engine, "sh", "-c", '"$0" 2; sleep 65; true', GCC.compile("bells.cpp"))
    assert running.line() == "2 of 2"  # a worker holds the QPU by now
    everything = [process.pid for process in psutil.process_iter() if started_in(tmp_path, process)]
    assert len(everything) > 5
    running.process.send_signal(number)
    running.process.wait()
    assert gone(everything, 20)


@pytest.mark.slow
@pytest.mark.usefixtures("mpi")
def test_kill_9_ends_the_ranks_too(start: Callable[..., Running]) -> None:
    running = start("-n", "2", "sh", "-c", "echo $$; sleep 64; true")
    pids = [int(running.line()) for _ in range(2)]
    running.process.kill()
    assert gone(pids)


# -- MPI --


@pytest.mark.slow
@pytest.mark.usefixtures("mpi")
def test_ranks_share_the_pool() -> None:
    done = run("-n", "2", GCC.compile("bells.cpp"), 3, OPENMPQ_MPIRUN="mpirun --oversubscribe")
    assert (done.returncode, done.stdout) == (0, "3 of 3\n" * 2), done.stderr
    assert "6 circuits in 6 tasks" in done.stderr


@pytest.mark.usefixtures("mpi")
def test_a_launcher_of_ones_own_passes_the_pool_on() -> None:
    done = run("mpirun", "--oversubscribe", "-n", "2", GCC.compile("bells.cpp"), 3)
    assert (done.returncode, done.stdout) == (0, "3 of 3\n" * 2), done.stderr
    assert "6 circuits in 6 tasks" in done.stderr


@pytest.mark.usefixtures("mpi")
def test_a_pool_for_each_rank_is_hardly_meant() -> None:
    done = subprocess.run(
        ["mpirun", "--oversubscribe", "-n", "2", *RUN, "true"], capture_output=True, text=True, timeout=60
    )
    assert "each of the 2 ranks starts a pool of its own. For one that they share: openmpq-run -n 2" in done.stderr


def test_without_a_launcher_it_says_what_to_do(folder: Path) -> None:
    done = run("-n", "2", "/bin/true", PATH=str(folder))
    assert done.returncode == 1
    assert done.stderr.startswith(
        "MissingPackage: ranks need an MPI launcher, and none of mpirun, mpiexec, srun is on the PATH."
    )


def test_the_variable_names_the_launcher_and_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMPQ_MPIRUN", "echo 'a b'")
    assert run("-q", "-n", "3", "true", 1).stdout == "a b -n 3 true 1\n"
    monkeypatch.setenv("OPENMPQ_MPIRUN", "nompi --x")
    with pytest.raises(MissingPackage, match="'nompi', which OPENMPQ_MPIRUN names, is not on the PATH"):
        mpi.launcher()


@pytest.mark.usefixtures("mpi")
def test_open_mpi_is_told_which_variables_go_to_other_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMPQ_SHOTS", "10")
    words = mpi.as_ranks(2, ["./vqe"], "tcp:node17:0")
    names = ["OPENMPQ_POOL", "OPENMPQ_TOKEN_FILE", "OPENMPQ_RELAY", "OPENMPQ_SHOTS"]
    assert words[1:] == ["-n", "2", *(word for name in names for word in ("-x", name)), "./vqe"]


def test_it_listens_on_the_network_where_ranks_may_be_on_other_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = Site.load("laptop")
    cluster = replace(laptop, groups=(Group("login"), Group("cpu", interface="lo")))
    assert mpi.where_to_listen(["./vqe"], cluster) == "unix"
    assert mpi.where_to_listen(["/usr/bin/srun", "./vqe"], cluster) == "tcp:lo:0"
    assert re.fullmatch(r"tcp:\d+\.\d+\.\d+\.\d+:0", mpi.where_to_listen(["srun", "./vqe"], laptop))
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    assert mpi.where_to_listen(["mpirun", "./vqe"], cluster) == "tcp:lo:0"


def test_a_network_interface_can_be_the_host() -> None:
    done = run("-q", "--listen", "tcp:lo:0", "sh", "-c", "echo $OPENMPQ_POOL")
    assert re.fullmatch(r"tcp:127\.0\.0\.1:\d+\n", done.stdout)


def test_a_unix_socket_in_a_job_of_many_nodes_is_hardly_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "4")
    assert "--listen tcp:$(hostname):0" in next(mpi.advice("unix"))
    assert list(mpi.advice("tcp:node17:0")) == []


# -- serving only --


def test_without_a_program_it_serves_until_control_c(start: Callable[..., Running], folder: Path) -> None:
    (folder / "scripts").mkdir()
    (folder / "scripts" / "twice.py").write_text("def main(qpu, x):\n    return {'y': [2 * v for v in x]}\n")
    running = start("--scripts", "scripts", "--json", "run.json")
    name, _, address = running.line().removeprefix("export ").partition("=")
    assert name == "OPENMPQ_POOL"
    joined = subprocess.run(
        [GCC.compile("bells.cpp"), "2"], env=os.environ | {name: address}, capture_output=True, text=True, timeout=60
    )
    assert joined.stdout == "2 of 2\n", joined.stderr
    with WireClient(address) as client:
        request: dict[str, Any] = {"is": "script", "request": 1, "oldest": 1, "device_id": "any", "shots": 1}
        client.send(request | {"priority": "MEDIUM", "script": "twice.py", "arrays": {"x": [1, 2.5]}})
        assert client.receive()["arrays"] == {"y": [2.0, 5.0]}
    running.process.send_signal(signal.SIGINT)
    code, _, said = running.end()
    assert code == 0
    assert "serving 2 QPUs of site conqure until Ctrl-C" in said
    assert "2 circuits in 3 tasks" in said  # the script is one
    assert json.loads((folder / "run.json").read_text())["program"] == []


def test_serving_over_tcp_prints_all_variables(start: Callable[..., Running]) -> None:
    running = start("--listen", "tcp:127.0.0.1:0")
    assert running.line().startswith("export OPENMPQ_POOL=tcp:127.0.0.1:")
    token = Path(running.line().removeprefix("export OPENMPQ_TOKEN_FILE="))
    assert token.is_file()
    assert running.line().startswith("export OPENMPQ_RELAY=")
    running.process.terminate()
    assert running.end()[0] == 0
    assert not token.exists()


# -- its help --


def test_its_help_has_examples_that_parse_and_a_line_for_every_option() -> None:
    text = run("--help").stdout
    command = typer.main.get_command(app)
    examples = re.findall(r"^ +openmpq-run(?: +(\S.*?))?(?:  .*)?$", text, re.MULTILINE)
    assert len(examples) >= 6
    for words in (example.split() for example in examples):
        Path("scripts").mkdir(exist_ok=True)
        command.make_context("openmpq-run", words)
    assert not [parameter.name for parameter in command.params if not getattr(parameter, "help", "")]
