from __future__ import annotations

import pytest

from nbdeploy.monitoring.comparison import compare_contest
from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.scores import ABSOLUTE_ERROR, ACCURACY
from nbdeploy.monitoring.shadow import ShadowLog
from tests.hostile import HOSTILE, assert_harmless, assert_visible

GOLDEN = """\
1.1 is better than 1.0: its accuracy is higher by 9.0 points \
(95 % sure, whenever you look: 3.2 to 14.8 points).

version  share  requests  errors      p50      p95      p99  truths  accuracy           between
1.0       90 %     1,000       1  10.0 ms  10.0 ms  10.0 ms   1,000    80.0 %  77.4 % to 82.4 %
1.1       10 %       500       1  20.0 ms  20.0 ms  20.0 ms     500    89.0 %  86.0 % to 91.5 %

                difference    if you look once   whenever you look
1.1 minus 1.0  +9.0 points  +5.1 to +12.6 points  +3.2 to +14.8 points"""


def contest(*, versions=("1.0", "1.1"), metric=ACCURACY, **arms):
    """Make a contest; an arm is (requests, errors, right, seconds)."""
    made = Contest(dict(zip(versions, (0.9, 0.1, 0.0), strict=False)), metric)
    for version, (requests, errors, right, seconds) in zip(versions, arms.values(), strict=True):
        for number in range(requests):
            made.ended(version, seconds, "failed" if number < errors else "answered")
            if right is not None:
                made.judge(version, ["a"], ["a" if number < right else "b"])
    return made


def verdict(made):
    return compare_contest(made).verdict


@pytest.fixture(scope="module")
def decided():
    return compare_contest(contest(old=(1000, 1, 800, 0.010), new=(500, 1, 445, 0.020)))


def test_the_text_is_the_golden_one(decided):
    lines = [" ".join(line.split()) for line in decided.to_text().splitlines()]

    assert lines == [" ".join(line.split()) for line in GOLDEN.splitlines()]
    assert str(decided) == decided.to_text()
    assert repr(decided) == "<Comparison of 1.0 and 1.1>"


def test_a_notebook_gets_the_same_facts_in_both_forms(decided):
    bundle = decided._repr_mimebundle_()
    parsed = assert_harmless(bundle["text/html"])

    for line in bundle["text/plain"].splitlines():
        for fact in line.split("  "):
            assert fact.strip() in parsed.text


def test_the_facts_are_there_as_values(decided):
    one, other = decided.versions
    (contrast,) = decided.contrasts

    assert (one.version, one.share, one.requests, one.truths) == ("1.0", 0.9, 1000, 1000)
    assert other.metric == pytest.approx(0.89)
    assert other.interval.low < 0.89 < other.interval.high
    assert other.p95_latency == pytest.approx(0.020)
    assert contrast.difference.estimate == pytest.approx(0.09)
    assert contrast.difference.always.excludes_zero


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ((500, 0, 300, 0.01), (500, 0, 450, 0.01), "1.1 is better than 1.0"),
        ((500, 0, 450, 0.01), (500, 0, 300, 0.01), "1.0 is better than 1.1"),
        ((500, 0, 440, 0.01), (500, 0, 450, 0.01), "Not decided: the accuracy of 1.1 may be"),
        ((500, 0, 450, 0.01), (10, 0, 0, 0.01), "Not decided: too few rows"),
        ((500, 0, 450, 0.01), (500, 0, None, 0.01), "the truth is not known"),
        ((500, 0, 300, 0.01), (500, 100, 450, 0.01), "1.1 fails more requests than 1.0"),
        ((500, 100, 300, 0.01), (500, 0, 450, 0.01), "1.0 fails more requests than 1.1"),
        ((0, 0, None, 0.01), (0, 0, None, 0.01), "the truth is not known"),
    ],
)
def test_the_verdict_says_who_is_better_and_how_surely(old, new, says):
    assert says in verdict(contest(old=old, new=new))


def test_less_of_an_error_is_better():
    made = Contest({"1.0": 0.5, "1.1": 0.5}, ABSOLUTE_ERROR)
    for number in range(200):
        made.judge("1.0", [float(number)], [number + 2.0 + number % 3])
        made.judge("1.1", [float(number)], [number + 1.0 + number % 3])

    found = compare_contest(made)

    assert "1.1 is better than 1.0: its absolute error is lower by 1 (95 % sure" in found.verdict
    assert "points" not in found.to_text()


def test_three_versions_are_compared_with_the_first_and_need_more_proof():
    arms = {"a": (500, 0, 400, 0.01), "b": (500, 0, 450, 0.01), "c": (500, 0, 380, 0.01)}
    three = compare_contest(contest(versions=("a", "b", "c"), **arms))
    del arms["c"]
    two = compare_contest(contest(versions=("a", "b"), **arms))

    assert [(each.version, each.against) for each in three.contrasts] == [("b", "a"), ("c", "a")]
    wider, narrower = (each.contrasts[0].difference.always for each in (three, two))
    assert wider.low < narrower.low
    assert wider.high > narrower.high


def test_one_version_alone_has_its_numbers_and_nobody_beside():
    made = Contest({"1.0": 1.0}, ACCURACY)
    made.judge("1.0", ["a"], ["a"])

    found = compare_contest(made)

    assert found.verdict == "Only 1.0 answers: there is no version to compare it with."
    assert found.versions[0].metric == 1.0


def test_a_shadow_shows_where_it_differs():
    made = Contest({"1.0": 1.0}, ACCURACY)
    made.shadow = ShadowLog("1.1")
    assert "has answered no request yet" in verdict(made)
    made.shadow.compare(["a", "a", "a", "b"], ["a", "b", "a", "b"], prediction_id="some-id")
    made.shadow.time(0.005)
    made.shadow.fail(ValueError("no such column"))

    text = compare_contest(made).to_text()

    assert "The shadow 1.1 agrees with 1.0 on 75 % of 4 rows." in text
    assert "ValueError: no such column" in text
    assert text.splitlines()[-1].split() == ["a", "b", "1"]
    assert "5.00 ms" in text


def test_a_shadow_of_numbers_names_the_answers_that_changed():
    made = Contest({"1.0": 1.0}, ABSOLUTE_ERROR)
    made.shadow = ShadowLog("1.1")
    made.shadow.compare([1.0, 2.0], [1.0, 2.5], prediction_id="some-id")

    text = compare_contest(made).to_text()

    assert text.splitlines()[-1].split() == ["2.0", "2.5", "1", "some-id"]
    assert "0.25" in text


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        compare_contest(Contest({"1.0": 1.0}, ACCURACY), confidence=confidence)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_nothing_hostile_becomes_a_tag(hostile):
    made = Contest({hostile: 0.5, "other": 0.5}, ACCURACY)
    made.shadow = ShadowLog(hostile)
    made.shadow.compare([hostile], ["a"], prediction_id=hostile)
    made.shadow.fail(ValueError(hostile))
    for version in made.weights:
        for number in range(100):
            made.judge(version, ["a"], ["ab"[number % 2]])

    found = compare_contest(made)

    assert_harmless(found.to_html())
    assert_visible(found.to_text())
