"""Who vouches for a file: the own key, a digest, a record; and nobody else."""

from __future__ import annotations

import os
import re
import stat
import threading

import joblib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy import ModelFileError, ModelSerializer
from nbdeploy.exceptions import CorruptedModelError, ModelFileNotFoundError, UntrustedModelError
from nbdeploy.models.manifest import digest_of
from nbdeploy.models.serializer import ModelTrustWarning, load_saved
from nbdeploy.models.trust import TrustStore, Voucher, trust_folder, voucher_for

OTHER = digest_of(b"other")


@pytest.fixture
def foreign(tmp_path, forest):
    """A file that somebody made with joblib."""
    path = tmp_path / "shared" / "model.joblib"
    path.parent.mkdir()
    joblib.dump(forest, path)
    return path


def test_what_i_saved_loads_silently(forest, tmp_path, config_folder):
    ModelSerializer.save_model(forest, tmp_path / "model.joblib")
    ModelSerializer.load_model(tmp_path / "model.joblib")
    assert ModelSerializer.inspect(tmp_path / "model.joblib").trusted
    key = config_folder / "signing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32


def test_a_foreign_file_says_what_it_imports_its_digest_and_three_ways_to_trust_it(foreign):
    digest = digest_of(foreign.read_bytes())
    with pytest.raises(UntrustedModelError) as caught:
        ModelSerializer.load_model(foreign)
    error = caught.value
    assert error.digest == digest
    assert "sklearn.tree._tree.Tree" in error.globals
    for said in (
        "  sklearn.ensemble._forest.RandomForestClassifier\n",
        f"trust='{digest}'",
        f"nbdeploy trust {foreign.parent}",
        "trust=True",
        "format='skops'",
    ):
        assert said in str(error)
    assert not ModelSerializer.inspect(foreign).trusted


def test_a_digest_loads_that_content_and_no_other(foreign, forest, tmp_path):
    digest = digest_of(foreign.read_bytes())
    for trust in (digest, digest.upper().replace("SHA", "sha"), [OTHER, digest], {digest}):
        ModelSerializer.load_model(foreign, trust=trust)
    with pytest.raises(UntrustedModelError) as caught:
        ModelSerializer.load_model(foreign, trust=OTHER)
    assert digest in str(caught.value)
    assert OTHER in str(caught.value)
    with pytest.raises(UntrustedModelError):
        ModelSerializer.load_model(foreign, trust=[OTHER])


def test_one_digest_is_a_demand_even_for_my_own_files(forest, tmp_path):
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model(forest, path)
    with pytest.raises(UntrustedModelError, match=OTHER):
        ModelSerializer.load_model(path, trust=OTHER)
    ModelSerializer.load_model(path, trust=[OTHER])


@pytest.mark.parametrize("trust", ["yes", "", "sha256:12", f"{OTHER}0", [3], [None]])
def test_what_is_no_digest_is_refused(forest, tmp_path, trust):
    ModelSerializer.save_model(forest, tmp_path / "model.joblib")
    with pytest.raises(UntrustedModelError, match="is no digest"):
        ModelSerializer.load_model(tmp_path / "model.joblib", trust=trust)


def test_trust_true_loads_anything_and_warns(foreign):
    with pytest.warns(ModelTrustWarning, match=digest_of(foreign.read_bytes())) as caught:
        ModelSerializer.load_model(foreign, trust=True)
    assert caught[0].filename == __file__
    assert issubclass(ModelTrustWarning, UserWarning)


def test_trust_true_does_not_warn_about_what_is_mine(forest, tmp_path):
    ModelSerializer.save_model(forest, tmp_path / "model.joblib")
    loaded = ModelSerializer.load_model(tmp_path / "model.joblib", trust=True)
    assert loaded.get_params() == forest.get_params()


def test_trust_false_trusts_nothing_more(foreign):
    with pytest.raises(UntrustedModelError):
        ModelSerializer.load_model(foreign, trust=False)


def test_a_folder_is_trusted_as_it_is_now(foreign, forest, config_folder, tmp_path):
    joblib.dump({"other": 1}, foreign.with_name("second.pkl"))
    (foreign.parent / "deeper").mkdir()
    joblib.dump({"third": 1}, foreign.parent / "deeper" / "third.skops.joblib")
    (foreign.parent / "notes.txt").write_text("no model")
    ModelSerializer.save_model({"fourth": 1}, foreign.parent / "no-extension")
    digests = trust_folder(foreign.parent)
    assert len(digests) == len(set(digests)) == 4
    ModelSerializer.load_model(foreign)
    load_saved(foreign.parent / "second.pkl")
    assert ModelSerializer.inspect(foreign).trusted
    record = config_folder / "trusted.txt"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert trust_folder(foreign.parent) == digests
    assert record.read_text().splitlines() == digests
    joblib.dump({"changed": 1}, foreign)
    with pytest.raises(UntrustedModelError):
        ModelSerializer.load_model(foreign)


def test_one_file_can_be_trusted_too(foreign):
    assert trust_folder(foreign) == [digest_of(foreign.read_bytes())]
    ModelSerializer.load_model(foreign)


def test_a_folder_with_a_corrupted_file_is_not_trusted_at_all(foreign, forest):
    mine = foreign.with_name("mine.joblib")
    ModelSerializer.save_model(forest, mine)
    mine.write_bytes(mine.read_bytes()[:-1])
    with pytest.raises(CorruptedModelError, match=r"mine\.joblib"):
        trust_folder(foreign.parent)
    with pytest.raises(UntrustedModelError):
        ModelSerializer.load_model(foreign)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelFileNotFoundError, match="There is no folder"):
        trust_folder(tmp_path / "none")
    assert trust_folder(tmp_path) == []


def test_a_home_that_cannot_be_written_to_does_not_stop_saving(forest, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "file" / "config"))
    path = tmp_path / "model.joblib"
    with pytest.warns(ModelTrustWarning, match="saved, but not signed"):
        ModelSerializer.save_model(forest, path)
    with pytest.raises(UntrustedModelError):
        ModelSerializer.load_model(path)
    ModelSerializer.load_model(path, trust=ModelSerializer.inspect(path).digest)
    with pytest.raises(ModelFileError, match="could not be recorded"):
        trust_folder(path)


def test_many_at_once_agree_on_one_key(tmp_path):
    barrier = threading.Barrier(16)
    signatures = []

    def sign():
        barrier.wait()
        signatures.append(TrustStore(tmp_path / "config").sign(b"payload"))

    threads = [threading.Thread(target=sign) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signatures) == 16
    assert len(set(signatures)) == 1
    assert os.listdir(tmp_path / "config") == ["signing.key"]  # noqa: PTH208 -- names only


def test_a_damaged_key_is_replaced_and_one_that_others_could_read_is_closed(tmp_path, caplog):
    store = TrustStore(tmp_path)
    key = tmp_path / "signing.key"
    key.write_bytes(b"short")
    signature = store.sign(b"payload")
    assert store.is_signed(b"payload", signature)
    assert "is damaged" in caplog.text
    key.chmod(0o644)
    assert store.is_signed(b"payload", signature)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_signature_is_of_this_payload_by_this_key(tmp_path):
    store, other = TrustStore(tmp_path / "a"), TrustStore(tmp_path / "b")
    signature = store.sign(b"payload")
    assert re.fullmatch("[0-9a-f]{64}", signature)
    assert store.is_signed(b"payload", signature)
    assert not store.is_signed(b"Payload", signature)
    assert not store.is_signed(b"payload", None)
    assert not store.is_signed(b"payload", "ä")
    assert not other.is_signed(b"payload", signature)
    assert not other.is_signed(b"payload", other.sign(b"another"))


trusts = st.sampled_from(
    [None, False, True, OTHER, [OTHER], [], digest_of(b"it"), {digest_of(b"it")}]
)


@given(trusts, st.booleans(), st.booleans())
def test_somebody_always_vouches_or_nobody(trust, is_signed, is_recorded):
    digest = digest_of(b"it")
    if trust == OTHER:
        with pytest.raises(UntrustedModelError):
            voucher_for(digest, trust, is_signed=is_signed, is_recorded=is_recorded)
        return
    voucher = voucher_for(digest, trust, is_signed=is_signed, is_recorded=is_recorded)
    is_named = trust in (digest, {digest})
    assert (voucher is Voucher.NOBODY) == (
        not is_named and not is_signed and not is_recorded and trust is not True
    )
    assert (voucher is Voucher.ANYTHING) == (trust is True and not is_signed and not is_recorded)
