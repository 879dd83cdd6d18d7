"""What a site file may say, and what is said about one that is wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpu_executors import QPU, Group, InvalidSite, Site, UnknownDevice
from qpu_executors.site import MAX_BYTES, cores, read_site
from qpu_executors.toml_lines import dotted, line_of

MINIMAL = '[qpu.ion0]\ndriver = "statevector"\nqubits = 7\n'

FULL = """
name = "lab"
description = "the trap in the basement"
[cpu]
workers = 3
[engine]
name = "dask"
qpu_mode = "htex"
[qpu.ion0]
driver = "emulated"
qubits = 11
slots = 2
tags = ["ion", "v1.2"]
max_shots = 5000
reach = "local"
options = { driver = "statevector", job_s = 0.05 }
[qpu."ion.1"]
driver = "statevector"
qubits = 7
[qpu."ion.1".options]
threads = 1
"""


QPU_KEYS = "directives, driver, expects, failover, group, max_shots, options, qubits, reach, resource, slots, tags"

CLUSTER = """
[slurm]
account = "physics"
walltime = "00:20:00"
environment = { OMP_NUM_THREADS = "4" }
[group.cpu]
partition = "cpu,long"
qos = "normal"
reservation = "course"
constraint = "icelake"
gres = "gpu:1"
licenses = ["matlab:1"]
exclusive = true
nodes = 2
cores = 16
memory = "4GiB"
walltime = "1-00:00:00"
workers = 8
jobs = 5
min_jobs = 1
idle_s = 60
mpi = true
modules = ["python/3.11"]
lines = ["ulimit -s unlimited"]
directives = ["--comment=text"]
interface = "ib0"
shared = "/scratch/conqure"
scratch = "$LOCAL"
[group.quantum]
partition = "quantum"
[qpu.ion0]
driver = "statevector"
qubits = 7
reach = "gres"
group = "quantum"
resource = "qpu:ion:1"
directives = ["--qpu=ion_a"]
expects = "QRMI_JOB_QPU_RESOURCES=ion_a"
[queue]
url = "https://queue.lab.example"
token_file = "~/.token"
"""


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    return tmp_path / "lab.toml"


def complaint(path: Path, text: str | bytes) -> str:
    """What is said about a wrong file, without the folder it lies in."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidSite) as caught:
        read_site(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_everything_a_file_says_arrives_in_the_site(site_file: Path) -> None:
    site_file.write_text(FULL)
    assert Site.load(site_file) == Site(
        name="lab",
        description="the trap in the basement",
        cpu_workers=3,
        engine="dask",
        qpu_mode="htex",
        path=site_file,
        qpus=(
            QPU("ion0", "emulated", 11, 2, ("ion", "v1.2"), {"driver": "statevector", "job_s": 0.05}, 5000, "local"),
            QPU("ion.1", "statevector", 7, options={"threads": 1}),
        ),
    )


def test_everything_a_file_says_of_slurm_arrives_in_groups_and_qpus(site_file: Path) -> None:
    site_file.write_text(CLUSTER)
    site = Site.load(site_file)
    assert site.groups == (
        Group(
            "cpu", "cpu,long", "physics", "normal", "course", "icelake", "gpu:1", ("matlab:1",), True, 2, 16, "4GiB",
            "1-00:00:00", 8, 5, 1, 60, True, ("python/3.11",), {"OMP_NUM_THREADS": "4"}, ("ulimit -s unlimited",),
            ("--comment=text",), "ib0", "/scratch/conqure", "$LOCAL",
        ),
        Group("quantum", "quantum", "physics", walltime="00:20:00", environment={"OMP_NUM_THREADS": "4"}),
    )  # fmt: skip
    expects, directives = "QRMI_JOB_QPU_RESOURCES=ion_a", ("--qpu=ion_a",)
    held = {"reach": "gres", "group": "quantum", "resource": "qpu:ion:1", "directives": directives, "expects": expects}
    assert site.qpus == (QPU("ion0", "statevector", 7, **held),)
    assert site.classical_groups == site.groups[:1]
    assert site.queue == {"url": "https://queue.lab.example", "token_file": "~/.token"}
    assert (site.groups[0].minutes, site.groups[0].memory_mib) == (1440, 4096)


def test_a_file_needs_no_more_than_one_qpu(site_file: Path) -> None:
    site_file.write_text(MINIMAL)
    site = Site.load(site_file)
    assert (site.name, site.engine, site.cpu_workers) == ("lab", "threads", cores())
    assert site.qpus == (QPU("ion0", "statevector", 7),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'descripton = "x"\n' + MINIMAL,
            "lab.toml, line 1: 'descripton' is unknown. Did you mean 'description'? "
            "Allowed at the top: cpu, description, engine, group, name, qpu, queue, slurm.",
        ),
        (
            MINIMAL + "\nqbits = 5\n",
            f"lab.toml, line 5: 'qpu.ion0.qbits' is unknown. Did you mean 'qubits'? Allowed in [qpu.ion0]: {QPU_KEYS}.",
        ),
        (
            MINIMAL + '[qpu.ion.1]\ndriver = "aer"\n',
            "lab.toml, line 4: 'qpu.ion.1' is unknown. A name with a dot needs quotes: [qpu.\"a.b\"]. "
            f"Allowed in [qpu.ion]: {QPU_KEYS}.\n"
            "lab.toml, line 4: 'qpu.ion' lacks 'driver' (who opens it: a driver that 'conqure doctor' lists).\n"
            "lab.toml, line 4: 'qpu.ion' lacks 'qubits' (the largest circuit it takes).",
        ),
        ("[cpu]\nworkers = 2\n", "lab.toml: the file lacks 'qpu' (the QPUs)."),
        ("[qpu]\n", "lab.toml, line 1: 'qpu' is empty. Write at least one table [qpu.NAME]."),
        ("qpu = 3\n", "lab.toml, line 1: 'qpu' must be tables, not a whole number 3. Write each as [qpu.NAME]."),
        (
            "[qpu]\nion0 = 3\n",
            "lab.toml, line 2: 'qpu.ion0' must be a table, not a whole number 3. Write it as [qpu.ion0].",
        ),
        (
            "[qpu.ion0]\nqubits = 7\n",
            "lab.toml, line 1: 'qpu.ion0' lacks 'driver' (who opens it: a driver that 'conqure doctor' lists).",
        ),
        (
            MINIMAL.replace("7", '"seven"'),
            "lab.toml, line 3: 'qpu.ion0.qubits' must be a whole number, not text 'seven'.",
        ),
        (
            MINIMAL.replace("7", "true"),
            "lab.toml, line 3: 'qpu.ion0.qubits' must be a whole number, not true or false True.",
        ),
        (MINIMAL.replace("7", "7.5"), "lab.toml, line 3: 'qpu.ion0.qubits' must be a whole number, not a number 7.5."),
        (MINIMAL.replace("7", "0"), "lab.toml, line 3: 'qpu.ion0.qubits' must be from 1 to 100,000, not 0."),
        (MINIMAL + "slots = -1\n", "lab.toml, line 4: 'qpu.ion0.slots' must be from 1 to 1,024, not -1."),
        (
            MINIMAL + "max_shots = 1e3\n",
            "lab.toml, line 4: 'qpu.ion0.max_shots' must be a whole number, not a number 1000.0.",
        ),
        (
            MINIMAL + 'options = "fast"\n',
            "lab.toml, line 4: 'qpu.ion0.options' must be a table, not text 'fast'.",
        ),
        (
            MINIMAL + "options = 2026-01-01\n",
            "lab.toml, line 4: 'qpu.ion0.options' must be a table, not a date or time.",
        ),
        (MINIMAL + 'tags = "ion"\n', "lab.toml, line 4: 'qpu.ion0.tags' must be a list of text, not text 'ion'."),
        (
            MINIMAL + "# the next value spans lines\ntags = [\n  'ion',\n  3,\n]\n",
            "lab.toml, line 5: 'qpu.ion0.tags' must be a list of text, and a whole number 3 is not text.",
        ),
        (
            MINIMAL + 'tags = ["two words"]\n',
            "lab.toml, line 4: 'qpu.ion0.tags' 'two words' is not a name. "
            "A name starts with a letter and goes on with letters, digits, '_', '.' and '-'.",
        ),
        (
            MINIMAL + 'reach = "grse"\n',
            "lab.toml, line 4: 'qpu.ion0.reach' must be one of 'local', 'gres', 'license', 'partition', 'network', "
            "'queue', not 'grse'. Did you mean 'gres'?",
        ),
        (
            MINIMAL.replace("ion0", '"ion 0"'),
            "lab.toml, line 1: 'qpu.\"ion 0\"' is not a usable name. "
            "A name starts with a letter and goes on with letters, digits, '_', '.' and '-'.",
        ),
        (
            MINIMAL.replace("ion0", "any"),
            "lab.toml, line 1: 'qpu.any' is not a usable name: 'any' has a meaning of its own in a selector.",
        ),
        (
            MINIMAL + 'reach = "gres"\n',
            "lab.toml, line 1: 'qpu.ion0' is reached by gres, so it needs the group whose jobs hold it: "
            'group = "NAME".\n'
            "lab.toml, line 1: 'qpu.ion0' is reached by gres, so it needs what a job asks for: "
            'resource = "qpu:ion:1".',
        ),
        (
            MINIMAL + 'reach = "partition"\ngroup = "quantm"\n[group.quantum]\n',
            "lab.toml, line 5: 'qpu.ion0.group' names no group of this file: 'quantm'. Did you mean 'quantum'? "
            "Groups: quantum.",
        ),
        (
            MINIMAL + 'group = "quantum"\n[group.quantum]\n',
            "lab.toml, line 4: 'qpu.ion0.group' makes no sense for a QPU of this machine. "
            'Write reach = "partition", or leave it out.',
        ),
        (
            MINIMAL + '[group.cpu]\nwalltime = "an hour"\n',
            "lab.toml, line 5: 'group.cpu.walltime' must be a time as Slurm writes it: "
            "MINUTES, HH:MM:SS or D-HH:MM:SS, not 'an hour'.",
        ),
        (
            MINIMAL + '[slurm]\nmemory = "lots"\n',
            "lab.toml, line 5: 'slurm.memory' must be a size like 500M, 4G or 4GiB, not 'lots'.",
        ),
        (
            MINIMAL + '[group.cpu]\ndirectives = [\n  "#SBATCH --qpu=a",\n]\n',
            "lab.toml, line 5: 'group.cpu.directives' must be an option of sbatch like --comment=text, "
            "not '#SBATCH --qpu=a'.",
        ),
        (
            MINIMAL + "[group.cpu]\nenvironment = { N = 1 }\n",
            "lab.toml, line 5: 'group.cpu.environment' must be a table of text, and a whole number 1 is not text.",
        ),
        (
            MINIMAL + "[group.cpu]\njobs = 2\nmin_jobs = 3\n",
            "lab.toml, line 6: 'group.cpu.min_jobs' is more than 'jobs', the most there are.",
        ),
        ('description = ""\n' + MINIMAL, "lab.toml, line 1: 'description' must be printable text, not ''."),
        (
            '[engine]\nname = "prsl"\n' + MINIMAL,
            "lab.toml, line 2: 'engine.name' must be one of 'parsl', 'dask', 'threads', not 'prsl'. "
            "Did you mean 'parsl'?",
        ),
        ("cpu = 4\n" + MINIMAL, "lab.toml, line 1: 'cpu' must be a table, not a whole number 4. Write it as [cpu]."),
        (
            MINIMAL + MINIMAL,
            "lab.toml is not TOML: Cannot declare ('qpu', 'ion0') twice (at line 4, column 10).\n"
            "A file that works, to compare with: conqure sites show laptop --toml",
        ),
        (b"\xff\xfe", "lab.toml is not UTF-8 text (byte 0). Is it a site file?"),
        ("#" * (MAX_BYTES + 1), "lab.toml has more than 256 KiB. Is it a site file?"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_choices(site_file: Path, text: str | bytes, said: str) -> None:
    assert complaint(site_file, text) == said


def test_all_mistakes_are_reported_at_once_in_the_order_of_their_lines(site_file: Path) -> None:
    said = complaint(site_file, '[cpu]\nworkers = 0\n[qpu.a]\nqubits = 1\nslots = 0\n[engine]\nnam = "parsl"\n')
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "lab.toml, line 2",
        "lab.toml, line 3",
        "lab.toml, line 5",
        "lab.toml, line 7",
    ]


def test_a_file_of_another_kind_is_not_explained_line_by_line(site_file: Path) -> None:
    said = complaint(site_file, "".join(f"key{number} = {number}\n" for number in range(5000)))
    assert len(said.splitlines()) == 21
    assert said.endswith("… and 4981 more.")


def test_brackets_without_end_are_no_site(site_file: Path) -> None:
    assert complaint(site_file, "x = " + "[" * 100_000).startswith("lab.toml is not TOML: ")


def test_a_folder_is_not_a_site_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSite, match=r"cannot be read: Is a directory\."):
        read_site(tmp_path)


KEYS = st.text("abc", min_size=1, max_size=3)


@given(st.lists(st.tuples(KEYS, st.booleans()), unique_by=lambda pair: pair[0], min_size=1, max_size=12), st.data())
def test_the_line_of_a_key_is_found_among_comments_and_values_that_span_lines(
    keys: list[tuple[str, bool]], data: st.DataObject
) -> None:
    lines, where = [], {}
    for key, spans in keys:
        lines += data.draw(st.lists(st.sampled_from(["", "# a comment = 1"]), max_size=2))
        where[key] = len(lines) + 1
        lines += (
            [f"{key} = [", " 1,", "]"]
            if spans
            else [f"{key} = '''", "x = 1", "'''"]
            if len(key) == 3
            else [f"{key} = 1"]
        )
    assert {key: line_of("\n".join(lines), (key,)) for key, _ in keys} == where


def test_a_path_is_written_as_toml_writes_it() -> None:
    assert dotted(("qpu", "ion.0", "tags")) == 'qpu."ion.0".tags'


def test_a_site_made_in_python_must_have_distinct_qpus() -> None:
    with pytest.raises(InvalidSite, match=r"site 'x' needs at least one QPU, each with a name of its own, not \[\]"):
        Site("x", ())
    with pytest.raises(InvalidSite, match="each with a name of its own"):
        Site("x", (QPU("a", "statevector", 2), QPU("a", "aer", 2)))


def test_a_site_gives_its_qpus_by_name_and_by_selector() -> None:
    site = Site("x", (QPU("a", "statevector", 2, tags=("t",)), QPU("b", "statevector", 5, tags=("t",))))
    assert site.qpu("b").n_qubits == 5
    assert [qpu.device_id for qpu in site.select("tag:t")] == ["a", "b"]
    assert site.only("qubits>=3").qpus == site.qpus[1:]
    with pytest.raises(UnknownDevice, match=r"no device 'c' on site 'x'\. Known: 'a' .*, 'b'"):
        site.only("c")
