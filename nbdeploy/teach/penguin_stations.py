"""Stations that send penguins to a service, each with its name in a header."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from nbdeploy.teach.expectations import expect

__all__ = ["KEY", "accuracy_of", "ask_as"]

KEY = "X-Station"


@cache
def _penguins() -> Any:
    from palmerpenguins import load_penguins  # noqa: PLC0415 -- of the notebooks only

    return load_penguins()


def accuracy_of(model: Any) -> float:
    """Give the share of all penguins whose species a model knows."""
    penguins = _penguins()
    return float(model.score(penguins.drop(columns="species"), penguins["species"]))


def ask_as(service: Any, stations: Iterable[str]) -> list[str]:
    """Ask once as each station, and give the versions that answered."""
    import httpx2  # noqa: PLC0415 -- heavy import

    row = _penguins().drop(columns="species").head(1)
    body = f'{{"features": {row.to_json(orient="records")}}}'
    headers = {"Content-Type": "application/json", "X-API-Key": service.service.access.token or ""}
    # The service is on this machine: no certificate to load, and no proxy to ask.
    with httpx2.Client(headers=headers, verify=False, trust_env=False) as client:
        url = f"{service.url}/predict"
        answers = [client.post(url, content=body, headers={KEY: each}) for each in stations]
    for answer in answers:
        expect(
            answer.is_success,
            expected="an answer about a penguin",
            came=f"status {answer.status_code}: {answer.text[:200]}",
            look="the model behind the service",
        )
    return [str(answer.headers["X-Model-Version"]) for answer in answers]
