import os
import signal
import time
from pathlib import Path

import psutil

DEPLOY = """
import math, time
from nbdeploy import deploy

def model(rows):
    if rows[0][0] == 7:
        math.factorial(10**7)      # one call in C: no other thread of Python runs meanwhile
    return [float(row[0]) for row in rows]

service = deploy(model, name="killed", example=[[1.0, 2.0], [3.0, 4.5]], timeout=120)
service.scale(2)
print(*service._control.replicas.pool.process_ids, service._control.replicas.pool._forkserver.pid)
"""


def processes_of(kernel):
    return [int(pid) for pid in kernel.run(DEPLOY).stdout.split()]


def until_gone(pids, seconds=10.0):
    end = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < end, "a process is left"
        time.sleep(0.01)


def test_the_stop_button_leaves_replicas_alone_and_the_end_of_the_kernel_does_not(fresh_kernel):
    pids = processes_of(fresh_kernel)
    cell = fresh_kernel.start("print('begun', flush=True); time.sleep(60)")
    cell.wait_for("begun")

    fresh_kernel.interrupt()

    assert "KeyboardInterrupt" in cell.wait(check=False).error
    assert all(psutil.pid_exists(pid) for pid in pids)
    assert fresh_kernel.run("print(service.predict([[3.0, 1.0]]))").stdout == "[3.0]\n"
    assert fresh_kernel.run("print(service.stats()['replicas']['restarts'])").stdout == "0\n"

    fresh_kernel.shutdown()

    until_gone(pids)


def test_when_the_kernel_is_killed_nothing_is_left_even_of_a_call_in_c(fresh_kernel):
    *workers, forkserver = processes_of(fresh_kernel)
    before = set(Path("/tmp").iterdir())
    fresh_kernel.run(
        "import threading; threading.Thread(target=service.predict, args=([[7.0, 1.0]],), "
        "daemon=True).start()"
    )
    busy = [psutil.Process(pid) for pid in workers]
    end = time.monotonic() + 10
    while not any(process.cpu_percent(0.05) > 20 for process in busy):
        assert time.monotonic() < end, "no replica computes"

    os.kill(fresh_kernel.pid, signal.SIGKILL)

    until_gone([*workers, forkserver])
    left = {path for path in set(Path("/tmp").iterdir()) - before if "nbdeploy" in path.name}
    assert not left


def test_a_process_that_the_notebook_forked_does_not_keep_replicas_alive(fresh_kernel):
    pids = processes_of(fresh_kernel)
    forked = int(
        fresh_kernel.run(
            "import os\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    time.sleep(30)\n"
            "    os._exit(0)\n"
            "print(pid)"
        ).stdout
    )
    try:
        os.kill(fresh_kernel.pid, signal.SIGKILL)

        until_gone(pids)
        assert psutil.pid_exists(forked)
    finally:
        os.kill(forked, signal.SIGKILL)


def test_when_the_kernel_is_killed_a_service_in_its_own_process_ends_too(fresh_kernel):
    where = DEPLOY.replace("timeout=120", "timeout=120, where='process'").split("service.scale")[0]
    fresh_kernel.run(where + "service.scale(2)")
    server = int(fresh_kernel.run("print(service._server.pid)").stdout)
    pids = [server, *(each.pid for each in psutil.Process(server).children(recursive=True))]
    assert len(pids) == 4

    os.kill(fresh_kernel.pid, signal.SIGKILL)

    until_gone(pids)
