"""Every program of docs/interop/qiskit.md runs as it is printed."""

from pathlib import Path

import pytest

from ..pages import programs_of, run_program

PROGRAMS = programs_of("interop/qiskit.md")


@pytest.mark.slow
def test_the_programs_of_the_page_run(tmp_path: Path) -> None:
    assert len(PROGRAMS) == 3
    done = run_program("\n".join(PROGRAMS), tmp_path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"))
    assert not done.stderr
    assert len(done.stdout.splitlines()) == 5
