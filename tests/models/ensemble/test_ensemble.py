"""Several models answer as one."""

import pickle
import threading
import time

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LinearRegression, LogisticRegression

from nbdeploy import Ensemble
from nbdeploy.exceptions import (
    DeadlineError,
    PredictionError,
    SignatureError,
    UnfittedModelError,
    UnsupportedModelError,
)
from nbdeploy.models.ensemble.combining import align, average, median
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.serializer import load_saved, save
from nbdeploy.models.signature import Signature

ROW = [[0.0]]


def constant(value):
    return lambda rows: [value] * len(rows)


def test_a_soft_vote_is_the_mean_of_the_probabilities(classifiers, flowers):
    frame, _ = flowers

    shares = Ensemble(classifiers).predict_proba(frame)

    apart = [model.predict_proba(frame) for model in classifiers.values()]
    assert shares == pytest.approx(np.mean(apart, axis=0))


def test_classes_are_aligned_by_their_labels_not_by_their_place(fixed):
    ensemble = Ensemble(
        {"one": fixed(["no", "yes"], [0.1, 0.9]), "two": fixed(["yes", "no"], [0.8, 0.2])}
    )

    assert ensemble.classes == ["no", "yes"]
    assert ensemble.predict_proba(ROW).round(6).tolist() == [[0.15, 0.85]]
    assert ensemble.predict(ROW).tolist() == ["yes"]


def test_a_class_that_a_member_never_saw_has_no_probability_from_it(fixed):
    ensemble = Ensemble({"one": fixed([0, 1], [0.4, 0.6]), "two": fixed([1, 2], [0.2, 0.8])})

    assert ensemble.classes == [0, 1, 2]
    assert ensemble.predict_proba(ROW).round(6).tolist() == [[0.2, 0.4, 0.4]]


def test_members_without_a_common_class_are_a_mistake(fixed):
    with pytest.raises(ValueError, match="'one' and 'two' have no class in common"):
        Ensemble({"one": fixed([0, 1], [1, 0]), "two": fixed(["no", "yes"], [1, 0])})


def test_a_hard_vote_counts_named_classes(fixed):
    members = {
        "sure": fixed(["a", "b"], [1.0, 0.0]),
        "one": fixed(["a", "b"], [0.4, 0.6]),
        "two": fixed(["b", "a"], [0.6, 0.4]),
    }

    assert Ensemble(members, "hard_vote").predict(ROW).tolist() == ["b"]
    assert Ensemble(members, "soft_vote").predict(ROW).tolist() == ["a"]
    heavy = Ensemble(members, "hard_vote", weights={"sure": 3, "one": 1, "two": 1})
    assert heavy.predict(ROW).tolist() == ["a"]


def test_functions_vote_with_the_classes_they_name():
    ensemble = Ensemble(
        {"one": constant("cat"), "two": constant("dog"), "three": constant("dog")}, "hard_vote"
    )

    assert ensemble.predict(ROW).tolist() == ["dog"]


def test_a_member_without_probabilities_gives_its_whole_vote_to_one(fixed):
    ensemble = Ensemble({"shares": fixed(["a", "b"], [0.7, 0.3]), "rule": constant("b")})

    assert ensemble.predict_proba(ROW).round(6).tolist() == [[0.35, 0.65]]


@pytest.mark.parametrize(
    ("combine", "options", "expected"),
    [
        ("mean", {}, 4.0),
        ("median", {}, 2.0),
        ("weighted", {"weights": [2, 1, 1]}, 3.25),
        ("weighted", {"weights": {"a": 0, "b": 1, "c": 0}}, 2.0),
    ],
    ids=["mean", "median", "weighted by order", "weighted by name"],
)
def test_numbers_are_combined(combine, options, expected):
    members = {"a": constant(1), "b": constant(2), "c": constant(9)}

    assert Ensemble(members, combine, **options).predict(ROW).tolist() == [expected]


def test_regressors_of_several_outputs_are_combined_output_by_output():
    members = {"a": lambda rows: [[1, 2]] * len(rows), "b": lambda rows: [[3, 6]] * len(rows)}

    assert Ensemble(members, "mean").predict(ROW).tolist() == [[2.0, 4.0]]


def test_a_stack_learns_from_what_its_members_answer(classifiers, flowers):
    frame, kinds = flowers
    stack = Ensemble(classifiers, "stack", final=LogisticRegression(max_iter=500))

    with pytest.raises(UnfittedModelError, match="fit_final"):
        predictor_for(stack)
    stack.fit_final(frame, kinds)

    assert stack.stack_features(frame).shape == (150, 9)
    assert (stack.predict(frame) == kinds).mean() > 0.9
    assert predictor_for(stack).methods == ("predict", "predict_proba")


def test_a_cascade_asks_the_costly_member_only_when_unsure():
    asked = []

    class Costly:
        classes_ = np.array(["a", "b"])

        def predict(self, rows):
            return self.classes_[self.predict_proba(rows).argmax(axis=1)]

        def predict_proba(self, rows):
            asked.extend(rows)
            return np.tile([0.0, 1.0], (len(rows), 1))

    class Cheap(Costly):
        def predict_proba(self, rows):
            return np.array([[row[0], 1 - row[0]] for row in rows])

    ensemble = Ensemble({"cheap": Cheap(), "costly": Costly()}, "cascade", threshold=0.9)

    assert ensemble.predict([[0.95], [0.6], [0.05]]).tolist() == ["a", "b", "b"]
    assert asked == [[0.6]]
    assert ensemble.log.report()["costly"]["rows"] == 1


def test_a_cascade_keeps_the_first_answer_when_the_costly_member_fails(fixed, broken):
    ensemble = Ensemble({"cheap": fixed([0, 1], [0.4, 0.6]), "costly": broken}, "cascade")

    assert ensemble.predict(ROW).tolist() == [1]
    assert ensemble.log.report()["costly"]["errors"] == 1


def test_a_fallback_asks_the_next_only_when_one_fails(broken):
    ensemble = Ensemble({"first": broken, "second": constant(2), "third": constant(3)}, "fallback")

    assert list(ensemble.predict(ROW)) == [2]
    report = ensemble.log.report()
    assert (report["first"]["errors"], report["third"]["requests"]) == (1, 0)


def test_a_fallback_leaves_time_for_the_next(stuck):
    ensemble = Ensemble({"first": stuck, "second": constant(2)}, "fallback", deadline=0.4)

    assert list(ensemble.predict(ROW)) == [2]
    assert ensemble.log.report()["first"]["late"] == 1


def test_four_kinds_answer_within_the_deadline_though_one_raises_and_one_hangs(
    classifiers, flowers, broken, stuck
):
    frame, _ = flowers
    good = {name: classifiers[name] for name in ("forest", "xgboost")}
    ensemble = Ensemble({**good, "broken": broken, "stuck": stuck}, deadline=0.5)

    started = time.perf_counter()
    shares = ensemble.predict_proba(frame)
    seconds = time.perf_counter() - started

    assert shares == pytest.approx(Ensemble(good).predict_proba(frame))
    assert seconds < 5
    report = ensemble.log.report()
    assert (report["broken"]["errors"], report["broken"]["last_error"]) == (1, "RuntimeError")
    assert (report["stuck"]["late"], report["forest"]["errors"]) == (1, 0)
    assert report["forest"]["disagreement"] is not None
    assert report["stuck"]["disagreement"] is None


@pytest.mark.parametrize("deadline", [None, 20.0], ids=["no deadline", "a deadline"])
def test_members_answer_side_by_side(deadline):
    everybody = threading.Barrier(4, timeout=20)

    def waits_for_the_others(rows):
        everybody.wait()
        return [1.0] * len(rows)

    members = {f"member {place}": waits_for_the_others for place in range(4)}

    assert Ensemble(members, "mean", deadline=deadline).predict(ROW).tolist() == [1.0]


def test_a_member_that_hangs_takes_no_more_than_its_threads(stuck):
    ensemble = Ensemble({"stuck": stuck, "good": constant(1.0)}, "mean", deadline=0.3)

    for _ in range(8):
        assert ensemble.predict(ROW).tolist() == [1.0]

    assert ensemble.log.report()["stuck"]["last_error"] == "BusyError"


def test_with_raise_no_member_is_left_out(broken, stuck):
    failing = Ensemble({"good": constant(1), "bad": broken}, "mean", on_failure="raise")
    late = Ensemble({"good": constant(1), "slow": stuck}, "mean", on_failure="raise", deadline=0.05)

    with pytest.raises(PredictionError, match="'bad' raised RuntimeError") as failure:
        failing.predict(ROW)
    with pytest.raises(DeadlineError, match="'slow' was late"):
        late.predict(ROW)

    assert str(failure.value.__cause__) == "no answer for 1 rows"


def test_when_nobody_answers_the_error_names_all(broken):
    ensemble = Ensemble({"one": broken, "two": broken}, "mean")

    with pytest.raises(PredictionError, match=r"'one' raised .*; 'two' raised .*no member"):
        ensemble.predict(ROW)
    assert ensemble.log.report()["two"]["errors"] == 1


def test_a_member_that_answers_too_few_rows_fails_alone():
    ensemble = Ensemble({"short": lambda rows: [1.0], "good": constant(2.0)}, "mean")

    assert ensemble.predict([[0.0], [1.0]]).tolist() == [2.0, 2.0]
    assert ensemble.log.report()["short"]["last_error"] == "ValueError"


def test_one_member_alone_answers_as_itself(classifiers, flowers):
    frame, _ = flowers
    for combine in ("soft_vote", "hard_vote", "mean", "median", "cascade", "fallback"):
        ensemble = Ensemble({"only": classifiers["forest"]}, combine)

        assert np.array_equal(ensemble.predict(frame), classifiers["forest"].predict(frame))


@pytest.mark.parametrize("members", [{}, None, [1]], ids=["empty", "none", "a list"])
def test_an_ensemble_without_members_is_an_error(members):
    with pytest.raises(ValueError, match="An ensemble needs members"):
        Ensemble(members)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"combine": "soft_votes"}, "Did you mean 'soft_vote'"),
        ({"combine": "soft_vote"}, "no member has predict_proba"),
        ({"combine": "weighted"}, "needs weights="),
        ({"combine": "mean", "weights": {"b": 1}}, "do not fit"),
        ({"combine": "mean", "weights": [0]}, "not all 0"),
        ({"combine": "mean", "weights": [-1]}, "0 or more"),
        ({"combine": "mean", "deadline": 0}, "deadline=0 is no time"),
        ({"combine": "mean", "on_failure": "ignore"}, "Expected 'drop' or 'raise'"),
        ({"combine": "cascade", "threshold": 2}, "threshold=2 is no probability"),
        ({"combine": "stack"}, "needs a final= model"),
        ({"combine": "mean", "final": LinearRegression()}, "only it takes one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_do_not_fit_are_told_at_once(options, says):
    with pytest.raises(ValueError, match=says):
        Ensemble({"a": constant(1)}, **options)


def test_what_cannot_predict_is_no_member():
    with pytest.raises(UnsupportedModelError):
        Ensemble({"text": "a text"}, "mean")
    with pytest.raises(UnfittedModelError):
        Ensemble({"model": LinearRegression()}, "mean")


def test_its_signature_is_the_union_of_what_its_members_need(flowers):
    frame, kinds = flowers
    ensemble = Ensemble(
        {
            "petals": LinearRegression().fit(frame[["petal_width", "petal_length"]], kinds),
            "sepals": LinearRegression().fit(frame[["sepal_width", "petal_length"]], kinds),
        },
        "mean",
    )

    signature = Signature.learn(ensemble)
    answers = ensemble.predict(signature.validate(frame[list(signature.names)]))

    assert signature.names == ("petal_width", "petal_length", "sepal_width")
    apart = [
        model.predict(frame[list(model.feature_names_in_)]) for model in ensemble.members.values()
    ]
    assert answers == pytest.approx(np.mean(apart, axis=0))


def test_members_of_different_widths_are_a_mistake():
    narrow = LinearRegression().fit([[0.0], [1.0]], [0, 1])
    wide = LinearRegression().fit([[0.0, 0.0], [1.0, 1.0]], [0, 1])

    with pytest.raises(SignatureError, match="narrow: 1, wide: 2"):
        Ensemble({"narrow": narrow, "wide": wide}, "mean")


def test_members_fitted_with_and_without_names_share_rows(flowers):
    frame, kinds = flowers
    ensemble = Ensemble(
        {
            "named": LinearRegression().fit(frame, kinds),
            "numbered": LinearRegression().fit(frame.to_numpy(), kinds),
        },
        "mean",
    )

    assert ensemble.predict(frame) == pytest.approx(ensemble.predict(frame.to_numpy()))


def test_saved_and_loaded_it_answers_the_same(classifiers, flowers, tmp_path):
    frame, _ = flowers
    ensemble = Ensemble({**classifiers, "rule": constant(0)}, weights=[1, 2, 3, 4], deadline=9.0)

    saved = save(ensemble, tmp_path / "all.ensemble", example=frame)
    loaded, _ = load_saved(tmp_path / "all.ensemble")

    assert (saved.format, saved.model_type) == ("ensemble", "Ensemble")
    assert {"lightgbm", "scikit-learn", "xgboost"} <= set(saved.libraries)
    assert loaded.settings == ensemble.settings
    assert np.array_equal(loaded.predict_proba(frame), ensemble.predict_proba(frame))
    assert repr(loaded) == repr(ensemble)


def test_a_pickle_of_it_answers_the_same(classifiers, flowers):
    ensemble = Ensemble(classifiers, "hard_vote")

    loaded = pickle.loads(pickle.dumps(ensemble))

    assert np.array_equal(loaded.predict(flowers[0]), ensemble.predict(flowers[0]))


def test_an_observer_is_told_of_every_member(fixed, broken):
    told = []
    members = {"good": fixed([0, 1], [0.2, 0.8]), "bad": broken}

    Ensemble(members, observer=told.append).predict(ROW)

    assert [(call.member, call.outcome, call.disagreement) for call in told] == [
        ("good", "ok", 0.0),
        ("bad", "error", None),
    ]


def test_an_ensemble_is_a_member_too(classifiers, flowers):
    inner = Ensemble({name: classifiers[name] for name in ("forest", "xgboost")})
    outer = Ensemble({"inner": inner, "lightgbm": classifiers["lightgbm"]})

    assert outer.predict_proba(flowers[0]).sum(axis=1) == pytest.approx(1.0)


@given(
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    order=st.permutations(["a", "b", "c"]),
)
def test_aligned_columns_hold_what_they_held(shares, order):
    aligned = align(np.array([shares]), order, ["a", "b", "c"])

    assert dict(zip("abc", aligned[0], strict=True)) == dict(zip(order, shares, strict=True))


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.tuples(st.floats(-1e6, 1e6), st.floats(0, 100)), min_size=1
    )
)
def test_an_average_and_a_median_lie_between_the_answers(members):
    answers = {name: np.array([value]) for name, (value, _) in members.items()}
    weights = {name: weight for name, (_, weight) in members.items()}
    values = [value for value, _ in members.values()]

    for combined in (average(answers, weights), median(answers, are_shares=False)):
        assert min(values) - 1e-6 <= combined[0] <= max(values) + 1e-6


def test_its_table_lists_the_members(classifiers):
    html = Ensemble(classifiers, weights=[1, 2, 3]).to_html()

    assert all(name in html for name in (*classifiers, "RandomForestClassifier", ">3<"))


def test_a_member_that_remembers_names_without_spaces_is_given_the_columns_it_means():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    some = X.iloc[:, :4]
    forgetful = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(some, y)
    line = LogisticRegression(max_iter=5000).fit(some.iloc[:, ::-1], y)
    ensemble = Ensemble({"forgetful": forgetful, "line": line})

    signature = Signature.learn(ensemble, X.iloc[:, 3::-1])
    rows = signature.validate(X.iloc[:, :4].sample(5, random_state=0).to_dict("records"))

    assert set(signature.names) == set(some.columns)
    shares = (
        forgetful.predict_proba(rows[some.columns])
        + line.predict_proba(rows[line.feature_names_in_])
    ) / 2
    assert ensemble.predict_proba(rows) == pytest.approx(shares)
    with pytest.raises(SignatureError, match="no column 'mean_area'"):
        Signature.learn(forgetful, X.iloc[:, :3])
