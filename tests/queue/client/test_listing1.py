"""The program of the paper, as a program, in the settings where works run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..server.conftest import RunningService

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("listing1.py")
RESOURCES = 'total_lasers = 4\ntotal_mirrors = 4\nrelative_time = "135,600"\n[h]\ntime = 1\nlasers = 1\nmirrors = 1\n'


def run_listing(home: Path, **environment: str) -> str:
    (home / "resources.toml").write_text(RESOURCES)
    done = subprocess.run(
        [sys.executable, "-W", "error", PROGRAM],
        cwd=home,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def check(output: str) -> None:
    *progress, counts = output.splitlines()
    assert progress[-1] == "workload is DONE"
    found = {bits: int(times) for bits, times in re.findall(r"'(\d+)': (\d+)", counts)}
    assert set(found) <= {"0000", "1111"}
    assert sum(found.values()) == 30


@pytest.mark.parametrize("store", ["memory:", "tinydb:works", "sqlite:works.db"])
def test_the_paper_s_program_runs_with_only_its_imports_changed(home: Path, site: Path, store: str) -> None:
    check(run_listing(home, CONQURE_SITE=str(site), CONQURE_STORE=store))


def test_it_runs_at_a_service_as_well(home: Path, service: RunningService) -> None:
    token = service.user().token
    check(run_listing(home, CONQURE_QUEUE_URL=service.url, CONQURE_QUEUE_TOKEN=token))
    assert [work["device_id"] for work in service.admin.get("/v1/works").json()["works"]] == ["dax_code_simulator"]
