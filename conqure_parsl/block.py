"""A block on one node: starts the workers, watches them, reports how they died, and ends with the submitting program.

Started by a Parsl provider as ``python -m conqure_parsl.block``; one process, which forks the workers, so that
everything is imported once. Its connection to the broker is its lifeline: when that breaks, the block kills its
workers and exits, whatever happened to the other side (end, crash, ``kill -9``, a lost network).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing as mp
import os
import platform
import signal
import socket
import sys
import time
import uuid
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from qpu_executors.site import cores

from . import wire
from .worker import work

GRACE_S = 1.0  # what a worker gets to close its device
YOUNG_S = 1.0  # a worker that lived shorter than this is started again after a pause,
MAX_PAUSE_S = 1.0  # which doubles up to this
LAST_WORDS = 2000  # characters of a dead worker's stderr that are reported


@dataclass
class _Child:
    """One worker process and the end of its stderr."""

    name: str
    process: BaseProcess
    stderr: int
    started: float = field(default_factory=time.monotonic)
    tail: str = ""
    open: bool = True

    def drain(self) -> None:
        """Pass its stderr on to ours, and remember the end."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.stderr, 65536):
                os.write(2, data)
                self.tail = (self.tail + data.decode(errors="replace"))[-LAST_WORDS:]
            self.open = False

    def how_it_died(self) -> str:
        code = self.process.exitcode or 0
        how = f"It was killed by {signal.Signals(-code).name}." if code < 0 else f"Its exit code was {code}."
        return how + (f" The end of its stderr:\n{self.tail.strip()}" if self.tail.strip() else "")


class Block:
    """The workers of one node."""

    def __init__(self, path: Path, secret: bytes, block_id: str, n_workers: int, qpus: list[str]) -> None:
        self._path, self._secret, self._block_id, self._qpus = path, secret, block_id, qpus
        self._children: list[_Child] = []
        self._due = [0.0] * n_workers  # when each missing worker is to be started
        self._pause = 0.1
        self.abandoned = False  # whether the program ended without telling us to stop
        self._broker = self._report_for_duty()

    def run(self) -> None:
        """Until the broker says stop or is gone."""
        try:
            while self._watch():
                pass
        finally:
            self._end_children()

    def _report_for_duty(self) -> Connection:
        broker = wire.connect(self._path, self._secret)
        hello = _hello("block", self._block_id)
        broker.send_bytes(wire.frame(wire.HELLO, json.dumps(hello).encode()))
        kind, _, body = wire.split(broker.recv_bytes())
        if kind == wire.STOP:
            sys.exit(bytes(body).decode())
        sys.path += [entry for entry in json.loads(bytes(body))["sys_path"] if entry not in sys.path]
        return broker

    def _watch(self) -> bool:
        """One round; whether there will be another."""
        while self._due and min(self._due) <= time.monotonic():
            self._due.remove(min(self._due))
            self._start()
        pause = min(self._due) - time.monotonic() if self._due else None
        pipes = {child.stderr: child for child in self._children if child.open}
        for ready in wait([self._broker, *pipes, *(child.process.sentinel for child in self._children)], pause):
            if ready is self._broker:
                return self._hear_last()
            if ready in pipes:
                pipes[ready].drain()
        for child in [child for child in self._children if not child.process.is_alive()]:
            self._bury(child)
        return True

    def _hear_last(self) -> bool:
        """All that the broker ever says to us is stop, or nothing any more."""
        try:
            self._broker.recv_bytes()
        except (EOFError, OSError):
            self.abandoned = True
        return False

    def _start(self) -> None:
        hello = _hello("worker", self._block_id) | {"name": uuid.uuid4().hex, "qpus": self._qpus}
        read, write = os.pipe()
        os.set_blocking(read, False)
        process = mp.get_context("fork").Process(
            target=work, args=(self._path, self._secret, hello, write, self._broker), name="qpu-worker"
        )
        process.start()
        os.close(write)
        self._children.append(_Child(str(hello["name"]), process, read))

    def _bury(self, child: _Child) -> None:
        child.process.join()
        child.drain()
        os.close(child.stderr)
        self._children.remove(child)
        words = {"name": child.name, "how": child.how_it_died()}
        with contextlib.suppress(OSError):
            self._broker.send_bytes(wire.frame(wire.DIED, json.dumps(words).encode()))
        young = time.monotonic() - child.started < YOUNG_S
        self._pause = min(MAX_PAUSE_S, 2 * self._pause) if young else 0.1
        self._due.append(time.monotonic() + (self._pause if young else 0.0))

    def _end_children(self) -> None:
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + GRACE_S
        for child in self._children:
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                child.process.kill()
            child.drain()


def _node_name() -> str:
    """What Slurm calls this node, where it has a say; that may differ from the host's name."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _hello(role: str, block_id: str) -> dict[str, Any]:
    python = list(platform.python_version_tuple())
    return {"role": role, "block_id": block_id, "host": _node_name(), "python": python}


def _terminated(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _forget_program(folder: Path) -> None:
    """The program died without tidying up; leave nothing of it in the temporary folder."""
    with contextlib.suppress(OSError):
        (folder / "broker").unlink()
        (folder / "secret").unlink()
        folder.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(description="Workers that hold QPUs for a Parsl program; started by Parsl.")
    parser.add_argument("--folder", type=Path, required=True, help="where the secret and the broker's socket are")
    parser.add_argument("--block-id", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--qpu", action="append", default=[], help="a QPU that this block may hold; default: any")
    parser.add_argument("--tunnel", help="addresses of the broker's end of the tunnel, from another machine")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program; we end when it does
    secret = wire.read_secret(options.folder)
    socket_path, tunnel = options.folder / "broker", None
    if options.tunnel:
        from .tunnel import open_tunnel

        tunnel = open_tunnel(options.tunnel.split(","), options.folder)
        socket_path = tunnel.socket
    threads = max(1, cores() // options.workers)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, str(threads))  # workers that all use all cores cost a simulator dearly
    try:
        block = Block(socket_path, secret, options.block_id, options.workers, options.qpu)
        block.run()
    finally:
        if tunnel:
            tunnel.close()
    if block.abandoned and not options.tunnel:
        _forget_program(options.folder)


if __name__ == "__main__":
    main()
