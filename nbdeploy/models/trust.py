"""Who vouches for a model file: loading one runs the code in it.

What this user saved carries a signature by a key that only this user can read. Other files are
trusted by their digest: named in ``trust=``, or recorded once with ``nbdeploy trust FOLDER``.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeAlias

from nbdeploy.exceptions import ModelFileError, ModelFileNotFoundError, UntrustedModelError
from nbdeploy.models.manifest import SUFFIX, digest_of
from nbdeploy.models.model_file import ModelFile, format_by_name

__all__ = ["Trust", "TrustStore", "Voucher", "config_folder", "trust_folder", "voucher_for"]

Trust: TypeAlias = bool | str | Collection[str] | None
"""What ``trust=`` takes: a digest, several digests, ``True``, or nothing."""

CONFIG_VARIABLE = "NBDEPLOY_CONFIG_DIR"

logger = logging.getLogger("nbdeploy")

_KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Voucher(enum.Enum):
    """Who vouches for a file."""

    SIGNATURE = "saved by this user"
    RECORD = "recorded by `nbdeploy trust`"
    DIGEST = "named by trust="
    ANYTHING = "trust=True"
    NOBODY = "nobody"


def voucher_for(digest: str, trust: Trust, *, is_signed: bool, is_recorded: bool) -> Voucher:
    """Decide who vouches for a file.

    Parameters
    ----------
    digest
        The ``sha256:...`` of the file.
    trust
        What the caller passed. One digest is a demand: only that content may be loaded, whoever
        saved it. Several digests add to what is trusted anyway.
    is_signed
        Whether this user saved the file.
    is_recorded
        Whether ``nbdeploy trust`` recorded the digest.

    Raises
    ------
    UntrustedModelError
        `trust` names another content, or no digest at all.
    """
    named = _named(trust)
    if any(hmac.compare_digest(digest, name) for name in named):
        return Voucher.DIGEST
    if isinstance(trust, str):
        message = (
            f"The file is not the one that trust= names: its digest is {digest}, and trust= says "
            f"{named[0]}. Nothing was loaded. Pass the digest of this file if you know where it "
            "comes from."
        )
        raise UntrustedModelError(message, digest=digest)
    if is_signed:
        return Voucher.SIGNATURE
    if is_recorded:
        return Voucher.RECORD
    return Voucher.ANYTHING if trust is True else Voucher.NOBODY


def _named(trust: Trust) -> list[str]:
    if trust is None or isinstance(trust, bool):
        return []
    names = [trust] if isinstance(trust, str) else list(trust)
    lowered = [name.strip().lower() if isinstance(name, str) else "" for name in names]
    for name, given in zip(lowered, names, strict=True):
        if not _DIGEST.fullmatch(name):
            message = (
                f"trust={given!r} is no digest. Expected 'sha256:' and 64 hexadecimal digits; "
                "ModelSerializer.inspect(path).digest shows the one of a file."
            )
            raise UntrustedModelError(message)
    return lowered


def config_folder() -> Path:
    """Return the folder of the user's key: ``NBDEPLOY_CONFIG_DIR``, or where the system says."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    if chosen:
        return Path(chosen)
    from platformdirs import user_config_dir  # noqa: PLC0415 -- 10 ms that few calls need

    return Path(user_config_dir("nbdeploy"))


class TrustStore:
    """The user's key, and the digests that the user recorded.

    Parameters
    ----------
    folder
        Where both are kept; `config_folder` if not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = config_folder() if folder is None else folder
        self._key_path = self.folder / "signing.key"
        self._record_path = self.folder / "trusted.txt"

    def sign(self, payload: bytes) -> str:
        """Sign what was saved; the first call makes the key.

        Raises
        ------
        OSError
            There is no key and none can be written.
        """
        return _hmac(self._key() or self._new_key(), payload)

    def is_signed(self, payload: bytes, signature: str | None) -> bool:
        """Tell whether this user signed the payload."""
        if signature is None:
            return False
        try:
            key = self._key()
        except OSError as error:
            logger.warning("The key in %s cannot be read: %s", self.folder, error)
            return False
        # As bytes: compare_digest() raises on text that is not ASCII.
        given = signature.encode(errors="replace")
        return key is not None and hmac.compare_digest(_hmac(key, payload).encode(), given)

    def record(self, digests: Iterable[str]) -> None:
        """Trust these digests from now on.

        Raises
        ------
        OSError
            The record cannot be written.
        """
        lines = "".join(f"{digest}\n" for digest in digests)
        self._make_folder()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        # One write at the end of the file: what other processes record meanwhile stays.
        with os.fdopen(os.open(self._record_path, flags, 0o600), "ab", buffering=0) as file:
            file.write(lines.encode())
            os.fsync(file.fileno())

    def recorded(self) -> frozenset[str]:
        """Return the digests that were recorded."""
        try:
            text = self._record_path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            logger.warning("The record of trusted models cannot be read: %s", error)
            return frozenset()
        return frozenset(filter(_DIGEST.fullmatch, text.split()))

    def _key(self) -> bytes | None:
        """Return the key; ``None`` when there is none yet."""
        try:
            key, mode = self._key_path.read_bytes(), self._key_path.stat().st_mode
        except FileNotFoundError:
            return None
        if len(key) != _KEY_BYTES:
            logger.warning("%s is damaged; a new key takes its place.", self._key_path)
            return None
        if mode & _OTHERS:
            logger.warning("%s could be read by others; now only by you.", self._key_path)
            self._key_path.chmod(0o600)
        return key

    def _new_key(self) -> bytes:
        """Make a key, or take the one that another process made at the same moment."""
        self._make_folder()
        draft = self.folder / f".{secrets.token_hex(8)}.key"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link, unlike a rename, never takes the place of a key that is there already.
            os.link(draft, self._key_path)
        except OSError:
            if self._key() is None:
                draft.replace(self._key_path)
        finally:
            draft.unlink(missing_ok=True)
        key = self._key()
        assert key is not None, "the key was written a line ago"
        return key

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def trust_folder(folder: str | os.PathLike[str], *, store: TrustStore | None = None) -> list[str]:
    """Trust every model file in a folder and below, as it is now.

    Parameters
    ----------
    folder
        A folder, or one model file. Links to other folders are not followed.
    store
        Where the digests are recorded; the user's own store if not given.

    Returns
    -------
    list of str
        The digests, in the order of the paths. A file that changes later has another digest.

    Raises
    ------
    ModelFileNotFoundError
        There is no such folder.
    CorruptedModelError
        A file is not what its manifest lists; then nothing is recorded.
    ModelFileError
        The record cannot be written.
    """
    found = [digest_of(ModelFile(path).read()[0]) for path in _model_files(Path(folder))]
    store = store or TrustStore()
    try:
        store.record(digest for digest in found if digest not in store.recorded())
    except OSError as error:
        message = (
            f"The digests could not be recorded in {store.folder}: {error.strerror or error}. "
            f"Set {CONFIG_VARIABLE} to a folder that you may write to."
        )
        raise ModelFileError(message) from error
    return found


def _model_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        message = f"There is no folder {folder}. Give the folder that holds the model files."
        raise ModelFileNotFoundError(message)
    files = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return sorted(path for path in files if _is_model(path))


def _is_model(path: Path) -> bool:
    if not path.is_file() or path.name.endswith(SUFFIX):
        return False
    return format_by_name(path) is not None or path.with_name(path.name + SUFFIX).is_file()


def _hmac(key: bytes, payload: bytes) -> str:
    return hmac.new(key, payload, hashlib.sha256).hexdigest()
