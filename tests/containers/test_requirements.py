"""The lock holds what serving imports, in the versions of the notebook, and nothing else."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from nbdeploy import ContainerError
from nbdeploy.containers.requirements import SERVING, Lock, lock_for

UNWANTED = {"jupyterlab", "ipykernel", "ipython", "ipywidgets", "matplotlib", "kubernetes", "skops"}


def test_the_serving_set_is_a_part_of_what_nbdeploy_needs():
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    needed = {Requirement(text).name for text in project["project"]["dependencies"]}

    # These two come with uvicorn[standard].
    assert set(SERVING) - {"httptools", "uvloop"} <= needed


def test_versions_are_the_installed_ones_and_nothing_of_the_notebook_is_there():
    lock = lock_for(["sklearn.linear_model"])

    assert lock.versions == {name: metadata.version(name) for name in lock.versions}
    assert {"scikit-learn", "fastapi", "uvicorn"} <= lock.versions.keys()
    assert UNWANTED.isdisjoint(lock.versions)
    assert "nbdeploy" not in lock.versions


def test_what_a_package_needs_in_turn_is_locked_too():
    versions = lock_for([]).versions

    for name in versions:
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None:
                assert needed.name.lower().replace("_", "-") in versions


def test_a_module_is_found_under_the_name_of_its_package():
    assert "xgboost-cpu" in (versions := lock_for(["xgboost.sklearn"]).versions) or (
        "xgboost" in versions
    )
    assert "palmerpenguins" in lock_for(["palmerpenguins"]).versions


def test_further_packages_can_be_named():
    assert "pyarrow" in lock_for([], ["pyarrow"]).versions
    with pytest.raises(ContainerError, match="no-such-package is not installed here"):
        lock_for([], ["no-such-package"])
    with pytest.raises(ContainerError, match="is no name of a package"):
        lock_for([], ["numpy\n--index-url=http://evil.example"])


def test_a_module_of_no_package_is_told_with_two_cures():
    with pytest.raises(
        ContainerError, match=r"'features'.*belongs to no installed package"
    ) as told:
        lock_for(["features.ratios"])

    assert "pip install --editable" in str(told.value)
    assert "register_pickle_by_value(features)" in str(told.value)


def test_the_file_has_a_line_a_package_and_its_digests():
    lock = Lock(
        {"a": "1", "b": "2", "c": "3"}, local=("b",), hashes={"a": ("sha256:x", "sha256:y")}
    )

    assert lock.to_text() == "a==1 \\\n    --hash=sha256:x \\\n    --hash=sha256:y\nc==3\n"
