"""Measure how often an A/B test of two equal versions finds a winner, looked at after every batch.

The always-valid test of `compare()` may be looked at as often as one likes; the usual fixed-sample
test may not, and this is what happens when it is. Both see the same simulated answers.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nbdeploy.monitoring.experiment import compare_scores
from nbdeploy.monitoring.scores import Scores

__all__ = ["Setting", "false_alarms", "main"]

ALPHA = 0.05


@dataclass(frozen=True)
class Setting:
    """One kind of A/A test.

    Parameters
    ----------
    name
        What stands in the table.
    accuracy
        Of both versions; ``None`` for errors that are skewed numbers (exponential).
    share
        Of the traffic that the second version gets.
    """

    name: str
    accuracy: float | None
    share: float


SETTINGS = (
    Setting("accuracy 90 %, half each", 0.9, 0.5),
    Setting("accuracy 90 %, 90 to 10", 0.9, 0.1),
    Setting("accuracy 60 %, half each", 0.6, 0.5),
    Setting("accuracy 99 %, 90 to 10", 0.99, 0.1),
    Setting("absolute error, half each", None, 0.5),
    Setting("absolute error, 90 to 10", None, 0.1),
)


def false_alarms(
    setting: Setting, *, tests: int, looks: int, batch: int, seed: int
) -> tuple[float, float]:
    """Give the share of A/A tests in which the sequential and the naive test ever say "different".

    Parameters
    ----------
    setting
        What is simulated.
    tests
        How many experiments.
    looks
        How often each is looked at.
    batch
        Rows between two looks.
    seed
        Of the random numbers.
    """
    random = np.random.default_rng(seed)
    alarms = np.array([_alarms_of_one(setting, random, looks, batch) for _ in range(tests)])
    sequential, naive = alarms.mean(axis=0)
    return float(sequential), float(naive)


def _alarms_of_one(
    setting: Setting, random: np.random.Generator, looks: int, batch: int
) -> tuple[bool, bool]:
    rows = looks * batch
    is_second = random.random(rows) < setting.share
    if setting.accuracy is None:
        scores = random.exponential(size=rows)
    else:
        scores = (random.random(rows) < setting.accuracy).astype(float)
    arms = [_running(scores, is_second == second) for second in (False, True)]
    sequential = naive = False
    for look in range(batch - 1, rows, batch):
        old, new = (_scores_at(arm, look) for arm in arms)
        found = compare_scores(new, old, is_share=setting.accuracy is not None, alpha=ALPHA)
        if found is not None:
            sequential |= found.always is not None and found.always.excludes_zero
            naive |= found.fixed_p < ALPHA
    return sequential, naive


def _running(
    scores: npt.NDArray[np.float64], is_of_arm: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    of_arm = np.where(is_of_arm, scores, 0.0)
    return np.stack([is_of_arm.cumsum(), of_arm.cumsum(), (of_arm**2).cumsum()])


def _scores_at(arm: npt.NDArray[np.float64], look: int) -> Scores:
    count, total, squares = arm[:, look]
    mean = total / count if count else 0.0
    variance = max(0.0, squares - count * mean**2) / (count - 1) if count > 1 else 0.0
    return Scores(int(count), float(mean), float(variance))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--looks", type=int, default=100)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    size = {"looks": options.looks, "batch": options.batch}
    print(
        f"{options.tests:,} A/A tests each, looked at {options.looks} times, every "
        f"{options.batch} rows; alpha {ALPHA}\n"
    )
    print("| two equal versions | sequential, ever wrong | naive, ever wrong |\n|---|---|---|")
    for setting in SETTINGS:
        rates = false_alarms(setting, tests=options.tests, seed=options.seed, **size)
        print(f"| {setting.name} | {rates[0]:.1%} | {rates[1]:.1%} |", flush=True)


if __name__ == "__main__":
    main()
