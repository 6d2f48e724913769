"""Whoever deploys all day long has, in the evening, the threads and files of the morning."""

import gc
import threading

import psutil
import pytest

from nbdeploy import deploy, stop_all
from tests.deployment.iris import IRIS


@pytest.mark.parametrize(
    "cycles", [15, pytest.param(200, marks=pytest.mark.acceptance)], ids=["few", "many"]
)
def test_deploying_and_stopping_leaves_no_thread_no_file_and_no_memory(model, cycles):
    def cycle(number):
        token = "s3cret-t0ken" if number % 2 else None
        name = f"line-{number % 3}"
        with deploy(model, name=name, example=IRIS.data, token=token) as service:
            service.predict(IRIS.data.head(3))
            service.predict_proba(IRIS.data.head(2))
            deploy(model, name=name, example=IRIS.data, token=token)
            repr(service)
            service.to_html()

    def used():
        gc.collect()
        process = psutil.Process()
        return threading.active_count(), process.num_fds(), process.memory_info().rss

    stop_all()
    for number in range(6):
        cycle(number)
    threads, files, memory = used()
    for number in range(cycles):
        cycle(number)
    threads_after, files_after, memory_after = used()

    # Those of tests before may end meanwhile.
    assert threads_after <= threads
    assert files_after <= files
    assert memory_after - memory < 20_000_000
