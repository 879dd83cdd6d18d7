"""What happens without a pool, with a pool that goes away, and when the region is not intercepted at all."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from openmpq_runtime import Bridge, library, serve
from qpu_executors import QPU, QPUThreadPool

from .compiling import CLANG, GCC, Compiler, run

pytestmark = pytest.mark.slow  # compiling

NOWHERE = {**os.environ, "OPENMPQ_POOL": "unix:/nonexistent/pool"}
SERVE = """
import sys, time
from openmpq_runtime import serve
from qpu_executors import QPU, QPUThreadPool
device = QPU("ion0", "emulated", 7, options={"driver": "statevector", "job_s": float(sys.argv[2])})
with QPUThreadPool([device]) as pool, serve(pool, sys.argv[1]):
    print("ready", flush=True)
    time.sleep(100)
"""


@pytest.fixture(scope="module", params=[GCC, CLANG], ids=lambda compiler: compiler.name)
def once(request: pytest.FixtureRequest) -> Path:
    """A program with one region; see programs/once.cpp."""
    compiler: Compiler = request.param
    return compiler.compile("once.cpp")


def serving(address: str, job_s: float) -> "subprocess.Popen[str]":
    """A bridge in a process of its own, to be killed."""
    server = subprocess.Popen([sys.executable, "-c", SERVE, address, str(job_s)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


def kill(server: "subprocess.Popen[str]") -> None:
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert server.stdout is not None
    server.stdout.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/pool"


def test_without_a_pool_the_host_runs_it_and_says_so_once(once: Path) -> None:
    done = run(once, NOWHERE, "-1", "0.01")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["qpus 0", "ok host ", "ok host "]
    assert done.stderr.count("openmpq:") == 1
    assert "nobody answers at unix:/nonexistent/pool" in done.stderr
    assert "own state vector" in done.stderr


def test_without_a_pool_and_without_fallback_it_is_unreachable(once: Path) -> None:
    done = run(once, NOWHERE, OPENMPQ_FALLBACK="none")
    assert done.returncode == 1
    assert "unreachable  nobody answers" in done.stdout


def test_disabled_offload_is_the_host_without_a_word(once: Path, six: Bridge) -> None:
    done = run(once, six.environment(), OMP_TARGET_OFFLOAD="DISABLED")
    assert done.stdout.splitlines() == ["qpus 0", "ok host "]
    assert not done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"), [(("-1",), "unreachable: nobody answers"), (("0",), "unreachable: nobody answers")]
)
def test_mandatory_offload_without_a_pool_ends_the_program(once: Path, arguments: tuple[str, ...], text: str) -> None:
    done = run(once, NOWHERE, *arguments, OMP_TARGET_OFFLOAD="MANDATORY")
    assert done.returncode == 70
    assert text in done.stderr
    assert "OMP_TARGET_OFFLOAD=MANDATORY" in done.stderr
    assert done.stdout == "qpus 0\n"  # what was printed is not lost


def test_mandatory_offload_to_a_qpu_that_is_not_there_ends_the_program(once: Path, six: Bridge) -> None:
    done = run(once, six.environment(), "99", OMP_TARGET_OFFLOAD="MANDATORY")
    assert done.returncode == 70
    assert "no_device: no QPU 99: the pool has 6" in done.stderr


def test_mandatory_offload_that_works_works(once: Path, six: Bridge) -> None:
    done = run(once, six.environment(), "3", OMP_TARGET_OFFLOAD="mandatory")
    assert done.stdout.splitlines() == ["qpus 6", "ok sv3 "]


def test_mandatory_offload_of_what_the_device_cannot_do_ends_the_program(once: Path) -> None:
    with QPUThreadPool([QPU("tiny0", "statevector", 1)]) as pool, serve(pool) as bridge:
        done = run(once, bridge.environment(), "0", OMP_TARGET_OFFLOAD="MANDATORY")
        assert done.returncode == 70
        assert "invalid: the circuit has 2 qubits" in done.stderr
        done = run(once, bridge.environment(), "0")
    assert done.returncode == 1
    assert "invalid" in done.stdout


def test_a_pool_that_is_killed_in_the_middle_is_disconnected_and_a_new_one_is_found(once: Path, address: str) -> None:
    server = serving(address, 5.0)
    environment = {**os.environ, "OPENMPQ_POOL": address}
    program = subprocess.Popen([once, "0", "2"], env=environment, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "qpus 1\n"
    time.sleep(0.5)
    kill(server)
    first = program.stdout.readline()
    server = serving(address, 0.0)
    second = program.stdout.readline()
    assert program.wait(20) == 0
    program.stdout.close()
    kill(server)
    assert first.startswith("disconnected ")
    assert "ran once or not at all" in first
    assert second == "ok ion0 \n"


def test_mandatory_offload_to_a_pool_that_is_killed_ends_the_program(once: Path, address: str) -> None:
    server = serving(address, 5.0)
    environment = {**os.environ, "OPENMPQ_POOL": address, "OMP_TARGET_OFFLOAD": "MANDATORY"}
    program = subprocess.Popen([once, "0"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.7)
    kill(server)
    _, errors = program.communicate(timeout=20)
    assert program.returncode == 70
    assert "disconnected: the pool closed the connection" in errors


def test_a_time_limit_ends_the_wait(once: Path) -> None:
    slow = QPU("slow0", "emulated", 7, options={"driver": "statevector", "job_s": 3.0})
    with QPUThreadPool([slow]) as pool, serve(pool) as bridge:
        started = time.monotonic()
        done = run(once, bridge.environment(), "0", OPENMPQ_TIMEOUT="0.3")
        assert time.monotonic() - started < 3.0  # what the circuit takes
    assert "timeout" in done.stdout


def test_a_host_that_does_not_answer_is_waited_for_as_long_as_said(once: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts in the kernel, and never says a word
        pool = f"tcp:127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        done = run(once, {**os.environ, "OPENMPQ_POOL": pool}, OPENMPQ_TOKEN="x", OPENMPQ_CONNECT_TIMEOUT="0.6")
        assert time.monotonic() - started < 5
    assert "does not answer" in done.stderr
    assert done.returncode == 0  # on the host, as the default policy says


def test_over_tcp_with_the_token_and_without(once: Path) -> None:
    with QPUThreadPool([QPU("sv0", "statevector", 7)]) as pool, serve(pool, "tcp:127.0.0.1:0") as bridge:
        environment = bridge.environment()
        assert run(once, environment, "0").stdout.splitlines() == ["qpus 1", "ok sv0 "]
        del environment["OPENMPQ_TOKEN_FILE"]
        done = run(once, environment, "0")
        assert "refused" in done.stdout
        assert "OPENMPQ_TOKEN_FILE" in done.stdout
        done = run(once, environment, "0", OPENMPQ_TOKEN="wrong")
        assert "another token than ours" in done.stdout


def test_a_bad_address_says_what_is_right(once: Path) -> None:
    done = run(once, {**os.environ, "OPENMPQ_POOL": "localhost:80"}, OPENMPQ_FALLBACK="none")
    assert "Use unix:/path/of/socket or tcp:HOST:PORT" in done.stdout


def test_a_region_that_is_not_intercepted_is_noticed(six: Bridge, tmp_path: Path) -> None:
    """clang without the flag that the wrapper gives inlines the region."""
    CLANG.require()
    program = tmp_path / "program"
    root = library().parent.parent
    source = Path(__file__).parent / "programs" / "once.cpp"
    flags = ["-std=c++17", "-fopenmp", f"-I{root}/include", f"-L{root}/lib", f"-Wl,-rpath,{root}/lib", "-lopenmpq"]
    subprocess.run(["clang++-19", str(source), *flags, "-o", str(program)], check=True)
    done = run(program, six.environment(), "2")
    assert "the region is not intercepted" in done.stderr
    assert run(CLANG.compile("once.cpp"), six.environment(), "2").stderr == ""


def test_the_library_works_in_python_too_whoever_loaded_openmp_before(six: Bridge, tmp_path: Path) -> None:
    script = tmp_path / "load.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import ctypes
            ctypes.CDLL("libgomp.so.1", mode=ctypes.RTLD_GLOBAL)
            mpq = ctypes.CDLL({str(library())!r})
            mpq.openmpq_circuit_create.restype = ctypes.c_void_p
            mpq.openmpq_circuit_error.restype = ctypes.c_char_p
            for name in ("measure", "execute", "gate", "error", "destroy"):
                getattr(mpq, "openmpq_circuit_" + name).argtypes = None
            c = ctypes.c_void_p(mpq.openmpq_circuit_create(1))
            q = (ctypes.c_int32 * 1)(0)
            mpq.openmpq_circuit_gate(c, b"x", q, ctypes.c_size_t(1), None, ctypes.c_size_t(0))
            mpq.openmpq_circuit_measure(c, None, ctypes.c_size_t(0), None)
            status = mpq.openmpq_circuit_execute(c, None, ctypes.c_size_t(1), ctypes.c_size_t(0))
            print(mpq.openmpq_num_qpus(), status, mpq.openmpq_circuit_error(c))
            mpq.openmpq_circuit_destroy(c)
            """
        )
    )
    done = subprocess.run([sys.executable, script], env=six.environment(), capture_output=True, text=True)
    assert done.stdout == "6 0 b''\n", done.stderr
