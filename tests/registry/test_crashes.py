"""Killed at any moment, or out of space: what is listed loads, and an alias is old or new."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nbdeploy import ModelVersionControl
from nbdeploy.exceptions import ModelFileError
from nbdeploy.registry.local_storage import LEFTOVER_AGE, LocalStorage

# A warm process forks a worker for each kill. The worker tells what it is about to do and what it
# has done; the parent kills it and compares what is there with both.
KILLS = """
import json, os, random, signal, sys, time
import numpy as np
from nbdeploy import ModelVersionControl, VersionError

folder, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
choice = random.Random(seed)
NAMES = ["1.0", "1.1", "1.2", "1.3"]


def model(number):
    return {"number": number, "weights": np.full(20_000, float(number))}


def act(versions, what, name, number):
    if what == "save":
        versions.save_model_version(model(number), name, {"number": number}, replace=True)
    elif what == "alias":
        versions.set_alias("production", name)
    elif what == "back":
        versions.rollback("production")
    else:
        versions.delete(name)


def work(tell, random_numbers):
    versions = ModelVersionControl(folder)
    while True:
        step = [random_numbers.choice(["save", "save", "alias", "alias", "back", "delete"]),
                random_numbers.choice(NAMES), random_numbers.randrange(10**9)]
        os.write(tell, (json.dumps(["try", step]) + chr(10)).encode())
        try:
            act(versions, *step)
        except VersionError:
            pass  # deleted what is not there, or what an alias points to
        state = [{one.version: one.metrics["number"] for one in versions}, versions.aliases]
        os.write(tell, (json.dumps(["did", state]) + chr(10)).encode())


def look():
    versions = ModelVersionControl(folder)
    found = versions.verify()
    assert found.ok, found.problems
    for one in versions:
        assert one.load()["number"] == one.metrics["number"]
    aliases = versions.aliases
    if aliases:
        versions["production"].load()
    return [{one.version: one.metrics["number"] for one in versions}, aliases]


def may_follow(before, step, after):
    '''Whether `after` is `before`, or that with the step done.'''
    (content, aliases), (now, aliases_now) = before, after
    what, name, number = step
    if what == "save":
        return aliases_now == aliases and now in (content, {**content, name: number})
    if what == "delete":
        left = {key: value for key, value in content.items() if key != name}
        return aliases_now == aliases and now in (content, left)
    return now == content and (
        aliases_now == aliases
        or (what == "alias" and aliases_now == {**aliases, "production": name})
        or (what == "back" and set(aliases_now) == {"production"})
    )


state, during = look(), []
for kill in range(kills):
    read, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        work(tell, random.Random(choice.randrange(10**9) + kill))
    os.close(tell)
    choice.random()
    told = os.read(read, 1)  # it has begun
    time.sleep(choice.uniform(0, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(read, 1 << 20):
        told += chunk
    os.close(read)
    pending = None
    for line in told.decode().splitlines():
        kind, what = json.loads(line)
        if kind == "try":
            pending = what
        else:
            state, pending = what, None
    after = look()
    if pending is None:
        assert after == state, (state, after)
    else:
        assert may_follow(state, pending, after), (state, pending, after)
        during.append(pending[0])
    state = after
leftovers = sum(name.startswith(".nbdeploy-") for name in os.listdir(folder))
print(json.dumps({"during": during, "leftovers": leftovers}))
"""


@pytest.mark.parametrize(
    "kills", [pytest.param(25), pytest.param(200, marks=pytest.mark.acceptance)]
)
def test_killed_at_random_moments(kills, run_script, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    found = json.loads(run_script(KILLS, folder, kills, 5))

    # Most kills have to hit something that was being done, or nothing was shown.
    assert len(found["during"]) > kills / 2
    assert "save" in found["during"]
    versions = ModelVersionControl(folder)
    assert versions.verify().ok


def test_leftovers_of_killed_savers_are_swept_after_an_hour(tmp_path, make_model):
    old, young = tmp_path / ".nbdeploy-aaaa.tmp", tmp_path / ".nbdeploy-bbbb.tmp"
    for leftover in (old, young):
        leftover.mkdir()
        (leftover / "model.joblib").write_bytes(b"half a model")
    now = young.stat().st_mtime
    os.utime(old, (now - LEFTOVER_AGE - 1, now - LEFTOVER_AGE - 1))
    storage = LocalStorage(str(tmp_path), clock=lambda: now)
    assert storage.publish("versions/1.0", {"version.json": b"{}"}, "version.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "versions"]


ACTS = {
    "save": lambda versions, model: versions.save_model_version(model, "2.0"),
    "replace": lambda versions, model: versions.save_model_version(model, "1.0", replace=True),
    "alias": lambda versions, _: versions.set_alias("production", "1.1"),
    "first alias": lambda versions, _: versions.set_alias("candidate", "1.1"),
    "delete": lambda versions, _: versions.delete("1.1"),
}


class FullDisk:
    """Fails once, at one of the steps that take space in a folder."""

    def __init__(self, folder, step):
        self.folder, self.left = folder, step

    def fill(self, call):
        def run(first, *arguments, **options):
            is_counted = isinstance(first, int) or first.is_relative_to(self.folder)
            self.left -= is_counted
            if is_counted and self.left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(first, *arguments, **options)

        return run


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_disk_that_is_full_at_any_step_changes_nothing(
    act, two_versions, make_model, monkeypatch, tmp_path
):
    two_versions.set_alias("production", "1.0")
    before, messages = repr(two_versions), []
    for step in range(1, 100):
        folder = tmp_path / f"copy-{step}" / "churn"
        shutil.copytree(tmp_path / "churn", folder)
        versions, disk, message = ModelVersionControl(folder), FullDisk(folder, step), None
        with monkeypatch.context() as patch:
            for owner, name in ((os, "fsync"), (Path, "mkdir"), (Path, "rename"), (Path, "open")):
                patch.setattr(owner, name, disk.fill(getattr(owner, name)))
            try:
                act(versions, make_model(9))
            except ModelFileError as error:
                message = str(error)
        assert versions.verify().ok
        assert list(folder.glob(".*")) == []
        if disk.left > 0:
            assert message is None
            break
        if message is None:
            # A sync of a folder was refused, or the removal of what is deleted: that is no loss.
            assert repr(versions) != before
            continue
        assert "No space left on device. Nothing in it has changed. Free some space" in message
        messages.append(message)
        assert repr(versions) == before
    assert disk.left > 0
    assert len(messages) >= 2


FULL = """
import json, os, sys
import numpy as np
from nbdeploy import ModelFileError, ModelVersionControl
folder = sys.argv[1]
versions = ModelVersionControl(os.path.join(folder, "models"))
saved, messages = [], []
for number in range(100):
    try:
        model = {"number": number, "weights": np.random.default_rng(number).normal(size=4_000)}
        saved.append(versions.save_model_version(model, f"1.{number}").version)
        versions.set_alias("production", saved[-1])
    except ModelFileError as error:
        messages.append(str(error))
        if len(messages) == 3:
            break
assert versions.verify().ok
assert all(one.load()["number"] == int(one.version[2:]) for one in versions)
listed = [one.version for one in versions]
target = versions["production"].version
left = [name for name in os.listdir(versions.base_path) if name.startswith(".")]
print(json.dumps([saved, listed, target, messages, left]))
"""


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_file_system_lists_nothing_half_written(small_disk, run_script):
    saved, listed, target, messages, left = json.loads(run_script(FULL, small_disk))
    assert 2 <= len(saved) < 50
    assert listed == saved
    assert target in saved[-2:]
    assert left == []
    assert len(messages) == 3
    for message in messages:
        assert "cannot be written to: No space left on device." in message
        assert "Free some space" in message
