"""A vendor's cloud in a process of its own, and its driver installed for this process and those it starts."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qpu_executors import registry

from .vendor import NAME, Vendor, install_driver, vendor_service


@pytest.fixture(scope="session")
def _vendors_service() -> Iterator[Vendor]:
    with vendor_service() as service:
        yield service


@pytest.fixture
def vendor(_vendors_service: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """The vendor, without a past."""
    _vendors_service.reset()
    folder = install_driver(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    registry._entry_points.cache_clear()
    yield _vendors_service
    registry._entry_points.cache_clear()
