"""Versions beyond one machine: the same promises where the store can, a word where it cannot."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nbdeploy import ModelVersionControl, VersionError
from nbdeploy.exceptions import CorruptedModelError, ModelFileError, UntrustedModelError
from nbdeploy.registry.object_storage import LEFTOVER_AGE, ModelStorageWarning, ObjectStorage
from nbdeploy.registry.storage import open_storage

# botocore asks for a time zone in a way that newer Pythons will not have.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

SERVER = """
import sys
import threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
# One request at a time: where moto looks and writes in two steps, S3 decides in one.
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
"""
_counter = itertools.count()


@pytest.fixture(scope="module")
def s3():
    """An S3 server on this machine, and the variables that lead to it."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables(server.stdout.readline().strip()).items():
                patch.setenv(name, value)
            import fsspec

            fsspec.filesystem("s3").mkdir("models")
            yield
        server.stdin.close()


def variables(port):
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture(params=["memory", "s3"])
def place(request):
    if request.param == "s3":
        request.getfixturevalue("s3")
    return f"{request.param}://models/{request.param}-{next(_counter)}"


def test_a_version_goes_to_the_store_and_comes_back(place, make_model, recwarn):
    versions = ModelVersionControl(place)
    model = make_model(3)
    saved = versions.save_model_version(model, "1.0", {"auc": 0.9}, "first")
    versions.save_model_version(make_model(4), "1.1", {"auc": 0.8})
    versions.set_alias("production", "1.1")

    fresh = ModelVersionControl(place)
    assert fresh.get_model_version("1.0").coef_.tolist() == model.coef_.tolist()
    assert fresh["1.0"] == saved
    assert fresh["1.0"].metrics == {"auc": 0.9}
    assert saved.path.startswith(f"{place}/versions/1.0/")
    assert [one.version for one in fresh] == ["1.0", "1.1"]
    assert fresh["production"].version == "1.1"
    assert fresh.verify().ok
    assert list(recwarn) == []


def test_all_that_a_folder_does_the_store_does(place, make_model, as_somebody_else):
    versions = ModelVersionControl(place)
    first = versions.save_model_version(make_model(1), "1.0")
    assert versions.save_model_version(make_model(1), "1.0") == first
    with pytest.raises(VersionError, match="is taken"):
        versions.save_model_version(make_model(2), "1.0")
    versions.save_model_version(make_model(2), "1.0", replace=True)
    assert len(versions.revisions("1.0")) == 2
    assert versions.save_model_version(make_model(3)).version == "2"
    for name in ("1.0", "2", "1.0"):
        versions.set_alias("production", name)
    assert versions.rollback("production").version == "2"
    assert versions.roll_forward("production").version == "1.0"
    versions.set_alias("production", "2")
    versions.delete("1.0", why="old")
    assert [one.version for one in versions] == ["2"]
    actions = [change.action for change in versions.history()]
    assert actions.count("set") == 4
    assert versions.history("1.0")[-1].why == "old"
    digest = versions["2"].digest
    as_somebody_else()
    with pytest.raises(UntrustedModelError, match="in one of two ways"):
        ModelVersionControl(place).get_model_version("2")
    assert ModelVersionControl(place, trust=digest).get_model_version("2") is not None


def test_what_was_deleted_takes_no_space(place, make_model):
    versions = ModelVersionControl(place)
    versions.save_model_version(make_model(1), "1.0")
    versions.delete("1.0")
    storage = open_storage(place)
    assert [path for path in storage._found("versions") if "model" in path] == []


def test_changed_bytes_in_the_store_are_found(place, make_model):
    versions = ModelVersionControl(place)
    saved = versions.save_model_version(make_model(1), "1.0")
    storage = open_storage(place)
    path = saved.path.removeprefix(f"{place}/")
    data = storage.read(path)
    storage._files.pipe_file(storage._whole(path), data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CorruptedModelError, match="Nothing was loaded"):
        versions.get_model_version("1.0")
    assert not versions.verify().ok


def test_many_threads_save_and_move_and_nothing_is_lost(place):
    def work(thread):
        versions = ModelVersionControl(place)
        for number in range(3):
            saved = versions.save_model_version({"by": thread, "number": number})
            versions.set_alias("last", saved)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    versions = ModelVersionControl(place)
    assert {one.version for one in versions} == {str(number) for number in range(1, 10)}
    assert len({str(one.load()) for one in versions}) == 9
    assert len(versions.history("last")) == 9


def test_of_two_who_save_one_name_one_wins_and_the_other_leaves_nothing(place, monkeypatch):
    versions, rival = ModelVersionControl(place), ModelVersionControl(place)
    storage = versions._shelves.own.storage
    create = storage.create

    def be_late(path, data):
        monkeypatch.setattr(storage, "create", create)
        rival.save_model_version("theirs", "1.0")
        return create(path, data)

    monkeypatch.setattr(storage, "create", be_late)
    with pytest.raises(VersionError, match="is taken"):
        versions.save_model_version("ours", "1.0")
    assert versions.get_model_version("1.0") == "theirs"
    assert len([path for path in storage._found("versions") if path.endswith("model.joblib")]) == 1


def test_a_saver_killed_before_the_last_file_is_not_listed_and_swept_later(place, make_model):
    versions = ModelVersionControl(place)
    versions.save_model_version(make_model(1), "1.0")
    storage = open_storage(place)
    storage._files.pipe_file(storage._whole("versions/2.0/abcd/model.joblib"), b"half")
    assert [one.version for one in versions] == ["1.0"]
    assert "2.0" not in versions

    versions.save_model_version(make_model(2), "1.1")
    assert any("2.0" in path for path in storage._found("versions"))
    later = ObjectStorage(place, clock=lambda: time.time() + LEFTOVER_AGE + 60)
    assert later.publish("versions/1.2", {"version.json": b"{}"}, "version.json")
    assert not any("2.0" in path for path in storage._found("versions"))
    assert {one.version for one in versions} == {"1.0", "1.1"}
    assert versions.verify("1.0", "1.1").ok


def test_a_store_that_fails_is_told_and_nothing_is_listed(place, make_model, monkeypatch):
    versions = ModelVersionControl(place)
    versions.save_model_version(make_model(1), "1.0")
    storage = versions._shelves.own.storage

    def fail(path, data, **_):
        message = "quota exceeded"
        raise OSError(message)

    monkeypatch.setattr(storage._files, "pipe_file", fail)
    with pytest.raises(ModelFileError, match=r"cannot be written to: quota exceeded\."):
        versions.save_model_version(make_model(2), "1.1")
    monkeypatch.undo()
    assert [one.version for one in versions] == ["1.0"]


def test_an_answer_that_was_lost_does_not_look_like_somebody_else(place):
    storage = open_storage(place)
    assert storage.create("aliases/a/00000001.json", b"mine")
    assert storage.create("aliases/a/00000001.json", b"mine")
    assert not storage.create("aliases/a/00000001.json", b"theirs")
    assert storage.read("aliases/a/00000001.json") == b"mine"


def test_a_store_without_conditions_says_so_once(place, make_model, monkeypatch):
    versions = ModelVersionControl(place)
    storage = versions._shelves.own.storage
    pipe = storage._files.pipe_file
    monkeypatch.setattr(
        storage._files, "pipe_file", lambda path, data, mode="overwrite": pipe(path, data)
    )
    with pytest.warns(ModelStorageWarning, match="Save from one process at a time") as told:
        versions.save_model_version(make_model(1), "1.0")
    assert told[0].filename == __file__
    assert versions.get_model_version("1.0") is not None


def test_a_store_that_only_looks_before_it_writes_says_so(make_model, monkeypatch):
    versions = ModelVersionControl(f"memory://models/sftp-{next(_counter)}")
    monkeypatch.setattr(versions._shelves.own.storage._files, "protocol", ("sftp", "ssh"))
    with pytest.warns(ModelStorageWarning, match="no way to let one of two writers win"):
        versions.save_model_version(make_model(1), "1.0")


def test_a_bucket_that_is_not_there_is_told(s3, make_model):
    versions = ModelVersionControl("s3://no-such-bucket/models")
    assert len(versions) == 0
    with pytest.raises(ModelFileError, match="bucket does not exist"):
        versions.save_model_version(make_model(), "1.0")


@pytest.mark.parametrize("address", ["nowhere://models", "gs://models/churn"])
def test_an_address_that_nothing_installed_reaches_is_told(address, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ModelFileError, match=r"cannot be reached.*nbdeploy\[s3\]"):
        ModelVersionControl(address)


def test_a_file_address_is_a_folder(tmp_path, make_model):
    versions = ModelVersionControl(f"file://{tmp_path}/models")
    versions.save_model_version(make_model(), "1.0")
    assert (tmp_path / "models" / "versions" / "1.0" / "model.joblib").is_file()


def test_a_local_registry_does_not_import_fsspec(tmp_path):
    code = (
        "import sys; from nbdeploy import ModelVersionControl;"
        f"ModelVersionControl({str(tmp_path)!r}).save_model_version(1, '1.0');"
        "print('fsspec' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
