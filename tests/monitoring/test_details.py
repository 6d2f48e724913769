import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.monitoring.details import STAGES, Details, DetailsLog, reason_of

logged = st.lists(
    st.tuples(
        st.sampled_from(STAGES),
        st.floats(1e-6, 10),
        st.integers(1, 5000),
        st.sampled_from([400, 401, 413, 999]),
        st.sampled_from(["age", 3, None]),
    ),
    max_size=20,
)


def details_of(entries):
    log = DetailsLog()
    for stage, seconds, rows, status, column in entries:
        log.add_stages(**{stage: seconds})
        log.add_batch(rows)
        log.reject(reason_of(status))
        log.add_validation_error(column, "type")
    return log.seen()


@given(logged, logged)
def test_details_add_up_and_survive_json(first, second):
    together = Details.merged([details_of(second), details_of(first)])
    assert together == details_of([*first, *second])
    assert Details.from_dict(json.loads(json.dumps(together.to_dict()))) == together
    json.dumps(together.statistics(), allow_nan=False)


def test_statistics_tell_stages_in_order_and_batches_by_size():
    log = DetailsLog()
    log.add_stages(encode=0.5)
    log.add_stages(parse=0.1, queue=0.2, predict=0.4)
    for rows in (1, 1, 3, 1000):
        log.add_batch(rows)
    statistics = log.seen().statistics()

    assert list(statistics["stages"]) == ["parse", "queue", "predict", "encode"]
    assert statistics["stages"]["predict"]["p95_latency"] == 0.4
    assert statistics["batch_sizes"] == {
        "calls": 4,
        "mean": 1005 / 4,
        "rows": {"1": 2, "2 to 3": 1, "512 to 1023": 1},
    }


def test_what_callers_name_is_bounded():
    log = DetailsLog()
    for number in range(200):
        log.add_validation_error(f"column {number} " + "x" * 500, "unknown_column")
    errors = log.seen().statistics()["validation_errors"]
    assert len(errors) == 33
    assert max(len(each["column"]) for each in errors) <= 100
    assert sum(each["requests"] for each in errors) == 200


def test_a_clock_that_was_read_late_makes_no_negative_seconds():
    log = DetailsLog()
    log.add_stages(queue=-1e-7)
    assert log.seen().stages["queue"].maximum == 0.0


@pytest.mark.parametrize(("status", "reason"), [(401, "unauthorized"), (413, "too_large")])
def test_reasons_have_names(status, reason):
    assert reason_of(status) == reason
    assert reason_of(599) == "other"


def test_threads_lose_none():
    log = DetailsLog()

    def work():
        for _ in range(1_000):
            log.reject("malformed")
            log.add_validation_error("age", "type")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = log.seen()
    assert seen.rejected == {"malformed": 4_000}
    assert seen.validation_errors == {("age", "type"): 4_000}
