"""The quickstart: train, deploy, ask, break, stop."""

from __future__ import annotations

from typing import Any

from nbdeploy.exceptions import SignatureError
from nbdeploy.teach.expectations import Mismatch, describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_WANTED = "Gentoo"


@step(
    "quickstart.1",
    title="Make up a penguin that the service calls a Gentoo",
    hints=(
        'Which penguins are Gentoos? Try `penguins.groupby("species").mean(numeric_only=True)`.',
        "Gentoos are heavy, about 5000 g, with long flippers, about 217 mm, and live on Biscoe.",
        "Take `220` for `flipper_length_mm`, `5200` for `body_mass_g`, `14` for `bill_depth_mm`.",
    ),
)
def penguin_is_a_gentoo(service: Any, penguin: Any) -> str:
    """Ask the service for the species of the student's penguin."""
    expect_running(service)
    expect(
        isinstance(penguin, dict),
        expected="one penguin as a dict of names and values",
        came=describe(penguin),
        look='`penguin`: it begins with `{"island": ...`',
    )
    try:
        species = service.predict(penguin)
    except SignatureError as error:
        raise Mismatch(
            expected="a penguin that the service can read",
            came=f"its refusal: {error}",
            look="the names and the values in `penguin`",
        ) from None
    expect(
        species == _WANTED,
        expected=f"the answer {_WANTED!r}",
        came=f"the answer {species!r}",
        look="the island, the flippers and the weight of your penguin",
    )
    return f"the service calls your penguin a {species}"
