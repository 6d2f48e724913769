"""An environment of what is installed here, and of the wheel in a bundle."""

import zipfile

import pytest

from nbdeploy.containers.clean_environment import lend_packages
from nbdeploy.containers.installed_modules import owners_of_modules
from nbdeploy.exceptions import ContainerError


@pytest.fixture
def folder(tmp_path):
    """A bundle with nothing in its lock, and a wheel to be written."""
    bundle = tmp_path / "bundle"
    (bundle / "wheels").mkdir(parents=True)
    (bundle / "requirements.txt").write_text("")
    return bundle


def write_wheel(folder, *names):
    with zipfile.ZipFile(folder / "wheels" / "own-1-py3-none-any.whl", "w") as archive:
        for name in names:
            archive.writestr(name, "VALUE = 3\n")


def test_the_files_of_a_wheel_are_found_by_python(folder, tmp_path):
    write_wheel(folder, "own/", "own/__init__.py", "own-1.dist-info/METADATA")

    python = lend_packages(tmp_path / "environment", folder)

    (written,) = (tmp_path / "environment").rglob("own/__init__.py")
    assert written.read_text() == "VALUE = 3\n"
    assert python.exists()


@pytest.mark.parametrize("name", ["../outside.py", "own/../../../outside.py", "/tmp/outside.py"])
def test_a_wheel_that_leads_out_of_its_folder_is_refused(folder, tmp_path, name):
    write_wheel(folder, name)

    with pytest.raises(ContainerError, match="leads out of its folder"):
        lend_packages(tmp_path / "environment", folder)

    assert not list(tmp_path.rglob("outside.py"))


def test_a_module_that_was_installed_meanwhile_is_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    assert "brand_new" not in owners_of_modules()

    (tmp_path / "brand_new.py").write_text("")
    facts = tmp_path / "brand_new-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: brand-new\nVersion: 1.0\n")
    (facts / "RECORD").write_text("brand_new.py,,\nbrand_new-1.0.dist-info/METADATA,,\n")

    assert owners_of_modules()["brand_new"] == ["brand-new"]
