"""The sites that come with CONQURE, and the page that describes the format."""

from collections.abc import Iterator

import pytest

from qpu_executors import Site
from qpu_executors.records import QuantumTask
from qpu_executors.running import HeldDevice
from qpu_executors.site_format import FORMAT, Key, Named, Table
from qpu_executors.site_search import shipped_folder
from qpu_executors.testing import BELL

from ..conftest import REPOSITORY

SHIPPED = sorted(path.stem for path in shipped_folder().glob("*.toml"))
PAGE = (REPOSITORY / "docs" / "sites.md").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_site_is_valid_and_described(name: str) -> None:
    assert Site.load(name).description
    assert f"\n### {name}\n" in PAGE


@pytest.mark.parametrize("name", SHIPPED)
def test_every_qpu_of_a_shipped_site_runs_a_circuit(name: str) -> None:
    for qpu in Site.load(name).qpus:
        held = HeldDevice(qpu)
        (counts,) = held.run(QuantumTask(BELL, shots=200, seed=1)).counts
        held.close()
        assert sum(counts.values()) == 200
        assert counts["00"] + counts["11"] > 150


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
