"""`import conqure`: every public name is there, and loads on first use."""

from importlib.metadata import version

import pytest

import conqure
import qpu_executors


@pytest.mark.parametrize("name", conqure.__all__)
def test_a_public_name_is_what_its_home_calls_so(name):
    value = getattr(conqure, name)
    assert value is getattr(qpu_executors, name, value)
    assert name in dir(conqure)


def test_every_error_of_the_tree_is_a_public_name():
    def tree(root):
        return {root.__name__}.union(
            *(tree(child) for child in root.__subclasses__() if child.__module__.startswith("qpu_"))
        )

    assert tree(conqure.ConqureError) <= set(conqure.__all__)


def test_the_version_is_the_installed_one():
    assert conqure.__version__ == version("conqure")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'conqure' has no attribute 'nonsense'"):
        conqure.nonsense  # noqa: B018


def test_the_workflows_of_a_checkout_are_found_below_conqure(run_python):
    assert "workflows" in run_python("import importlib.util as u; print(u.find_spec('conqure.workflows'))")
