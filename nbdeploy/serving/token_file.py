"""The token of a service in a file that only its owner can read: no command line shows it."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from pathlib import Path

from nbdeploy.models.trust import config_folder

__all__ = ["remove_token", "token_path", "write_token"]


def token_path(name: str) -> Path:
    """Tell where the token of a service is kept.

    Parameters
    ----------
    name
        The name of the service.
    """
    # Names may hold any letter of any script; the digest keeps two of them apart. So it does with
    # processes of one number on two machines, or in two containers, that share a home folder.
    readable = re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")[:40] or "service"
    digest = hashlib.sha256(f"{socket.gethostname()}:{os.getpid()}:{name}".encode()).hexdigest()[:8]
    return config_folder() / "tokens" / f"{readable}-{digest}"


def write_token(name: str, token: str) -> Path:
    """Write a token, mode 0600 in a folder of mode 0700, and tell where."""
    path = token_path(name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # It may have been there, with another mode.
    path.parent.chmod(0o700)
    remove_token(name)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return path


def remove_token(name: str) -> None:
    """Remove a token that no service uses any more."""
    token_path(name).unlink(missing_ok=True)
