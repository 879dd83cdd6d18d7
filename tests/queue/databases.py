"""Real database servers for tests and benchmarks: started in a folder of their own, reached by a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "conqure", "open sesame"
_QUOTED = "open%20sesame"
_PG = Path("/usr/lib/postgresql/15/bin")


class Server:
    """A database server; ``url`` is of an empty database in it.

    Attributes:
        options: for the command line, besides what it needs.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"

    url = ""

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + 60
        while not self.answers():
            ended = self.process.poll() is not None or time.monotonic() > deadline
            assert not ended, self.log.read_text()[-3000:]
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def restart(self) -> None:
        self.stop(signal.SIGKILL)
        self.start()

    def prepare(self) -> None: ...

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError


class MariaDB(Server):
    """https://mariadb.com/kb/en/mariadbd-options"""

    @staticmethod
    def is_there() -> bool:
        return all(map(shutil.which, ("mariadbd", "mariadb-install-db", "mariadb")))

    @property
    def url(self) -> str:
        return f"mariadb://{USER}:{_QUOTED}@localhost/works?unix_socket={self.folder}/s"

    def prepare(self) -> None:
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", *self._user()]
        _call(*install, "--skip-test-db", "--auth-root-authentication-method=normal")
        self.start()
        for line in (
            "CREATE DATABASE works",
            f"CREATE USER {USER}@localhost IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON *.* TO {USER}@localhost",
        ):
            self._ask(line, check=True)

    def command(self) -> list[str]:
        size = ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=64M"]
        where = [f"--datadir={self.folder}/data", f"--socket={self.folder}/s", f"--pid-file={self.folder}/pid"]
        return ["mariadbd", "--no-defaults", *self._user(), *where, *size, "--skip-networking", *self.options]

    def answers(self) -> bool:
        return self._ask("SELECT 1").returncode == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        super().stop(how)

    def _ask(self, sql: str, check: bool = False) -> subprocess.CompletedProcess[bytes]:
        ask = ["mariadb", "--no-defaults", f"--socket={self.folder}/s", "-e", sql]
        return subprocess.run(ask, check=check, capture_output=True, timeout=60)

    def _user(self) -> list[str]:
        return [f"--user={pwd.getpwuid(os.getuid()).pw_name}"] if os.getuid() == 0 else []


class PostgreSQL(Server):
    """https://www.postgresql.org/docs/15/app-postgres.html. It refuses to run as root: then as somebody else."""

    @staticmethod
    def is_there() -> bool:
        return (_PG / "postgres").exists()

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{_QUOTED}@/works?host={self.folder}"

    def prepare(self) -> None:
        if os.getuid() == 0:
            user = pwd.getpwnam(self._name())
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ["-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8"]
        _call(*self._as(), str(_PG / "initdb"), "-D", str(self.folder / "data"), "--no-sync", *options)
        self.start()
        _call(str(_PG / "createdb"), "-h", str(self.folder), "-U", USER, "works", PGPASSWORD=PASSWORD)

    def command(self) -> list[str]:
        where = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-c", "listen_addresses="]
        return [*self._as(), str(_PG / "postgres"), *where, *self.options]

    def answers(self) -> bool:
        ask = [str(_PG / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(ask, timeout=60).returncode == 0

    def _name(self) -> str:
        known = {user.pw_name for user in pwd.getpwall()}
        return "postgres" if "postgres" in known else "nobody"

    def _as(self) -> list[str]:
        if os.getuid() != 0:
            return []
        user = pwd.getpwnam(self._name())
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@contextmanager
def running(kind: type[Server], *options: str) -> Iterator[Server]:
    """A server with an empty database, gone at the end. The folder's name is short: it holds the socket."""
    folder = Path(tempfile.mkdtemp(prefix="cq-", dir="/tmp"))
    server = kind(folder, *options)
    try:
        server.prepare()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _call(*command: str, **environment: str) -> None:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120, cwd="/")
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
