import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score, root_mean_squared_error

from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.feedback import FeedbackLog, Probabilities
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.monitoring.quality import (
    QUALITY_ROWS,
    QualityLog,
    area_under_curve,
    calibration_error,
    f1_of,
)
from nbdeploy.monitoring.scores import ABSOLUTE_ERROR, ACCURACY

CLASSES = ["Adelie", "Chinstrap", "Gentoo"]
labels = st.sampled_from(CLASSES)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=50))
def test_f1_is_the_macro_mean_of_scikit_learn(pairs):
    predictions, truth = zip(*pairs, strict=True)

    assert f1_of(predictions, truth) == pytest.approx(f1_score(truth, predictions, average="macro"))


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=50))
def test_the_area_of_two_classes_is_that_of_scikit_learn(rows):
    chances = np.array([[1 - tenths / 10, tenths / 10] for tenths, _ in rows])
    truth = [is_true for _, is_true in rows]
    area = area_under_curve(chances, truth, [False, True])

    if len(set(truth)) < 2:
        assert area is None
    else:
        assert area == pytest.approx(roc_auc_score(truth, chances[:, 1]))


def test_the_area_of_three_classes_is_the_mean_of_each_against_all():
    generator = np.random.default_rng(8)
    chances = generator.dirichlet([1, 1, 1], size=200)
    truth = generator.choice(CLASSES, 200)

    assert area_under_curve(chances, list(truth), CLASSES) == pytest.approx(
        roc_auc_score(truth, chances, multi_class="ovr", labels=CLASSES)
    )


@pytest.mark.parametrize(("sure", "right", "error"), [(0.8, 0.8, 0.0), (1.0, 0.5, 0.5)])
def test_the_calibration_error_is_how_far_promises_are_from_what_is_kept(sure, right, error):
    is_right = [True] * int(100 * right) + [False] * (100 - int(100 * right))

    assert calibration_error(np.full(100, sure), is_right) == pytest.approx(error)


def test_numbers_are_judged_by_the_root_of_their_mean_square_error():
    generator = np.random.default_rng(4)
    predicted, truth = generator.normal(size=(2, 90)).tolist()
    log = QualityLog()
    log.add("1.0", predicted, truth, are_amounts=True)

    assert log.report() == {
        "1.0": {
            "truths": 90,
            "rows": 90,
            "rmse": pytest.approx(root_mean_squared_error(truth, predicted)),
        }
    }


def test_without_probabilities_nobody_knows_area_and_calibration():
    log = QualityLog()
    log.add("1.0", ["a", "b", "b"], ["a", "b", None])

    assert log.report() == {
        "1.0": {
            "truths": 2,
            "rows": 2,
            "right": 2,
            "accuracy": 1.0,
            "f1": 1.0,
            "auc": None,
            "calibration_error": None,
        }
    }


def test_every_version_is_judged_by_its_latest_rows():
    log = QualityLog()
    log.add("1.0", ["a"] * QUALITY_ROWS, ["b"] * QUALITY_ROWS)
    log.add("1.0", ["a"] * QUALITY_ROWS, ["a"] * QUALITY_ROWS)
    log.add("1.1", ["a"], ["b"])
    report = log.report()

    assert report["1.0"]["accuracy"] == 1.0
    assert report["1.0"]["truths"] == 2 * report["1.0"]["rows"] == 2 * QUALITY_ROWS
    assert report["1.1"]["accuracy"] == 0.0


def test_versions_beyond_the_limit_give_way():
    log = QualityLog()
    for number in range(100):
        log.add(str(number), ["a"], ["a"])

    assert list(log.report()) == [str(number) for number in range(68, 100)]


def test_labels_of_several_outputs_are_lists_and_count_as_a_whole():
    log = QualityLog()
    log.add("1.0", [["a", 1], ["b", 0]], [["a", 1], ["b", 1]])

    assert log.report()["1.0"]["accuracy"] == 0.5


def test_nothing_is_told_before_the_first_truth_and_after_a_reset():
    log = QualityLog()
    log.add("1.0", ["a"], [None])
    assert log.report() is None

    log.add("1.0", ["a"], ["a"])
    log.reset()
    assert log.report() is None


def test_the_feedback_tells_what_was_predicted_and_how_surely():
    log = QualityLog()
    feedback = FeedbackLog(quality=log)
    contest = Contest({"1.0": 1.0}, ACCURACY)
    chances = Probabilities([[0.9, 0.1], [0.4, 0.6]], ["no", "yes"])
    prediction_id = feedback.remember(contest, "1.0", ["no", "yes"], chances)

    assert feedback.accept(prediction_id, ["no", "yes"])
    assert not feedback.accept(prediction_id, ["yes", "no"])
    assert log.report()["1.0"] == {
        "truths": 2,
        "rows": 2,
        "right": 2,
        "accuracy": 1.0,
        "f1": 1.0,
        "auc": 1.0,
        "calibration_error": pytest.approx(0.25),
    }


def test_probabilities_of_many_classes_are_not_kept():
    log = QualityLog()
    feedback = FeedbackLog(quality=log)
    classes = list(range(11))
    contest = Contest({"1.0": 1.0}, ACCURACY)
    chances = Probabilities([[1 / 11] * 11], classes)
    feedback.accept(feedback.remember(contest, "1.0", [0], chances), [0])

    assert log.report()["1.0"]["auc"] is None


def test_the_feedback_tells_of_numbers_that_they_are_amounts():
    log = QualityLog()
    feedback = FeedbackLog(quality=log)
    contest = Contest({"1.0": 1.0}, ABSOLUTE_ERROR)
    feedback.accept(feedback.remember(contest, "1.0", [3.0, 4.0]), [0.0, 0.0])

    assert log.report()["1.0"]["rmse"] == pytest.approx(12.5**0.5)


def test_a_monitor_shows_the_quality_of_every_version():
    monitor = ModelMonitor()
    monitor.log_prediction([1.0], prediction="a", latency=0.001)
    monitor.quality.add("1.0", ["a", "b", "b"], ["a", "b", "a"])
    monitor.quality.add("<1.1>", [2.0], [3.5], are_amounts=True)
    text = monitor.to_text().splitlines()

    assert "version  truths  accuracy     F1  RMSE" in text
    assert "1.0           3    66.7 %  0.667     -" in text
    assert "<1.1>         1         -      -   1.5" in text
    assert "&lt;1.1&gt;" in monitor.to_html()
