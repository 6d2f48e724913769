"""Eight processes save and move at once: nothing is lost, nothing raises."""

from __future__ import annotations

import json

import pytest

from nbdeploy import ModelVersionControl, VersionError

# The script imports everything once; its forks are warm from their first line.
SAVERS = """
import json, os, sys, traceback
from nbdeploy import ModelVersionControl
folder, are_named, processes, saves = sys.argv[1], sys.argv[2] == "named", 8, 50
ModelVersionControl(folder).save_model_version({"by": -1}, "0")  # the key, and all imports
gate, opened = os.pipe()
children = []
for process in range(processes):
    child = os.fork()
    if child == 0:
        try:
            os.close(opened)
            os.read(gate, 1)  # all begin at once
            versions = ModelVersionControl(folder)
            for number in range(saves):
                name = f"{process}.{number}" if are_named else None
                saved = versions.save_model_version({"by": process, "number": number}, name)
                versions.set_alias(f"last-of-{process}", saved)
                versions.set_alias("last", saved)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(opened)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


@pytest.mark.parametrize(
    "naming", ["named", pytest.param("numbered", marks=pytest.mark.acceptance)]
)
def test_eight_processes_save_fifty_times_each(naming, run_script, tmp_path):
    codes = json.loads(run_script(SAVERS, tmp_path / "models", naming))

    assert codes == [0] * 8
    versions = ModelVersionControl(tmp_path / "models")
    versions.delete("0")
    assert len(versions) == 400
    models = [one.load() for one in versions]
    assert {(model["by"], model["number"]) for model in models} == {
        (process, number) for process in range(8) for number in range(50)
    }
    if naming == "numbered":
        assert {one.version for one in versions} == {str(number) for number in range(1, 401)}
    found = versions.verify()
    assert found.ok, found.problems
    assert len(versions.history("last")) == 400
    for process in range(8):
        assert versions[f"last-of-{process}"].load() == {"by": process, "number": 49}
    assert [path for path in (tmp_path / "models").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["1.0", None])
def test_who_saves_between_a_look_and_a_save_is_never_replaced(
    name, versions, make_model, monkeypatch, tmp_path
):
    rival = ModelVersionControl(tmp_path / "churn")
    judge = {"1.0": "_same_under", None: "_same"}[name]
    look = getattr(versions._shelves, judge)

    def look_and_be_overtaken(*arguments, **options):
        found = look(*arguments, **options)
        monkeypatch.setattr(versions._shelves, judge, look)
        rival.save_model_version(make_model(1), name)
        return found

    monkeypatch.setattr(versions._shelves, judge, look_and_be_overtaken)
    if name is None:
        assert versions.save_model_version(make_model(2)).version == "2"
    else:
        with pytest.raises(VersionError, match="is taken"):
            versions.save_model_version(make_model(2), name)
    first = "1" if name is None else name
    assert versions[first].load().coef_.tolist() == make_model(1).coef_.tolist()
    assert versions[first].revision == 1


ONE_NAME = """
import json, os, sys
from nbdeploy import ModelVersionControl, VersionError
folder = sys.argv[1]
ModelVersionControl(folder).save_model_version({"by": -1}, "0")
gate, opened = os.pipe()
children = []
for process in range(8):
    child = os.fork()
    if child == 0:
        os.close(opened)
        os.read(gate, 1)
        try:
            ModelVersionControl(folder).save_model_version({"by": process // 2}, "1.0")
        except VersionError:
            os._exit(7)
        os._exit(0)
    children.append(child)
os.close(opened)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


def test_of_many_who_save_under_one_name_one_content_wins_and_the_others_are_told(
    run_script, tmp_path
):
    codes = json.loads(run_script(ONE_NAME, tmp_path / "models"))
    winner = ModelVersionControl(tmp_path / "models")["1.0"].load()["by"]
    assert codes == [0 if process // 2 == winner else 7 for process in range(8)]
