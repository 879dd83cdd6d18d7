"""Ways to build with the library: wrapper, CMake without Python, pkg-config; and what the wrapper passes on."""

import importlib.metadata
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from openmpq_runtime import Bridge, prefix

from ..conftest import REPOSITORY
from .compiling import BIN, CLANG, GCC, PROGRAMS, Compiler, checks, run

ONCE = PROGRAMS / "once.cpp"
PROJECT = Path(__file__).parent / "project"


def show(*arguments: str, name: str = "openmpq-c++", **variables: str) -> str:
    done = subprocess.run([BIN / name, *arguments], env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wrapper_shows_what_it_would_run_with_gcc() -> None:
    root = prefix()
    flags = f"-fopenmp -foffload=disable -I{root}/include"
    libraries = f"-L{root}/lib -Wl,-rpath,{root}/lib -lopenmpq"
    assert show("-show", "a.cpp", "-o", "a") == f"g++ {flags} a.cpp -o a {libraries}"
    assert show("-show", "-c", "a.cpp") == f"g++ {flags} -c a.cpp"
    assert show("-show", "a.c", name="openmpq-cc") == f"gcc {flags} a.c {libraries}"
    assert show("-show", "a.c", OPENMPQ_CXX="g++ -m64") == f"g++ -m64 {flags} a.c {libraries}"


def test_the_wrapper_gives_clang_its_flag_and_passes_everything_on() -> None:
    CLANG.require()
    text = show("-showme", "-O3", "-DX=a b", "a.cpp", OPENMPQ_CXX="clang++-19")
    assert "clang++-19 -fopenmp -Xclang -fopenmp-targets=" in text
    assert " -O3 '-DX=a b' a.cpp -L" in text


def test_what_the_wrapper_shows_can_be_typed_as_it_is() -> None:
    words = ['-DX="it\'s"', "-DY=\\n $HOME *", "", "-v", "a b.cpp"]
    assert shlex.split(show("-show", *words))[-8:-3] == words


@pytest.mark.parametrize("last", ["-c", "-S", "-E", "-MM", "-r", "-fsyntax-only"])
def test_what_does_not_link_gets_no_libraries(last: str) -> None:
    assert show("-show", "a.cpp", last).endswith(f"a.cpp {last}")


def test_a_question_to_the_compiler_gets_no_libraries() -> None:
    assert show("-show", "-v").endswith("include -v")
    assert show("--version").startswith("g++")


def test_the_wrapper_links_the_second_library_where_the_redirect_is_lost() -> None:
    first = "include -Wl,--push-state,--no-as-needed -lopenmpq_preload -Wl,--pop-state -flto "
    assert first in show("-show", "-flto", "a.cpp")  # before everything that could bring the OpenMP runtime
    assert first in show("-show", "-flto", "a.f90", name="openmpq-fc", OPENMPQ_FC="gcc")
    assert "preload" not in show("-show", "-flto", "-fno-lto", "a.cpp")
    assert "preload" not in show("-show", "-flto", "-c", "a.cpp")
    assert "preload" in show("-show", "a.f90", name="openmpq-fc", OPENMPQ_FC="gcc")
    assert "preload" not in show("-show", "-c", "a.f90", name="openmpq-fc", OPENMPQ_FC="gcc")


def test_flags_for_gpus_are_the_users_unless_device_code_is_stripped() -> None:
    gpu = ["-foffload=nvptx-none", "-fopenmp-targets=nvptx64", "--offload-arch=sm_80"]
    assert " ".join(gpu) in show("-show", *gpu, "-c", "a.cpp")
    assert show("-show", "--openmpq-strip", *gpu, "-c", "a.cpp").endswith("include -c a.cpp")
    linking = show("-show", "--openmpq-strip", *gpu, "a.o")  # where the other files' code for GPUs must not be lost
    assert " ".join(gpu) in linking
    assert "-foffload=disable" not in linking


@pytest.mark.slow
@pytest.mark.parametrize("output", [[], ["-o", "x.o"], ["-ox.o"]], ids=["default", "-o x.o", "-ox.o"])
def test_stripping_takes_the_regions_out_of_the_tables_of_device_code(tmp_path: Path, output: list[str]) -> None:
    CLANG.require()

    def tables(*options: str) -> bool:
        command = [BIN / "openmpq-c++", "-std=c++17", "-c", ONCE, *options, *output]
        subprocess.run(command, cwd=tmp_path, env=CLANG.environment(), check=True)
        object_file = tmp_path / ("x.o" if output else "once.o")
        return "omp_offloading_entries" in subprocess.check_output(["objdump", "-h", object_file], text=True)

    assert tables()
    assert not tables("--openmpq-strip")
    assert not tables("--openmpq-strip", "-fopenmp-targets=x86_64-pc-linux-gnu")


def test_a_compiler_that_is_none_is_named() -> None:
    done = subprocess.run(
        [BIN / "openmpq-c++", "a.cpp"],
        env=os.environ | {"OPENMPQ_CXX": "/nonexistent/c++"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "'/nonexistent/c++' is not there" in done.stderr
    assert "OPENMPQ_CXX=" in done.stderr


def test_help_and_config() -> None:
    root = prefix()
    for name in ("openmpq-c++", "openmpq-cc", "openmpq-fc", "openmpq-config"):
        assert show("--help", name=name).startswith(f"Usage: {name}")
    assert show("--prefix", "--cmakedir", name="openmpq-config").split() == [str(root), f"{root}/lib/cmake/OpenMPQ"]
    assert "-foffload=disable" in show("--cflags=gcc", name="openmpq-config")
    assert "-Xclang" in show("--cflags=clang", name="openmpq-config")
    assert show("--pool", name="openmpq-config", OPENMPQ_POOL="unix:/x") == "unix:/x"
    assert show("--version", name="openmpq-config") == importlib.metadata.version("conqure")


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--wrong", "unknown option --wrong; openmpq-config --help lists them"),
        ("--cflags=icc", "it can be gcc or clang"),
        ("--pool", "OPENMPQ_POOL is not set"),
    ],
)
def test_what_config_cannot_answer_is_an_error(option: str, problem: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENMPQ_POOL"}
    done = subprocess.run([BIN / "openmpq-config", option], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


@pytest.mark.slow
def test_the_wrapper_works_behind_mpicxx(six: Bridge, tmp_path: Path) -> None:
    GCC.require()
    program = tmp_path / "once"
    show("-std=c++17", str(ONCE), "-o", str(program), OPENMPQ_CXX="mpicxx")
    assert run(program, six.environment(), "1").stdout.splitlines() == ["qpus 6", "ok sv1 "]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What CMake installs (`make openmpq` has built it), moved to a name with a space: nothing knows its place."""
    build, first = REPOSITORY / "build" / "openmpq" / "dev", tmp_path_factory.mktemp("install") / "first"
    subprocess.run([BIN / "cmake", "--install", build, "--prefix", first], check=True, capture_output=True)
    return first.rename(first.with_name("moved here"))


@pytest.mark.slow
def test_a_plain_cmake_installation_works_from_any_place(plain: Path, six: Bridge, tmp_path: Path) -> None:
    program = tmp_path / "once"
    environment = {name: value for name, value in os.environ.items() if name != "OPENMPQ_PREFIX"}
    subprocess.run([plain / "bin" / "openmpq-c++", "-std=c++17", ONCE, "-o", program], env=environment, check=True)
    assert run(program, six.environment(), "2").stdout.splitlines() == ["qpus 6", "ok sv2 "]


@pytest.mark.slow
@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=lambda compiler: compiler.name)
def test_pkg_config(plain: Path, six: Bridge, tmp_path: Path, compiler: Compiler) -> None:
    compiler.require()
    environment = os.environ | {"PKG_CONFIG_PATH": str(plain / "lib" / "pkgconfig")}
    family = "clang" if compiler.is_clang else "gcc"

    def ask(option: str) -> list[str]:
        return shlex.split(subprocess.check_output(["pkg-config", option, "openmpq"], env=environment, text=True))

    flags = [*ask("--cflags"), *ask(f"--variable={family}_cflags")]
    program = tmp_path / "once"
    subprocess.run([compiler.cxx, "-std=c++17", *flags, ONCE, *ask("--libs"), "-o", program], check=True)
    assert run(program, six.environment(), "3").stdout.splitlines() == ["qpus 6", "ok sv3 "]


@pytest.mark.slow
@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=lambda compiler: compiler.name)
def test_cmake_finds_it_for_every_language(plain: Path, six: Bridge, tmp_path: Path, compiler: Compiler) -> None:
    """With link-time optimisation and Fortran, where the second library must be linked, too."""
    compiler.require()
    chosen = {
        "CMAKE_PREFIX_PATH": plain,
        "CMAKE_MAKE_PROGRAM": BIN / "ninja",
        "CMAKE_C_COMPILER": compiler.c,
        "CMAKE_CXX_COMPILER": compiler.cxx,
        "CMAKE_Fortran_COMPILER": "gfortran-12",
    }
    settings = [f"-D{name}={value}" for name, value in chosen.items()]
    for arguments in (["-S", PROJECT, "-B", tmp_path, "-G", "Ninja", *settings], ["--build", tmp_path]):
        done = subprocess.run([BIN / "cmake", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    for name in ("once", "once_lto"):
        done = run(tmp_path / name, six.environment(), "4")
        assert (done.stdout.splitlines(), done.stderr) == (["qpus 6", "ok sv4 "], "")
    assert checks(run(tmp_path / "plain", six.environment())) == ["C on sv2"]
    assert checks(run(tmp_path / "bell", six.environment())) == ["Fortran"]
    needed = subprocess.check_output(["readelf", "-d", tmp_path / "once"], text=True)
    assert not (compiler.is_clang and "libgomp" in needed)  # gfortran's runtime beside clang's own


@pytest.mark.slow
def test_the_library_shows_its_interface_only_and_needs_no_openmp_runtime(plain: Path) -> None:
    library = plain / "lib" / "libopenmpq.so"
    names = subprocess.check_output(["nm", "-D", "--defined-only", "--format=posix", library], text=True).split("\n")
    assert names
    assert all(name.startswith("openmpq_") for name in names if name)
    needed = subprocess.check_output(["readelf", "-d", library], text=True)
    assert not [word for word in ("libgomp", "libomp", "libpython") if word in needed]
