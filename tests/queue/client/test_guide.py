"""Every program of the guide runs as it is printed."""

from pathlib import Path

import pytest

from ...pages import programs_of, run_program

BLOCKS = programs_of("queue.md")


@pytest.mark.slow
@pytest.mark.parametrize("program", BLOCKS, ids=[str(number) for number in range(len(BLOCKS))])
def test_each_program_of_the_guide_runs(program: str, home: Path) -> None:
    done = run_program(program, home)
    assert "{" in done.stdout
    assert not done.stderr
