"""Whose certificate is accepted."""

from __future__ import annotations

import ssl
from pathlib import Path

__all__ = ["trust_of"]


def trust_of(certificate: str | Path | None) -> ssl.SSLContext:
    """Trust the usual authorities, or exactly one certificate, under whatever name it was made for.

    Parameters
    ----------
    certificate
        A PEM file; ``None`` for the authorities that this machine trusts.
    """
    if certificate is None:
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=Path(certificate).expanduser())
    # Not only an authority that signed, but the certificate itself is what is trusted here, ...
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # ... so its name says nothing more: it may be that of the machine, or of a proxy in front.
    context.check_hostname = False
    return context
