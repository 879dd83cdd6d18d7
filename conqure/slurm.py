"""What `conqure doctor` says about Slurm: does it answer, do nodes see our files, does it know what the site names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qpu_executors.device import QPU
from qpu_executors.errors import SlurmError
from qpu_executors.site import Site
from qpu_executors.slurm.blame import where
from qpu_executors.slurm.client import ask

from .cluster import PATIENCE_S, configuration_file, read_cluster
from .doctor import ABSENT, FAILED, NOTE, OK, Check
from .slurm_groups import TOPIC, check_group

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun")
_OF_ONE_NODE = ("tmpfs", "ramfs", "overlay", "devtmpfs", "squashfs")
_FOLDERS_OF_ONE_NODE = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/local")


def check_slurm(site: Site) -> Iterator[Check]:
    """Everything about Slurm that this site needs; for a site without jobs, only whether Slurm is here."""
    yield (commands := check_commands(needed=bool(site.groups)))
    if os.environ.get("SLURM_JOB_ID"):
        yield from check_this_job(site)
    if not site.groups:
        return
    yield from check_folders(site)
    yield check_launch()
    yield from check_root(site)
    if commands.state != OK:
        return
    yield check_configuration()
    yield check_munge()
    yield (controller := check_controller())
    if controller.failed:
        return
    try:
        cluster = read_cluster()
    except SlurmError as error:
        yield Check(TOPIC, "controller", FAILED, str(error), "Try: scontrol show partitions")
        return
    for group in site.groups:
        yield from check_group(site, group, cluster)


def check_commands(needed: bool = True) -> Check:
    """The commands that submit, watch and cancel jobs."""
    lacking = [name for name in COMMANDS if shutil.which(name) is None]
    if len(lacking) == len(COMMANDS):
        fix = "Go to a login node of your cluster, or load its module for Slurm" if needed else ""
        detail = "sbatch is not on the PATH" + ("" if needed else "; this site starts no jobs")
        return Check(TOPIC, "commands", FAILED if needed else ABSENT, detail, fix)
    if lacking and needed:
        return Check(
            TOPIC, "commands", FAILED, f"not on the PATH: {', '.join(lacking)}", "Install Slurm's client package"
        )
    detail = str(Path(str(shutil.which("sbatch") or shutil.which("squeue"))).parent)
    return Check(TOPIC, "commands", OK, detail + ("" if needed else "; this site starts no jobs"))


def check_configuration() -> Check:
    """SLURM_CONF, or where the commands find their configuration without it."""
    file, named = configuration_file(), "SLURM_CONF" in os.environ
    if file is None:
        return Check(TOPIC, "slurm.conf", OK, "fetched from the controller: SLURM_CONF is not set, /etc/slurm has none")
    if not os.access(file, os.R_OK):
        fix = "Correct it, or: unset SLURM_CONF" if named else "Ask your administrator"
        return Check(
            TOPIC, "slurm.conf", FAILED, f"{'SLURM_CONF names ' if named else ''}{file}, which cannot be read", fix
        )
    return Check(TOPIC, "slurm.conf", OK, f"{file}{' (SLURM_CONF)' if named else ''}")


def check_controller() -> Check:
    """Whether slurmctld answers."""
    try:
        said = ask("scontrol", "ping", timeout_s=PATIENCE_S).strip()
    except SlurmError as error:
        lacks = configuration_file() is None and "Set SLURM_CONF to the slurm.conf of your cluster. "
        fix = f"{lacks or ''}If it is only being restarted, running programs wait for it. Try: scontrol ping"
        return Check(TOPIC, "controller", FAILED, str(error).replace("*", "").strip(), fix)
    return Check(TOPIC, "controller", OK, said.partition("\n")[0])


def check_munge() -> Check:
    """Whether a credential made here is good here: what every command of Slurm does first."""
    file = configuration_file()
    text = file.read_text(errors="replace") if file and os.access(file, os.R_OK) else ""
    if re.search(r"^\s*AuthType\s*=\s*auth/slurm", text, re.MULTILINE | re.IGNORECASE):
        return Check(TOPIC, "munge", OK, "not needed: this Slurm has AuthType=auth/slurm")
    if shutil.which("munge") is None or shutil.which("unmunge") is None:
        return Check(TOPIC, "munge", ABSENT, "its commands are not on the PATH, so it was not tried")
    found = re.search(r"^\s*AuthInfo\s*=.*?socket=([^,\s]+)", text, re.MULTILINE | re.IGNORECASE)
    socket = [f"--socket={found[1]}"] if found else []
    try:
        made = _output(["munge", "--no-input", *socket])
        read = _output(["unmunge", *socket], made.stdout) if made.returncode == 0 else made
    except subprocess.TimeoutExpired:
        return Check(
            TOPIC, "munge", FAILED, f"no answer within {PATIENCE_S:.0f} s", "Ask your administrator: munged hangs"
        )
    if read.returncode:
        said = " ".join((read.stderr or read.stdout).split())
        return Check(TOPIC, "munge", FAILED, said, "Ask your administrator: does munged run, and is the clock right?")
    return Check(TOPIC, "munge", OK, "a credential made here is good")


def check_folders(site: Site) -> Iterator[Check]:
    """What nodes must see: the shared folder of each group, and this Python."""
    for folder in dict.fromkeys(group.shared_folder for group in site.groups):
        group = next(group for group in site.groups if group.shared_folder == folder)
        yield _check_shared(folder, where(site.path, group, "shared"))
    why = _of_one_node(Path(sys.prefix))
    detail = f"{sys.executable}: jobs start it by this path"
    fix = "Install CONQURE in your home or project folder, on a file system that the nodes see"
    yield Check(TOPIC, "python", NOTE if why else OK, detail + (f", but {why}" if why else ""), fix if why else "")


def _check_shared(folder: Path, said: str) -> Check:
    """Whether files can be made there; the folder itself is made when it is needed."""
    fix = f'Write shared = "FOLDER", a folder that the nodes and this machine see: {said}'
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if "$" in str(folder) or there == Path("/"):
        top = Path(*folder.parts[:2])
        why = "names a variable that is not set" if "$" in str(folder) else f"cannot be made: there is no {top}"
        return Check(TOPIC, "shared folder", FAILED, f"{folder} {why}", fix)
    try:
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        return Check(TOPIC, "shared folder", FAILED, f"{there} cannot be written: {error.strerror}", fix)
    if why := _of_one_node(folder):
        detail = f"{folder}: {why}, and jobs on other nodes would not find it"
        return Check(TOPIC, "shared folder", NOTE, detail, fix)
    return Check(TOPIC, "shared folder", OK, f"{folder} on {_file_system(folder)}")


def check_launch() -> Check:
    """The programs that stock Parsl and Dask look for on the PATH of a job. Ours are started by absolute path."""
    names = ("interchange.py", "process_worker_pool.py", "dask")
    lacking = [name for name in names if shutil.which(name) is None]
    on_path = f"not on the PATH: {', '.join(lacking)}" if lacking else "on the PATH, too"
    return Check(TOPIC, "launch", OK, f"workers start by absolute path; Parsl's and Dask's own programs are {on_path}")


def check_root(site: Site) -> Iterator[Check]:
    """Open MPI refuses root, unless two variables allow it."""
    names = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    lacking = [name for name in names if os.environ.get(name) != "1"]
    if os.geteuid() == 0 and lacking and (any(group.mpi for group in site.groups) or shutil.which("mpirun")):
        fix = "Be an ordinary user, or: export " + " ".join(f"{name}=1" for name in lacking)
        yield Check(TOPIC, "root", NOTE, "you are root, and Open MPI starts nothing for root", fix)


def check_this_job(site: Site) -> Iterator[Check]:
    """Inside a job: whether it was given the QPUs that say how one can tell."""
    job, partition = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_JOB_PARTITION", "")
    for qpu in site.qpus:
        name, _, word = qpu.expects.partition("=")
        if not name:
            continue
        given = os.environ.get(name, "")
        if given and (not word or word in given.split(",")):
            yield Check(TOPIC, qpu.device_id, OK, f"job {job} was given it: {name}={given}")
            continue
        its = bool(qpu.group) and partition in site.group(qpu.group).partition.split(",")
        detail = f"job {job} was not given it: {name} is {repr(given) if given else 'not set'}"
        yield Check(TOPIC, qpu.device_id, FAILED if its and not given else NOTE, detail, _how_to_get(qpu))


def _how_to_get(qpu: QPU) -> str:
    resource = f"--{'gres' if qpu.reach == 'gres' else 'licenses'}={qpu.resource}" if qpu.resource else ""
    words = [*qpu.directives, *filter(None, [resource])]
    options = f"Ask for it: sbatch {' '.join(words)}. " if words else ""
    return options + "Is the site's plugin for QPUs loaded? srun --help shows its options"


def _of_one_node(folder: Path) -> str:
    """Why other nodes hardly see this folder; ``""`` if nothing speaks against it."""
    kind, path = _file_system(folder), folder.resolve()
    if kind in _OF_ONE_NODE:
        return f"{kind} is a file system of one node"
    inside = next((each for each in _FOLDERS_OF_ONE_NODE if path.is_relative_to(each)), None)
    return f"{inside} is usually a folder of one node" if inside else ""


def _file_system(folder: Path) -> str:
    """The type of file system that a folder lies on, from /proc/mounts."""
    path, best, kind = folder.resolve(), "", "an unknown file system"
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        _, mounted, type_, *_ = line.split()
        mounted = mounted.encode().decode("unicode_escape")
        if path.is_relative_to(mounted) and len(mounted) >= len(best):
            best, kind = mounted, type_
    return kind


def _output(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE_S)
