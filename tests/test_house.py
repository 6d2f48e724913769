"""The files around the package say the same as the package."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import nbdeploy

ROOT = Path(__file__).parents[1]


def metadata():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_installs_the_set_of_pyproject():
    extras = metadata()["optional-dependencies"]
    expected = {*metadata()["dependencies"], *extras["notebooks"], *extras["test"]}

    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (listed,) = [each["pip"] for each in environment["dependencies"] if isinstance(each, dict)]

    assert listed[-1] == "--editable ."
    assert set(listed[:-1]) == expected
    assert f"python{metadata()['requires-python']}" in environment["dependencies"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_what_a_page_links_to_is_there(page):
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\(([^)#\s]+)", text)

    local = [target for target in targets if not target.startswith(("https://", "http://"))]
    assert [target for target in local if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_the_readme_has_a_row_for_each_class_of_the_chapter_that_is_there():
    text = (ROOT / "README.md").read_text()
    rows = "".join(re.findall(r"^\| \d\.\d .*$", text, flags=re.MULTILINE))
    chapter = {
        "ModelSerializer", "ModelVersionControl", "ModelService", "PredictionRequest",
        "ModelMonitor", "DockerConfig", "KubernetesDeployer", "LoadBalancer", "AutoScaler",
    }  # fmt: skip

    assert {name for name in chapter & set(nbdeploy.__all__) if f"`{name}`" not in rows} == set()


def test_every_public_name_can_be_had_and_is_listed():
    values = {name: getattr(nbdeploy, name) for name in nbdeploy.__all__}

    assert all(value.__name__ == name for name, value in values.items())
    assert set(nbdeploy.__all__) < set(dir(nbdeploy))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'deplyo'"):
        _ = nbdeploy.deplyo


def test_the_version_is_that_of_the_metadata():
    assert nbdeploy.__version__ == metadata()["version"]


def test_importing_nbdeploy_imports_nothing_heavy():
    heavy = {
        "numpy",
        "pandas",
        "sklearn",
        "fastapi",
        "uvicorn",
        "matplotlib",
        "kubernetes",
        "ipywidgets",
        "httpx",
        "nest_asyncio",
        "nest_asyncio2",
    }
    code = "import sys, nbdeploy; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert heavy.isdisjoint(loaded.stdout.split())


def test_serving_imports_neither_widgets_nor_plots_nor_clusters():
    unwanted = {"matplotlib", "kubernetes", "ipywidgets", "IPython", "jupyterlab", "nest_asyncio"}
    code = "import sys, nbdeploy.serving.service, nbdeploy.cli; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert unwanted.isdisjoint(loaded.stdout.split())
