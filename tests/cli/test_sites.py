"""`conqure sites` and `conqure devices`."""

import re
import sys

import pytest

from qpu_executors import Site


def test_sites_are_listed_and_the_default_is_marked(conqure):
    heading, *lines = conqure("sites", "list").out.splitlines()
    assert heading.split() == ["SITE", "FROM", "QPUS", "WHAT", "IT", "IS"]
    (laptop,) = [line for line in lines if "laptop" in line]
    assert laptop == "*  laptop" + laptop[9:]
    assert laptop.split()[2:] == ["shipped", "6", *Site.load("laptop").description.split()]


def test_a_local_file_is_listed_first_and_a_broken_one_does_not_hide_the_others(conqure, folder, monkeypatch):
    (folder / "lab.toml").rename(folder / "conqure.toml")
    own = folder / "config" / "conqure" / "sites"
    own.mkdir(parents=True)
    (own / "broken.toml").write_text("x = 1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    lines = conqure("sites", "list").out.splitlines()[1:]
    assert lines[0].split() == ["*", "./conqure.toml", "this", "folder", "2", "a", "lab"]
    (broken,) = [line for line in lines if "broken" in line]
    assert f"invalid: {own}/broken.toml: the file lacks 'qpu' (the QPUs)." in broken
    listed = {site["name"]: site for site in conqure("sites", "list", "--json").json}
    assert listed["./conqure.toml"]["default"] is True
    assert listed["./conqure.toml"]["qpus"] == 2
    assert "lacks 'qpu'" in listed["broken"]["error"]
    assert listed["laptop"] == {
        "name": "laptop",
        "default": False,
        "place": "shipped",
        "path": str(Site.load("laptop").path),
        "error": None,
        "description": Site.load("laptop").description,
        "qpus": 6,
    }


def test_a_site_is_shown(conqure, folder):
    done = conqure("sites", "show", "./lab.toml")
    assert done.out == (
        f"site         lab\nwhat it is   a lab\nfile         {folder}/lab.toml\nengine       threads\n"
        f"cpu workers  {Site.load('laptop').cpu_workers}\n\n"
        "DEVICE  DRIVER       QUBITS  SLOTS  TAGS   MAX SHOTS  OPTIONS\n"
        "sv0     statevector       5      1  fast  10,000,000\n"
        "sv1     statevector       9      1        10,000,000\n"
    )


def test_a_site_is_shown_as_json(conqure):
    shown = conqure("sites", "show", "laptop", "--json").json
    assert shown == Site.load("laptop").describe()
    assert shown["qpus"][4]["options"] == {"driver": "statevector", "job_s": 0.05}


def test_a_file_of_ones_own_starts_as_a_copy(conqure, folder):
    copied = conqure("sites", "show", "laptop", "--toml").out
    (folder / "conqure.toml").write_text(copied)
    assert Site.load().qpus == Site.load("laptop").qpus
    assert conqure("sites", "check").out.startswith(f"{folder}/conqure.toml: the format is right.\n")


def test_check_looks_at_the_driver_and_its_options(conqure, folder):
    (folder / "odd.toml").write_text(
        '[qpu.good]\ndriver = "statevector"\nqubits = 2\n'
        '[qpu.odd]\ndriver = "emulated"\nqubits = 2\noptions = { job = 1 }\n'
        '[qpu.gone]\ndriver = "statevectr"\nqubits = 2\n'
    )
    done = conqure("sites", "check", "odd.toml")
    assert done.code == 1
    assert "  ok      good                 statevector, 2 qubits: opens\n" in done.out
    assert "[qpu.odd.options] has 'job', which driver 'emulated' does not know" in done.out
    assert "no driver 'statevectr'" in done.out
    states = {check["name"]: check["state"] for check in conqure("sites", "check", "odd.toml", "--json").json["checks"]}
    assert states == {"good": "ok", "odd": "failed", "gone": "failed"}


def test_check_can_run_a_circuit_on_each_qpu(conqure):
    done = conqure("sites", "check", "./lab.toml", "--probe")
    assert done.code == 0
    assert done.out.count("a circuit took") == 2


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_file_with_mistakes_is_exit_code_2_with_all_of_them(conqure, folder, command):
    (folder / "odd.toml").write_text('[qpu.a]\nqubits = 0\ndriver = "statevector"\n[engine]\nnam = 1\n')
    done = conqure("sites", command, "odd.toml")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"InvalidSite: {folder}/odd.toml, line 2: 'qpu.a.qubits' must be from 1 to 100,000, not 0.\n"
        f"{folder}/odd.toml, line 5: 'engine.nam' is unknown. Did you mean 'name'? "
        "Allowed in [engine]: name, qpu_mode.\n"
    )


def test_devices_are_listed(conqure):
    assert conqure("devices", "--site", "./lab.toml").out == (
        "DEVICE  DRIVER       QUBITS  SLOTS  REACH  STATE      TAGS\n"
        "sv0     statevector       5      1  local  installed  fast\n"
        "sv1     statevector       9      1  local  installed\n"
    )


def test_devices_may_be_selected(conqure):
    names = [device["device_id"] for device in conqure("devices", "tag:ion", "--json").json]
    assert names == ["ion0", "ion1"]
    unknown = conqure("devices", "tag:io", "--json")
    assert unknown.code == 2
    assert unknown.err.startswith("UnknownDevice: no device 'tag:io' on site 'laptop'. Known: 'sv0'")


def test_devices_say_which_driver_is_not_installed(conqure, folder):
    (folder / "odd.toml").write_text('[qpu.x]\ndriver = "elsewhere"\nqubits = 2\n')
    done = conqure("devices", "-s", "odd.toml")
    assert done.code == 0
    assert done.err.startswith("x is missing: driver 'elsewhere' is not installed.\n")
    assert conqure("devices", "-s", "odd.toml", "--json").json[0]["driver_installed"] is False


CLUSTER = """
description = "a cluster"
[slurm]
account = "physics"
walltime = "00:20:00"
[group.cpu]
partition = "cpu"
nodes = 2
workers = 4
jobs = 3
modules = ["python/3.11"]
[group.quantum]
partition = "quantum"
[qpu.ion0]
driver = "emulated"
qubits = 5
reach = "gres"
group = "quantum"
resource = "qpu:ion:1"
options = { driver = "statevector" }
[qpu.cloud0]
driver = "emulated"
qubits = 5
slots = 2
reach = "license"
group = "cpu2"
resource = "cloud:1"
options = { driver = "statevector" }
[group.cpu2]
lines = ["ulimit -s unlimited"]
[engine]
name = "ENGINE"
"""


@pytest.fixture
def no_slurm(monkeypatch, folder):
    monkeypatch.setenv("PATH", str(folder / "bin"))


@pytest.fixture
def cluster(folder):
    """A site with Slurm, on an engine."""

    def write(engine="parsl", **replaced):
        text = CLUSTER.replace("ENGINE", engine)
        for old, new in replaced.items():
            text = text.replace(old, new)
        (folder / "cluster.toml").write_text(text)
        return "./cluster.toml"

    return write


def test_a_site_with_slurm_is_shown_with_its_groups(conqure, cluster):
    lines = conqure("sites", "show", cluster()).out.splitlines()
    assert lines[6].split() == ["DEVICE", "DRIVER", "QUBITS", "SLOTS", "REACH", "TAGS", "MAX", "SHOTS", "OPTIONS"]
    assert "gres, group quantum" in lines[7]
    assert lines[-4].split() == ["GROUP", "PARTITION", "NODES", "WORKERS", "JOBS", "WALLTIME", "HOLDS"]
    assert lines[-3].split() == ["cpu", "cpu", "2", "4", "3", "00:20:00", "-"]
    assert lines[-1].split() == ["cpu2", "-", "1", "1", "1", "00:20:00", "cloud0"]


@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_the_scripts_of_an_engine_are_printed_without_slurm(conqure, cluster, no_slurm, engine):
    scripts = conqure("sites", "show", cluster(), "--render", engine, "--json").json
    assert set(scripts) == {"ion0", "cloud0", "cpu"}
    for name, wanted in {
        "ion0": ["--partition=quantum", "--gres=qpu:ion:1", "--account=physics"],
        "cloud0": ["--licenses=cloud:1", "--account=physics"],
        "cpu": ["--partition=cpu", "--nodes=2", "--cpus-per-task=4"],
    }.items():
        assert scripts[name].startswith("#!/")
        assert [word for word in wanted if f"#SBATCH {word}\n" not in scripts[name]] == []
    assert "module load python/3.11\n" in scripts["cpu"]
    assert "ulimit -s unlimited\n" in scripts["cloud0"]


def test_scripts_can_be_chosen_and_a_single_one_is_printed_alone(conqure, cluster, no_slurm):
    one = conqure("sites", "show", cluster(), "--render", "parsl", "--device", "ion0").out
    assert one.startswith("#!/bin/bash\n")
    assert "--gres=qpu:ion:1" in one
    several = conqure("sites", "show", cluster(), "--render", "parsl", "--device", "ion0", "--group", "cpu").out
    assert [line for line in several.splitlines() if line.startswith("# ----")] == ["# ---- ion0", "# ---- cpu"]


def test_a_job_that_holds_a_group_and_a_qpu_is_printed(conqure, cluster, no_slurm, folder):
    script = conqure("sites", "show", cluster(), "--render", "slurm").out
    first, second = script.split("#SBATCH hetjob\n")
    assert "#SBATCH --partition=cpu\n" in first
    assert "--gres" not in first
    assert "#SBATCH --gres=qpu:ion:1\n" in second
    assert "module load python/3.11\n" in second  # what the command needs, beside the first component
    assert script.splitlines()[-1] == f"CONQURE_SITE={folder}/cluster.toml {sys.executable} your_program.py"
    other = conqure("sites", "show", cluster(), "--render", "slurm", "--device", "cloud0", "--group", "cpu").out
    assert "#SBATCH --licenses=cloud:1\n" in other


def test_rendering_makes_no_folder(conqure, cluster, no_slurm, folder):
    site = cluster(**{'account = "physics"': f'shared = "{folder}/shared"'})
    for engine in ("parsl", "dask", "slurm"):
        assert conqure("sites", "show", site, "--render", engine).code == 0
    assert not (folder / "shared").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("laptop", "--render", "parsl"), "InvalidSite: site 'laptop' starts no jobs: it has no [group.NAME] table."),
        (("slurm_gres", "--render", "slurm", "--group", "gpu"), "site 'slurm_gres' has no group 'gpu'. Groups: 'cpu'"),
        (("slurm_gres", "--render", "parsl", "--device", "ion7"), "UnknownDevice: no device 'ion7'"),
        (("slurm_gres", "--render", "moab"), "'moab' is none of parsl, dask, slurm."),
    ],
)
def test_what_cannot_be_rendered_says_why(conqure, words, said):
    done = conqure("sites", "show", *words)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize("engine", ["parsl", "dask"])
def test_without_slurm_a_check_renders_the_jobs_and_says_that_nobody_was_asked(conqure, cluster, no_slurm, engine):
    done = conqure("sites", "check", cluster(engine))
    assert done.code == 0
    assert "  absent  slurm                Slurm's commands are not here" in done.out
    for name in ("cpu", "ion0", "cloud0"):
        assert re.search(rf"  ok      {name} +script of \d+ lines rendered; Slurm was not asked", done.out)


def test_the_engine_threads_starts_no_jobs(conqure, cluster, no_slurm, folder):
    done = conqure("sites", "check", cluster("threads"))
    assert done.code == 1
    assert "the engine 'threads' starts no jobs, and this site has groups" in done.out
    assert f'Write in {folder}/cluster.toml: [engine] name = "parsl", or "dask"' in done.out


def test_a_site_of_the_cloud_queue_says_that_its_token_is_missing(conqure):
    done = conqure("sites", "check", "remote_queue")
    assert done.code == 1
    assert "lab.token cannot be read" in done.out
