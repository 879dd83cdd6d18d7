"""The sites that come with CONQURE, and the page that describes the format."""

from collections.abc import Iterator

import pytest

from qpu_executors import Site
from qpu_executors.errors import NotLoggedIn
from qpu_executors.records import QuantumTask
from qpu_executors.running import HeldDevice
from qpu_executors.site_format import FORMAT, Key, Named, Table
from qpu_executors.site_search import shipped_folder
from qpu_executors.slurm.options import options
from qpu_executors.testing import BELL

from ..conftest import REPOSITORY

SHIPPED = sorted(path.stem for path in shipped_folder().glob("*.toml"))
SLURM = [name for name in SHIPPED if name.startswith("slurm_")]
PAGE = (REPOSITORY / "docs" / "sites.md").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_site_is_valid_and_described(name: str) -> None:
    assert Site.load(name).description
    assert f"\n### {name}\n" in PAGE


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in ("remote_queue", "vendors")])
def test_every_qpu_of_a_shipped_site_runs_a_circuit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for qpu in Site.load(name).qpus:
        if qpu.group:  # as if this were its job
            monkeypatch.setenv("SLURM_JOB_ID", "1")
        if qpu.expects:
            monkeypatch.setenv(*qpu.expects.split("="))
        held = HeldDevice(qpu)
        (counts,) = held.run(QuantumTask(BELL, shots=200, seed=1)).counts
        held.close()
        assert sum(counts.values()) == 200
        assert counts["00"] + counts["11"] > 150


@pytest.mark.parametrize("device_id", ["ibm_fake", "braket_local"])
def test_what_the_vendors_offer_without_an_account_runs_a_circuit(device_id: str) -> None:
    held = HeldDevice(Site.load("vendors").qpu(device_id))
    (counts,) = held.run(QuantumTask(BELL, shots=200)).counts
    held.close()
    assert counts["00"] + counts["11"] > 150


def test_the_remote_queue_says_once_where_it_is_and_wants_a_token_for_it() -> None:
    (qpu,) = Site.load("remote_queue").qpus
    assert qpu.reach == "queue"
    assert qpu.options["url"] == "https://queue.lab.example"
    with pytest.raises(NotLoggedIn, match=r"lab\.token cannot be read"):
        HeldDevice(qpu)


@pytest.mark.parametrize("name", SLURM)
def test_a_site_of_slurm_says_that_it_is_an_example_and_has_a_page(name: str) -> None:
    site = Site.load(name)
    assert site.description.startswith("example: ")
    assert site.path.read_text().startswith("# An example")
    page = (REPOSITORY / "docs" / "sites" / f"{name}.md").read_text()
    assert page.startswith(f"# {name}: ")
    assert "is an example" in page
    assert f"(sites/{name}.md)" in PAGE


@pytest.mark.parametrize("name", SLURM)
def test_every_qpu_of_slurm_is_held_by_a_group_and_classical_work_has_a_group_of_its_own(name: str) -> None:
    site = Site.load(name)
    assert all(site.group(qpu.group) for qpu in site.qpus)
    assert site.classical_groups


def test_an_example_asks_for_what_its_machine_has() -> None:
    def asked(name: str) -> list[str]:
        qpu = Site.load(name).qpus[0]
        return options(Site.load(name).group(qpu.group), qpu)

    assert "--gres=qpu:ion:1" in asked("slurm_gres")
    assert {"--gres=qpu:1", "--qpu=ion_a"} <= set(asked("slurm_spank"))
    assert {"--partition=q_fiqci", "--account=project_465000000"} <= set(asked("slurm_partition"))
    assert not [word for word in asked("slurm_partition") if word.startswith("--gres")]
    assert {"--partition=cpu", "--licenses=qpu_cloud:1"} <= set(asked("slurm_license"))
    assert Site.load("slurm_license").group("cloud").jobs_for(Site.load("slurm_license").qpus[0]) == 4


def test_the_laptop_has_six_qpus_and_needs_no_extra() -> None:
    assert len(Site.load("laptop").qpus) == 6
    assert {qpu.driver for qpu in Site.load("laptop").qpus} <= {"statevector", "emulated"}


def rows(table: Table, path: str) -> Iterator[str]:
    """What the page says of each key, made from the format."""
    for name, key in table.keys.items():
        if isinstance(key, Key):
            kind = key.kind + (": " + ", ".join(f"`{choice}`" for choice in key.choices) if key.choices else "")
            yield f"| `{name}` | {kind} | {'required' if key.required else key.default} | {key.about} |"
        else:
            inner = key.each if isinstance(key, Named) else key
            heading = f"[{name}.NAME]" if isinstance(key, Named) else f"[{name}]"
            yield f"**{heading}**: {inner.about}"
            yield from rows(inner, heading)


@pytest.mark.parametrize("row", list(rows(FORMAT, "")))
def test_the_page_says_what_the_format_allows(row: str) -> None:
    assert row in PAGE.splitlines()


def test_the_pages_own_example_is_a_valid_site(tmp_path) -> None:
    example = PAGE.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "conqure.toml").write_text(example)
    site = Site.load(tmp_path / "conqure.toml")
    assert [qpu.device_id for qpu in site.qpus] == ["ion0", "sv0"]
    assert (site.cpu_workers, site.engine) == (8, "parsl")
