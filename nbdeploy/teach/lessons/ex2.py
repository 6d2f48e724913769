"""Exercise 2: versions, rollback and an A/B test."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from nbdeploy.exceptions import NbdeployError
from nbdeploy.teach.expectations import Mismatch, describe, expect, expect_running
from nbdeploy.teach.penguin_stations import KEY, accuracy_of, ask_as
from nbdeploy.teach.steps import step

__all__: list[str] = []

_OLD, _NEW, _NEWEST = "1.0", "1.1", "1.2"
_ALIAS = "production"
_BASELINE, _EFFECT, _POWER = 0.75, 0.15, 0.90
_NEAR = 0.12


@step(
    "ex2.1",
    title="Keep two versions, each with its accuracy",
    hints=(
        "Lesson 2 does the same: one call for each version, and one for the alias.",
        "`model.score(X_test, y_test)` is the accuracy; metrics are a dict: `{'accuracy': ...}`.",
        (
            "`versions.save_model_version(old, '1.0', {'accuracy': ...}, example=X_train)`, the "
            "same for `new`, then `versions.set_alias('production', '1.0')`."
        ),
    ),
)
def versions_are_kept(versions: Any) -> str:
    """Load both versions and compare their accuracy with what the student wrote down."""
    _expect_versions(versions)
    for name in (_OLD, _NEW):
        expect(
            name in versions,
            expected=f"a version {name!r}",
            came=f"the versions {', '.join(each.version for each in versions) or 'none'}",
            look="`versions.save_model_version(model, version, ...)`",
        )
        _expect_its_accuracy(versions[name])
    old, new = (accuracy_of(versions[name].load()) for name in (_OLD, _NEW))
    expect(
        new > old,
        expected=f"the better model as version {_NEW!r}",
        came=f"{_OLD!r} names {old:.0%} right, and {_NEW!r} {new:.0%}",
        look="which model you saved under which name",
    )
    expect(
        _ALIAS in versions.aliases,
        expected=f"the alias {_ALIAS!r}",
        came=f"the aliases {', '.join(versions.aliases) or 'none'}",
        look=f"`versions.set_alias('{_ALIAS}', ...)`",
    )
    return "both versions can be loaded, and each has the accuracy that it really has"


@step(
    "ex2.2",
    title="Move an alias forward, and back along its history",
    hints=(
        "First `set_alias`, as in step 1, to the other version. Then not `set_alias`.",
        "`help(versions.rollback)` tells how an alias finds its way back.",
        (
            "`versions.set_alias('production', '1.1', why='...')`, then "
            "`versions.rollback('production', why='...')`."
        ),
    ),
)
def alias_found_its_way_back(versions: Any) -> str:
    """Look at where the alias points and how it came there."""
    _expect_versions(versions)
    changes = list(versions.history(_ALIAS))
    targets = [change.after for change in changes]
    expect(
        _NEW in targets,
        expected=f"{_ALIAS!r} to have pointed to {_NEW!r} for a while",
        came=f"its history: {', '.join(map(str, targets)) or 'empty'}",
        look=f"`versions.history('{_ALIAS}')`",
    )
    expect(
        versions.aliases.get(_ALIAS) == _OLD,
        expected=f"{_ALIAS!r} back at {_OLD!r}",
        came=f"it points to {describe(versions.aliases.get(_ALIAS))}",
        look="`versions.rollback(...)`",
    )
    back = [change for change in changes if change.action == "rollback"]
    expect(
        back and back[-1] is changes[-1],
        expected="a rollback as the last move",
        came=f"{changes[-1].action!r}: the history does not tell that you went back",
        look=f"`versions.rollback('{_ALIAS}', why='...')`",
    )
    expect(
        changes[-1].why,
        expected="the reason in the history",
        came="a rollback without one",
        look="`why=` of your rollback",
    )
    return f"{_ALIAS!r} went to {_NEW!r} and back to {_OLD!r}, and everybody can read why"


@step(
    "ex2.3",
    title="Roll a version out, and back, on a live service",
    hints=(
        "`versions['production']` is a version, and `deploy` takes it as it takes a model.",
        "`service.rollout('1.1')` and, after a prediction, one call without arguments.",
        (
            "`service = deploy(versions['production'], name='penguins')`, "
            "`service.rollout('1.1')`, `service.predict(X_test.head(1))`, `service.rollback()`."
        ),
    ),
)
def service_went_there_and_back(service: Any) -> str:
    """Ask the service which version answers, and its monitor which ones did."""
    expect_running(service)
    expect(
        service.name == "penguins",
        expected="a service with the name 'penguins'",
        came=f"one with the name {service.name!r}",
        look="`name=` in your call of `deploy`",
    )
    _expect_live(service, _OLD, look="`service.rollback()` as your last line")
    answered = service.stats()["by_version"].get(_NEW)
    expect(
        answered is not None,
        expected=f"an answer of version {_NEW!r} in between",
        came=f"answers of {' and '.join(service.stats()['by_version'])} only",
        look="`service.predict(...)` between the rollout and the rollback",
    )
    return f"{_NEW!r} was live and answered, now {_OLD!r} does again, and no request was lost"


@step(
    "ex2.4",
    title="Choose a version by key: the same for ever",
    hints=(
        (
            "Turn the key into a number from 0 to 1 that looks random and is always the same. Then "
            "lay the weights side by side on the line from 0 to 1."
        ),
        (
            "`int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], 'big') / 2**64` is such a "
            "number."
        ),
        (
            "Go through `weights.items()`: if `place < weight`, return the version; otherwise "
            "`place -= weight`."
        ),
    ),
)
def choice_is_sticky(choose: Any) -> str:
    """Ask for many keys: their shares, twice, in another guise, and with other weights."""
    expect(
        callable(choose),
        expected="a function",
        came=describe(choose),
        look="`def choose(key, weights):`",
    )
    weights = {_OLD: 0.9, _NEW: 0.1}
    keys = [f"station {number}" for number in range(5000)]
    chosen = _choices(choose, keys, weights)
    expect(
        _choices(choose, keys, weights) == chosen,
        expected="the same version for the same key",
        came="another one when it was asked again",
        look="what in your function is left to chance",
    )
    disguised = _choices(choose, [_Disguised(key) for key in keys[:200]], weights)
    expect(
        disguised == chosen[:200],
        expected="the same version in every process",
        came="a choice that changes when Python's `hash()` of the key does",
        look="`hash(...)`: use `hashlib.sha256` instead",
    )
    share = Counter(chosen)[_NEW] / len(keys)
    expect(
        abs(share - weights[_NEW]) < 0.02,  # noqa: PLR2004 -- beyond 4 standard deviations
        expected=f"about 10 % of the keys with {_NEW!r}",
        came=f"{share:.1%}",
        look="how a place from 0 to 1 is compared with the weights",
    )
    later = _choices(choose, keys, {_OLD: 0.5, _NEW: 0.5})
    moved = sum(now != _NEW for before, now in zip(chosen, later, strict=True) if before == _NEW)
    expect(
        moved == 0,
        expected=f"that who had {_NEW!r} keeps it when its weight grows to 0.5",
        came=f"{moved} of {Counter(chosen)[_NEW]} keys went back to {_OLD!r}",
        look=f"the order on the line: the share of {_NEW!r} grows from its end, the right one",
    )
    return f"{share:.1%} of 5,000 keys have {_NEW!r}, and each key keeps its version"


@step(
    "ex2.5",
    title="Find out how many penguins the test needs",
    hints=(
        "`sample_size(baseline, effect, power)`: shares, so 75 % is 0.75.",
        "The effect is a difference: 15 points are 0.15. Do not forget the power.",
    ),
)
def size_is_known(needed: Any) -> str:
    """Compute the number too; know the usual wrong ones."""
    from nbdeploy.monitoring.experiment import sample_size  # noqa: PLC0415 -- heavy import

    right = sample_size(_BASELINE, _EFFECT, _POWER)
    causes = {
        sample_size(_BASELINE, _EFFECT): "that is for a power of 80 %: pass `power=0.90`",
        2 * right: "that is for both versions together",
    }
    expect(
        isinstance(needed, int) and not isinstance(needed, bool),
        expected="a whole number of penguins",
        came=describe(needed),
        look="`needed = sample_size(...)`",
    )
    expect(
        needed == right,
        expected="the penguins that each version needs",
        came=f"{needed}{': ' if needed in causes else ''}{causes.get(needed, '')}",
        look="the three numbers in your call of `sample_size`",
    )
    return f"{needed} penguins for each version show 15 points, nine times out of ten"


@step(
    "ex2.6",
    title="Run an A/B test until the winner is known",
    hints=(
        "`service.split({...}, key=...)` takes the weights by version, and the name of a header.",
        "Count the truths in `service.compare()`; with too few, let the stations ask once more.",
        (
            "`service.split({'1.0': 0.5, '1.1': 0.5}, key='X-Station')`, then "
            "`stations_ask(service, 400)`; the verdict names the winner."
        ),
    ),
)
def winner_is_known(service: Any, winner: Any) -> str:
    """Ask as a station, and read the comparison that the student read."""
    from nbdeploy.monitoring.experiment import sample_size  # noqa: PLC0415 -- heavy import

    expect_running(service)
    comparison = _comparison(service)
    names = [each.version for each in comparison.versions]
    expect(
        sorted(names) == [_OLD, _NEW],
        expected=f"a split between {_OLD!r} and {_NEW!r}",
        came=f"a comparison of {' and '.join(names)}",
        look="`service.split({...}, key=...)`",
    )
    _expect_sticky(service)
    needed = sample_size(_BASELINE, _EFFECT, _POWER)
    least = min(comparison.versions, key=lambda each: each.truths)
    expect(
        least.truths >= needed,
        expected=f"the truth about {needed} penguins of each version",
        came=f"{least.truths} of version {least.version!r}",
        look="how many penguins came by in `stations_ask`",
    )
    best = max(comparison.versions, key=lambda each: each.metric or 0.0)
    expect(
        winner == best.version,
        expected="the version that the verdict calls better",
        came=describe(winner),
        look="`service.compare().verdict`",
    )
    return str(comparison.verdict).removesuffix(".")


@step(
    "ex2.7",
    title="Roll out step by step, under a guard that acts",
    hints=(
        "`Guard(...)` holds the limits, and `service.rollout(...)` takes it as `guard=`.",
        "`Guard(max_error_rate=0.05, min_requests=20)` and `steps=[0.2, 0.5, 1]`.",
        (
            "`rollout = service.rollout('1.2', steps=[0.2, 0.5, 1], guard=guard)`, then "
            "`stations_ask(service, 150, year=2010)`."
        ),
    ),
)
def guard_sent_it_back(service: Any, rollout: Any) -> str:
    """Look at how the rollout ended, and who answers now."""
    from nbdeploy.serving.rollout import Rollout  # noqa: PLC0415 -- heavy import

    expect_running(service)
    expect(
        isinstance(rollout, Rollout),
        expected="what `service.rollout(...)` returns",
        came=describe(rollout),
        look="`rollout = service.rollout(...)`",
    )
    expect(
        rollout.version == _NEWEST and len(rollout.steps) > 1,
        expected=f"a rollout of {_NEWEST!r} in steps",
        came=f"one of {rollout.version!r} in {len(rollout.steps)} "
        f"step{'s' * (len(rollout.steps) != 1)}",
        look="`steps=[0.2, 0.5, 1]`",
    )
    causes = {
        "running": "let the stations ask: `stations_ask(service, 150, year=2010)`",
        "live": "the year of the penguins: the stations ask in 2010",
        "aborted": "what you called after `rollout`: the guard shall end it, not you",
    }
    expect(
        rollout.state == "rolled back",
        expected=f"{_NEWEST!r} sent back by the guard",
        came=f"a rollout that is {rollout.state}",
        look=causes.get(rollout.state, ""),
    )
    expect(
        "failed" in rollout.reason,
        expected="failed requests as the reason",
        came=rollout.reason,
        look="the limits in your `Guard`",
    )
    _expect_live(service, _NEW, look="the cell above that makes the winner live")
    return f"the guard sent {_NEWEST!r} back because {rollout.reason}, and {_NEW!r} answers"


class _Disguised(str):
    """A text with another hash: what every text has in the next process."""

    __slots__ = ()

    def __hash__(self) -> int:
        return random.getrandbits(60)

    __eq__ = str.__eq__


def _choices(choose: Callable[..., Any], keys: list[str], weights: dict[str, float]) -> list[Any]:
    chosen = [choose(key, dict(weights)) for key in keys]
    strangers = [version for version in chosen if version not in weights]
    expect(
        not strangers,
        expected=f"{_OLD!r} or {_NEW!r} for every key",
        came=describe(strangers[0]) if strangers else "",
        look="what your function returns when no place was found",
    )
    return chosen


def _expect_versions(versions: Any) -> None:
    from nbdeploy.registry.version_control import ModelVersionControl  # noqa: PLC0415 -- heavy

    expect(
        isinstance(versions, ModelVersionControl),
        expected="your versions",
        came=describe(versions),
        look="`versions = ModelVersionControl('work/ex2/penguins')`",
    )


def _expect_its_accuracy(version: Any) -> None:
    told = version.metrics.get("accuracy")
    expect(
        isinstance(told, (int, float)),
        expected=f"the metric 'accuracy' of version {version.version!r}",
        came=f"the metrics {', '.join(version.metrics) or 'none'}",
        look="the third argument of `save_model_version`",
    )
    true = accuracy_of(version.load())
    expect(
        abs(told - true) < _NEAR,
        expected=f"the accuracy that version {version.version!r} really has, about {true:.0%}",
        came=f"{told}",
        look="`model.score(X_test, y_test)` of the same model, as a share from 0 to 1",
    )


def _expect_live(service: Any, version: str, *, look: str) -> None:
    (answering,) = ask_as(service, ["station 1"])
    expect(
        answering == version,
        expected=f"version {version!r} live",
        came=f"an answer of {answering!r}",
        look=look,
    )


def _expect_sticky(service: Any) -> None:
    stations = [f"station {number}" for number in range(10)]
    rounds = [ask_as(service, stations) for _ in range(6)]
    both = [
        station
        for station, *versions in zip(stations, *rounds, strict=True)
        if len(set(versions)) > 1
    ]
    expect(
        not both,
        expected="one version for each station",
        came=f"two for {both[0]}" if both else "",
        look=f"`key=` of your split: the header is called {KEY!r}",
    )
    expect(
        len(set(rounds[0])) > 1,
        expected="two versions that answer at the same time",
        came=f"only {rounds[0][0]!r} answers",
        look="`service.split({...}, key=...)`: check before you change the traffic again",
    )


def _comparison(service: Any) -> Any:
    try:
        return service.compare()
    except NbdeployError as error:
        raise Mismatch(
            expected="a service whose traffic is split", came=str(error), look="`service.split`"
        ) from None
