from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nbdeploy.display.progress import ProgressBar
from nbdeploy.exceptions import ServingError
from nbdeploy.monitoring.replay import recorded_files
from nbdeploy.monitoring.request_lines import Noted, RecordedRequest, line_of
from nbdeploy.serving import replaying
from nbdeploy.serving.replaying import Replayer, replay_files, wait_for_the_log
from nbdeploy.serving.routing import route_from_model

FRAME = pd.DataFrame({"name": ["Ada", "Bob", "Eve"], "mass": [1.0, 2.0, 3.0]})


def heavy(frame, limit=2.0):
    return ["heavy" if mass > limit else "light" for mass in frame["mass"]]


def route(model=heavy, version="1.1", example=FRAME):
    return route_from_model(model, example=example, version=version)


def request(rows, answer, **changes):
    told = RecordedRequest(
        id="ab-1",
        endpoint="predict",
        version="1.0",
        status=200,
        latency=0.01,
        columns=("name", "mass"),
        redacted=(),
        rows=rows,
        size=len(rows or ()),
        answer=answer,
    )
    return told._replace(**changes)


def redacted(mass, answer, **changes):
    return request([[mass]], [answer], columns=("mass",), redacted=("name",), **changes)


def replayed(candidate, *requests, known=()):
    replayer = Replayer(candidate, {each.version: each for each in known})
    for each in requests:
        replayer.ask(each)
    return replayer.result()


def test_changed_predictions_are_found_exactly():
    found = replayed(
        route(),
        request([["Ada", 1.0], ["Bob", 2.5]], ["light", "heavy"]),
        request([["Eve", 1.9], ["Eve", 2.1], ["Eve", 2.2]], ["heavy", "heavy", "light"], id="ab-2"),
    )

    assert (found.requests, found.report.rows, found.changed, found.errors) == (2, 5, 2, 0)
    assert found.to_frame().to_dict("records") == [
        {"request": "ab-2", "row": 0, "then": "heavy", "now": "light"},
        {"request": "ab-2", "row": 2, "then": "light", "now": "heavy"},
    ]
    assert found.verdict == (
        "1.1 was asked 2 recorded requests: of 5 predictions 2 change (40 %), and 0 requests fail."
    )
    assert found.answered_by == {"1.0": 2}


def test_what_fails_now_is_counted_with_its_error():
    def picky(frame):
        if frame["mass"].max() > 2:
            raise ValueError
        return heavy(frame)

    found = replayed(
        route(picky, example=FRAME.head(2)),
        request([["Ada", 1.0]], ["light"]),
        request([["Ada", 9.0]], ["heavy"]),
        request([["Ada", "many"]], ["heavy"]),
    )

    assert (found.requests, found.errors, found.report.requests) == (3, 2, 1)
    assert "expected a number" in found.report.last_error


def test_what_failed_then_may_be_answered_now():
    found = replayed(route(), request([["Ada", 1.0]], None, status=500))

    assert (found.failed_then, found.rescued, found.requests, found.errors) == (1, 1, 1, 0)
    assert "of these answered now" in found.to_text()


def test_what_cannot_be_replayed_is_told():
    found = replayed(
        route(),
        None,
        request(None, None, status=422, columns=()),
        request([["Ada", 1.0]], [[0.1, 0.9]], endpoint="predict_proba"),
        redacted(1.0, "light", version="0.9"),
    )

    assert found.requests == 0
    assert dict(found.skipped) == {
        "its line is torn, or none of a request log": 1,
        "refused when it was recorded, so its rows were not kept": 1,
        "1.1 has no predict_proba": 1,
        "name redacted, and 0.9, which answered, is not loaded": 1,
    }
    assert "No recorded request could be asked again" in found.to_text()


def test_a_redacted_column_that_the_version_does_not_know_is_not_missed():
    candidate = route(example=FRAME[["mass"]])

    found = replayed(candidate, redacted(1.0, "light"), redacted(2.5, "light"))

    assert (found.report.rows, found.changed, found.unclear) == (2, 1, 0)


def test_where_the_answer_does_not_hang_on_a_redacted_column_a_usual_value_stands_in():
    live = route(version="1.0")
    lighter = route(lambda frame: heavy(frame, limit=1.5))

    found = replayed(lighter, redacted(1.0, "light"), redacted(1.8, "light"), known=[live])

    assert (found.report.rows, found.changed, found.unclear) == (2, 1, 0)
    assert "for name a usual value stood in" in found.verdict


def test_where_it_does_the_row_is_not_compared():
    def by_name(frame):
        return [name == "Eve" for name in frame["name"]]

    live = route(by_name, version="1.0")

    found = replayed(route(), redacted(1.0, True), known=[live])

    assert (found.requests, found.report.rows, found.unclear) == (0, 0, 1)
    assert "hangs on a redacted column" in found.to_text()


def test_columns_come_in_the_order_of_the_version():
    turned = route(example=FRAME[["mass", "name"]])

    assert replayed(turned, request([["Ada", 2.5]], ["heavy"])).changed == 0


def test_numbered_columns_are_taken_by_place_and_named_ones_by_name():
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]])
    by_place = route(lambda rows: [float(row[0]) for row in rows], example=numbers)
    named = pd.DataFrame(numbers, columns=["a", "b"])
    by_name = route(lambda frame: frame["a"].tolist(), example=named)
    asked = request([[5.0, 6.0]], [5.0], columns=("0", "1"))

    assert replayed(by_place, asked).changed == 0
    assert replayed(by_name, asked).changed == 0
    assert replayed(by_place, asked._replace(columns=("a", "b"))).changed == 0
    turned = asked._replace(columns=("1", "0"), rows=[[6.0, 5.0]])
    assert replayed(by_place, turned).changed == 0


def test_another_column_than_those_of_the_version_is_its_error():
    found = replayed(route(example=FRAME[["mass"]]), request([["Ada", 1.0]], ["light"]))

    assert found.errors == 1
    assert "name" in found.report.last_error


def test_texts_and_numbers_are_equal_as_they_are_everywhere():
    def number(texts):
        return [np.float64(len(text)) / 3 for text in texts]

    candidate = route(number, example=["a", "bb"])
    asked = request([["abc"], ["ab"]], [1.0, 2 / 3 + 1e-13], columns=("text",))

    assert replayed(candidate, asked).changed == 0
    assert replayed(candidate, asked._replace(answer=[1, 0.5])).changed == 1


def test_latencies_are_those_of_whole_requests():
    ticks = iter([0.0, 0.5, 10.0, 10.1])
    replayer = Replayer(route(), {}, clock=ticks.__next__)
    replayer.ask(request([["Ada", 1.0]], ["light"], latency=2.0))
    replayer.ask(request([["Ada", 1.0]], ["light"], latency=9.0, size=500))

    found = replayer.result()
    assert found.report.latency.quantile(0.5) == pytest.approx(0.5, rel=0.03)
    assert found.recorded.quantile(0.5) == pytest.approx(2.0, rel=0.03)


def test_a_text_and_a_card_say_the_same():
    found = replayed(route(), request([["Ada", 1.0]], ["<b>"]))

    assert "<b>" in found.to_text()
    assert "&lt;b&gt;" in found.to_html()
    assert "<b>" not in found.to_html()
    assert repr(found) == "<Replay of 1 request by 1.1>"


@pytest.mark.parametrize("answer", [{"a": 1}, [1, {"b": 2}], None])
def test_answers_of_any_kind_are_compared(answer):
    candidate = route(lambda frame: [answer] * len(frame))

    assert replayed(candidate, request([["Ada", 1.0]], [answer])).changed == 0
    assert replayed(candidate, request([["Ada", 1.0]], ["other"])).changed == 1


def test_files_are_found_in_the_folder_of_the_service_or_of_all(tmp_path):
    name = "20260101T000000-00000000-000001.jsonl"
    (tmp_path / "penguins").mkdir()
    (tmp_path / "penguins" / name).write_text("")

    assert recorded_files(tmp_path, "penguins") == [tmp_path / "penguins" / name]
    assert recorded_files(tmp_path / "penguins", "other") == [tmp_path / "penguins" / name]
    with pytest.raises(ServingError, match=r"no requests of 'iris'\. It has requests of penguins"):
        recorded_files(tmp_path, "iris")
    with pytest.raises(ServingError, match="there is no such folder"):
        recorded_files(tmp_path / "logs", "iris")


def test_a_file_that_rotates_away_meanwhile_is_passed_over(tmp_path):
    assert replay_files([tmp_path / "gone"], route(), {}).requests == 0


def test_progress_is_shown_while_it_runs(tmp_path, monkeypatch):
    shown = []

    class Bar(ProgressBar):
        def update(self, share, note=""):
            shown.append((share, note))

    monkeypatch.setattr(replaying, "ProgressBar", Bar)
    monkeypatch.setattr(replaying, "_SHOW_SECONDS", -1.0)
    noted = Noted(
        0.0, "predict", "1", 200, 0.1, ("name", "mass"), [["Ada", 1.0]], 1, ["light"], None
    )
    path = tmp_path / "log"
    path.write_bytes(b"".join(line_of(noted, id=str(number)) for number in range(4)))

    assert replay_files([path], route(), {}).requests == 4
    shares = [share for share, _ in shown]
    assert shares == sorted(shares)
    assert [note for _, note in shown] == [
        "1 request",
        "2 requests",
        "3 requests",
        "4 requests",
        "done",
    ]
    assert shares[-2:] == [1.0, 1.0]


def test_a_log_that_hangs_is_not_waited_for():
    slept = []

    wait_for_the_log(lambda: {"request_log": {"waiting": 3}}, timeout=1.0, sleep=slept.append)

    assert sum(slept) == pytest.approx(1.0)
    wait_for_the_log(dict, sleep=None)
