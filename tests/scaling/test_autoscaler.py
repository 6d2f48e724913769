import threading

import psutil
import pytest

from nbdeploy import AutoScaler, ScalingError
from nbdeploy.scaling import ConcurrencyPolicy, HpaPolicy, LargestOf, Load


class Recorder:
    """An actuator that only writes down what it was asked for."""

    def __init__(self, replicas=1):
        self.replicas = replicas
        self.asked = []

    def scale(self, n):
        self.asked.append(n)
        self.replicas = n


def readings(*values):
    return iter(values).__next__


# The chapter's calls


def test_the_chapters_calls_work(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_percent", readings(0.0, 95.0, 50.0, 10.0))
    scaler = AutoScaler(min_replicas=1, max_replicas=10, cpu_threshold=70.0)

    assert scaler.current_replicas == 1
    assert scaler.check_scaling_needs() == 2
    scaler.scale(2)
    assert scaler.current_replicas == 2
    assert scaler.check_scaling_needs() is None


def test_the_first_reading_of_the_cpu_is_discarded(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_percent", readings(0.0, 90.0))

    assert AutoScaler(min_replicas=1).check_scaling_needs() == 2


def test_the_first_reading_of_another_thread_takes_its_time(monkeypatch):
    asked = []
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval=None: asked.append(interval) or 90.0)
    scaler = AutoScaler(1, 3)

    for _ in range(2):
        thread = threading.Thread(target=lambda: [scaler.tick(), scaler.tick()])
        thread.start()
        thread.join()

    # A thread that ended may leave its number to the next.
    assert asked[:3] == [None, 0.1, None]


def test_the_bounds_hold():
    high = AutoScaler(max_replicas=1, measure=lambda: 99.0)
    low = AutoScaler(min_replicas=2, measure=lambda: 1.0)

    assert high.check_scaling_needs() is None
    assert low.check_scaling_needs() is None
    assert low.current_replicas == 2
    with pytest.raises(ScalingError, match=r"11 replicas are out of bounds\. Expected 1 to 10"):
        AutoScaler().scale(11)
    with pytest.raises(ScalingError, match="leave no number of replicas"):
        AutoScaler(min_replicas=5, max_replicas=2)


def test_without_an_actuator_it_says_that_it_only_records():
    scaler = AutoScaler(1, 4)
    scaler.scale(3)

    assert scaler.current_replicas == 3
    assert repr(scaler).endswith("now 3; records only, without an actuator>")


# With an actuator


def test_the_actuator_is_told_and_asked(clock):
    recorder = Recorder(replicas=2)
    scaler = AutoScaler(1, 4, actuator=recorder, measure=lambda: 90.0, clock=clock)

    step = scaler.tick()

    assert recorder.asked == [3]
    assert (step.replicas, step.wanted, step.got) == (2, 3, 3)
    assert "records only" not in repr(scaler)
    recorder.replicas = 1
    assert scaler.current_replicas == 1


def test_the_cooldown_counts_from_what_was_really_done(clock):
    recorder = Recorder()
    scaler = AutoScaler(1, 4, actuator=recorder, measure=lambda: 90.0, clock=clock)
    assert scaler.check_scaling_needs() == 2
    assert scaler.check_scaling_needs() == 2

    for _ in range(5):
        scaler.tick()
        clock.now += 15

    assert recorder.asked == [2, 3, 4]
    assert "the last change was 15 s ago" in scaler.history()[3].reason


def test_concurrency_follows_a_ramp_and_goes_back(clock):
    recorder = Recorder()
    load = [0.0]
    scaler = AutoScaler(
        1,
        4,
        policy=ConcurrencyPolicy(stable_window=10, panic_window=2),
        actuator=recorder,
        measure=lambda: load[0],
        clock=clock,
    )
    for number in range(60):
        load[0] = 3.0 if 10 <= number < 30 else 0.5
        scaler.tick()
        clock.now += 2

    assert recorder.asked == [3, 2, 1]
    first = scaler.history().changes[0]
    assert first.time == 20
    assert scaler.history().turns == 1


def test_an_actuator_that_fails_is_told_in_the_history_and_asked_again(clock, caplog):
    class Broken(Recorder):
        def scale(self, n):
            if not self.asked:
                self.asked.append("failed")
                message = "no processor left"
                raise OSError(message)
            super().scale(n)

    scaler = AutoScaler(1, 2, actuator=Broken(), measure=lambda: 90.0, clock=clock)

    assert scaler.tick().reason.endswith("but it failed: no processor left")
    assert scaler.tick().got == 2
    assert "Scaling to 2 failed" in caplog.text


def test_a_measure_that_fails_changes_nothing(clock):
    scaler = AutoScaler(1, 3, measure=readings(90.0), clock=clock)
    scaler.tick()

    step = scaler.tick()

    assert (step.wanted, step.got) == (2, 2)
    assert step.reason.startswith("not measured")


def test_a_measure_may_tell_everything():
    scaler = AutoScaler(
        1, 9, policy=HpaPolicy(target=50), measure=lambda: Load(0, cpu=80.0), actuator=Recorder(3)
    )

    assert scaler.check_scaling_needs() == 5


def test_several_metrics_need_a_measure():
    both = LargestOf((HpaPolicy(), ConcurrencyPolicy()))
    with pytest.raises(ScalingError, match=r"A LargestOf needs measure=.*requests in flight"):
        AutoScaler(policy=both)
    scaler = AutoScaler(policy=both, measure=lambda: Load(1, cpu=10, concurrency=3.0))
    assert scaler.check_scaling_needs() == 3


def test_an_unknown_policy_is_told():
    with pytest.raises(ScalingError, match=r"no policy 'hpaa'. Expected one of \['threshold'"):
        AutoScaler(policy="hpaa")


# In the background


def test_it_looks_in_the_background_until_it_is_stopped():
    looked = threading.Semaphore(0)

    def measure():
        looked.release()
        return 90.0

    recorder = Recorder()
    with AutoScaler(1, 3, measure=measure, actuator=recorder, interval=0.001) as scaler:
        assert all(looked.acquire(timeout=10) for _ in range(3))
        assert scaler.is_running
        thread = scaler._thread
        assert scaler.start() is scaler
    assert not thread.is_alive()
    assert not scaler.is_running
    assert recorder.asked == [2]
    scaler.stop()


# The history


def test_the_history_is_a_table_of_what_changed(clock):
    scaler = AutoScaler(1, 3, measure=readings(50.0, 90.0, 50.0), clock=clock)
    for _ in range(3):
        scaler.tick()
        clock.now += 15

    history = scaler.history()
    shown = history._repr_mimebundle_()

    assert repr(history) == "<ScalingHistory of 3 looks, 1 change, 0 turns>"
    lines = shown["text/plain"].splitlines()
    assert lines[0].split() == ["after", "load", "metric", "replicas", "wanted", "got", "reason"]
    assert len(lines) == 3
    assert "CPU 90 % is above 77 %" in lines[1]
    assert "CPU 90 % is above 77 %" in shown["text/html"]
    assert "CPU 90 % is above 77 %" in scaler.to_html()
    assert scaler.to_text().startswith("<AutoScaler of 1 to 3")
    assert AutoScaler(measure=lambda: 1.0).to_text().startswith("<AutoScaler")


def test_the_history_can_be_drawn(clock):
    scaler = AutoScaler(1, 3, measure=readings(50.0, 90.0), clock=clock)
    for _ in range(3):
        scaler.tick()
        clock.now += 15

    plot = scaler.history().plot()

    load, replicas = plot.figure.axes
    assert load.lines[0].get_ydata().tolist()[:2] == [50.0, 90.0]
    assert [list(line.get_ydata()) for line in replicas.lines] == [[1, 2, 2], [1, 2, 2]]
    assert plot._repr_png_()[0].startswith(b"\x89PNG")
