"""C++ programs of the benchmarks: compiled once with ``openmpq-c++``, then asked for rounds over a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@cache
def compiled(source: str) -> Path:
    """The program of a source file in this folder or of an example, optimised, with gcc."""
    folder = Path(tempfile.mkdtemp(prefix="openmpq-benchmark-"))
    wrapper = Path(sys.executable).with_name("openmpq-c++")
    path = folder / Path(source).stem
    subprocess.run([str(wrapper), "-O2", str(HERE / source), "-o", str(path)], check=True)
    return path


class Program:
    """A running program that answers each line with a line."""

    def __init__(self, source: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [str(compiled(source)), *arguments],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the program ended with {self._process.wait()}; its errors are above")
        return json.loads(answer)

    def microseconds(self, offloads: int, threads: int = 1) -> list[float]:
        """How long each offload took, in `offload.cpp`."""
        answer = self.ask(f"{offloads} {threads} 1")
        if answer["errors"]:
            raise RuntimeError(f"{answer['errors']} of {offloads * threads} offloads failed")
        times: list[float] = answer["us"]
        return times

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


@contextlib.contextmanager
def program(source: str, *arguments: str, environment: Mapping[str, str] = os.environ) -> Iterator[Program]:
    """A program that runs as long as the block."""
    running = Program(source, arguments, environment)
    try:
        yield running
    finally:
        running.close()
