"""Parsl's own test suite on our executors, beside Parsl's own: the conformity figures of docs/parsl.md.

    python tools/parsl_suite.py [threads htex qpu-workers qpu-threads …]

Makes an environment of its own under build/ (Parsl's tests need pytest < 8), installs Parsl in the version that is
installed here and this checkout, runs the suite once per configuration and prints what passed. The exit status is 1
if one of our executors fails a test, or passes fewer than Parsl's own threads.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SCRATCH = REPOSITORY / "build" / "parsl-suite"
NEEDS = ("pytest>=7.4,<8", "pytest-timeout", "pandas", "sqlalchemy>=2,<2.1", "numpy>=2")

OURS = """\
from parsl import Config
from parsl.launchers import SimpleLauncher
from parsl.providers import LocalProvider

from conqure_parsl import CPUExecutor, QPUExecutor, QPUThreadExecutor
from qpu_executors import QPU

QPUS = [QPU("ion0", "fake", 5), QPU("ion1", "fake", 5)]


def fresh_config():
    return Config(executors=[{executor}], strategy="none")
"""
WORKERS = """QPUExecutor(
        qpus=QPUS,
        classical="run",
        provider=LocalProvider(init_blocks=1, max_blocks=1, launcher=SimpleLauncher()){more},
    )"""
CONFIGURATIONS = {
    "threads": None,  # Parsl's own
    "htex": None,
    "qpu-workers": WORKERS.format(more=""),
    "qpu-tunnel": WORKERS.format(more=', address="127.0.0.1"'),
    "cpu-workers": "CPUExecutor(workers=2)",
    "qpu-threads": 'QPUThreadExecutor(qpus=QPUS, classical="run")',
}
THEIRS = {"threads": "local_threads.py", "htex": "htex_local.py"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(CONFIGURATIONS)}; default: all")
    names = parser.parse_args().names or list(CONFIGURATIONS)
    environment = make_environment()
    rows = {name: run_suite(name, environment) for name in names}
    print(f"\n| Parsl {version('parsl')} on | passed | skipped | failed | seconds |\n|---|---|---|---|---|")
    for name, (passed, skipped, failed, seconds) in rows.items():
        print(f"| {name} | {passed} | {skipped} | {failed} | {seconds:.0f} |")
    least = rows.get("threads", (1, 0, 0, 0.0))[0]
    ours = [row for name, row in rows.items() if name not in THEIRS]
    return int(any(failed or passed < least for passed, _, failed, _ in ours))


def make_environment() -> Path:
    """The environment's folder; made once per version of Parsl."""
    environment = SCRATCH / f"venv-{version('parsl')}"
    python = environment / "bin" / "python"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        sys.exit("this needs uv: pip install uv")
    if not (environment / "done").exists():
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], check=True)
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        subprocess.run([*install, f"parsl=={version('parsl')}", *NEEDS], check=True)
        subprocess.run([*install, "--no-deps", "--editable", str(REPOSITORY)], check=True)
        (environment / "done").touch()
    return environment


def run_suite(name: str, environment: Path) -> tuple[int, int, int, float]:
    """Passed, skipped and failed tests (errors count as failed), and how long it took."""
    folder = SCRATCH / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tests = next((environment / "lib").glob("python*")) / "site-packages" / "parsl" / "tests"
    if name in THEIRS:
        config = tests / "configs" / THEIRS[name]
    else:
        config = folder / "config.py"
        config.write_text(OURS.format(executor=CONFIGURATIONS[name]))
    settings = folder / "pytest.ini"  # without one, pytest would take the settings of this checkout
    settings.write_text("[pytest]\n")
    command = [environment / "bin" / "python", "-m", "pytest", tests, "--config", config, "-k", "not cleannet"]
    command += ["-c", settings, "-q", "--tb=line", "-r", "fE", "-p", "no:cacheprovider", "--timeout=120"]
    if os.geteuid() == 0:  # root may write everywhere, so two tests of refused writes cannot pass
        command += ["-m", "not unix_filesystem_permissions_required"]
    variables = os.environ | {"PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    print(f"== {name}", flush=True)
    started = time.perf_counter()
    done = subprocess.run(list(map(str, command)), cwd=folder, env=variables, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    print("\n".join(done.stdout.splitlines()[-8:]))
    return count(done.stdout, "passed"), count(done.stdout, "skipped"), count(done.stdout, "failed|errors?"), seconds


def count(output: str, word: str) -> int:
    last = (output.strip().splitlines() or [""])[-1]
    return sum(int(number) for number in re.findall(rf"(\d+) (?:{word})", last))


if __name__ == "__main__":
    sys.exit(main())
