"""Lesson 9: the whole way."""

from __future__ import annotations

from functools import cache
from typing import Any

from nbdeploy.exceptions import ModelFileError, NbdeployError, VersionError
from nbdeploy.teach.expectations import Mismatch, describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_VERSION = "2.0"
_ALIAS = "production"
_YEAR = 2009
_LEAST_RIGHT = 0.95
_COLUMNS = ["island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


@step(
    "09.1",
    title="Bring a version that is good on every island",
    hints=(
        "Only the rows were missing: `fit` takes any of them, and `~is_now` is all before 2009.",
        (
            '`versions.save_model_version(fit(~is_now, measures), "2.0", {"accuracy": ...}, '
            "example=X[~is_now])`"
        ),
        '`service.rollout("2.0", alias="production")` moves the traffic and the alias.',
    ),
)
def every_island_is_named_right(versions: Any, service: Any) -> str:
    """Ask the service about the penguins of 2009, island by island."""
    from nbdeploy.registry.version_control import ModelVersionControl  # noqa: PLC0415 -- heavy

    expect(
        isinstance(versions, ModelVersionControl),
        expected="your `versions`, a ModelVersionControl",
        came=describe(versions),
        look='the cell with `versions = ModelVersionControl("work/09/penguins")`',
    )
    found = _version(versions, _VERSION, look="`versions.save_model_version`")
    expect_running(service)
    shares = service.service.traffic().shares
    expect(
        shares == {_VERSION: 1.0},
        expected=f"a service in which version {_VERSION!r} answers everybody",
        came=", ".join(f"{version!r} for {share:.0%}" for version, share in shares.items()),
        look=f'`service.rollout("{_VERSION}", alias="{_ALIAS}")`',
    )
    live = _version(versions, _ALIAS, look="`alias=` of `service.rollout`")
    expect(
        live.version == found.version,
        expected=f"the alias {_ALIAS!r} at version {_VERSION!r}",
        came=f"at version {live.version!r}",
        look=f'`alias="{_ALIAS}"` of `service.rollout`',
    )
    told = [f"{island} {right:.0%}" for island, right in sorted(_right_by_island(service).items())]
    return f"named right in 2009: {', '.join(told)}"


@step(
    "09.2",
    title="Hand over what answers now",
    hints=(
        "A service has the verb `bundle`, a bundle the verb `check`.",
        '`bundle = service.bundle("work/09/bundle")`',
        "`report = bundle.check(quick=True)`",
    ),
)
def bundle_holds_what_answers(bundle: Any, report: Any) -> str:
    """Compare the model in the folder with the one that the service answers with."""
    from nbdeploy.containers.bundle import Bundle  # noqa: PLC0415 -- heavy import
    from nbdeploy.containers.check_report import CheckReport  # noqa: PLC0415 -- heavy import
    from nbdeploy.deployment import deployments  # noqa: PLC0415 -- heavy import
    from nbdeploy.models.serializer import ModelSerializer  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(bundle, Bundle),
        expected="a bundle",
        came=describe(bundle),
        look="what `service.bundle(...)` returns",
    )
    live = next((one for one in deployments() if one.name == bundle.name), None)
    if live is None:
        raise Mismatch(
            expected="a bundle of the service that answers now",
            came=f"one called {bundle.name!r}, and no such service runs",
            look="`service.bundle(...)`: it takes the name along",
        )
    rows = _penguins_of_2009()[_COLUMNS]
    packed = ModelSerializer.load_model(str(bundle.folder / bundle.model_file))
    expect(
        list(packed.predict(rows)) == list(live.predict(rows)),
        expected="a bundle of the model that answers now",
        came="one of another model",
        look="the order: first 09.1, then `service.bundle(...)`",
    )
    expect(
        isinstance(report, CheckReport) and report.name == bundle.name,
        expected="the report of this bundle",
        came=describe(report),
        look="what `bundle.check(quick=True)` returns",
    )
    expect(report.ok, expected="a rehearsal without a problem", came=str(report))
    return f"the folder {bundle.folder.as_posix()!r} holds what answers now, and it was rehearsed"


def _version(versions: Any, name: str, *, look: str) -> Any:
    try:
        return versions[name]
    except (VersionError, ModelFileError) as error:
        raise Mismatch(expected=f"a version {name!r}", came=str(error), look=look) from None


def _right_by_island(service: Any) -> dict[str, float]:
    late = _penguins_of_2009()
    try:
        named = service.predict(late[_COLUMNS])
    except NbdeployError as error:
        raise Mismatch(
            expected="a service that names penguins by island and measures",
            came=str(error),
            look="the columns of `X`: they stay the same in every version",
        ) from None
    right: dict[str, float] = (named == late["species"]).groupby(late["island"]).mean().to_dict()
    worst = min(right, key=lambda island: right[island])
    expect(
        right[worst] >= _LEAST_RIGHT,
        expected=f"at least {_LEAST_RIGHT:.0%} of the penguins of 2009 right on every island",
        came=f"{right[worst]:.0%} on {worst}",
        look="the rows that version 2.0 learned from: are all islands among them?",
    )
    return right


@cache
def _penguins_of_2009() -> Any:
    from palmerpenguins import load_penguins  # noqa: PLC0415 -- only the lessons need it

    penguins = load_penguins()
    return penguins[penguins["year"] == _YEAR]
