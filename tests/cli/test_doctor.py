"""`conqure doctor`: what works here, and what to type to fix the rest."""

import shutil
import sys
import threading
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from conqure import doctor, openmpq, slurm
from conqure.doctor import ABSENT, FAILED, NOTE, OK, check_one_engine, check_packages, check_qpu, tiny_task, within
from conqure.requirements import requirements
from openmpq_runtime import prefix
from qpu_executors import QPU, Group, Site, registry
from qpu_executors.running import HeldDevice

from ..openmpq.compiling import need

SITE = Site("one", (QPU("sv0", "statevector", 3),))


class Silent:
    """A third party's driver that never answers, and one that fails in its own way."""

    languages = ("gates",)

    def __init__(self, device_id, n_qubits, fail=False):
        self.device_id, self.n_qubits = device_id, n_qubits
        if fail:
            raise KeyError("no such socket")
        time.sleep(3)


class OnlyPulses:
    languages = ("dax",)

    def __init__(self, device_id, n_qubits):
        self.device_id, self.n_qubits = device_id, n_qubits

    def close(self):
        pass


@pytest.fixture
def third_party(monkeypatch):
    """Registers drivers as an installed package would."""
    points = dict(registry._entry_points())
    here = "tests.cli.test_doctor"
    for name, value in {
        "silent": f"{here}:Silent",
        "pulses": f"{here}:OnlyPulses",
        "broken": f"{here}:Missing",
    }.items():
        points[name] = EntryPoint(name, value, registry.GROUP)
    monkeypatch.setattr(registry, "_entry_points", lambda: points)


def test_all_is_well_on_the_default_site(conqure):
    done = conqure("doctor", "--json")
    checks = done.json
    topics = {"python", "packages", "drivers", "site", "qpus", "engines", "slurm", "openmp-q"}
    assert {check["topic"] for check in checks} == topics
    assert [check["name"] for check in checks if check["state"] == FAILED] == []
    assert done.code == 0
    assert [check["name"] for check in checks if check["topic"] == "qpus"] == [
        qpu.device_id for qpu in Site.load("laptop").qpus
    ]


def test_what_is_wrong_comes_with_what_to_type_and_exit_code_1(conqure, folder):
    (folder / "conqure.toml").write_text('[qpu.sv0]\ndriver = "statevectr"\nqubits = 3\n')
    done = conqure("doctor")
    assert done.code == 1
    assert "  failed  sv0                  no driver 'statevectr'\n            Did you mean 'statevector'?" in done.out
    assert done.out.splitlines()[-1] == "1 to fix: sv0."


def test_a_broken_site_is_a_finding_not_the_end(conqure, folder):
    (folder / "conqure.toml").write_text("x = 1")
    done = conqure("doctor")
    assert done.code == 1
    assert "'x' is unknown" in done.out
    assert "the file lacks 'qpu'" in done.out
    assert done.out.splitlines()[-1] == "1 to fix: default."


def test_a_qpu_runs_a_circuit():
    check = check_qpu(QPU("sv0", "statevector", 3), probe=True)
    assert check.state == OK
    assert "a circuit took" in check.detail


@pytest.mark.parametrize("n_qubits", [1, 2, 5])
def test_the_tiny_circuit_fits_every_qpu(n_qubits):
    counts = HeldDevice(QPU("q", "statevector", n_qubits)).run(tiny_task(n_qubits)).counts[0]
    assert set(counts) == ({"0", "1"} if n_qubits == 1 else {"00", "11"})


def test_a_qpu_that_does_not_answer_is_not_waited_for(third_party, monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.05)
    check = check_qpu(QPU("far", "silent", 2), probe=True)
    assert (check.state, check.detail) == (FAILED, "no answer within 0 s")
    assert check.fix == "Check [qpu.far] in the site file, and driver 'silent'"


def test_a_third_partys_failure_is_reported_by_name(third_party):
    check = check_qpu(QPU("odd", "silent", 2, options={"fail": True}), probe=True)
    assert (check.state, check.detail) == (FAILED, "KeyError: 'no such socket'")


def test_a_device_that_reads_no_gates_is_only_opened(third_party):
    check = check_qpu(QPU("trap", "pulses", 2), probe=True)
    assert check.state == OK
    assert check.detail == "pulses, 2 qubits: opens; it reads dax, so no circuit was tried"


def test_a_broken_driver_is_named_and_stops_no_other(third_party):
    states = {check.name: check for check in doctor.check_drivers()}
    assert states["broken"].state == FAILED
    assert "tests.cli.test_doctor:Missing" in states["broken"].detail
    assert states["statevector"].state == OK


def test_a_package_that_is_absent_or_too_old_comes_with_what_to_type(monkeypatch):
    versions = {"numpy": "99.0.1", "rich": "9.1"}
    monkeypatch.setattr(doctor, "version_of", versions.get)
    checks = {check.name: check for check in check_packages()}
    lowest = requirements()["rich"][0]
    assert checks["numpy"].state == OK
    assert (checks["rich"].state, checks["rich"].detail) == (FAILED, f"9.1, needs {lowest}")
    assert checks["rich"].fix == f"pip install --upgrade 'rich>={lowest}'"
    aer = checks["extra 'aer'"]
    assert (aer.state, aer.detail, aer.fix) == (ABSENT, "not installed: qiskit-aer", "pip install 'conqure[aer]'")
    assert (checks["base"].state, checks["base"].fix) == (FAILED, "pip install conqure")


def test_an_engine_that_is_not_installed_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "parsl", None)
    check = check_one_engine("parsl", SITE, start=True)
    assert check.state == ABSENT
    assert "pip install 'conqure[parsl]'" in check.fix


def test_an_engine_can_be_tried():
    check = check_one_engine("threads", SITE, start=True)
    assert check.state == OK
    assert check.detail.startswith("started and ran a circuit on sv0 in ")


@pytest.mark.slow
def test_every_engine_starts_on_this_machine(conqure, monkeypatch):
    done = conqure("doctor", "--engines", "--site", "./lab.toml")
    assert done.out.count("started and ran a circuit") == 3
    assert done.out.count("a region ran on sv0") == len(openmpq.compilers())
    assert done.code == 0


def test_a_library_that_is_not_built_is_absent_and_comes_with_what_to_type(conqure, monkeypatch, folder):
    monkeypatch.setenv("OPENMPQ_PREFIX", str(folder))
    done = conqure("doctor", "--site", "./lab.toml")
    assert (
        f"  absent  libopenmpq           libopenmpq.so is not in {folder}\n            In a checkout type:" in done.out
    )
    assert "make openmpq" in done.out
    assert done.out.splitlines()[-1].endswith("Not installed: libopenmpq.")
    assert done.code == 0


def test_a_machine_without_compilers_and_mpi_has_them_absent(monkeypatch, folder):
    monkeypatch.setenv("PATH", str(folder))
    checks = {check.name: check for check in openmpq.check_openmpq(SITE, start=False)}
    assert {name: check.state for name, check in checks.items()} == {
        "libopenmpq": OK,
        "c++ compiler": ABSENT,
        "mpi launcher": ABSENT,
    }
    assert checks["c++ compiler"].fix == "Name one: OPENMPQ_CXX=…"
    assert checks["mpi launcher"].fix.startswith("Load the MPI module")


def test_a_compiler_that_does_not_compile_regions_is_absent(monkeypatch, folder):
    (folder / "oldcc").write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo gcc 3 || { echo error: what is omp >&2; exit 1; }"
    )
    (folder / "oldcc").chmod(0o755)
    monkeypatch.setenv("OPENMPQ_CXX", str(folder / "oldcc"))
    name = openmpq.compilers()[0]
    check = openmpq.check_compiler(name, prefix(), SITE, start=True)
    assert (check.state, check.detail) == (ABSENT, "it does not compile a region: error: what is omp")
    assert f"OPENMPQ_CXX='{name}' openmpq-c++" in check.fix


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["g++", "clang++-19"])
def test_a_region_is_compiled_and_runs_on_the_site(compiler):
    need(shutil.which(compiler), compiler)
    check = openmpq.check_compiler(compiler, prefix(), SITE, start=True)
    assert check.state == OK
    assert check.detail.endswith(": a region ran on sv0")


@pytest.mark.slow
def test_a_region_that_fails_is_a_finding(monkeypatch):
    monkeypatch.setenv("OMP_TARGET_OFFLOAD", "MANDATORY")
    busy = Site("one", (QPU("sv0", "statevector", 3, max_shots=10),))  # the region asks for 1024
    check = openmpq.check_compiler("g++", prefix(), busy, start=True)
    assert check.state == FAILED
    assert "a region did not run: " in check.detail


def test_a_call_that_hangs_is_left_behind():
    hold = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, hold.wait, 5)
    hold.set()
    assert within(5, abs, -1) == 1
    with pytest.raises(ZeroDivisionError):
        within(5, divmod, 1, 0)


CLUSTER = Site(
    "cluster",
    (QPU("ion0", "emulated", 5, reach="partition", group="quantum", expects="QRMI_JOB_QPU_RESOURCES=ion0"),),
    groups=(Group("quantum", "q"), Group("cpu")),
)


def test_without_slurm_a_site_that_starts_no_jobs_is_fine_and_one_that_does_is_not(monkeypatch, folder):
    monkeypatch.setenv("PATH", str(folder))
    (check,) = slurm.check_slurm(SITE)
    assert (check.state, check.detail) == (ABSENT, "sbatch is not on the PATH; this site starts no jobs")
    check = next(slurm.check_slurm(CLUSTER))
    assert (check.state, check.detail) == (FAILED, "sbatch is not on the PATH")
    assert "login node" in check.fix


def test_a_qpu_that_only_a_job_reaches_is_not_opened_here():
    check = check_qpu(CLUSTER.qpus[0], probe=True)
    assert (check.state, check.detail) == (OK, "emulated, 5 qubits: opened by jobs of group 'quantum'")
    odd = QPU("odd", "emulated", 5, reach="partition", group="quantum", options={"job": 1})
    assert "[qpu.odd.options] has 'job'" in check_qpu(odd, probe=True).detail


def test_a_qpu_of_the_cloud_queue_says_that_its_token_is_missing(conqure):
    done = conqure("doctor", "--site", "remote_queue")
    assert done.code == 1
    assert "lab.token cannot be read" in done.out


def test_a_configuration_that_cannot_be_read_is_a_finding(monkeypatch, folder):
    monkeypatch.setenv("SLURM_CONF", str(folder / "gone.conf"))
    check = slurm.check_configuration()
    assert check.state == FAILED
    assert check.detail == f"SLURM_CONF names {folder}/gone.conf, which cannot be read"
    assert check.fix == "Correct it, or: unset SLURM_CONF"


def test_a_munge_that_does_not_run_is_a_finding(monkeypatch, folder):
    need(shutil.which("munge"), "munge")
    (folder / "slurm.conf").write_text(f"AuthType=auth/munge\nAuthInfo=socket={folder}/none,cred_expire=10\n")
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    check = slurm.check_munge()
    assert check.state == FAILED
    assert f"{folder}/none" in check.detail
    (folder / "slurm.conf").write_text("AuthType=auth/slurm\n")
    assert slurm.check_munge().state == OK


def test_a_controller_that_does_not_answer_is_a_finding_and_nobody_waits_for_it(monkeypatch, folder):
    need(shutil.which("scontrol"), "scontrol")
    (folder / "slurm.conf").write_text("ClusterName=none\nSlurmctldHost=none(127.0.0.1)\nSlurmctldPort=1\n")
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    started = time.monotonic()
    assert slurm.check_controller().state == FAILED
    assert time.monotonic() - started < slurm.PATIENCE_S + 5


@pytest.mark.parametrize(
    ("shared", "state", "said"),
    [
        ("{folder}/shared", NOTE, "is usually a folder of one node"),
        ("/nowhere-at-all/conqure", FAILED, "/nowhere-at-all/conqure cannot be made: there is no /nowhere-at-all"),
        ("/proc/conqure", FAILED, "/proc cannot be written"),
        ("/home/$NOBODYS_VARIABLE", FAILED, "names a variable that is not set"),
    ],
)
def test_a_shared_folder_must_be_one_that_nodes_can_see(folder, monkeypatch, shared, state, said):
    monkeypatch.setattr(slurm, "_FOLDERS_OF_ONE_NODE", (str(folder.parent),))
    monkeypatch.setattr(slurm, "_OF_ONE_NODE", ())
    site = Site("x", SITE.qpus, groups=(Group("cpu", shared=shared.format(folder=folder)),))
    check = next(slurm.check_folders(site))
    assert (check.name, check.state) == ("shared folder", state)
    assert said in check.detail
    assert not (folder / "shared").exists()  # a doctor looks, and makes nothing
    assert "'shared'" in check.fix or "[group.cpu]" in check.fix


def test_a_folder_in_memory_is_one_that_no_other_node_sees():
    need(slurm._file_system(Path("/dev/shm")) == "tmpfs" or None, "tmpfs")
    site = Site("x", SITE.qpus, groups=(Group("cpu", shared="/dev/shm/conqure"),))
    check = next(slurm.check_folders(site))
    assert check.state == NOTE
    assert "tmpfs is a file system of one node" in check.detail


@pytest.mark.parametrize(
    ("given", "partition", "state", "said"),
    [
        ("ion0,ion1", "q", OK, "job 7 was given it: QRMI_JOB_QPU_RESOURCES=ion0,ion1"),
        ("ion1", "q", NOTE, "job 7 was not given it: QRMI_JOB_QPU_RESOURCES is 'ion1'"),
        ("", "q", FAILED, "job 7 was not given it: QRMI_JOB_QPU_RESOURCES is not set"),
        ("", "cpu", NOTE, "job 7 was not given it: QRMI_JOB_QPU_RESOURCES is not set"),
    ],
)
def test_inside_a_job_the_doctor_says_which_qpus_it_was_given(monkeypatch, given, partition, state, said):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_PARTITION", partition)
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", given)
    (check,) = slurm.check_this_job(CLUSTER)
    assert (check.name, check.state, check.detail) == ("ion0", state, said)


def test_root_is_told_what_open_mpi_wants(monkeypatch):
    site = Site("x", SITE.qpus, groups=(Group("mpi", mpi=True),))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("OMPI_ALLOW_RUN_AS_ROOT", raising=False)
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    (check,) = slurm.check_root(site)
    assert check.fix == "Be an ordinary user, or: export OMPI_ALLOW_RUN_AS_ROOT=1"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert list(slurm.check_root(site)) == []
