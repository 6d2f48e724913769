from nbdeploy.monitoring.pace import Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def ask(pace, clock, requests, *, seconds):
    """Let so many requests come within so many seconds; give those that were looked at."""
    looked_at = []
    for number in range(requests):
        clock.now += seconds / requests
        if pace.takes():
            pace.took()
            looked_at.append(number)
    return looked_at


def test_of_many_requests_a_second_some_are_looked_at_and_of_few_all():
    clock = Clock()
    pace = Pace(1_000, clock=clock)

    assert len(ask(pace, clock, 2_000, seconds=20)) == 2_000
    busy = ask(pace, clock, 200_000, seconds=5)
    # At most a thousand or two a second, once it has found its pace.
    late = [number for number in busy if number >= 160_000]
    assert 500 <= len(late) <= 2_000
    assert {number % 2 for number in late} == {0, 1}, "callers who take turns are all seen"
    ask(pace, clock, 3_000, seconds=60)
    assert len(ask(pace, clock, 100, seconds=10)) == 100
