"""The programs of docs/submissions.md run as they are printed, and its table knows every driver."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from qpu_executors.registry import installed_drivers

from .vendor import Vendor

PAGE = (Path(__file__).parents[2] / "docs/submissions.md").read_text()
ONCE, FAILOVER, BUDGET = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SITE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]


def printed(program: str, **names: object) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "docs/submissions.md", "exec"), names)
    return out.getvalue()


def test_submitted_once(vendor: Vendor) -> None:
    assert printed(ONCE, URL=vendor.url) == "True True\n[('monday-1', 'job-1')]\n"
    assert vendor.shots_billed == 100


def test_failover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qpu_executors.testing import BELL

    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.toml").write_text(SITE)
    said = printed(FAILOVER, BELL=BELL)
    assert said.startswith("ion1 instead of ion0\nDeviceFault: device 'ion0' had an emulated fault")


def test_budget() -> None:
    said = printed(BUDGET)
    assert "needs 100 shots, and 50 of the budget's 250 are left" in said
    assert said.endswith("[100, 100] 200\n")


@pytest.mark.parametrize("name", sorted(set(installed_drivers()) - {"fake", "vendor"}))
def test_the_table_says_what_holds_for_every_driver(name: str) -> None:
    assert re.search(rf"^\|[^|]*`{name}`", PAGE, re.MULTILINE), f"docs/submissions.md has no row for {name!r}"
