"""A lock has digests where somebody knows them."""

from __future__ import annotations

import json

import pytest

from nbdeploy import ContainerError
from nbdeploy.containers import hashes
from nbdeploy.containers.hashes import read_pip_report, read_uv_lock, with_hashes
from nbdeploy.containers.requirements import Lock

LOCK = Lock({"numpy": "2.4.6", "six": "1.17.0"})
FIRST, SECOND, THIRD = (f"sha256:{digit * 64}" for digit in "012")
UV = f"""numpy==2.4.6 \\\\
    --hash={FIRST} \\\\
    --hash={SECOND}
six==1.17.0 \\\\
    --hash={THIRD}
"""


@pytest.fixture
def uv(tmp_path, monkeypatch):
    def install(script):
        file = tmp_path / "uv"
        file.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setattr(hashes.shutil, "which", lambda _: str(file))
        return tmp_path / "asked"

    return install


def test_uv_tells_those_of_every_file(uv):
    asked = uv(f"cat <<'END'\n{UV.replace(chr(92) * 2, chr(92))}END")

    lock = with_hashes(LOCK, wanted=None)

    assert asked.read_text() == LOCK.to_text()
    assert lock.hashes == {"numpy": (FIRST, SECOND), "six": (THIRD,)}
    assert lock.to_text().startswith(f"numpy==2.4.6 \\\n    --hash={FIRST}")


def test_without_uv_and_unasked_there_are_none(monkeypatch):
    monkeypatch.setattr(hashes.shutil, "which", lambda _: None)

    assert with_hashes(LOCK, wanted=None) is LOCK
    assert with_hashes(LOCK, wanted=False) is LOCK


def test_an_index_out_of_reach_is_an_error_only_for_who_wants_them(uv):
    uv("echo 'error: cannot reach the index' >&2; exit 1")

    assert with_hashes(LOCK, wanted=None) is LOCK
    with pytest.raises(ContainerError, match="cannot reach the index"):
        with_hashes(LOCK, wanted=True)


def test_a_package_without_a_digest_makes_no_half_lock(uv):
    uv(f"echo 'numpy==2.4.6 --hash={FIRST}'")

    with pytest.raises(ContainerError, match="there are none for six"):
        with_hashes(LOCK, wanted=True)


def test_the_report_of_pip_is_read():
    item = {
        "metadata": {"name": "Typing_Extensions"},
        "download_info": {"archive_info": {"hashes": {"sha256": "0" * 64}}},
    }

    assert read_pip_report(json.dumps({"install": [item]})) == {"typing-extensions": (FIRST,)}
    assert read_uv_lock("# nothing\n") == {}
