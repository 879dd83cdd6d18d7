"""tools/slurm-sim: what its commands do to a real Slurm, and that nothing is left of one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from ..openmpq.compiling import need
from .conftest import SIM, Slurm, exported, need_slurm

NewCluster = Callable[..., Slurm]
LONG = "exec sleep 600"


@pytest.fixture
def new_cluster() -> Iterator[NewCluster]:
    """Makes further clusters; each is gone at the end of the test."""
    made: list[Slurm] = []

    def make(*settings: str, start: bool = True, **more: Sequence[str]) -> Slurm:
        need_slurm()
        cluster = Slurm(Path(tempfile.mkdtemp(prefix="slurm-")), settings or ("--cpu-nodes", "1"), **more)
        made.append(cluster)
        if start:
            cluster.up()
        return cluster

    yield make
    for cluster in made:
        if cluster.folder.exists():
            cluster.sim("wipe")


def pids_of(slurm: Slurm) -> dict[str, int]:
    """The processes that its daemons have written down."""
    return {file.stem: int(file.read_text()) for file in (slurm.folder / "run").glob("*.pid")}


def lives(pid: int) -> bool:
    """A process that has ended is none, even if nobody has asked for its exit status."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_running(slurm: Slurm, job: str) -> Callable[[], bool]:
    return lambda: slurm.state(job) == "RUNNING"


@pytest.fixture
def cancelled(slurm: Slurm) -> Iterator[list[str]]:
    """Jobs that are put in here end with the test, so that the next one finds its nodes free."""
    jobs: list[str] = []
    yield jobs
    slurm.run("scancel", "--quiet", *jobs)
    slurm.wait_until(lambda: not slurm.run("squeue", "--noheader").strip(), 15, "all jobs end")


# jobs


@pytest.mark.parametrize(("partition", "node"), [("cpu", "c1"), ("quantum", "q1"), ("quantum_hi", "q1")])
def test_each_partition_runs_jobs_on_its_nodes(slurm: Slurm, tmp_path: Path, partition: str, node: str) -> None:
    output = tmp_path / "node"
    job = slurm.submit("echo $SLURMD_NODENAME", f"--partition={partition}", f"--output={output}")
    slurm.wait_until(lambda: slurm.state(job) == "COMPLETED", 10, "the job ends")
    assert output.read_text() == f"{node}\n"


def test_a_step_runs_on_several_nodes(slurm: Slurm) -> None:
    said = slurm.run("srun", "--quiet", "--nodes=3", "--ntasks=3", "sh", "-c", "echo $SLURMD_NODENAME")
    assert sorted(said.split()) == ["c1", "c2", "c3"]


def test_programs_of_the_test_use_the_cluster_without_being_told(slurm: Slurm) -> None:
    said = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["cpu", "quantum", "quantum_hi"]
    assert os.environ["SLURM_CONF"] == str(slurm.folder / "slurm.conf")


def test_jobs_that_ask_for_no_memory_share_a_node(slurm: Slurm, cancelled: list[str]) -> None:
    cancelled += [slurm.submit(LONG, "--nodelist=c1") for _ in range(4)]
    slurm.wait_until(lambda: {*map(slurm.state, cancelled)} == {"RUNNING"}, 10, "all four run on c1")


def test_a_job_waits_for_a_busy_qpu_says_why_and_gets_it_next(slurm: Slurm, cancelled: list[str]) -> None:
    holder, waiter = (slurm.submit(LONG, "--partition=quantum", "--gres=qpu:ion:1") for _ in range(2))
    cancelled += [holder, waiter]
    slurm.wait_until(is_running(slurm, holder), 10, "the first job has the QPU")
    slurm.wait_until(lambda: slurm.field(waiter, "Reason") == "Resources", 10, "the second says why it waits")
    slurm.run("scancel", holder)
    slurm.wait_until(is_running(slurm, waiter), 15, "the second job has the QPU")


def test_two_jobs_share_a_node_with_two_qpus(slurm: Slurm, cancelled: list[str]) -> None:
    cancelled += [slurm.submit(LONG, "--partition=quantum", "--gres=qpu:sc:1") for _ in range(2)]
    slurm.wait_until(lambda: {*map(slurm.state, cancelled)} == {"RUNNING"}, 10, "both run on q2")


@pytest.mark.parametrize("asked", ["quantum qpu:photon:1", "quantum qpu:ion:2", "cpu qpu:ion:1"])
def test_a_qpu_that_no_node_has_is_refused_at_once(slurm: Slurm, asked: str) -> None:
    partition, gres = asked.split()
    with pytest.raises(RuntimeError, match="Requested node configuration is not available"):
        slurm.submit("true", f"--partition={partition}", f"--gres={gres}")


def test_one_licence_lets_one_job_run(slurm: Slurm, cancelled: list[str]) -> None:
    holder, waiter = (slurm.submit(LONG, "--licenses=qpu_cloud:1") for _ in range(2))
    cancelled += [holder, waiter]
    slurm.wait_until(lambda: slurm.field(waiter, "Reason") == "Licenses", 10, "the second says why it waits")
    assert slurm.state(holder) == "RUNNING"


@pytest.mark.slow
def test_what_a_cancelled_job_left_behind_is_gone_before_the_next_job_has_the_qpu(
    slurm: Slurm, cancelled: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    orphan = f"(setsid sh -c 'trap \"\" TERM; echo $$ >{file}.part; mv {file}.part {file}; {LONG}' &)"
    first = slurm.submit(f"{orphan}; {LONG}", "--partition=quantum", "--gres=qpu:ion:1")
    second = slurm.submit(LONG, "--partition=quantum", "--gres=qpu:ion:1")
    cancelled += [first, second]
    slurm.wait_until(file.exists, 10, "the process that nobody looks after")
    pid = int(file.read_text())
    assert lives(pid)
    slurm.run("scancel", first)
    slurm.wait_until(is_running(slurm, second), 15, "the second job has the QPU")
    assert not lives(pid)


# faults


@pytest.mark.slow
def test_a_node_dies_with_all_it_runs_and_comes_back_empty(slurm: Slurm, cancelled: list[str], tmp_path: Path) -> None:
    file = tmp_path / "pid"
    job = slurm.submit(f"env -i sleep 600 & echo $! >{file}.part; mv {file}.part {file}; wait", "--nodelist=c2")
    other = slurm.submit(LONG, "--nodelist=c3")
    cancelled += [job, other]
    slurm.wait_until(file.exists, 10, "the job runs")
    slurm.sim("kill", "c2")
    assert not lives(int(file.read_text()))
    assert "dead" in slurm.sim("status")
    slurm.sim("start", "c2")
    assert slurm.state(job) != "RUNNING"
    assert slurm.field(job, "Restarts") == "1"
    assert slurm.state(other) == "RUNNING"
    assert slurm.run("srun", "--quiet", "--nodelist=c2", "sh", "-c", "echo $SLURMD_NODENAME") == "c2\n"


def test_a_death_that_slurm_notices_at_once_fails_the_job(slurm: Slurm, cancelled: list[str]) -> None:
    job = slurm.submit(LONG, "--partition=quantum", "--gres=qpu:ion:1", "--no-requeue")
    cancelled.append(job)
    slurm.wait_until(is_running(slurm, job), 10, "the job runs")
    slurm.sim("kill", "q1", "--noticed")
    try:
        slurm.wait_until(lambda: slurm.state(job) == "NODE_FAIL", 5, "the job is lost")
    finally:
        slurm.sim("start", "q1")
    assert slurm.run("sinfo", "--noheader", "--nodes=q1", "--partition=quantum", "--format=%T") == "idle\n"


def test_what_is_no_node_cannot_be_killed(slurm: Slurm) -> None:
    with pytest.raises(RuntimeError, match="no node 'q7'. There are: c1, c2, c3, q1, q2"):
        slurm.sim("kill", "q7")


@pytest.mark.slow
def test_a_running_job_outlives_a_restart_of_slurmctld(slurm: Slurm, cancelled: list[str]) -> None:
    job = slurm.submit(LONG, "--partition=quantum", "--gres=qpu:ion:1")
    cancelled.append(job)
    slurm.wait_until(is_running(slurm, job), 10, "the job runs")
    before = pids_of(slurm)["slurmctld"]
    slurm.sim("restart")
    assert pids_of(slurm)["slurmctld"] != before
    assert slurm.state(job) == "RUNNING"
    assert slurm.field(job, "Restarts") == "0"


@pytest.mark.slow
def test_slurmctld_can_be_away_for_a_while(slurm: Slurm) -> None:
    slurm.sim("kill", "slurmctld")
    try:
        with pytest.raises(RuntimeError, match="Unable to contact slurm controller"):
            slurm.run("squeue")
        with pytest.raises(RuntimeError, match="slurmctld does not run"):
            slurm.sim("env")
    finally:
        slurm.sim("start", "slurmctld")
    assert slurm.run("srun", "--quiet", "echo", "back") == "back\n"


def test_a_drained_node_says_why_and_takes_jobs_when_resumed(slurm: Slurm, cancelled: list[str]) -> None:
    slurm.sim("drain", "q1", "--reason", "the laser is realigned")
    try:
        assert "the laser is realigned" in slurm.sim("status")
        job = slurm.submit(LONG, "--partition=quantum", "--gres=qpu:ion:1")
        cancelled.append(job)
        says = re.compile("DRAINED|UnavailableNodes:q1").search
        slurm.wait_until(lambda: says(slurm.field(job, "Reason")), 10, "the job says why it waits")
    finally:
        slurm.sim("resume", "q1")
    slurm.wait_until(is_running(slurm, job), 10, "the job runs")


# the life of a cluster


def test_a_cluster_that_is_up_stays_as_it_is(new_cluster: NewCluster) -> None:
    cluster = new_cluster("--cpu-nodes", "1", "--qpus")
    before = pids_of(cluster)
    assert exported(cluster.sim("up")) == exported(cluster.sim("env")) == cluster.env
    assert pids_of(cluster) == before
    with pytest.raises(RuntimeError, match=r"--cpu-nodes is 1, not 2(.|\n)*slurm-sim down --dir"):
        cluster.sim("up", "--cpu-nodes", "2")


def test_a_cluster_that_is_half_up_starts_anew(new_cluster: NewCluster) -> None:
    cluster = new_cluster("--cpu-nodes", "2", "--qpus")
    daemons = pids_of(cluster)
    os.kill(daemons["slurmctld"], signal.SIGKILL)
    cluster.wait_until(lambda: not lives(daemons["slurmctld"]), 10, "slurmctld is gone")
    left = [pid for pid in daemons.values() if lives(pid)]
    assert len(left) == 3
    cluster.up()
    assert not any(map(lives, left))
    assert cluster.run("srun", "--quiet", "--nodelist=c2", "echo", "back") == "back\n"


def test_up_starts_dead_nodes_again(new_cluster: NewCluster) -> None:
    cluster = new_cluster("--cpu-nodes", "2", "--qpus")
    cluster.sim("kill", "c2")
    before = pids_of(cluster)
    cluster.up()
    after = pids_of(cluster)
    assert {name for name in after if after[name] != before[name]} == {"slurmd-c2"}


@pytest.mark.slow
@pytest.mark.parametrize("log", ["settings.json", "log/munged.log", "log/slurmctld.log", "log/slurmd-c1.log"])
def test_up_works_after_an_up_that_was_killed(new_cluster: NewCluster, log: str) -> None:
    cluster = new_cluster("--cpu-nodes", "2", start=False)
    command = [sys.executable, str(SIM), "up", "--dir", str(cluster.folder), *cluster.settings]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        while not (cluster.folder / log).exists():
            assert started.poll() is None
        started.kill()
    cluster.up()
    assert cluster.run("srun", "--quiet", "--nodelist=c2", "echo", "up") == "up\n"


def test_down_ends_jobs_and_daemons_and_wipe_removes_the_folder(new_cluster: NewCluster, tmp_path: Path) -> None:
    cluster = new_cluster()
    file = tmp_path / "pid"
    cluster.submit(f"echo $$ >{file}.part; mv {file}.part {file}; {LONG}")
    cluster.wait_until(file.exists, 10, "the job runs")
    pids = [*pids_of(cluster).values(), int(file.read_text())]
    assert all(map(lives, pids))
    cluster.sim("down")
    assert not any(map(lives, pids))
    assert "down" in cluster.sim("status")
    cluster.sim("down")
    cluster.up()
    assert cluster.run("squeue", "--noheader") == ""
    cluster.sim("wipe")
    assert not cluster.folder.exists()


def test_down_finds_what_dead_daemons_left_behind(new_cluster: NewCluster, tmp_path: Path) -> None:
    cluster = new_cluster()
    file = tmp_path / "pid"
    cluster.submit(f"echo $$ >{file}.part; mv {file}.part {file}; {LONG}")
    cluster.wait_until(file.exists, 10, "the job runs")
    for pid in pids_of(cluster).values():
        os.kill(pid, signal.SIGKILL)
    assert lives(int(file.read_text()))
    cluster.sim("down")
    assert not lives(int(file.read_text()))


def test_two_clusters_run_side_by_side_and_do_not_touch_each_others_jobs(
    slurm: Slurm, new_cluster: NewCluster, cancelled: list[str]
) -> None:
    job = slurm.submit(LONG, "--nodelist=c1")
    cancelled.append(job)
    slurm.wait_until(is_running(slurm, job), 10, "the first cluster's job runs")
    twin = new_cluster("--cpu-nodes", "1", "--config", f"FirstJobId={int(job) - 1}")
    assert twin.submit("true", "--nodelist=c1") == job
    twin.wait_until(lambda: twin.state(job) == "COMPLETED", 10, "the second cluster's job of the same id ends")
    twin.sim("kill", "c1")
    assert is_running(slurm, job)()
    assert slurm.run("srun", "--quiet", "--nodelist=c1", "echo", "there") == "there\n"


def taken_beside_a_free_one() -> socket.socket:
    """A port in use; the one before it is not, whatever else runs on this machine."""
    while True:
        taken = socket.create_server(("127.0.0.1", 0))
        try:
            socket.create_server(("127.0.0.1", taken.getsockname()[1] - 1)).close()
        except OSError:
            taken.close()
        else:
            return taken


def test_a_port_in_use_is_named(new_cluster: NewCluster) -> None:
    cluster = new_cluster(start=False)
    with taken_beside_a_free_one() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"in use: port {port}. Give another --port"):
            cluster.sim("up", "--port", str(port - 1))


def test_daemons_listen_on_the_loopback_only(slurm: Slurm) -> None:
    if socket.gethostbyname(socket.gethostname()) != "127.0.0.1":
        pytest.skip("this machine's name is not that of the loopback, so Slurm cannot be told to")
    pids = [pid for name, pid in pids_of(slurm).items() if name.startswith("slurm")]
    addresses = {it.laddr.ip for pid in pids for it in psutil.Process(pid).net_connections() if it.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}


def test_nobody_else_can_look_into_the_folder(slurm: Slurm) -> None:
    assert slurm.folder.stat().st_mode & 0o777 == 0o700
    assert (slurm.folder / "etc" / "munge.key").stat().st_mode & 0o777 == 0o600


def test_a_folder_with_other_things_in_it_is_left_alone(new_cluster: NewCluster, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    stranger = Slurm(tmp_path)
    with pytest.raises(RuntimeError, match="has other things in it"):
        stranger.sim("up")
    with pytest.raises(RuntimeError, match="is no folder of a cluster"):
        stranger.sim("wipe")
    assert (tmp_path / "thesis.tex").exists()


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="too long a name"):
        Slurm(tmp_path / ("x" * 100)).sim("up")


@pytest.mark.parametrize("wrong", ["--qpus ion", "--licenses a:0", "--port 80", "--cpus-per-node 0"])
def test_a_setting_that_cannot_be_is_explained(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(RuntimeError, match=f"argument {wrong.split()[0]}: "):
        Slurm(tmp_path).sim("up", *wrong.split())


def test_a_line_of_ones_own_replaces_ours(new_cluster: NewCluster) -> None:
    cluster = new_cluster("--cpu-nodes", "1", "--qpus", "--config", "KillWait=7", "--config", "Prolog=/bin/true")
    shown = cluster.run("scontrol", "show", "config")
    assert "KillWait                = 7 sec" in shown
    assert "Prolog                  = /bin/true" in shown


def test_a_line_that_slurm_does_not_know_shows_its_words(new_cluster: NewCluster) -> None:
    cluster = new_cluster("--cpu-nodes", "1", "--config", "NoSuchThing=1", start=False)
    with pytest.raises(RuntimeError, match="NoSuchThing"):
        cluster.up()
    assert not any(map(lives, pids_of(cluster).values()))


@pytest.mark.skipif(os.getuid() != 0, reason="all tests run as an ordinary user, this one needs root")
def test_an_ordinary_user_can_have_a_cluster_with_a_copy_of_the_one_file(new_cluster: NewCluster) -> None:
    as_user = ["setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups"]
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable  # not one in root's own folder
    with tempfile.TemporaryDirectory(prefix="slurm-tool-") as folder:
        copy = shutil.copy(SIM, folder)
        shutil.chown(folder, "nobody")
        cluster = new_cluster("--cpu-nodes", "1", as_user=as_user, tool=[python, copy], start=False)
        shutil.chown(cluster.folder, "nobody")
        cluster.up()
        is_nobodys(cluster)
        cluster.sim("wipe")


def is_nobodys(cluster: Slurm) -> None:
    said = cluster.run("srun", "--quiet", "--partition=quantum", "--gres=qpu:1", "id", "--user", "--name")
    assert said == "nobody\n"
    assert {psutil.Process(pid).username() for pid in pids_of(cluster).values()} == {"nobody"}


# plugins and accounting


def test_the_plugin_tells_a_job_its_qpus(new_cluster: NewCluster, tmp_path: Path) -> None:
    need(shutil.which("gcc"), "gcc")
    need(Path("/usr/include/slurm/spank.h").exists(), "libslurm-dev")
    cluster = new_cluster("--cpu-nodes", "1", "--spank-qpu")
    script, output = tmp_path / "job", tmp_path / "output"
    script.write_text("#!/bin/sh\n#SBATCH --qpu=ion_a,ion_b\necho $QRMI_JOB_QPU_RESOURCES $SLURM_JOB_QPU_RESOURCES\n")
    job = cluster.run("sbatch", "--parsable", f"--output={output}", str(script)).strip()
    cluster.wait_until(lambda: cluster.state(job) == "COMPLETED", 10, "the job ends")
    assert output.read_text() == "ion_a,ion_b ion_a,ion_b\n"
    assert cluster.run("srun", "--quiet", "sh", "-c", "echo $QRMI_JOB_QPU_RESOURCES") == "\n"


@pytest.mark.slow
def test_accounting_knows_the_qpu_seconds_of_a_job(new_cluster: NewCluster) -> None:
    need_slurm("slurmdbd", "mariadbd", "mariadb")
    cluster = new_cluster("--accounting")
    job = cluster.submit("sleep 2", "--partition=quantum", "--gres=qpu:ion:1", "--qos=qpu_hi")
    show = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}"]
    show += ["--format=State,Account,QOS,ElapsedRaw,AllocTRES"]
    # Slurm itself takes some seconds to learn the name of a new QOS; until then sacct shows it as Unknown.
    cluster.wait_until(lambda: cluster.run(*show).startswith("COMPLETED|lab|qpu_hi|"), 20, "the job is in the books")
    seconds, resources = cluster.run(*show).strip().split("|")[3:]
    assert "gres/qpu=1" in resources
    assert 2 <= int(seconds) <= 10

    cluster.sim("restart", "slurmdbd")
    cluster.sim("down")
    assert not any(map(lives, pids_of(cluster).values()))
    cluster.up()
    assert cluster.run(*show).startswith("COMPLETED")  # the books outlive the queue
