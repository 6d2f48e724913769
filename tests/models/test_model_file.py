"""A model file is replaced in one step: killed at any line, filled up, or by many at once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import pytest

from nbdeploy.exceptions import CorruptedModelError, ModelFileError, ModelFileNotFoundError
from nbdeploy.models.manifest import Entry, digest_of
from nbdeploy.models.model_file import LEFTOVER_AGE, ModelFile
from nbdeploy.models.serializer import ModelSerializer, load_saved

OLD, NEW = b"old bytes", b"new and longer bytes"


def entry_of(data):
    return Entry(digest_of(data).removeprefix("sha256:"), len(data), "joblib")


def replace(path, data, **options):
    ModelFile(path, **options).replace(data, entry_of(data))


def leftovers(folder):
    return [found.name for found in Path(folder).iterdir() if found.name.startswith(".")]


# The child forks once a line, so that the libraries are imported only once. Each fork saves and
# is killed at the n-th line of the module under test; the parent looks at what is left.
KILL_AT_EVERY_LINE = """
import os, shutil, signal, sys
from pathlib import Path
from nbdeploy.exceptions import ModelFileNotFoundError, UntrustedModelError
from nbdeploy.models import model_file
from nbdeploy.models.serializer import ModelSerializer, load_saved

start, folder = sys.argv[1], Path(sys.argv[2])
path = folder / "model.joblib"
OLD, NEW = {"kind": "old"}, {"kind": "new"}

def prepare():
    shutil.rmtree(folder, ignore_errors=True)
    if start != "nothing":
        ModelSerializer.save_model(OLD, path)
    if start == "a file from elsewhere":
        model_file.ModelFile(path).manifest_path.unlink()

def save_and_die_at(line):
    seen = 0
    def trace(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename != model_file.__file__:
            return None
        seen += 1
        if seen == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    ModelSerializer.save_model(NEW, path)
    sys.settrace(None)

def what_is_left():
    try:
        return load_saved(path)[0]["kind"]
    except ModelFileNotFoundError:
        return "nothing"
    except UntrustedModelError as error:
        assert load_saved(path, trust=error.digest)[0] == OLD
        return "a file from elsewhere"

outcomes, line = [], 0
while True:
    line += 1
    prepare()
    child = os.fork()
    if child == 0:
        save_and_die_at(line)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    outcomes.append(what_is_left())
    ModelSerializer.save_model(NEW, path)
    assert load_saved(path)[0] == NEW
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        break
print(line, *dict.fromkeys(outcomes), sep="|")
"""


@pytest.mark.parametrize("start", ["old", "nothing", "a file from elsewhere"])
def test_killed_at_any_line_a_save_leaves_the_old_or_the_new_model(start, run_script, tmp_path):
    lines, *outcomes = run_script(KILL_AT_EVERY_LINE, start, tmp_path / "models").split("|")
    assert int(lines) > 60
    assert outcomes == [start, "new"]


def test_leftovers_of_killed_savers_are_swept_after_an_hour(tmp_path):
    old, young = tmp_path / ".nbdeploy-aaaa.tmp", tmp_path / ".nbdeploy-bbbb.tmp"
    for leftover in (old, young):
        leftover.write_bytes(b"half a model")
    now = time.time()
    os.utime(old, (now - LEFTOVER_AGE - 1, now - LEFTOVER_AGE - 1))
    replace(tmp_path / "model.joblib", NEW, clock=lambda: now)
    assert leftovers(tmp_path) == [young.name]


def test_a_manifest_lists_only_the_new_content_in_the_end(tmp_path):
    path = tmp_path / "model.joblib"
    replace(path, OLD)
    replace(path, NEW)
    (entry,) = ModelFile(path).manifest().entries
    assert ModelFile(path).read() == (NEW, entry)


def test_a_reader_that_comes_in_between_sees_one_of_both(tmp_path):
    path = tmp_path / "model.joblib"
    contents = {number: b"%d" % number * 1000 for number in range(100)}
    replace(path, contents[0])
    is_over = threading.Event()
    seen = []

    def read():
        while not is_over.is_set():
            data, entry = ModelFile(path).read()
            assert digest_of(data) == entry.digest
            seen.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    for data in contents.values():
        replace(path, data)
    is_over.set()
    reader.join()
    assert len(set(seen)) > 1
    assert set(seen) <= set(contents.values())


def test_a_reader_overtaken_twice_reads_again(tmp_path, monkeypatch):
    path = tmp_path / "model.joblib"
    replace(path, OLD)
    read_model = ModelFile._read_model
    overtaking = [b"one", b"two"]

    def read_while_others_save(file):
        if not overtaking:
            return read_model(file)
        replace(path, overtaking.pop(0))
        data = path.read_bytes()
        replace(path, overtaking.pop(0))
        return data

    reader = ModelFile(path)
    monkeypatch.setattr(reader, "_read_model", lambda: read_while_others_save(reader))
    assert reader.read()[0] == b"two"


SAVE_FIFTY_TIMES = """
import sys
from nbdeploy import ModelSerializer
name, path = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    ModelSerializer.save_model({"by": name, "number": number}, path)
"""


def test_two_processes_and_two_threads_save_fifty_times_each(tmp_path):
    path = tmp_path / "model.joblib"
    savers = [
        subprocess.Popen(
            [sys.executable, "-c", SAVE_FIFTY_TIMES, name, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for saver in savers:
        assert saver.stdout.readline() == "ready\n"
    failures = []

    def save(name):
        try:
            for number in range(50):
                ModelSerializer.save_model({"by": name, "number": number}, path)
                load_saved(path)
        except Exception as error:  # noqa: BLE001 -- shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=save, args=(name,)) for name in ("c", "d")]
    for thread in threads:
        thread.start()
    for saver in savers:
        saver.communicate("go\n", timeout=60)
    for thread in threads:
        thread.join()
    assert [saver.returncode for saver in savers] == [0, 0]
    assert failures == []
    model, saved = load_saved(path)
    assert model["number"] == 49
    assert saved.trusted
    assert leftovers(tmp_path) == []
    assert len(json.loads(Path(f"{path}.manifest.json").read_text())["entries"]) == 1


FULL_DISK = """
import resource, signal, sys
from nbdeploy import ModelFileError, ModelSerializer
path = sys.argv[1]
ModelSerializer.save_model("old", path)
# Like a full disk: writing beyond the limit fails in the middle of a file.
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
try:
    ModelSerializer.save_model("new" * 10_000, path)
except ModelFileError as error:
    print(error)
print(ModelSerializer.load_model(path))
"""


def test_a_full_disk_leaves_the_old_model_and_nothing_else(run_script, tmp_path):
    folder = tmp_path / "models"
    message, model = run_script(FULL_DISK, folder / "model.joblib").splitlines()
    assert "was not saved to" in message
    assert "Free some space" in message
    assert model == "old"
    assert sorted(found.name for found in folder.iterdir()) == [
        "model.joblib",
        "model.joblib.manifest.json",
    ]


READ_ONLY = """
import os, sys, tempfile, warnings
from pathlib import Path
from nbdeploy import ModelFileError, ModelSerializer
with tempfile.TemporaryDirectory(dir="/tmp") as name:
    folder = Path(name)
    ModelSerializer.save_model("old", folder / "model.joblib")
    folder.chmod(0o555)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65534)
            warnings.simplefilter("ignore")  # nobody has no key
        try:
            ModelSerializer.save_model("new", folder / "model.joblib")
        except ModelFileError as error:
            print(error)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    print(ModelSerializer.load_model(folder / "model.joblib"))
    print(len(list(folder.iterdir())))
    folder.chmod(0o755)
"""


def test_a_folder_that_cannot_be_written_to_is_told(run_script):
    message, model, files = run_script(READ_ONLY).splitlines()
    assert "Permission denied" in message
    assert "Choose a folder that you may write to" in message
    assert (model, files) == ("old", "2")


def test_a_path_below_a_file_or_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelFileError, match="was not saved"):
        replace(tmp_path / "file" / "model.joblib", NEW)
    with pytest.raises(ModelFileError, match="Give the path of a file"):
        replace(tmp_path, NEW)
    assert leftovers(tmp_path) == []


def test_a_private_model_stays_private(tmp_path):
    path = tmp_path / "model.joblib"
    replace(path, OLD)
    path.chmod(0o600)
    replace(path, NEW)
    for written in (path, ModelFile(path).manifest_path):
        assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_savers_without_a_common_temporary_folder_still_save(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    replace(tmp_path / "model.joblib", NEW)
    assert ModelFile(tmp_path / "model.joblib").read()[0] == NEW


def test_a_lock_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    squatted = tmp_path / f"nbdeploy-{os.geteuid()}"
    squatted.mkdir()
    squatted.chmod(0o777)
    replace(tmp_path / "model.joblib", NEW)
    assert list(squatted.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b'{"manifest": 2, "entries": []}',
        b'{"manifest": 1}',
        b'{"manifest": 1, "entries": [3]}',
        b'{"manifest": 1, "entries": [{"sha256": "xyz", "size": 1, "format": "joblib"}]}',
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_cannot_be_read_refuses_the_file(tmp_path, text):
    path = tmp_path / "model.joblib"
    replace(path, OLD)
    ModelFile(path).manifest_path.write_bytes(text)
    with pytest.raises(CorruptedModelError, match=r"model\.joblib is corrupted"):
        ModelFile(path).read()
    replace(path, NEW)
    assert ModelFile(path).read()[0] == NEW


def test_a_file_replaced_without_its_manifest_is_refused(tmp_path):
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model("mine", path)
    joblib.dump("another", path)
    for trust in (None, True, digest_of(path.read_bytes())):
        with pytest.raises(CorruptedModelError, match="replaced without its manifest"):
            ModelSerializer.load_model(path, trust=trust)


def test_a_manifest_without_its_file_is_a_missing_file(tmp_path):
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model("mine", path)
    path.unlink()
    with pytest.raises(ModelFileNotFoundError):
        ModelSerializer.load_model(path)
