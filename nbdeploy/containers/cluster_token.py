"""The token of a service in a cluster: made once, kept where only its owner reads it."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from nbdeploy.models.trust import config_folder

__all__ = ["forget_token", "kept_token", "kept_token_path"]

_LEAST = 16


def kept_token_path(namespace: str, name: str) -> Path:
    """Tell where the token is kept. Both are names of Kubernetes, checked before."""
    apart = hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:8]
    return config_folder() / "tokens" / f"cluster-{name[:40].strip('-')}-{apart}"


def kept_token(namespace: str, name: str) -> str:
    """Return the token of a service, the same in every run of the cell and after a restart.

    ``NBDEPLOY_TOKEN``, where it is set; otherwise the one that is kept, which the first call makes.
    """
    told = os.environ.get("NBDEPLOY_TOKEN")
    if told:
        return told
    path = kept_token_path(namespace, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        # Whoever comes second, in another kernel too, takes what the first one made.
        if len(_read(path)) < _LEAST:
            draft.replace(path) if path.exists() else os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return _read(path)


def forget_token(namespace: str, name: str) -> None:
    """Remove the token of a service that is no longer there."""
    kept_token_path(namespace, name).unlink(missing_ok=True)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
