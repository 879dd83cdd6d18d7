"""Ways to build with the library: wrapper, CMake without Python, pkg-config; and what the wrapper passes on."""

import os
import subprocess
from pathlib import Path

import pytest

from openmpq_runtime import Bridge, prefix

from ..conftest import REPOSITORY
from .compiling import BIN, CLANG, GCC, PROGRAMS, Compiler, run

ONCE = PROGRAMS / "once.cpp"


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


def test_the_wrapper_gives_clang_its_flag_and_passes_everything_on() -> None:
    CLANG.require()
    text = show("-showme", "-O3", "-DX=a b", "a.cpp", OPENMPQ_CXX="clang++-19")
    assert "clang++-19 -fopenmp -Xclang -fopenmp-targets=" in text
    assert " -O3 -DX=a b a.cpp -L" in text


def test_the_wrapper_links_the_second_library_where_the_redirect_is_lost() -> None:
    assert "-lopenmpq_preload -lopenmpq" in show("-show", "-flto", "a.cpp")
    assert "preload" not in show("-show", "-flto", "-fno-lto", "a.cpp")
    assert "preload" not in show("-show", "-flto", "-c", "a.cpp")


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
    done = subprocess.run([BIN / "openmpq-config", "--wrong"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown option --wrong" in done.stderr


@pytest.mark.slow
def test_the_wrapper_works_behind_mpicxx(six: Bridge, tmp_path: Path) -> None:
    GCC.require()
    program = tmp_path / "once"
    show("-std=c++17", str(ONCE), "-o", str(program), OPENMPQ_CXX="mpicxx")
    assert run(program, six.environment(), "1").stdout.splitlines() == ["qpus 6", "ok sv1 "]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What CMake alone installs, moved elsewhere afterwards: nothing in it knows its place."""
    build, first = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("install") / "first"
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    for command in (
        ["cmake", "-S", str(REPOSITORY / "openmpq_runtime"), "-B", str(build), "-G", "Ninja"],
        ["cmake", "--build", str(build)],
        ["cmake", "--install", str(build), "--prefix", str(first)],
    ):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return first.rename(first.with_name("moved"))


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
        return subprocess.check_output(["pkg-config", option, "openmpq"], env=environment, text=True).split()

    flags = [*ask("--cflags"), *ask(f"--variable={family}_cflags")]
    program = tmp_path / "once"
    subprocess.run([compiler.cxx, "-std=c++17", *flags, ONCE, *ask("--libs"), "-o", program], check=True)
    assert run(program, six.environment(), "3").stdout.splitlines() == ["qpus 6", "ok sv3 "]


@pytest.mark.slow
def test_the_library_shows_its_interface_only_and_needs_no_openmp_runtime(plain: Path) -> None:
    library = plain / "lib" / "libopenmpq.so"
    names = subprocess.check_output(["nm", "-D", "--defined-only", "--format=posix", library], text=True).split("\n")
    assert names
    assert all(name.startswith("openmpq_") for name in names if name)
    needed = subprocess.check_output(["readelf", "-d", library], text=True)
    assert not [word for word in ("libgomp", "libomp", "libpython") if word in needed]
