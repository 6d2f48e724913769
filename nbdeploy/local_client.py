"""The client of a service of this very process, which knows more than HTTP tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx

from nbdeploy.client import Client
from nbdeploy.exceptions import NbdeployError
from nbdeploy.serving.lane import ERROR_ID_HEADER

__all__ = ["LocalClient"]


class LocalClient(Client):
    """The client of a service that this process started: it tells why the model raised.

    Parameters
    ----------
    url
        Where the service is.
    token
        The service's token; ``None`` when it asks for none.
    cause_of
        Gives what the model raised, by the id of the error.
    certificate
        The file with the service's certificate, when it speaks https.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        cause_of: Callable[[str], BaseException | None],
        certificate: Path | None = None,
    ) -> None:
        super().__init__(url, token=token or "", certificate=certificate)
        self._cause_of = cause_of

    def _error(self, response: httpx.Response, document: Any) -> NbdeployError:
        error = super()._error(response, document)
        error_id = response.headers.get(ERROR_ID_HEADER)
        if error_id is not None:
            error.__cause__ = self._cause_of(error_id)
        if error.__cause__ is not None:
            # Over HTTP nobody hears what the model said. Here it stands under the last line of a
            # long traceback, where everybody looks first.
            error.add_note(f"{type(error.__cause__).__name__}: {error.__cause__}")
        return error
