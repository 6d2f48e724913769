import pytest

from nbdeploy.scaling.load_result import LoadResult, Sample


def answers(count, *, latency=0.02, outcome="200", version="1.0", start=0.0, late=0.0):
    return [Sample(start + 0.1 * at, late, latency, outcome, version) for at in range(count)]


@pytest.fixture
def result():
    samples = [
        *answers(80),
        *answers(10, latency=0.2, version="1.1", start=8.0),
        *answers(9, outcome="503", version="", start=9.0),
        *answers(1, outcome="timeout", version="", start=9.9),
    ]
    return LoadResult(samples, 10.0, "10/s for 10.0 s", replicas=[(0.5, 1), (8.5, 2)])


def test_it_sums_up(result):
    assert len(result.answered) == 90
    assert result.errors == {"503": 9, "timeout": 1}
    assert result.error_rate == pytest.approx(0.1)
    assert result.throughput == 9.0
    assert result.versions == {"1.0": 80, "1.1": 10}
    assert result.latency["p50"] == 0.02
    assert result.p95 == 0.2
    assert result.latency["max"] == 0.2


def test_errors_do_not_make_it_look_fast():
    result = LoadResult([*answers(9, outcome="503", latency=0.001), *answers(1)], 1.0, "x")

    assert result.latency["p50"] == 0.02


def test_it_shows_sum_and_course(result):
    shown = result._repr_mimebundle_()

    text = shown["text/plain"]
    assert "answered    90 of 100 requests" in text
    assert "failed      10 %: 9 times 503, 1 times timeout" in text
    assert "versions    80 by 1.0, 10 by 1.1" in text
    last = text.splitlines()[-1].split()
    assert last == ["9.00", "s", "10", "10", "-", "-", "-", "2"]
    assert "9 times 503" in shown["text/html"]
    assert repr(result).startswith("<LoadResult: sent 10/s for 10.0 s; answered 90 of 100")


def test_nothing_sent_is_no_error():
    empty = LoadResult([], 1.0, "1/s for 1 s", is_interrupted=True)

    assert empty.error_rate == 0
    assert empty.throughput == 0
    assert empty.p95 is None
    assert "interrupted" in empty.to_text()


def test_a_sender_that_was_late_is_told():
    late = LoadResult(answers(20, late=0.05), 2.0, "x")

    assert "5 % of the requests left 50.0 ms late" in late.to_text()
    assert LoadResult(answers(20, late=0.001), 2.0, "x").all_notes() == []


def test_the_course_can_be_drawn(result):
    plot = result.plot()

    latency, rate, replicas = plot.figure.axes
    assert [line.get_label() for line in latency.lines] == ["p50", "p95", "p99"]
    assert max(latency.lines[1].get_ydata()) == 200
    assert sum(rate.lines[0].get_ydata()) == pytest.approx(90)
    assert sum(rate.lines[1].get_ydata()) == pytest.approx(10)
    assert list(replicas.lines[0].get_ydata()) == [1, 2]
    assert plot._repr_png_()[0].startswith(b"\x89PNG")
